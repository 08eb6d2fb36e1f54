package script

import (
	"errors"
	"regexp"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Program is an expression that can be run, many times and at once.
type Program struct {
	source   string
	compiled *starlark.Program
	origin   *translator
}

// dialect is what of Starlark is on: sets and while, because steps are limited; recursion is off.
var dialect = &syntax.FileOptions{Set: true, While: true}

// Compile translates an expression, the body of a Python function. The error is an [*Error] whose place is one of the source.
func Compile(source string) (p *Program, err error) {
	p = &Program{source: source}
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case *Error:
			p, err = nil, caught
		case *misplaced:
			p, err = nil, p.origin.failure(caught.pos, caught.message)
		default:
			panic(caught)
		}
	}()
	if len(source) > MaxInput {
		return nil, &Error{Message: "an expression may be 64 KiB long"}
	}
	p.origin = translate(lex(source))
	file, err := dialect.Parse("expression", p.origin.out.String(), 0)
	if err != nil {
		return nil, p.origin.explain(err)
	}
	rewriteAll(file.Stmts)
	if p.compiled, err = starlark.FileProgram(file, isKnown); err != nil {
		return nil, p.origin.explain(err)
	}
	return p, nil
}

// failure is an error at a place of the Starlark.
func (t *translator) failure(pos syntax.Position, message string) *Error {
	here := t.here(pos)
	return &Error{Line: here.line, Column: here.column, Message: message}
}

// explain says what Starlark found wrong in the terms of the expression.
func (t *translator) explain(err error) *Error {
	var pos syntax.Position
	message := err.Error()
	if e, ok := errors.AsType[syntax.Error](err); ok {
		pos, message = e.Pos, sentence(e.Msg)
	}
	if e, ok := errors.AsType[resolve.ErrorList](err); ok {
		pos, message = e[0].Pos, undefined(e[0].Msg)
	}
	return t.failure(pos, message)
}

// sentences say in words what Starlark's parser says in its terms.
var sentences = []struct {
	pattern  *regexp.Regexp
	sentence string
}{
	{regexp.MustCompile(`^(\S+) does not associate with (\S+)`), "a chain of comparisons is not known here: write a < b and b < c"},
	{regexp.MustCompile(`^conditional expression without else`), "a conditional expression needs an else: write x if y else z"},
	{regexp.MustCompile(`^got (.*) after expression, want EOF`), "$1 cannot stand here"},
	{regexp.MustCompile(`^got else, want`), "else belongs to if here, and not to a loop"},
	{regexp.MustCompile(`^got newline, want primary expression`), "the line ends where a value is wanted"},
	{regexp.MustCompile(`^got newline, want (.*)$`), "the line ends where $1 is wanted"},
	{regexp.MustCompile(`^got (.*), want primary expression`), "$1 cannot stand here: a value is wanted"},
	{regexp.MustCompile(`^got (.*), want (.*)$`), "$1 cannot stand here: $2 is wanted"},
}

func sentence(message string) string {
	for _, s := range sentences {
		if match := s.pattern.FindStringSubmatchIndex(message); match != nil {
			return string(s.pattern.ExpandString(nil, s.sentence, message, match))
		}
	}
	return message
}

// undefined says of a name that is not known what there is instead.
func undefined(message string) string {
	name, ok := strings.CutPrefix(message, "undefined: ")
	if !ok {
		return message
	}
	name, _, _ = strings.Cut(name, " ")
	if instead := absent[name]; instead != "" {
		return name + " is not known here: " + instead
	}
	return "undefined: " + name + "; known are " + strings.Join(known(), ", ")
}

// Check is what is wrong with the source of an expression, nil if it can be compiled.
func Check(source string) error {
	_, err := Compile(source)
	return err
}
