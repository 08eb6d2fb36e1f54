// Package drf holds the API's manners: they are those of Django REST framework
// 3.14, which authentik 2024.6 is built with. It reads requests and writes
// answers, and knows nothing of what they are about.
//
// A noun is described once, as a [Serializer]: a table of fields that decodes
// bodies, encodes answers and can be walked as data to describe both. What is
// wrong with a request is collected in [Errors] and answered by [Fail].
package drf

// Field is one member of a request body: absent (not Set), null, or a value.
//
// Set is true as soon as the body has the key, even when what stands there was
// refused: a handler applies a patch only once the input's errors are known to be none.
type Field[T any] struct {
	Set, Null bool
	Value     T
}

// Apply stores the value in *dst if there is one; an absent or null field changes nothing.
func (f Field[T]) Apply(dst *T) {
	if f.Set && !f.Null {
		*dst = f.Value
	}
}

// ApplyNull stores the value, or nil for null; an absent field changes nothing.
func (f Field[T]) ApplyNull(dst **T) {
	switch {
	case !f.Set:
	case f.Null:
		*dst = nil
	default:
		value := f.Value // so that only this case needs room for it
		*dst = &value
	}
}

// Some is a Field with a value.
func Some[T any](v T) Field[T] { return Field[T]{Set: true, Value: v} }

// JSON is a JSON value in stored form: compact, keys in the order received, strings as UTF-8 with no
// escape that is not needed, numbers byte for byte. The zero value stands for null.
type JSON string

// Mode says how strictly a body is read.
type Mode int

const (
	// Create is POST and PUT: required fields must be there.
	Create Mode = iota
	// Partial is PATCH: nothing is required.
	Partial
)
