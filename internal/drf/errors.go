package drf

import (
	"net/http"
	"slices"
)

// The texts of field errors that a store or a handler adds itself.
const (
	MsgRequired = "This field is required."
	MsgNull     = "This field may not be null."
	MsgBlank    = "This field may not be blank."
	MsgNoChoice = "Select a valid choice. That choice is not one of the available choices."

	msgInteger       = "A valid integer is required."
	msgNullCharacter = "Null characters are not allowed."
)

// InvalidPK is the text for a relation whose object does not exist, or is not the caller's to see.
func InvalidPK(value string) string {
	return `Invalid pk "` + value + `" - object does not exist.`
}

// nonField is the key of what is wrong with a body as a whole.
const nonField = "non_field_errors"

// Errors are the field errors of one body. They are answered in the serializer's order, whatever the
// order in which they were added; within a field the order is kept. The zero value is empty and ready.
type Errors struct {
	order  []string          // of fields in the answer
	sent   map[string]string // field → the later name under which the client sent it
	fields []fieldErrors
	fatal  *Error // the body could not be read at all
}

// fieldErrors is what is wrong with one field: messages, or errors of the fields within it.
type fieldErrors struct {
	name     string
	messages []string
	nested   *Errors
}

// NewErrors makes an empty collection whose answer is in the given order of fields.
func NewErrors(order ...string) *Errors { return &Errors{order: order} }

// Add adds a message to a field; the empty field is non_field_errors. Where the client sent the field
// under its later name, the message stands under that.
func (e *Errors) Add(field, message string) {
	f := e.field(field)
	if f.nested != nil {
		f.nested.Add("", message)
		return
	}
	f.messages = append(f.messages, message)
}

// Nest adds the errors of an object's own fields to the field that holds the object; none changes nothing.
func (e *Errors) Nest(field string, nested *Errors) {
	if !nested.Any() {
		return
	}
	f := e.field(field)
	if f.nested == nil {
		f.nested = NewErrors(nested.order...)
		for _, message := range f.messages {
			f.nested.Add("", message)
		}
		f.messages = nil
	}
	for _, inner := range nested.fields {
		for _, message := range inner.messages {
			f.nested.Add(inner.name, message)
		}
		if inner.nested != nil {
			f.nested.Nest(inner.name, inner.nested)
		}
	}
}

// field finds or makes the entry of a field.
func (e *Errors) field(name string) *fieldErrors {
	if name == "" {
		name = nonField
	}
	if later, ok := e.sent[name]; ok {
		name = later
	}
	for i := range e.fields {
		if e.fields[i].name == name {
			return &e.fields[i]
		}
	}
	e.fields = append(e.fields, fieldErrors{name: name})
	return &e.fields[len(e.fields)-1]
}

// sentAs notes the later name under which the client sent a field.
func (e *Errors) sentAs(field, later string) {
	if e.sent == nil {
		e.sent = make(map[string]string)
	}
	e.sent[field] = later
}

// Any reports whether there is an error.
func (e *Errors) Any() bool { return e.fatal != nil || len(e.fields) > 0 }

// Has reports whether a field has an error, so that a check which needs the field's value can be left out.
func (e *Errors) Has(field string) bool {
	if later, ok := e.sent[field]; ok {
		field = later
	}
	return slices.ContainsFunc(e.fields, func(f fieldErrors) bool { return f.name == field })
}

// Err is nil, or the error that answers 400 with all messages. If the body could not be read at all it is that answer.
func (e *Errors) Err() error {
	switch {
	case e.fatal != nil:
		return e.fatal
	case len(e.fields) == 0:
		return nil
	}
	return &Error{Status: http.StatusBadRequest, Body: e.append(nil)}
}

// clone is a copy that shares nothing which changes.
func (e *Errors) clone() *Errors {
	c := *e
	c.fields = slices.Clone(e.fields)
	for i := range c.fields {
		f := &c.fields[i]
		f.messages = slices.Clone(f.messages)
		if f.nested != nil {
			f.nested = f.nested.clone()
		}
	}
	return &c
}

// rank is the place of a field in the answer: as in the serializer, then what it does not know, then non_field_errors.
func (e *Errors) rank(name string) int {
	if name == nonField {
		return len(e.order) + 1
	}
	if at := slices.Index(e.order, name); at >= 0 {
		return at
	}
	return len(e.order)
}

// append appends the errors as a JSON object.
func (e *Errors) append(dst []byte) []byte {
	fields := slices.Clone(e.fields)
	slices.SortStableFunc(fields, func(a, b fieldErrors) int { return e.rank(a.name) - e.rank(b.name) })
	dst = append(dst, '{')
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, f.name), ':')
		if f.nested != nil {
			dst = f.nested.append(dst)
		} else {
			dst = appendStrings(dst, f.messages)
		}
	}
	return append(dst, '}')
}

// appendStrings appends a list of strings; [] for none.
func appendStrings(dst []byte, list []string) []byte { return appendEach(dst, list, AppendString) }

// appendEach appends a list whose items one appends; [] for none.
func appendEach[T any](dst []byte, list []T, one func([]byte, T) []byte) []byte {
	dst = append(dst, '[')
	for i, item := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, item)
	}
	return append(dst, ']')
}
