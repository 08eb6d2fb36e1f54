package drf

// Stars stand where a secret was.
const Stars = "********************"

// StarsJSON is [Stars] as a JSON string.
const StarsJSON JSON = `"` + Stars + `"`

// FieldChange is one field in which two states of an object differ, both values as the API answers them.
type FieldChange struct {
	Name           string
	Previous, Next JSON
}

// Diff lists the fields in which two states of an object differ, in the serializer's order. An object that is made
// has no state before: with a nil before every field counts that is not null.
//
// Fields that a request cannot set are left out, because they follow from others (last_updated, the objects beside
// relations), and so are later names of a field, and what is [Untracked]. Of a [Secret] field stars are shown for
// every value but null and "", which hide nothing.
func (s *Serializer[M, P]) Diff(before, after *M) []FieldChange {
	var diff []FieldChange
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.write == nil || f.read == nil || f.Info.Untracked {
			continue
		}
		change := FieldChange{Name: f.Info.Name, Previous: "null", Next: JSON(f.write(nil, after))}
		if before != nil {
			change.Previous = JSON(f.write(nil, before))
		}
		if change.Previous == change.Next {
			continue
		}
		if f.Info.Secret {
			change.Previous, change.Next = change.Previous.starred(), change.Next.starred()
		}
		diff = append(diff, change)
	}
	return diff
}

// starred is stars for anything that can be a secret.
func (j JSON) starred() JSON {
	if j == "null" || j == `""` {
		return j
	}
	return StarsJSON
}
