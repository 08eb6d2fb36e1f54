package script

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// place is a place in the source of an expression: both from 1, the column in characters.
type place struct{ line, column int }

// fail ends the compilation. The functions that read source are deeply nested, so that [Compile] recovers what they throw.
func fail(at place, message string) {
	panic(&Error{Line: at.line, Column: at.column, Message: message})
}

type kind int

const (
	kindName kind = iota
	kindNumber
	kindString
	kindOperator
	kindNewline
	kindIndent
	kindDedent
)

// token is a word of Python.
type token struct {
	kind  kind
	text  string // of names, numbers and operators
	parts []part // of strings
	at    place
}

// is reports whether the token is that name or operator.
func (t token) is(text string) bool {
	return (t.kind == kindName || t.kind == kindOperator) && t.text == text
}

// part is a piece of a string: text, or a field of an f-string.
type part struct {
	text  string
	field *field
}

// field is what stands between braces in an f-string.
type field struct {
	tokens     []token
	conversion string // r, s, a or ""
	spec       []part
}

// What nests deeper than this is refused, as Python refuses it at about the same depth.
const maxNesting = 90

// lexer cuts a source into tokens.
type lexer struct {
	source   []rune
	next     int // into source
	at       place
	tokens   []token
	brackets []token // those that are open
	indents  []int
	fields   int // how many fields of f-strings are open
}

// lex cuts a source into tokens, of which every line ends in a newline and every indent has its dedent.
func lex(source string) []token {
	if !utf8.ValidString(source) {
		fail(place{1, 1}, "the expression is not valid UTF-8")
	}
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	l := &lexer{source: []rune(source), at: place{1, 1}, indents: []int{0}}
	for l.line() {
	}
	l.dedent(0)
	return l.tokens
}

// peek is the character n further on, or 0 at the end.
func (l *lexer) peek(n int) rune {
	if l.next+n >= len(l.source) {
		return 0
	}
	return l.source[l.next+n]
}

func (l *lexer) atEnd() bool { return l.next >= len(l.source) }

// sees reports whether text comes next.
func (l *lexer) sees(text string) bool {
	for i, r := range []rune(text) {
		if l.peek(i) != r {
			return false
		}
	}
	return true
}

// take moves over n characters and answers them.
func (l *lexer) take(n int) string {
	taken := l.source[l.next : l.next+n]
	l.next += n
	for _, r := range taken {
		if r == '\n' {
			l.at = place{l.at.line + 1, 1}
		} else {
			l.at.column++
		}
	}
	return string(taken)
}

// takeWhile moves over characters as long as ok holds.
func (l *lexer) takeWhile(ok func(rune) bool) string {
	n := 0
	for l.next+n < len(l.source) && ok(l.source[l.next+n]) {
		n++
	}
	return l.take(n)
}

func (l *lexer) add(k kind, text string, at place) {
	l.tokens = append(l.tokens, token{kind: k, text: text, at: at})
}

// line reads one logical line and reports whether there was any; blank ones and comments leave no token.
func (l *lexer) line() bool {
	if l.atEnd() {
		return false
	}
	width := 0
	for _, r := range l.takeWhile(func(r rune) bool { return r == ' ' || r == '\t' || r == '\f' }) {
		if r == '\t' {
			width += 8 - width%8
		} else {
			width++
		}
	}
	l.space(false)
	if !l.atEnd() && l.peek(0) != '\n' {
		l.indent(width)
		for l.space(false); !l.atEnd() && l.peek(0) != '\n'; l.space(false) {
			l.token()
		}
		if len(l.brackets) > 0 {
			open := l.brackets[len(l.brackets)-1]
			fail(open.at, "this "+open.text+" is never closed")
		}
		l.add(kindNewline, "", l.at)
	}
	if !l.atEnd() {
		l.take(1)
	}
	return true
}

// indent notes where a line begins.
func (l *lexer) indent(width int) {
	top := l.indents[len(l.indents)-1]
	if width <= top {
		l.dedent(width)
		return
	}
	if len(l.tokens) == 0 {
		fail(l.at, "the first line must not be indented")
	}
	if len(l.indents) > maxNesting {
		fail(l.at, "this is nested too deep")
	}
	l.indents = append(l.indents, width)
	l.add(kindIndent, "", l.at)
}

func (l *lexer) dedent(width int) {
	for len(l.indents) > 1 && l.indents[len(l.indents)-1] > width {
		l.indents = l.indents[:len(l.indents)-1]
		l.add(kindDedent, "", l.at)
	}
	if l.indents[len(l.indents)-1] != width {
		fail(l.at, "this line is indented like none of those above it")
	}
}

// space skips what separates tokens; the ends of lines too if lines is true or a bracket is open.
func (l *lexer) space(lines bool) {
	lines = lines || len(l.brackets) > 0
	for !l.atEnd() {
		switch c := l.peek(0); {
		case c == ' ' || c == '\t' || c == '\f' || c == '\n' && lines:
			l.take(1)
		case c == '\\' && l.peek(1) == '\n':
			l.take(2)
		case c == '#':
			if l.fields > 0 {
				fail(l.at, "an f-string cannot hold a comment: give the value a name above it")
			}
			l.takeWhile(func(r rune) bool { return r != '\n' })
		default:
			return
		}
	}
}

func isNameStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }
func isNamePart(r rune) bool  { return isNameStart(r) || unicode.IsDigit(r) }
func isDigit(r rune) bool     { return r >= '0' && r <= '9' }

// token reads one token.
func (l *lexer) token() {
	at := l.at
	switch c := l.peek(0); {
	case isNameStart(c):
		name := l.takeWhile(isNamePart)
		if q := l.peek(0); (q == '"' || q == '\'') && isPrefix(name) {
			l.text(strings.ToLower(name), at)
			return
		}
		l.add(kindName, name, at)
	case isDigit(c) || c == '.' && isDigit(l.peek(1)):
		l.number(at)
	case c == '"' || c == '\'':
		l.text("", at)
	default:
		l.operator(at)
	}
}

// number reads a number; Starlark's parser knows its digits.
func (l *lexer) number(at place) {
	n := 0
	for r := l.peek(n); isNamePart(r) || r == '.' || (r == '+' || r == '-') && l.exponent(n); r = l.peek(n) {
		n++
	}
	text := l.take(n)
	if strings.ContainsAny(text, "jJ") {
		fail(at, "complex numbers are not known here")
	}
	if n > 100 {
		fail(at, "a number may have 100 digits")
	}
	l.add(kindNumber, strings.ReplaceAll(text, "_", ""), at)
}

// exponent reports whether the sign n characters on belongs to the exponent of the number that begins here.
func (l *lexer) exponent(n int) bool {
	before := l.peek(n - 1)
	return n > 0 && (before == 'e' || before == 'E') && isDigit(l.peek(n+1)) && l.peek(1) != 'x' && l.peek(1) != 'X'
}

// operators has the longer ones first.
var operators = strings.Fields(`**= //= >>= <<= ... := -> == != <= >= += -= *= /= %= &= |= ^= @= ** // << >>
	+ - * / % @ & | ^ ~ < > ( ) [ ] { } , : . ; =`)

var closing = map[string]string{"(": ")", "[": "]", "{": "}"}

func (l *lexer) operator(at place) {
	for _, op := range operators {
		if l.sees(op) {
			l.take(len(op))
			l.add(kindOperator, op, at)
			l.bracket(l.tokens[len(l.tokens)-1])
			return
		}
	}
	fail(at, "the character "+quoteRune(l.peek(0))+" means nothing here")
}

// bracket notes brackets that open, and checks those that close.
func (l *lexer) bracket(t token) {
	if closing[t.text] != "" {
		if len(l.brackets) == maxNesting {
			fail(t.at, "this is nested too deep")
		}
		l.brackets = append(l.brackets, t)
		return
	}
	if t.text != ")" && t.text != "]" && t.text != "}" {
		return
	}
	if len(l.brackets) == 0 || closing[l.brackets[len(l.brackets)-1].text] != t.text {
		fail(t.at, "this "+t.text+" closes nothing")
	}
	l.brackets = l.brackets[:len(l.brackets)-1]
}
