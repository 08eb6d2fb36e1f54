package script

import (
	"slices"
	"strings"

	"go.starlark.net/syntax"
)

// entry is the function that a translated expression defines; no expression may use a name like it.
const entry = "__expression"

// translator writes Starlark out of Python's tokens, and keeps where each came from.
type translator struct {
	out    strings.Builder
	at     place // in out
	places []origin
	level  int
}

// origin says of a place in the Starlark which one of the expression it came from.
type origin struct{ there, here place }

// translate writes the Starlark of an expression.
func translate(tokens []token) *translator {
	if len(tokens) == 0 {
		fail(place{1, 1}, "there is nothing to run: an expression needs a line such as return True")
	}
	t := &translator{at: place{1, 1}, level: 1}
	t.raw("def " + entry + "():\n")
	var line []token
	for _, tok := range tokens {
		switch tok.kind {
		case kindIndent:
			t.level++
		case kindDedent:
			t.level--
		case kindNewline:
			t.raw(strings.Repeat(" ", t.level))
			checkLine(line)
			t.expression(line)
			t.raw("\n")
			line = nil
		default:
			line = append(line, tok)
		}
	}
	return t
}

// here is the place of the expression that a place of the Starlark came from.
func (t *translator) here(pos syntax.Position) place {
	there := place{int(pos.Line), int(pos.Col)}
	i, found := slices.BinarySearchFunc(t.places, there, func(o origin, p place) int {
		if o.there.line != p.line {
			return o.there.line - p.line
		}
		return o.there.column - p.column
	})
	if !found && i > 0 {
		i--
	}
	return t.places[i].here
}

// raw writes what came from nowhere.
func (t *translator) raw(text string) {
	t.out.WriteString(text)
	for _, r := range text {
		if r == '\n' {
			t.at = place{t.at.line + 1, 1}
		} else {
			t.at.column++
		}
	}
}

// word writes what came from a token.
func (t *translator) word(text string, here place) {
	t.places = append(t.places, origin{t.at, here})
	t.raw(text + " ")
}

// expression writes the tokens of a line, or of a field.
func (t *translator) expression(tokens []token) {
	shapes := shapesOf(tokens)
	for i := 0; i < len(tokens); i++ {
		tok := tokens[i]
		switch {
		case tok.kind == kindString:
			last := i
			for last+1 < len(tokens) && tokens[last+1].kind == kindString {
				last++
			}
			t.text(tokens[i : last+1])
			i = last
		case tok.is("is"):
			i += t.identity(tokens[i:])
		case shapes[i] != "":
			t.word(shapes[i], tok.at)
		default:
			t.word(tok.text, tok.at)
		}
	}
}

// identity writes "is" and "is not", which are only needed for None, True and False, and answers how many more tokens it took.
func (t *translator) identity(tokens []token) int {
	op, used := "==", 0
	if len(tokens) > 1 && tokens[1].is("not") {
		op, used = "!=", 1
	}
	if len(tokens) < used+2 || !slices.Contains([]string{"None", "True", "False"}, tokens[used+1].text) {
		fail(tokens[0].at, "is compares with None, True and False only: write == or != for values")
	}
	t.word(op, tokens[0].at)
	return used
}

// text writes adjacent strings as one.
func (t *translator) text(tokens []token) {
	var parts []part
	for _, tok := range tokens {
		parts = append(parts, tok.parts...)
	}
	t.parts(parts, tokens[0].at)
}

func (t *translator) parts(parts []part, at place) {
	if !slices.ContainsFunc(parts, func(p part) bool { return p.field != nil }) {
		var text strings.Builder
		for _, p := range parts {
			text.WriteString(p.text)
		}
		t.word(syntax.Quote(text.String(), false), at)
		return
	}
	t.word("__text (", at)
	for _, p := range parts {
		if p.field != nil {
			t.field(p.field, at)
		} else {
			t.word(syntax.Quote(p.text, false), at)
		}
		t.raw(", ")
	}
	t.word(")", at)
}

// field writes one field of an f-string as a call of what formats it.
func (t *translator) field(f *field, at place) {
	t.word("__field ((", f.tokens[0].at)
	checkExpression(f.tokens)
	t.expression(f.tokens)
	t.raw("), " + syntax.Quote(f.conversion, false) + ", ")
	t.parts(f.spec, at)
	t.raw(")")
}

// shapesOf answers, by their index, what is to be written for brackets that mean something else to Starlark: those of
// generators, which become lists, and of sets.
func shapesOf(tokens []token) map[int]string {
	shapes := map[int]string{}
	type bracket struct {
		index          int
		loop, dict     bool
		lambdas, parts int
	}
	open := []*bracket{{index: -1}}
	for i, tok := range tokens {
		in := open[len(open)-1]
		switch {
		case tok.kind == kindOperator && closing[tok.text] != "":
			in.parts++
			open = append(open, &bracket{index: i})
		case tok.is(")") && in.loop:
			shapes[in.index], shapes[i] = "( [", "] )"
		case tok.is("}") && !in.dict && in.parts > 0:
			shapes[in.index], shapes[i] = "__set ( [", "] )"
		case tok.is("for"):
			in.loop = true
		case tok.is("lambda"):
			in.lambdas++
		case tok.is(":") && in.lambdas > 0:
			in.lambdas--
		case tok.is(":"):
			in.dict = true
		default:
			in.parts++
		}
		if tok.is(")") || tok.is("]") || tok.is("}") {
			open = open[:len(open)-1]
		}
	}
	return shapes
}
