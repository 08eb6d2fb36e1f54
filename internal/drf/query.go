package drf

import (
	"net/http"
	"net/url"
	"strings"
)

// rawQuery is a query string, decoded as Django does: nothing in it is an error. What is no
// percent-encoding stands for itself, what is no UTF-8 becomes U+FFFD.
type rawQuery map[string][]string

func queryOf(r *http.Request) rawQuery {
	q := make(rawQuery)
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if pair == "" {
			continue
		}
		name, text, _ := strings.Cut(pair, "=")
		name = unescape(name)
		q[name] = append(q[name], unescape(text))
	}
	return q
}

// last is the last value of a parameter; "" when it is absent.
func (q rawQuery) last(name string) string {
	if list := q[name]; len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

// unescape decodes + and the percent-encodings that are some.
func unescape(s string) string {
	text, err := url.QueryUnescape(s)
	if err != nil {
		text = unescapeSome(strings.ReplaceAll(s, "+", " "))
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func unescapeSome(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if text, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(text)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Param is the last value of a query parameter, read as lists read theirs; false when it is absent.
func Param(r *http.Request, name string) (value string, ok bool) {
	values := queryOf(r)[name]
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

// Params are all query parameters, each with its last value.
func Params(r *http.Request) map[string]string {
	params := make(map[string]string)
	for name, values := range queryOf(r) {
		params[name] = values[len(values)-1]
	}
	return params
}
