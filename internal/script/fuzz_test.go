package script

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// Nobody's text makes the translation panic, and every error stands somewhere in the source.
func FuzzCompile(f *testing.F) {
	for _, test := range expressions {
		f.Add(test.source)
	}
	for _, test := range refusedExpressions {
		f.Add(test.source)
	}
	for _, source := range bombs {
		f.Add(source)
	}
	for _, source := range []string{"", "\\", "\\\n", "\n\n", "f'", "f'{", "f'{x", "f'{x!", "f'{x:", "f'{x:{", "f'{'", "\"\"\"", "r'\\", "rf'\\{x}'", "x = (", ")", "{:}",
		"lambda: x for", "x[", "is", "x is", "x is not", "a.b.c += 1", "0x", "1e+", "é = 1", "\tx", "x\n\ty", "if x:\n\ty\n  z", "'\\x4'", "'\\777'", "'\\ud800'",
		"f'{f\"{f'{x}'}\"}'", "x: ", "for", "def f(", "return *", "{*a}", "{**a}", "a if b", "__text(1)", "f'{{}}{x}}}'", "# x", "x;", ";", "not", "**", "...", "\x00", "\ufeffx",
		"\r\r\n", "x = 'a' f'{b}' \"c\"", "f'''{\nx\n}'''", "f'{x:%Y-%m}'", "f'{(x:=1)}'", "f'{x=}'", "f'{lambda x: 1}'", "a = b = c", "a += b += c", "x.\ny", "(yield)"} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		_, err := Compile(source)
		if err == nil {
			return
		}
		failed, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("%q: %v", source, err)
		}
		if failed.Line == 0 && len(source) > MaxInput {
			return
		}
		lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source), "\n")
		if failed.Line < 1 || failed.Line > len(lines) || failed.Column < 1 {
			t.Fatalf("%q: %v", source, err)
		}
		if last := utf8.RuneCountInString(lines[failed.Line-1]) + 1; failed.Column > last {
			t.Fatalf("%q: %v, but the line ends at %d", source, err, last)
		}
		if failed.Message == "" || strings.Contains(failed.Message, "__expression") {
			t.Fatalf("%q: %v", source, err)
		}
	})
}
