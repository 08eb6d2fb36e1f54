// Package openapi describes an API in OpenAPI 3.0.3 out of what serves it: operations out of a route table, and
// schemas out of the field tables of [drf] that decode and encode. What is described twice drifts apart.
package openapi

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"

	"belfry/internal/drf"
)

// Map is a JSON object that keeps the order of its members.
type Map []Member

// Member is one member of a [Map]: its value is a Map, a []any, a string, a bool or an int64.
type Member struct {
	Key   string
	Value any
}

// set adds members to the end.
func (m *Map) set(key string, value any) { *m = append(*m, Member{key, value}) }

// JSON is the tree as compact JSON.
func (m Map) JSON() []byte { return appendJSON(nil, m) }

// YAML is the tree as YAML 1.2 in block style. Text that could be read as anything else is quoted.
func (m Map) YAML() []byte {
	var b bytes.Buffer
	writeYAML(&b, m, "")
	return b.Bytes()
}

func appendJSON(dst []byte, value any) []byte {
	switch value := value.(type) {
	case Map:
		dst = append(dst, '{')
		for i, member := range value {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(drf.AppendString(dst, member.Key), ':')
			dst = appendJSON(dst, member.Value)
		}
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, item := range value {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, item)
		}
		return append(dst, ']')
	}
	return append(dst, scalar(value, func(s string) string { return string(drf.AppendString(nil, s)) })...)
}

// scalar is a value without parts as text.
func scalar(value any, quote func(string) string) string {
	switch value := value.(type) {
	case string:
		return quote(value)
	case bool:
		return strconv.FormatBool(value)
	case int64:
		return strconv.FormatInt(value, 10)
	}
	panic(fmt.Sprintf("openapi: a %T is no part of a tree", value))
}

// writeYAML writes what stands at an indentation. Parts of a list are not indented further than the list's key.
func writeYAML(b *bytes.Buffer, value any, indent string) {
	switch value := value.(type) {
	case Map:
		for i, member := range value {
			if i > 0 {
				b.WriteString(indent)
			}
			b.WriteString(yamlText(member.Key) + ":")
			writeYAMLPart(b, member.Value, indent)
		}
	case []any:
		for i, item := range value {
			if i > 0 {
				b.WriteString(indent)
			}
			b.WriteString("- ")
			if isEmpty(item) || isScalar(item) {
				writeYAMLLeaf(b, item)
			} else {
				writeYAML(b, item, indent+"  ")
			}
		}
	}
}

// writeYAMLPart writes the value of a key: behind it, or on the lines below.
func writeYAMLPart(b *bytes.Buffer, value any, indent string) {
	if isEmpty(value) || isScalar(value) {
		b.WriteString(" ")
		writeYAMLLeaf(b, value)
		return
	}
	if _, ok := value.(Map); ok {
		indent += "  "
	}
	b.WriteString("\n" + indent)
	writeYAML(b, value, indent)
}

func writeYAMLLeaf(b *bytes.Buffer, value any) {
	switch value.(type) {
	case Map:
		b.WriteString("{}\n")
	case []any:
		b.WriteString("[]\n")
	default:
		b.WriteString(scalar(value, yamlText) + "\n")
	}
}

func isEmpty(value any) bool {
	switch value := value.(type) {
	case Map:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

func isScalar(value any) bool {
	switch value.(type) {
	case Map, []any:
		return false
	}
	return true
}

// plain is text that means itself in YAML without quotes, but for the words in yamlWord.
var (
	plain    = regexp.MustCompile(`^[A-Za-z/_][A-Za-z0-9/_.{}-]*( [A-Za-z0-9/_.{}()'+-]+)*$`)
	yamlWord = regexp.MustCompile(`(?i)^(true|false|null|yes|no|on|off|y|n|\.inf|\.nan)$`)
)

// yamlText is a string in YAML: a JSON string is one in quotes.
func yamlText(s string) string {
	if plain.MatchString(s) && !yamlWord.MatchString(s) {
		return s
	}
	return string(drf.AppendString(nil, s))
}
