package drf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type diffed struct {
	name, later, secret, hidden, derived, pk string
	ref                                      *string
	list                                     []string
}

type diffedPatch struct {
	name, later, secret, hidden, ref, only Field[string]
	list                                   Field[[]string]
}

var diffedSerializer = NewSerializer("Diffed",
	UUID[diffed, diffedPatch]("pk", func(m *diffed) string { return m.pk }),
	Text("name", func(m *diffed) string { return m.name }, func(p *diffedPatch) *Field[string] { return &p.name }),
	Text("later", func(m *diffed) string { return m.later }, func(p *diffedPatch) *Field[string] { return &p.later }, Untracked()),
	Text("secret", func(m *diffed) string { return m.secret }, func(p *diffedPatch) *Field[string] { return &p.secret }, Secret(), AllowBlank()),
	Text("hidden", func(m *diffed) string { return m.hidden }, func(p *diffedPatch) *Field[string] { return &p.hidden }, Secret(), WriteOnly(), AllowBlank()),
	Text[diffed, diffedPatch]("derived", func(m *diffed) string { return m.derived }, nil),
	Ref("ref", func(m *diffed) *string { return m.ref }, func(p *diffedPatch) *Field[string] { return &p.ref }, Nullable(), Alias("later_ref", "2025.6")),
	Refs("list", func(m *diffed) []string { return m.list }, func(p *diffedPatch) *Field[[]string] { return &p.list }),
	Text[diffed]("only", nil, func(p *diffedPatch) *Field[string] { return &p.only }),
)

func TestDiffListsWhatARequestHasSetAndHidesSecrets(t *testing.T) {
	a := "00000000-0000-7000-8000-00000000000a"
	full := diffed{pk: a, name: "n", later: "l", secret: "s", derived: "d", ref: &a, list: []string{a}}
	for _, c := range []struct {
		name          string
		before, after *diffed
		want          []FieldChange
	}{
		{"nothing changed", &full, &full, nil},
		{"what follows from others, and what another field says too", &diffed{}, &diffed{pk: a, later: "l", derived: "d"}, nil},
		{"everything", &diffed{}, &full, []FieldChange{
			{"name", `""`, `"n"`}, {"secret", `""`, StarsJSON}, {"ref", "null", JSON(`"` + a + `"`)}, {"list", "[]", JSON(`["` + a + `"]`)}}},
		{"one secret for another", &diffed{secret: "a"}, &diffed{secret: "b"}, []FieldChange{{"secret", StarsJSON, StarsJSON}}},
		{"a secret that is never answered", &diffed{}, &diffed{hidden: "h"}, []FieldChange{{"hidden", `""`, StarsJSON}}},
		{"a secret that is gone", &diffed{secret: "a"}, &diffed{}, []FieldChange{{"secret", StarsJSON, `""`}}},
		{"the making of an object", nil, &diffed{name: "n", secret: "s"}, []FieldChange{
			{"name", "null", `"n"`}, {"secret", "null", StarsJSON}, {"hidden", "null", `""`}, {"list", "null", "[]"}}},
	} {
		if diff := cmp.Diff(c.want, diffedSerializer.Diff(c.before, c.after)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestFieldThatIsWriteOnlyIsNeverAnswered(t *testing.T) {
	if answer := string(diffedSerializer.Append(nil, &diffed{secret: "shown", hidden: "canary"})); strings.Contains(answer, "hidden") || strings.Contains(answer, "canary") {
		t.Errorf("it is in %s", answer)
	}
}
