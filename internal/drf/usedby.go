package drf

import "net/http"

// UsedBy is one line of a used_by answer.
type UsedBy struct{ App, ModelName, PK, Name, Action string }

var usedByActions = &Choices{
	Name:   "UsedByActionEnum",
	Values: []string{"cascade", "cascade_many", "set_null", "set_default", "left_dangling"},
}

// UsedBySerializer writes what refers to an object.
var UsedBySerializer = NewSerializer("UsedBy",
	Text[UsedBy, struct{}]("app", func(u *UsedBy) string { return u.App }, nil),
	Text[UsedBy, struct{}]("model_name", func(u *UsedBy) string { return u.ModelName }, nil),
	Text[UsedBy, struct{}]("pk", func(u *UsedBy) string { return u.PK }, nil),
	Text[UsedBy, struct{}]("name", func(u *UsedBy) string { return u.Name }, nil),
	Choice[UsedBy, struct{}]("action", usedByActions, func(u *UsedBy) string { return u.Action }, nil),
)

// WriteUsedBy answers 200 with a list of what refers to an object; [] for none.
func WriteUsedBy(w http.ResponseWriter, r *http.Request, list []UsedBy) error {
	return UsedBySerializer.WriteAll(w, r, list)
}
