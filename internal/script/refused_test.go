package script

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// What of Python cannot run, where the mistake is said to be, and what is said. docs/expressions.md has the same table.
var refusedExpressions = []struct {
	source       string
	line, column int
	message      string
}{
	{"import re\nreturn True", 1, 1, "import is not known here: regex_match(value, pattern) and regex_replace(value, pattern, replacement) are there without it"},
	{"from json import dumps", 1, 1, "import is not known here: what is returned becomes JSON by itself, and context is a dict already"},
	{"import os", 1, 1, "import is not known here: only what docs/expressions.md lists is there"},
	{"try:\n    x = 1\nexcept KeyError:\n    x = 2", 1, 1, "try and except are not known here: ask before you use, as in context.get(\"key\"), \"key\" in context or hasattr(x, \"y\")"},
	{"raise ValueError(\"x\")", 1, 1, "raise is not known here: return what is to be answered; where a policy is to fail, return False"},
	{"class Message:\n    pass", 1, 1, "classes are not known here: use a dict or a function"},
	{"with open(\"x\") as f:\n    pass", 1, 1, "with is not known here: there are no files or locks to close"},
	{"x = {\"a\": 1}\ndel x[\"a\"]", 2, 1, "del is not known here: write d.pop(\"key\"), or make a new list or dict without it"},
	{"assert user.email", 1, 1, "assert is not known here: write if not x: return False"},
	{"def f():\n    global x\n    x = 1", 2, 5, "global is not known here: return values from functions, or change a dict"},
	{"def f():\n    yield 1", 2, 5, "generators are not known here: append to a list and return it"},
	{"@cache\ndef f():\n    pass", 1, 1, "@ is not known here: call a function instead of decorating with it"},
	{"match event.action:\n    case \"login\":\n        return 1", 1, 1, "match is not known here: write if and elif"},
	{"if (n := len(user.email)) > 3:\n    return n", 1, 7, "the walrus := is not known here: assign on a line of its own"},
	{"name: str = user.name", 1, 5, "type hints are not known here: write name = value"},
	{"def f(x: int):\n    return x", 1, 8, "type hints are not known here: leave them out"},
	{"def f(x) -> int:\n    return x", 1, 10, "type hints are not known here: leave them out"},
	{"return 1 < 2 < 3", 1, 14, "a chain of comparisons is not known here: write a < b and b < c"},
	{"return user is request.user", 1, 13, "is compares with None, True and False only: write == or != for values"},
	{"return 2 ** 10", 1, 10, "** is not known here: multiply instead"},
	{"return [*[1], 2]", 1, 9, "* is known in calls only: write a + b to join two lists"},
	{"return {**{}, \"a\": 1}", 1, 9, "** is known in calls only: write a | b to join two dicts"},
	{"first, *others = [1, 2]", 1, 8, "* is known in calls only: take the parts with [0] and [1:]"},
	{"for x in []:\n    pass\nelse:\n    return 1", 3, 1, "else belongs to if here, and not to a loop"},
	{"return 1 if user.email", 1, 10, "a conditional expression needs an else: write x if y else z"},
	{"return f\"{user=}\"", 1, 15, "{name=} is not known here: write name={name}"},
	{"return f\"{}\"", 1, 10, "there is nothing between these braces: write {{ }} for the characters"},
	{"return f\"}\"", 1, 10, "a single } in an f-string: write }} for the character"},
	{"return b\"x\"", 1, 8, "bytes are not known here: write the string without b"},
	{"return \"\\N{DASH}\"", 1, 9, "\\N{…} is not known here: write the character itself, or \\u and its number"},
	{"return regex_match(user.email, r\"(?!x)y\")", 1, 32, "the pattern '(?!x)y' has lookaheads (?!…), which are not known here: match more and look at the rest with another call"},
	{"return regex_match(user.email, \"(x\")", 1, 32, "the pattern '(x' cannot be read: missing closing ) (x"},
	{"return ak_user_by(username=\"bob\")", 1, 8, "ak_user_by is not known here: an expression sees what it is given, and cannot look anything else up: user is the recipient, event.user who caused the event"},
	{"requests.post(\"https://example.com\")", 1, 1, "requests is not known here: an expression cannot call anybody: a webhook transport sends what its mapping returns"},
	{"return re.match(\"a\", \"b\")", 1, 8, "re is not known here: regex_match(value, pattern) and regex_replace(value, pattern, replacement) are there without it"},
	{"x = [f() for f in []]\nx[len(x)][f()] += 1", 2, 3, "this would be worked out twice: give it a name on a line of its own first"},
	{"return user.__class__", 1, 13, "names that begin with two underscores are not known here"},
	{"return (1,\n    2", 1, 8, "this ( is never closed"},
	{"return \"abc", 1, 8, "this string is never closed"},
	{"if True:\n    x = 1\n  return x", 3, 3, "this line is indented like none of those above it"},
	{"return 1 +", 1, 10, "the line ends where a value is wanted"},
	{"# nothing", 1, 1, "there is nothing to run: an expression needs a line such as return True"},
}

func TestWhatCannotRunIsRefusedWithItsPlaceAndASentence(t *testing.T) {
	for _, test := range refusedExpressions {
		_, err := Compile(test.source)
		got, ok := errors.AsType[*Error](err)
		if !ok || got.Line != test.line || got.Column != test.column || got.Message != test.message {
			t.Errorf("%s\n got %v\nwant line %d, column %d: %s", test.source, err, test.line, test.column, test.message)
		}
	}
	_, err := Compile("return missing")
	if err == nil || !strings.HasPrefix(err.Error(), "line 1, column 8: undefined: missing; known are abs, ak_is_group_member, ") {
		t.Error(err)
	}
}

// Mistakes are where they are, whatever stands before them, and on which line.
func TestPlacesAreThoseOfTheExpression(t *testing.T) {
	for source, want := range map[string]string{
		"x = '''a\nb\nc'''; y = nope":                     "line 3, column 11: undefined: nope",
		"x = (1,\n     2,\n     nope)":                    "line 3, column 6: undefined: nope",
		"x = \"é😀\" + nope":                               "line 1, column 12: undefined: nope",
		"x = f\"{user} {user:>{nope}}\"":                  "line 1, column 22: undefined: nope",
		"x = f\"{user}\" f'''\n{ nope }'''":               "line 2, column 3: undefined: nope",
		"if True:\n\tif True:\n\t\treturn nope":           "line 3, column 10: undefined: nope",
		"x = 1 \\\n  + nope":                              "line 2, column 5: undefined: nope",
		"\r\n\r\nreturn nope\r\n":                         "line 3, column 8: undefined: nope",
		"# comment\n\nx = [i for i in (j for j in nope)]": "line 3, column 29: undefined: nope",
		"return {1, 2, nope}":                             "line 1, column 15: undefined: nope",
		"x = 1\nreturn x y":                               "line 2, column 10: identifier cannot stand here",
	} {
		_, err := Compile(source)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", source, err, want)
		}
	}
}

// What fails while it runs says where and why, and never in Starlark's terms.
func TestWhatFailsSaysWhereAndWhy(t *testing.T) {
	for source, want := range map[string]string{
		"x = 1\nreturn event.context['nope']":           `line 2, column 21: there is no key "nope": ask with .get("nope")`,
		"return event.context.message":                  `line 1, column 22: a dict has no .message: its values are read with ["message"]`,
		"return event.context.get('nope').lower()":      `line 1, column 34: None has no .lower: there is none here, so ask first, as in if x is not None`,
		"return user.uuid":                              `line 1, column 13: a user has no .uuid; it has ak_groups, all_groups, attributes, email, group_attributes, groups, is_active, is_anonymous, is_authenticated, is_superuser, name, pk, username`,
		"return user.name + 1":                          `line 1, column 18: string + int is not possible: make both the same kind, with str(…) or int(…)`,
		"return 'a' < 1":                                `line 1, column 12: string and int cannot be compared with <`,
		"return [1][3]":                                 `line 1, column 11: there is no part 3: the list has 1`,
		"return 'a' in user":                            `line 1, column 12: a user holds nothing that a string could be in`,
		"notification.severity = 'x'":                   `line 1, column 13: notification.severity cannot be assigned: only notification.body can`,
		"notification.body = 1":                         `line 1, column 13: notification.body is to be a string, not an int: write str(…)`,
		"event.app = 'x'":                               `line 1, column 6: event.app cannot be assigned: only notification.body can`,
		"return ','.join([1])":                          `line 1, column 16: join takes strings, and one of these is an int: write str(x) for x in …`,
		"return f'{user.name:d}'":                       `line 1, column 11: the format 'd' is for numbers, and this is a string`,
		"return f'{1:?}'":                               `line 1, column 11: '?' is no format: write one such as >10 or .2f`,
		"return '%s %s' % ('a',)":                       `line 1, column 16: this format takes more values than the 1 that it is given`,
		"return '{nope}'.format()":                      `line 1, column 23: this format asks for 'nope', which it is not given`,
		"p = '(?<=x)y'\nreturn regex_match('a', p)":     `line 2, column 19: the pattern '(?<=x)y' has lookbehinds (?<=…), which are not known here: match more and look at the rest with another call`,
		"return ip_address('x')":                        `line 1, column 18: 'x' is no IP address`,
		"return event.created.strftime('%q')":           `line 1, column 30: strftime does not know %q: it knows Y m d H I M S f p y b B a A j Z z F T`,
		"return user.ak_groups.filter(pk=1)":            `line 1, column 29: groups can be asked for name, name__in, name__iexact, name__contains, name__startswith and name__endswith, not for pk`,
		"def f(n):\n    return f(n - 1)\nreturn f(3)":   `line 2, column 12: function f called recursively`,
		"return 1 // 0":                                 `line 1, column 10: floored division by zero`,
		"return lambda x: x":                            `a function cannot be returned: only what JSON knows can`,
		"return [request]":                              `a request cannot be returned: return its parts`,
		"return {'x': float('nan')}":                    `the number nan cannot be returned: JSON has no such number`,
		"return {(1, 2): 3}":                            `a key of a dict that is returned is to be a string, not a tuple`,
		"return {1: 2, '1': 3}":                         `a dict that is returned has the key '1' twice: once as a text`,
		"return ['x' * 70000]":                          `what is returned has more than 64 KiB of JSON`,
		"x = []\nx.append(x)\nreturn x":                 `what is returned is nested deeper than 64`,
		"notification.body = 'x' * 70000":               `notification.body has more than 64 KiB`,
		"notification.body = 'a\\0b'":                   `notification.body may not hold the character \0, which no database keeps`,
		"return 'é'.elems()":                            `line 1, column 12: a string has no .elems; it has capitalize, casefold, center, count, endswith, find, format, index, isalnum, isalpha, isdecimal, isdigit, islower, isnumeric, isspace, istitle, isupper, join, ljust, lower, lstrip, partition, removeprefix, removesuffix, replace, rfind, rindex, rjust, rpartition, rsplit, rstrip, split, splitlines, startswith, strip, swapcase, title, upper, zfill`,
		"x = sorted([1, 'a'])":                          `line 1, column 11: string < int not implemented`,
		"return hasattr(user)":                          `line 1, column 15: hasattr: got 1 arguments, want 2`,
		"x = []\nfor i in x.nope():\n    pass":          `line 2, column 12: a list has no .nope; it has append, clear, copy, count, extend, index, insert, pop, remove, reverse, sort`,
		"return sorted([2], key=lambda x: x['a']['b'])": `line 1, column 35: an int has no parts to take with [ ]`,
	} {
		program, err := Compile(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if _, err = NewRunner().Run(t.Context(), program, loginFailed()); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", source, err, want)
		}
	}
}

func TestSourceHasBounds(t *testing.T) {
	for name, source := range map[string]string{
		"an expression may be 64 KiB long":                           "return '" + strings.Repeat("x", MaxInput) + "'",
		"line 1, column 98: this is nested too deep":                 "return " + strings.Repeat("(", 200) + strings.Repeat(")", 200),
		"line 1, column 1: the expression is not valid UTF-8":        "return '\xff'",
		"line 1, column 8: a number may have 100 digits":             "return " + strings.Repeat("9", 200),
		"line 1, column 8: the character '\\x00' means nothing here": "return \x00",
	} {
		if _, err := Compile(source); err == nil || err.Error() != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

// row is how docs/expressions.md shows what is refused.
func row(source string, line, column int, message string) string {
	code := strings.NewReplacer("\n", " ⏎ ", "|", `\|`).Replace(source)
	return fmt.Sprintf("| `%s` | %d:%d | %s |", code, line, column, strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;", "__", `\_\_`).Replace(message))
}

func TestTheDocumentationListsWhatIsRefused(t *testing.T) {
	doc, err := os.ReadFile("../../docs/expressions.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, test := range refusedExpressions {
		want = append(want, row(test.source, test.line, test.column, test.message))
	}
	_, table, _ := strings.Cut(string(doc), "| expression | place | what is said |\n| --- | --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	if table != strings.Join(want, "\n") {
		t.Errorf("docs/expressions.md has another table than\n%s", strings.Join(want, "\n"))
	}
	for _, name := range known() {
		if !strings.Contains(string(doc), "`"+name) {
			t.Errorf("docs/expressions.md does not name %s", name)
		}
	}
}
