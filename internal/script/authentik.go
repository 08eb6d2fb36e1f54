package script

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
)

// A search takes a time that is bounded by the length of the text and of the compiled pattern, because RE2 does not
// backtrack; nothing can stop it in between.
const (
	maxPattern = 1 << 10     // bytes
	maxProgram = 10_000      // instructions that it is compiled to
	maxSearch  = 100_000_000 // instructions times bytes of the text
	maxMatches = 10_000      // that are replaced
)

// compilePattern reads a pattern of Python's re, which RE2 knows most of.
func compilePattern(pattern string) (compiled *regexp.Regexp, instructions int, err error) {
	if len(pattern) > maxPattern {
		return nil, 0, words("a pattern may have 1,024 bytes")
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, 0, unreadable(pattern, err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, 0, unreadable(pattern, err)
	}
	if len(program.Inst) > maxProgram {
		return nil, 0, words("the pattern %s repeats too much", quote(pattern))
	}
	compiled, err = regexp.Compile(pattern)
	return compiled, len(program.Inst), err
}

// unreadable says why a pattern cannot be read.
func unreadable(pattern string, err error) error {
	for _, form := range []struct{ text, name string }{{"(?=", "lookaheads (?=…)"}, {"(?!", "lookaheads (?!…)"}, {"(?<=", "lookbehinds (?<=…)"},
		{"(?<!", "lookbehinds (?<!…)"}, {"(?>", "atomic groups (?>…)"}, {"(?(", "conditions (?(…)"}, {"(?P=", "references (?P=…)"}} {
		if strings.Contains(pattern, form.text) {
			return words("the pattern %s has %s, which are not known here: match more and look at the rest with another call", quote(pattern), form.name)
		}
	}
	why := err.Error()
	if e, ok := err.(*syntax.Error); ok {
		why = e.Code.String() + " " + e.Expr
	}
	return words("the pattern %s cannot be read: %s", quote(pattern), why)
}

// searchable compiles a pattern to be searched for in value.
func searchable(pattern, value string) (*regexp.Regexp, error) {
	compiled, instructions, err := compilePattern(pattern)
	if err != nil {
		return nil, err
	}
	if len(value) > MaxInput || len(value)*instructions > maxSearch {
		return nil, words("this pattern is too large for a text of %d characters", len(value))
	}
	return compiled, nil
}

func regexMatch(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var value, pattern string
	if err := starlark.UnpackArgs("regex_match", args, kwargs, "value", &value, "regex", &pattern); err != nil {
		return nil, err
	}
	compiled, err := searchable(pattern, value)
	if err != nil {
		return nil, err
	}
	return starlark.Bool(compiled.MatchString(value)), nil
}

func regexReplace(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var value, pattern, replacement string
	if err := starlark.UnpackArgs("regex_replace", args, kwargs, "value", &value, "regex", &pattern, "repl", &replacement); err != nil {
		return nil, err
	}
	compiled, err := searchable(pattern, value)
	if err != nil {
		return nil, err
	}
	pieces, err := piecesOf(compiled, replacement)
	if err != nil {
		return nil, err
	}
	matches := compiled.FindAllStringSubmatchIndex(value, maxMatches+1)
	if len(matches) > maxMatches {
		return nil, words("this pattern matches more than 10,000 times")
	}
	var w writer
	last := 0
	for _, match := range matches {
		w.write(value[last:match[0]])
		for _, p := range pieces {
			if p.group < 0 {
				w.write(p.text)
			} else {
				w.write(submatch(value, match, p.group))
			}
		}
		if last = match[1]; w.over {
			break
		}
	}
	w.write(value[last:])
	return w.result(meterOf(thread))
}

// piece is a part of a replacement: text, or the group of a match.
type piece struct {
	text  string
	group int // -1: text
}

var (
	reference = regexp.MustCompile(`\\(?:g<(\w+)>|(\d{1,2})|(.))`)
	unescaped = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\\`, `\`)
)

// piecesOf reads a replacement; \1 and \g<name> in it are groups of the pattern.
func piecesOf(pattern *regexp.Regexp, replacement string) ([]piece, error) {
	var pieces []piece
	last := 0
	for _, r := range reference.FindAllStringSubmatchIndex(replacement, -1) {
		pieces = append(pieces, piece{replacement[last:r[0]], -1})
		last = r[1]
		if r[6] >= 0 { // an escape
			pieces = append(pieces, piece{unescaped.Replace(replacement[r[0]:r[1]]), -1})
			continue
		}
		name := submatch(replacement, r, 1) + submatch(replacement, r, 2)
		group, err := strconv.Atoi(name)
		if err != nil {
			group = pattern.SubexpIndex(name)
		}
		if group < 0 || group > pattern.NumSubexp() {
			return nil, words("the pattern has no group %s", name)
		}
		pieces = append(pieces, piece{group: group})
	}
	return append(pieces, piece{replacement[last:], -1}), nil
}

// submatch is the nth group of a match in text, "" where it took no part.
func submatch(text string, match []int, n int) string {
	if match[2*n] < 0 {
		return ""
	}
	return text[match[2*n]:match[2*n+1]]
}

// listFlatten is the first element of a list, or None; other values stay. It is authentik's, which uses it for LDAP.
func listFlatten(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackPositionalArgs("list_flatten", args, kwargs, 1, &v); err != nil {
		return nil, err
	}
	list, ok := v.(*starlark.List)
	if !ok {
		return v, nil
	}
	if list.Len() == 0 {
		return starlark.None, nil
	}
	return list.Index(0), nil
}

func akMessage(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackPositionalArgs("ak_message", args, kwargs, 1, &v); err != nil {
		return nil, err
	}
	m := meterOf(thread)
	text, err := display(m, v, false)
	if err != nil {
		return nil, err
	}
	if m.said += len(text); m.said > MaxInput || len(m.messages) == 100 {
		return nil, words("an expression may give 100 messages, of 64 KiB in all")
	}
	m.messages = append(m.messages, text)
	return starlark.None, nil
}

func akIsGroupMember(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackPositionalArgs("ak_is_group_member", args, nil, 1, &v); err != nil {
		return nil, err
	}
	o, ok := v.(*object)
	if !ok || o.kind != "user" {
		return nil, words("ak_is_group_member takes a user, not %s", article(v.Type()))
	}
	groups, err := filterGroups(o.values["ak_groups"].(query), kwargs, true)
	if err != nil {
		return nil, err
	}
	return starlark.Bool(len(groups.(query).names) > 0), nil
}
