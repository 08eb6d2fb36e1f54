package drf

import (
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// Serializer is a noun's table of fields: it reads a P out of a body, writes an M, and describes both.
type Serializer[M, P any] struct {
	Name   string // in the schema: Event, NotificationRule, …
	Fields []Def[M, P]

	table
}

// table is what there is to know of a serializer's fields without their types.
type table struct {
	order []string       // names and later names, as they are answered
	keys  map[string]int // name or later name → index of its field
	shape *Shape
}

// Shape is the serializer as data, for whoever describes it. It is not to be changed.
func (t *table) Shape() *Shape { return t.shape }

// NewSerializer makes a serializer; it panics on a table that contradicts itself.
func NewSerializer[M, P any](name string, fields ...Def[M, P]) *Serializer[M, P] {
	s := &Serializer[M, P]{Name: name, Fields: fields, table: table{keys: make(map[string]int), shape: &Shape{Name: name}}}
	for i := range fields {
		f := &s.Fields[i]
		s.add(i, f.Info)
		f.key = key(f.Info.Name)
		if f.Info.Alias != "" {
			f.alias = key(f.Info.Alias)
		}
	}
	return s
}

// key is the name of a member as it is answered.
func key(name string) []byte { return append(AppendString(nil, name), ':') }

// add takes the next field in.
func (t *table) add(at int, info *Info) {
	if problem := info.contradiction(); problem != "" {
		panic(fmt.Sprintf("drf: %s.%s %s", t.shape.Name, info.Name, problem))
	}
	t.shape.Fields = append(t.shape.Fields, *info)
	t.claim(info.Name, at)
	if info.Alias != "" {
		t.claim(info.Alias, at)
	}
}

// contradiction says what is wrong with a line of the table, or "".
func (i *Info) contradiction() string {
	switch {
	case i.Name == "":
		return "has no name"
	case i.ReadOnly && i.WriteOnly:
		return "is neither read nor written"
	case i.ReadOnly && i.Required:
		return "is read-only and required"
	}
	return ""
}

// claim gives a key to a field.
func (t *table) claim(key string, field int) {
	if _, taken := t.keys[key]; taken {
		panic(fmt.Sprintf("drf: %s has two fields %s", t.shape.Name, key))
	}
	t.keys[key] = field
	t.order = append(t.order, key)
}

// Input is a decoded body and what is wrong with it. A handler asks for the errors once it knows that the
// object of the request exists, because 404 comes before 400.
type Input[P any] struct {
	Patch P
	errs  *Errors
}

// Errors is a fresh copy of all that is wrong with the body so far, for a store to add to.
func (in Input[P]) Errors() *Errors {
	if in.errs == nil {
		return NewErrors()
	}
	return in.errs.clone()
}

// Err is Errors().Err().
func (in Input[P]) Err() error {
	if in.errs == nil {
		return nil
	}
	return in.errs.Err()
}

// Decode reads a body that is there already; white space alone is no JSON, nothing at all is {}.
func (s *Serializer[M, P]) Decode(body []byte, mode Mode) Input[P] {
	if len(body) == 0 {
		body = []byte("{}")
	}
	v, members, syntax := parse(body)
	if syntax != nil {
		return Input[P]{errs: &Errors{fatal: syntax.answer(place{}, body)}}
	}
	return s.decodeBody(v, members, mode)
}

// decodeBody reads what a body is.
func (s *Serializer[M, P]) decodeBody(v value, members []member, mode Mode) Input[P] {
	if v.isNull() {
		in := Input[P]{errs: NewErrors(s.order...)}
		in.errs.Add("", "No data provided")
		return in
	}
	return s.decode(v, members, mode)
}

// decode reads a value that should be an object, of those members if it is one.
func (s *Serializer[M, P]) decode(v value, members []member, mode Mode) Input[P] {
	in := Input[P]{errs: NewErrors(s.order...)}
	if v.kind() != jsontext.KindBeginObject {
		in.errs.Add("", "Invalid data. Expected a dictionary, but got "+v.typeName()+".")
		return in
	}
	var room [24]*member // nearly every noun has fewer fields
	sent := append(room[:0], make([]*member, len(s.Fields))...)
	for i := range members {
		m := &members[i]
		at, known := s.keys[string(m.name)]
		if known && (sent[at] == nil || string(m.name) == s.Fields[at].Info.Alias) {
			sent[at] = m
		}
	}
	for i := range s.Fields {
		s.Fields[i].take(&in, sent[i], mode)
	}
	return in
}

// Within are the fields of another noun as the fields of a patch that holds that noun's.
func Within[M, P, Q any](fields []Def[M, P], inner func(*Q) *P) []Def[M, Q] {
	all := make([]Def[M, Q], len(fields))
	for i, f := range fields {
		all[i] = Def[M, Q]{Info: f.Info, write: f.write}
		if read := f.read; read != nil {
			all[i].read = func(q *Q, in input) { read(inner(q), in) }
		}
	}
	return all
}

// take reads what was sent for a field, nil for nothing, into the input.
func (d *Def[M, P]) take(in *Input[P], sent *member, mode Mode) {
	switch {
	case d.read == nil:
	case sent == nil:
		if d.Info.Required && mode == Create {
			in.errs.Add(d.Info.Name, MsgRequired)
		}
	default:
		name := d.Info.Name
		if string(sent.name) != name {
			name = d.Info.Alias
			in.errs.sentAs(d.Info.Name, name)
		}
		d.read(&in.Patch, input{name: name, value: sent.value, mode: mode, errs: in.errs})
	}
}

// Append appends m as a JSON object.
func (s *Serializer[M, P]) Append(dst []byte, m *M) []byte {
	dst = append(dst, '{')
	first := len(dst)
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Info.WriteOnly {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(dst, f.key...)
		start := len(dst)
		dst = f.write(dst, m)
		if f.alias != nil {
			end := len(dst)
			dst = append(append(dst, ','), f.alias...)
			dst = append(dst, dst[start:end]...)
		}
	}
	return append(dst, '}')
}

// appendList appends rows as a JSON list.
func (s *Serializer[M, P]) appendList(dst []byte, rows []M) []byte {
	dst = append(dst, '[')
	for i := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = s.Append(dst, &rows[i])
	}
	return append(dst, ']')
}

// Write answers status with m. The error is always nil.
func (s *Serializer[M, P]) Write(w http.ResponseWriter, r *http.Request, status int, m *M) error {
	b := newBuffer()
	defer b.free()
	b.bytes = s.Append(b.bytes, m)
	return WriteJSON(w, r, status, b.bytes)
}

// WriteAll answers 200 with all of rows as a list without an envelope; nil is []. The error is always nil.
func (s *Serializer[M, P]) WriteAll(w http.ResponseWriter, r *http.Request, rows []M) error {
	b := newBuffer()
	defer b.free()
	b.bytes = s.appendList(b.bytes, rows)
	return WriteJSON(w, r, http.StatusOK, b.bytes)
}

// WriteList answers 200 with one page of rows in the envelope of all lists; a page behind the end of the list is InvalidPage.
func (s *Serializer[M, P]) WriteList(w http.ResponseWriter, r *http.Request, page PageInfo, rows []M) error {
	if page.Offset > 0 && len(rows) == 0 {
		return InvalidPage()
	}
	b := newBuffer()
	defer b.free()
	b.bytes = append(page.append(append(b.bytes, `{"pagination":`...), int64(len(rows))), `,"autocomplete":{},"results":`...)
	b.bytes = append(s.appendList(b.bytes, rows), '}')
	return WriteJSON(w, r, http.StatusOK, b.bytes)
}
