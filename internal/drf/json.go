package drf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// The bounds of a body. Beyond them a request is refused rather than stored in a form that some
// reader of it cannot take: common readers keep numbers as float64 and have a stack that ends.
const (
	maxDepth  = 64
	maxNumber = 100
)

// value is one JSON value of a body: its bytes as received, without white space around them. Only
// checked bodies become values, so what reads a value does not expect syntax errors.
type value []byte

// kind is the first byte of the value's kind: one of n t f " 0 { [.
func (v value) kind() jsontext.Kind { return jsontext.Value(v).Kind() }

func (v value) isNull() bool { return v.kind() == jsontext.KindNull }

// text is the decoded string of a value of kind string.
func (v value) text() string { return string(v.name()) }

// stored is the value in stored form.
func (v value) stored() JSON {
	if isStored(v) {
		return JSON(v)
	}
	text, _ := jsontext.AppendFormat(make([]byte, 0, len(v)), v)
	return JSON(text)
}

// hasNull reports whether a string or a key anywhere in a value holds U+0000, which PostgreSQL
// cannot store. In stored form it is always written as the escape \u0000.
func (j JSON) hasNull() bool {
	rest := string(j)
	for {
		at := strings.Index(rest, `\u0000`)
		if at < 0 {
			return false
		}
		slashes := 0
		for slashes < at && rest[at-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return true
		}
		rest = rest[at+1:]
	}
}

// member is one key of an object and its value.
type member struct {
	name []byte
	value
}

// members are the members of an object, in the order received; none of anything else.
func (v value) members() []member {
	if v.kind() != jsontext.KindBeginObject {
		return nil
	}
	list := make([]member, 0, usualMembers)
	dec := newDecoder(v)
	defer dec.free()
	_, _ = dec.ReadToken() // the bracket
	for dec.PeekKind() == jsontext.KindString {
		name := v.next(&dec.Decoder)
		list = append(list, member{name.name(), v.next(&dec.Decoder)})
	}
	return list
}

// usualMembers is how many members an object seldom has more than.
const usualMembers = 8

// name is the decoded key that a string is.
func (v value) name() []byte {
	if inner := v[1 : len(v)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	name, _ := jsontext.AppendUnquote(nil, v)
	return name
}

// items are the items of an array.
func (v value) items() []value {
	var list []value
	dec := newDecoder(v)
	defer dec.free()
	_, _ = dec.ReadToken() // the bracket
	for kind := dec.PeekKind(); kind != jsontext.KindEndArray && kind != jsontext.KindInvalid; kind = dec.PeekKind() {
		list = append(list, v.next(&dec.Decoder))
	}
	return list
}

// next is the decoder's next value, cut from v: the decoder's own slice does not outlive its next call.
func (v value) next(dec *jsontext.Decoder) value {
	raw, _ := dec.ReadValue()
	end := int(dec.InputOffset())
	return v[end-len(raw) : end]
}

// AppendString appends s as a JSON string in stored form; bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// syntaxError is what is wrong with a body, at a byte of it.
type syntaxError struct {
	words  string
	offset int
}

// answer is the 400 for the error in a text that begins at a place in the body.
func (e *syntaxError) answer(at place, text []byte) *Error {
	at.pass(text[:min(e.offset, len(text))])
	return Detail(http.StatusBadRequest, fmt.Sprintf("JSON parse error - %s: line %d column %d (char %d)",
		e.words, at.lines+1, at.column+1, at.characters))
}

// parse checks a body whole, and answers its one value, with its members where it is an object.
func parse(body []byte) (value, []member, *syntaxError) {
	if !utf8.Valid(body) {
		return nil, nil, &syntaxError{"invalid UTF-8", invalidUTF8(body)}
	}
	dec := newDecoder(body)
	defer dec.free()
	members, syntax := check(&dec.Decoder, body)
	if syntax != nil {
		return nil, nil, syntax
	}
	end := int(dec.InputOffset())
	if rest := trimSpace(body[end:]); len(rest) > 0 {
		return nil, nil, &syntaxError{"unexpected content after the document", len(body) - len(rest)}
	}
	return trimSpace(body[:end]), members, nil
}

// check reads one value token by token, and gathers the members of an object on the way.
func check(dec *jsontext.Decoder, body []byte) ([]member, *syntaxError) {
	var g gathering
	for {
		start := int(dec.InputOffset())
		token, err := dec.ReadToken()
		if err != nil {
			return nil, explain(err, body)
		}
		kind, depth := token.Kind(), dec.StackDepth()
		if bad := checkToken(kind, dec, body); bad != nil {
			return nil, bad
		}
		if depth == 0 {
			return g.members, nil
		}
		if depth <= 2 {
			g.token(kind, depth, body[:dec.InputOffset()], start)
		}
	}
}

// gathering is the members of an object whose tokens are read one by one.
type gathering struct {
	members []member
	object  bool
	name    []byte // of the member that is being read, nil between two of them
	value   int    // where its value begins; 0 until it does
}

// token takes the next token that is no deeper than the members' values, or opens or closes one of them. It is the last one in
// read, behind from, the end of the one before.
func (g *gathering) token(kind jsontext.Kind, depth int, read []byte, from int) {
	if from == 0 {
		if g.object = kind == jsontext.KindBeginObject; g.object {
			g.members = make([]member, 0, usualMembers)
		}
		return
	}
	if !g.object {
		return
	}
	for isSpaceJSON(read[from]) || read[from] == ',' || read[from] == ':' {
		from++
	}
	switch {
	case g.name == nil:
		g.name, g.value = value(read[from:]).name(), 0
		return
	case g.value == 0:
		g.value = from
	}
	if depth == 1 {
		g.members = append(g.members, member{g.name, read[g.value:len(read):len(read)]})
		g.name = nil
	}
}

// trimSpace cuts from the front what JSON takes for white space.
func trimSpace(text []byte) []byte {
	for len(text) > 0 && isSpaceJSON(text[0]) {
		text = text[1:]
	}
	return text
}

func isSpaceJSON(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// invalidUTF8 is the offset of the first byte that is not UTF-8.
func invalidUTF8(body []byte) int {
	at := 0
	for at < len(body) {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// checkToken refuses what is well-formed and yet beyond our bounds; the token ends where dec stands.
func checkToken(kind jsontext.Kind, dec *jsontext.Decoder, body []byte) *syntaxError {
	end := int(dec.InputOffset())
	switch kind {
	case jsontext.KindBeginObject, jsontext.KindBeginArray:
		if dec.StackDepth() > maxDepth {
			return &syntaxError{fmt.Sprintf("nesting deeper than %d", maxDepth), end - 1}
		}
	case jsontext.KindNumber:
		number := body[:end]
		start := bytes.LastIndexAny(number, " \t\r\n:,[") + 1
		return checkNumber(string(number[start:]), start)
	}
	return nil
}

// checkNumber refuses a number that is too long, or outside float64.
func checkNumber(number string, offset int) *syntaxError {
	if len(number) > maxNumber {
		return &syntaxError{fmt.Sprintf("number longer than %d characters", maxNumber), offset}
	}
	// An integer of so few digits never leaves float64's range.
	if !strings.ContainsAny(number, "eE") {
		return nil
	}
	if _, err := strconv.ParseFloat(number, 64); err != nil {
		return &syntaxError{"number out of range", offset}
	}
	return nil
}

// explain turns the decoder's error into our words.
func explain(err error, body []byte) *syntaxError {
	var syntactic *jsontext.SyntacticError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &syntactic) {
		return &syntaxError{"unexpected end of data", len(body)}
	}
	at := int(syntactic.ByteOffset)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &syntaxError{"repeated key", at}
	case at < len(body) && body[at] == '\\':
		// Also half of a surrogate pair: it stands for no character.
		return &syntaxError{"invalid escape sequence", at}
	}
	return &syntaxError{"unexpected character", at}
}
