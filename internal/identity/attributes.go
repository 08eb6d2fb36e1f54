package identity

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"belfry/internal/drf"
	"belfry/internal/listing"
)

// byAttributes is the table as ?attributes= narrows it: to the rows whose attributes, in the column, have all values
// that the parameter, a JSON object, names. The databases do not agree on when JSON values are equal.
func byAttributes[T any](table *listing.Table[T], column string, q *drf.Query) (*listing.Table[T], error) {
	text, ok := q.Text("attributes")
	if !ok {
		return table, nil
	}
	sent := jsontext.Value(text)
	if !sent.IsValid() {
		return nil, drf.Invalid("attributes", "filter: failed to parse JSON")
	}
	if sent.Kind() != jsontext.KindBeginObject {
		return nil, drf.Invalid("attributes", "filter: value must be key:value mapping")
	}
	want := attributesOf(sent)
	for key, value := range want {
		want[key] = canonical(value)
	}
	return table.Keeping(column, func(stored string) bool {
		for key, value := range want {
			if !bytes.Equal(canonical(attribute(jsontext.Value(stored), key)), value) {
				return false
			}
		}
		return true
	}), nil
}

// attribute is the value of a key, nil for none. As in authentik, "a__b" is also the b within a.
func attribute(object jsontext.Value, key string) jsontext.Value {
	members := attributesOf(object)
	if value, ok := members[key]; ok {
		return value
	}
	head, rest, nested := strings.Cut(key, "__")
	if !nested {
		return nil
	}
	return attribute(members[head], rest)
}

// attributesOf are the members of a JSON object, nil for anything else.
func attributesOf(object jsontext.Value) map[string]jsontext.Value {
	if object.Kind() != jsontext.KindBeginObject {
		return nil
	}
	var members map[string]jsontext.Value
	if json.Unmarshal(object, &members) != nil {
		return nil
	}
	return members
}

// canonical is a value written so that equal values are equal texts, nil for what cannot be. Integers keep all their digits.
func canonical(value jsontext.Value) jsontext.Value {
	value = value.Clone()
	if value.Canonicalize(jsontext.CanonicalizeRawInts(false)) != nil {
		return nil
	}
	return value
}
