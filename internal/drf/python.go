package drf

import (
	"bytes"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// Some of the texts that clients see come from Python's own conversions: str(), repr(), int(),
// strip() and type names. This file has what of them shows.

// typeName is the name of the Python type that a value decodes to.
func (v value) typeName() string {
	switch v.kind() {
	case jsontext.KindNull:
		return "NoneType"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "bool"
	case jsontext.KindString:
		return "str"
	case jsontext.KindBeginObject:
		return "dict"
	case jsontext.KindBeginArray:
		return "list"
	}
	if bytes.ContainsAny(v, ".eE") {
		return "float"
	}
	return "int"
}

// str is str() of a value: a string is itself, everything else its repr.
func (v value) str() string {
	switch v.kind() {
	case jsontext.KindString:
		return v.text()
	case jsontext.KindNumber:
		return reprNumber(string(v))
	}
	return Repr(JSON(v))
}

// Repr writes a JSON value as Python's repr() writes what it decodes to: {'a': [1, None, True]}.
func Repr(j JSON) string {
	if j == "" {
		return "None"
	}
	return string(appendRepr(nil, jsontext.NewDecoder(strings.NewReader(string(j)))))
}

// appendRepr appends the decoder's next value.
func appendRepr(dst []byte, dec *jsontext.Decoder) []byte {
	token, err := dec.ReadToken()
	if err != nil {
		return dst
	}
	switch token.Kind() {
	case jsontext.KindNull:
		return append(dst, "None"...)
	case jsontext.KindTrue:
		return append(dst, "True"...)
	case jsontext.KindFalse:
		return append(dst, "False"...)
	case jsontext.KindString:
		return appendReprText(dst, token.String())
	case jsontext.KindBeginObject:
		return append(appendReprItems(append(dst, '{'), dec, true), '}')
	case jsontext.KindBeginArray:
		return append(appendReprItems(append(dst, '['), dec, false), ']')
	}
	return append(dst, reprNumber(token.String())...)
}

// appendReprItems appends what stands inside of the object or array that the decoder has just entered, and leaves it.
func appendReprItems(dst []byte, dec *jsontext.Decoder, keys bool) []byte {
	start := len(dst)
	for {
		switch dec.PeekKind() {
		case jsontext.KindEndObject, jsontext.KindEndArray, jsontext.KindInvalid:
			_, _ = dec.ReadToken()
			return dst
		}
		if len(dst) > start {
			dst = append(dst, ", "...)
		}
		dst = appendRepr(dst, dec)
		if keys {
			dst = appendRepr(append(dst, ": "...), dec)
		}
	}
}

// appendReprText quotes with ' unless only " avoids an escape.
func appendReprText(dst []byte, s string) []byte {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	dst = append(dst, byte(quote))
	for _, r := range s {
		switch {
		case r == quote || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case unicode.IsPrint(r):
			dst = append(dst, string(r)...)
		case r <= 0xff:
			dst = fmt.Appendf(dst, `\x%02x`, r)
		case r <= 0xffff:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = fmt.Appendf(dst, `\U%08x`, r)
		}
	}
	return append(dst, byte(quote))
}

// reprNumber writes a JSON number as Python does: an integer as it is, a float with the fewest digits
// that tell it apart, and with an exponent only where it is below -4 or above 15.
func reprNumber(number string) string {
	if !strings.ContainsAny(number, ".eE") {
		if number == "-0" {
			return "0"
		}
		return number
	}
	f, _ := strconv.ParseFloat(number, 64)
	short := strconv.FormatFloat(f, 'e', -1, 64)
	exponent, _ := strconv.Atoi(short[strings.IndexByte(short, 'e')+1:])
	if f != 0 && (exponent < -4 || exponent > 15) {
		return short
	}
	plain := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(plain, ".") {
		plain += ".0"
	}
	return plain
}

// isSpace reports what str.isspace() does: Python also counts the four separators of ASCII.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// trim is str.strip().
func trim(s string) string { return strings.TrimFunc(s, isSpace) }

// maxIntText is the longest text that is read as an integer, as in DRF.
const maxIntText = 1000

// parseInt is int(s): white space around, a sign, and single underscores between digits are allowed.
func parseInt(s string) (*big.Int, bool) {
	s = trim(s)
	if len(s) > maxIntText {
		return nil, false
	}
	digits := strings.TrimPrefix(s, "-")
	if len(digits) == len(s) {
		digits = strings.TrimPrefix(s, "+")
	}
	if digits == "" || digits[0] == '_' || digits[len(digits)-1] == '_' || strings.Contains(digits, "__") {
		return nil, false
	}
	if strings.Trim(digits, "0123456789_") != "" {
		return nil, false
	}
	return new(big.Int).SetString(strings.ReplaceAll(s, "_", ""), 10)
}
