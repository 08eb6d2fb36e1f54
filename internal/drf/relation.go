package drf

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Ref is a relation by uuid: malformed is refused here, existence is the store's to check. null and "" are
// null where allowed by Nullable(), else refused.
func Ref[M, P any](name string, get func(*M) *string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return blankIsNull(define(&Info{Name: name, Type: "string", Format: "uuid"}, opts, get, orNull(AppendString), in,
		func(_ *Info, v value) (string, []string) { return parseUUIDRef(v) }))
}

// Refs is a list of relations by uuid. One bad member fails the list, with the first error only.
func Refs[M, P any](name string, get func(*M) []string, in func(*P) *Field[[]string], opts ...Option) Def[M, P] {
	info := &Info{Name: name, Type: "array", Items: &Info{Type: "string", Format: "uuid"}}
	return define(info, opts, get, appendStrings, in, listOf(parseUUIDRef))
}

// IntRef is a relation by integer pk (users); wrong type: Incorrect type. Expected pk value, received str.
func IntRef[M, P any](name string, get func(*M) *int64, in func(*P) *Field[int64], opts ...Option) Def[M, P] {
	return blankIsNull(define(&Info{Name: name, Type: "integer"}, opts, get, orNull(appendInt), in,
		func(_ *Info, v value) (int64, []string) { return parseIntRef(v) }))
}

// IntRefs is a list of relations by integer pk.
func IntRefs[M, P any](name string, get func(*M) []int64, in func(*P) *Field[[]int64], opts ...Option) Def[M, P] {
	info := &Info{Name: name, Type: "array", Items: &Info{Type: "integer"}}
	return define(info, opts, get, appendInts, in, listOf(parseIntRef))
}

// Strings is a list of choices (scopes), or of any text where choices is nil. Errors stand under the index of the member.
func Strings[M, P any](name string, choices *Choices, get func(*M) []string, in func(*P) *Field[[]string], opts ...Option) Def[M, P] {
	item := &Info{Type: "string", Choices: choices}
	info := declare(&Info{Name: name, Type: "array", Items: item}, opts, get != nil, in != nil)
	def := Def[M, P]{Info: info}
	if get != nil {
		def.write = func(dst []byte, m *M) []byte { return appendStrings(dst, get(m)) }
	}
	if in != nil {
		def.read = func(p *P, member input) {
			if field := in(p); begin(info, field, member) {
				field.Value = readStrings(item, member)
			}
		}
	}
	return def
}

func readStrings(item *Info, in input) []string {
	if in.kind() != jsontext.KindBeginArray {
		in.fail(notAList(in.value))
		return nil
	}
	parse := parseText
	if item.Choices != nil {
		parse = parseChoice
	}
	items := in.items()
	if wrong := tooMany(len(items)); wrong != "" {
		in.fail(wrong)
		return nil
	}
	list, nested := []string{}, NewErrors()
	for i, v := range items {
		if len(nested.fields) == maxItemErrors {
			break
		}
		if v.isNull() {
			nested.Add(strconv.Itoa(i), MsgNull)
			continue
		}
		text, wrong := parse(item, v)
		for _, message := range wrong {
			nested.Add(strconv.Itoa(i), message)
		}
		list = append(list, text)
	}
	in.errs.Nest(in.name, nested)
	return list
}

// Nested is an object with a serializer of its own; get answers nil for null. in may be nil.
func Nested[M, P, N, Q any](name string, of *Serializer[N, Q], get func(*M) *N, in func(*P) *Field[Q], opts ...Option) Def[M, P] {
	info := declare(&Info{Name: name, Type: "object", Ref: of.shape}, opts, get != nil, in != nil)
	def := Def[M, P]{Info: info}
	if get != nil {
		def.write = func(dst []byte, m *M) []byte {
			if n := get(m); n != nil {
				return of.Append(dst, n)
			}
			return append(dst, "null"...)
		}
	}
	if in != nil {
		def.read = func(p *P, member input) {
			if field := in(p); begin(info, field, member) {
				inner := of.decode(member.value, member.members(), member.mode)
				field.Value = inner.Patch
				member.errs.Nest(member.name, inner.errs)
			}
		}
	}
	return def
}

// NestedList is a read-only list of objects; nil is answered as null.
func NestedList[M, P, N, Q any](name string, of *Serializer[N, Q], get func(*M) []N, opts ...Option) Def[M, P] {
	info := declare(&Info{Name: name, Type: "array", Items: &Info{Type: "object", Ref: of.shape}}, opts, true, false)
	def := Def[M, P]{Info: info}
	def.write = func(dst []byte, m *M) []byte {
		rows := get(m)
		if rows == nil {
			return append(dst, "null"...)
		}
		return of.appendList(dst, rows)
	}
	return def
}

// blankIsNull reads "" as null, as DRF's relations do; Terraform sends it for "none".
func blankIsNull[M, P any](def Def[M, P]) Def[M, P] {
	if read := def.read; read != nil {
		def.read = func(p *P, in input) {
			if string(in.value) == `""` {
				in.value = value("null")
			}
			read(p, in)
		}
	}
	return def
}

// notAList is the text for a value that should have been a list.
func notAList(v value) string {
	return fmt.Sprintf(`Expected a list of items but got type "%s".`, v.typeName())
}

// maxItems bounds a list: each member becomes a parameter of one statement, and SQLite takes 32,766.
const maxItems = 30_000

// maxItemErrors is how many members of a list are complained of at once.
const maxItemErrors = 100

// tooMany is the text for a list that is longer than maxItems, or "".
func tooMany(n int) string {
	if n <= maxItems {
		return ""
	}
	return fmt.Sprintf("Ensure this field has no more than %d elements.", maxItems)
}

// listOf reads a list of relations. It is a set: what is named twice is kept once.
func listOf[T comparable](parse func(value) (T, []string)) func(*Info, value) ([]T, []string) {
	return func(_ *Info, v value) ([]T, []string) {
		if v.kind() != jsontext.KindBeginArray {
			return nil, []string{notAList(v)}
		}
		items := v.items()
		if wrong := tooMany(len(items)); wrong != "" {
			return nil, []string{wrong}
		}
		list := make([]T, 0, len(items))
		for _, item := range items {
			one, wrong := parse(item)
			if len(wrong) > 0 {
				return nil, wrong
			}
			list = append(list, one)
		}
		return unique(list), nil
	}
}

// incorrectType is the text for a pk of a type that no pk has.
func incorrectType(v value) []string {
	return []string{"Incorrect type. Expected pk value, received " + v.typeName() + "."}
}

// parseUUIDRef reads the pk of an object with uuids. An integer would be one in Python, and is refused
// as unknown at once: no object has a uuid like that.
func parseUUIDRef(v value) (string, []string) {
	sent := v.str()
	switch v.typeName() {
	case "bool":
		return "", incorrectType(v)
	case "NoneType":
		return "", []string{InvalidPK(sent)}
	case "int":
		if n, ok := parseInt(sent); ok && fitsUUID(n) {
			return "", []string{InvalidPK(sent)}
		}
	case "str":
		if id, ok := ParseUUID(sent); ok {
			return id, nil
		}
	}
	return "", []string{msgUUID(sent)}
}

// parseIntRef reads the pk of an object with integers. One that no int64 holds is unknown.
func parseIntRef(v value) (int64, []string) {
	sent := v.str()
	switch v.typeName() {
	case "NoneType":
		return 0, []string{InvalidPK(sent)}
	case "bool", "dict", "list":
		return 0, incorrectType(v)
	case "float":
		if whole := dropZeroFraction(sent); whole != sent {
			sent = whole
			break
		}
		return 0, []string{InvalidPK(sent)}
	}
	n, ok := parseInt(sent)
	if !ok {
		return 0, incorrectType(v)
	}
	if !n.IsInt64() {
		return 0, []string{InvalidPK(sent)}
	}
	return n.Int64(), nil
}

// appendInts appends a list of integers; [] for none.
func appendInts(dst []byte, list []int64) []byte { return appendEach(dst, list, appendInt) }
