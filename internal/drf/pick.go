package drf

import (
	"bytes"
	"strings"
)

// Member is the value of a member of an object; "" where there is none, and where j is no object.
func (j JSON) Member(name string) JSON {
	var value [1]JSON
	j.Pick(value[:], name)
	return value[0]
}

// Pick puts the members of those names into values, in the same order, in one walk through the object. Names are of letters
// and such, which no stored form writes as escapes.
func (j JSON) Pick(values []JSON, names ...string) {
	s := string(j)
	if s == "" || s[0] != '{' {
		return
	}
	for at := 1; at < len(s) && s[at] == '"'; {
		name := s[at+1 : textEnd(s, at)-1]
		at += len(name) + len(`"":`)
		end := valueEnd(s, at)
		for i := range names {
			if names[i] == name {
				values[i] = j[at:end]
			}
		}
		at = end + len(",")
	}
}

// Text is the value of a string, false for any other.
func (j JSON) Text() (string, bool) {
	if j == "" || j[0] != '"' {
		return "", false
	}
	if inner := j[1 : len(j)-1]; strings.IndexByte(string(inner), '\\') < 0 {
		return string(inner), true
	}
	return value(j).text(), true
}

// textEnd is where a string of a stored form ends that begins at a quote.
func textEnd(s string, quote int) int {
	for at := quote + 1; ; {
		i := strings.IndexByte(s[at:], '"')
		if i < 0 {
			return len(s)
		}
		at += i + 1
		slashes := 0
		for s[at-2-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
	}
}

// valueEnd is where the value of a stored form ends that begins at start.
func valueEnd(s string, start int) int {
	depth := 0
	for at := start; at < len(s); at++ {
		switch s[at] {
		case '"':
			at = textEnd(s, at) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return at
			}
			depth--
		case ',':
			if depth == 0 {
				return at
			}
		}
	}
	return len(s)
}

// isStored reports whether a JSON text surely is in stored form: nothing in it is escaped, and nothing is white space.
func isStored(text []byte) bool {
	if bytes.IndexByte(text, '\\') >= 0 {
		return false
	}
	for at := 0; at < len(text); at++ {
		switch c := text[at]; {
		case c == '"':
			at += bytes.IndexByte(text[at+1:], '"') + 1
		case isSpaceJSON(c):
			return false
		}
	}
	return true
}
