package script

import "strings"

// refused are Python's keywords that do not exist here, and what to write instead.
var refused = map[string]string{
	"try":      "try and except are not known here: ask before you use, as in context.get(\"key\"), \"key\" in context or hasattr(x, \"y\")",
	"except":   "try and except are not known here: ask before you use, as in context.get(\"key\")",
	"finally":  "try and finally are not known here: nothing needs to be tidied up",
	"raise":    "raise is not known here: return what is to be answered; where a policy is to fail, return False",
	"class":    "classes are not known here: use a dict or a function",
	"with":     "with is not known here: there are no files or locks to close",
	"del":      "del is not known here: write d.pop(\"key\"), or make a new list or dict without it",
	"assert":   "assert is not known here: write if not x: return False",
	"global":   "global is not known here: return values from functions, or change a dict",
	"nonlocal": "nonlocal is not known here: return values from functions, or change a dict",
	"yield":    "generators are not known here: append to a list and return it",
	"async":    "async is not known here: an expression waits for nothing",
	"await":    "await is not known here: an expression waits for nothing",
	"load":     "load cannot be a name here: take another one",
}

// modules are those that expressions often import, and what is there instead.
var modules = map[string]string{
	"re":          "regex_match(value, pattern) and regex_replace(value, pattern, replacement) are there without it",
	"json":        "what is returned becomes JSON by itself, and context is a dict already",
	"datetime":    "event.created has isoformat(), strftime(), year, month, day, hour and minute",
	"time":        "event.created has isoformat(), strftime() and timestamp()",
	"ipaddress":   "ip_address and ip_network are there without it",
	"requests":    "an expression cannot call anybody: a webhook transport sends what its mapping returns",
	"typing":      "type hints are not known here",
	"collections": "use dict and list",
}

// refusedOperators are Python's operators that do not exist here.
var refusedOperators = map[string]string{
	":=":  "the walrus := is not known here: assign on a line of its own",
	"->":  "type hints are not known here: leave them out",
	"@":   "@ is not known here: call a function instead of decorating with it",
	"@=":  "@= is not known here",
	"**=": "** is not known here: multiply instead",
	"...": "... is not known here: write pass",
}

// compound are the statements that a colon belongs to.
var compound = map[string]bool{"if": true, "elif": true, "else": true, "for": true, "while": true, "def": true}

// checkLine refuses what a logical line has of Python that Starlark has not.
func checkLine(line []token) {
	first := line[0]
	if module := importOf(line); module != "" {
		instead := modules[module]
		if instead == "" {
			instead = "only what docs/expressions.md lists is there"
		}
		fail(first.at, "import is not known here: "+instead)
	}
	if first.is("match") && len(line) > 2 && line[1].kind != kindOperator && line[len(line)-1].is(":") {
		fail(first.at, "match is not known here: write if and elif")
	}
	checkExpression(line)
	if !compound[first.text] || first.kind != kindName {
		checkColons(line, 0, "type hints are not known here: write name = value")
	}
	if first.is("def") {
		checkColons(line, 1, "type hints are not known here: leave them out")
	}
}

// importOf is the module that a line imports, or "".
func importOf(line []token) string {
	if len(line) < 2 || !line[0].is("import") && !line[0].is("from") {
		return ""
	}
	return line[1].text
}

// checkColons refuses a colon at a depth of brackets, unless it belongs to a lambda.
func checkColons(line []token, at int, sentence string) {
	depth, lambdas := 0, 0
	for _, tok := range line {
		switch {
		case tok.kind == kindOperator && closing[tok.text] != "":
			depth++
		case tok.is(")") || tok.is("]") || tok.is("}"):
			depth--
		case tok.is("lambda") && depth == at:
			lambdas++
		case tok.is(":") && depth == at && lambdas > 0:
			lambdas--
		case tok.is(":") && depth == at:
			fail(tok.at, sentence)
		}
	}
}

// checkExpression refuses words, names and stars that Starlark has not.
func checkExpression(tokens []token) {
	var open []string
	before := token{kind: kindOperator, text: "("} // as if a bracket had just opened
	for _, tok := range tokens {
		checkWord(tok)
		if tok.is("*") || tok.is("**") {
			checkStar(tok, before, append([]string{""}, open...))
		}
		if tok.kind == kindOperator && closing[tok.text] != "" {
			open = append(open, tok.text)
		} else if len(open) > 0 && tok.is(closing[open[len(open)-1]]) {
			open = open[:len(open)-1]
		}
		before = tok
	}
}

func checkWord(tok token) {
	switch {
	case tok.is("import") || tok.is("from"):
		fail(tok.at, tok.text+" is not known here: only what docs/expressions.md lists is there")
	case tok.kind == kindName && refused[tok.text] != "":
		fail(tok.at, refused[tok.text])
	case tok.kind == kindName && strings.HasPrefix(tok.text, "__"):
		fail(tok.at, "names that begin with two underscores are not known here")
	case tok.kind == kindOperator && refusedOperators[tok.text] != "":
		fail(tok.at, refusedOperators[tok.text])
	}
}

// checkStar refuses a power, and what unpacks outside of a call; open are the brackets around it.
func checkStar(tok, before token, open []string) {
	prefix := before.kind == kindOperator && !before.is(")") && !before.is("]") && !before.is("}") ||
		before.is("return") || before.is("in") || before.is("lambda")
	if !prefix {
		if tok.is("**") {
			fail(tok.at, "** is not known here: multiply instead")
		}
		return
	}
	switch in := open[len(open)-1]; {
	case in == "(" || before.is("lambda"):
	case tok.is("**"):
		fail(tok.at, "** is known in calls only: write a | b to join two dicts")
	case in == "":
		fail(tok.at, "* is known in calls only: take the parts with [0] and [1:]")
	default:
		fail(tok.at, "* is known in calls only: write a + b to join two lists")
	}
}
