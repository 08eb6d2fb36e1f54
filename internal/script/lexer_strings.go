package script

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// quoteRune is how sentences show a character.
func quoteRune(r rune) string { return strconv.QuoteRune(r) }

// isPrefix reports whether a name before a quote is the prefix of a string.
func isPrefix(name string) bool {
	switch strings.ToLower(name) {
	case "r", "u", "b", "br", "rb", "f", "fr", "rf":
		return true
	}
	return false
}

// quotation is a string that is being read.
type quotation struct {
	quote          string // what ends it
	raw, formatted bool
	at             place // its beginning
	parts          []part
	text           strings.Builder // since the last field
}

func (q *quotation) flush() {
	if q.text.Len() > 0 {
		q.parts = append(q.parts, part{text: q.text.String()})
		q.text.Reset()
	}
}

// text reads a string, from its first quote on.
func (l *lexer) text(prefix string, at place) {
	if strings.Contains(prefix, "b") {
		fail(at, "bytes are not known here: write the string without b")
	}
	q := &quotation{quote: string(l.peek(0)), raw: strings.Contains(prefix, "r"), formatted: strings.Contains(prefix, "f"), at: at}
	if l.sees(strings.Repeat(q.quote, 3)) {
		q.quote = strings.Repeat(q.quote, 3)
	}
	l.take(len(q.quote))
	for !l.sees(q.quote) {
		l.closes(q)
		switch c := l.peek(0); {
		case c == '\\':
			l.backslash(q)
		case q.formatted && (c == '{' || c == '}'):
			l.brace(q)
		default:
			q.text.WriteString(l.take(1))
		}
	}
	l.take(len(q.quote))
	q.flush()
	l.tokens = append(l.tokens, token{kind: kindString, parts: q.parts, at: at})
}

// closes fails where a string can no longer end.
func (l *lexer) closes(q *quotation) {
	if l.atEnd() || l.peek(0) == '\n' && len(q.quote) == 1 {
		fail(q.at, "this string is never closed")
	}
}

// brace reads a brace of an f-string: a doubled one, or a field.
func (l *lexer) brace(q *quotation) {
	brace := l.peek(0)
	if l.peek(1) == brace {
		q.text.WriteString(l.take(2)[:1])
		return
	}
	if brace == '}' {
		fail(l.at, "a single } in an f-string: write }} for the character")
	}
	q.flush()
	q.parts = append(q.parts, part{field: l.field(q)})
}

// field reads what stands between braces, both included.
func (l *lexer) field(q *quotation) *field {
	open := l.at
	if l.fields++; l.fields > 8 {
		fail(open, "f-strings are nested too deep: give the inner one a name")
	}
	l.take(1)
	tokens, brackets := l.tokens, l.brackets
	l.tokens, l.brackets = nil, nil
	for l.space(true); !l.fieldEnds(); l.space(true) {
		if l.atEnd() {
			fail(open, "this { is never closed")
		}
		l.token()
	}
	f := &field{tokens: l.tokens}
	l.tokens, l.brackets = tokens, brackets
	l.fields--
	if len(f.tokens) == 0 {
		fail(open, "there is nothing between these braces: write {{ }} for the characters")
	}
	l.suffix(f, q)
	if l.peek(0) != '}' {
		fail(open, "this { is never closed")
	}
	l.take(1)
	return f
}

// fieldEnds reports whether the expression of a field is over.
func (l *lexer) fieldEnds() bool {
	if len(l.brackets) > 0 {
		return false
	}
	switch l.peek(0) {
	case '}', ':':
		return true
	case '!':
		return l.peek(1) != '='
	case '=':
		if l.peek(1) != '=' {
			fail(l.at, "{name=} is not known here: write name={name}")
		}
	}
	return false
}

// suffix reads the conversion and the format of a field.
func (l *lexer) suffix(f *field, q *quotation) {
	if l.peek(0) == '!' {
		l.take(1)
		at := l.at
		f.conversion = l.takeWhile(isNamePart)
		if f.conversion != "r" && f.conversion != "s" && f.conversion != "a" {
			fail(at, "after ! comes r, s or a")
		}
	}
	l.space(true)
	if l.peek(0) != ':' {
		return
	}
	l.take(1)
	spec := &quotation{quote: q.quote, at: q.at}
	for l.peek(0) != '}' {
		l.closes(q)
		if l.sees(q.quote) {
			fail(q.at, "a { in this f-string is never closed")
		}
		if l.peek(0) == '{' {
			spec.flush()
			spec.parts = append(spec.parts, part{field: l.field(q)})
		} else {
			spec.text.WriteString(l.take(1))
		}
	}
	spec.flush()
	f.spec = spec.parts
}

var escapes = map[rune]string{'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n",
	'r': "\r", 't': "\t", 'v': "\v"}

// backslash reads a backslash and what it stands for.
func (l *lexer) backslash(q *quotation) {
	at, c := l.at, l.peek(1)
	if l.next+1 >= len(l.source) {
		fail(q.at, "this string is never closed")
	}
	if q.raw {
		q.text.WriteString(l.take(1))
		if !q.formatted || c != '{' && c != '}' {
			q.text.WriteString(l.take(1))
		}
		return
	}
	if text, ok := escapes[c]; ok {
		l.take(2)
		q.text.WriteString(text)
		return
	}
	switch {
	case c == 'x':
		l.codePoint(q, at, 2, 16)
	case c == 'u':
		l.codePoint(q, at, 4, 16)
	case c == 'U':
		l.codePoint(q, at, 8, 16)
	case c >= '0' && c <= '7':
		l.octal(q)
	case c == 'N':
		fail(at, `\N{…} is not known here: write the character itself, or \u and its number`)
	default: // Python leaves the backslash of what is no escape, and patterns are written so
		q.text.WriteString(l.take(1))
	}
}

// codePoint reads a character that is written as \x, \u or \U and its number.
func (l *lexer) codePoint(q *quotation, at place, digits, base int) {
	l.take(2)
	text := l.takeAtMost(digits)
	n, err := strconv.ParseUint(text, base, 32)
	if err != nil || utf8.RuneCountInString(text) < digits || !utf8.ValidRune(rune(n)) {
		fail(at, fmt.Sprintf("after this backslash come %d digits from 0 to f that name a character", digits))
	}
	q.text.WriteRune(rune(n))
}

// octal reads a character that is written as up to three digits from 0 to 7.
func (l *lexer) octal(q *quotation) {
	l.take(1)
	n := 0
	for i := 0; i < 3 && l.peek(0) >= '0' && l.peek(0) <= '7'; i++ {
		n = n*8 + int(l.take(1)[0]-'0')
	}
	q.text.WriteRune(rune(n))
}

func (l *lexer) takeAtMost(n int) string { return l.take(min(n, len(l.source)-l.next)) }
