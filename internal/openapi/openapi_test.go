package openapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belfry/internal/drf"
)

type bell struct{}

type bellPatch struct {
	name, tone, mark, secret drf.Field[string]
	weight                   drf.Field[int64]
	made                     drf.Field[founderPatch]
}

type founderPatch struct{ name drf.Field[string] }

func text(*bell) string      { return "" }
func nullText(*bell) *string { return nil }

var (
	tones = &drf.Choices{Name: "ToneEnum", Values: []string{"low", "high"}}
	marks = &drf.Choices{Name: "MarkEnum", Values: []string{"a"}, Also: func(string) bool { return false }, Pattern: "^x_"}

	founder = drf.NewSerializer("Founder",
		drf.Text("name", text, func(p *founderPatch) *drf.Field[string] { return &p.name }, drf.Required()))

	bells = drf.NewSerializer("Bell",
		drf.UUID[bell, bellPatch]("pk", text),
		drf.Text("name", text, func(p *bellPatch) *drf.Field[string] { return &p.name }, drf.Required(), drf.MaxLength(80), drf.Help("What it is called: on it.")),
		drf.Slug("slug", text, func(p *bellPatch) *drf.Field[string] { return &p.name }, drf.AllowBlank()),
		drf.NullIP("address", nullText, func(p *bellPatch) *drf.Field[string] { return &p.name }),
		drf.Choice("tone", tones, text, func(p *bellPatch) *drf.Field[string] { return &p.tone }, drf.Required(), drf.Alias("pitch", "2")),
		drf.NullChoice("mark", marks, nullText, func(p *bellPatch) *drf.Field[string] { return &p.mark }),
		drf.Int("weight", func(*bell) int64 { return 0 }, func(p *bellPatch) *drf.Field[int64] { return &p.weight }, drf.Range(1, 9)),
		drf.Nested("founder", founder, func(*bell) *bell { return nil }, func(p *bellPatch) *drf.Field[founderPatch] { return &p.made }, drf.NullAnswer()),
		drf.Any[bell, bellPatch]("any", func(*bell) drf.JSON { return "" }, nil),
		drf.Text[bell]("secret", nil, func(p *bellPatch) *drf.Field[string] { return &p.secret }, drf.KeepSpace()),
	)
)

// yamlOf finds a schema by its name and writes it.
func yamlOf(t *testing.T, document Map, path ...string) string {
	t.Helper()
	for _, key := range path {
		found := false
		for _, m := range document {
			if m.Key == key {
				document, found = m.Value.(Map), true
			}
		}
		if !found {
			t.Fatalf("no %s", key)
		}
	}
	return string(document.YAML())
}

func TestSchemasFollowTheFieldTables(t *testing.T) {
	document := Document(About{Base: "/api"}, []Operation{
		{Method: http.MethodPut, Path: "/api/bells/{bell_uuid}/", Takes: bells.Shape(), Status: 200, Answers: bells.Shape()},
		{Method: http.MethodPatch, Path: "/api/bells/{bell_uuid}/", Takes: bells.Shape(), Status: 200, Answers: bells.Shape()},
	})
	const common = `  slug:
    type: string
    pattern: "^[-a-zA-Z0-9_]+$"
`
	for name, want := range map[string]string{
		"Bell": `type: object
properties:
  pk:
    type: string
    format: uuid
    readOnly: true
  name:
    type: string
    description: "What it is called: on it."
    maxLength: 80
` + common + `  address:
    type: string
    nullable: true
  tone:
    "$ref": "#/components/schemas/ToneEnum"
  pitch:
    "$ref": "#/components/schemas/ToneEnum"
  mark:
    allOf:
    - "$ref": "#/components/schemas/MarkEnum"
    nullable: true
  weight:
    type: integer
    minimum: 1
    maximum: 9
  founder:
    allOf:
    - "$ref": "#/components/schemas/Founder"
    nullable: true
  any:
    readOnly: true
required:
- pk
- name
- slug
- address
- tone
- pitch
- mark
- weight
- founder
- any
`,
		"BellRequest": `type: object
properties:
  name:
    type: string
    description: "What it is called: on it."
    minLength: 1
    maxLength: 80
` + common + `  address:
    type: string
    nullable: true
    minLength: 1
  tone:
    "$ref": "#/components/schemas/ToneEnum"
  pitch:
    "$ref": "#/components/schemas/ToneEnum"
  mark:
    allOf:
    - "$ref": "#/components/schemas/MarkEnum"
    nullable: true
  weight:
    type: integer
    minimum: 1
    maximum: 9
  founder:
    "$ref": "#/components/schemas/FounderRequest"
  secret:
    type: string
    writeOnly: true
    minLength: 1
required:
- name
`,
		"PatchedFounderRequest": "type: object\nproperties:\n  name:\n    type: string\n    minLength: 1\n",
		"MarkEnum":              "anyOf:\n- type: string\n  enum:\n  - a\n- type: string\n  pattern: \"^x_\"\n",
	} {
		if diff := cmp.Diff(want, yamlOf(t, document, "components", "schemas", name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestOperationsFollowTheRoutes(t *testing.T) {
	list := &drf.ListSpec{Search: true, Orderings: []string{"pk"}, Filters: []drf.Filter{
		{Name: "tone", Kind: drf.FilterChoices, Choices: tones, Alias: "pitch"}, {Name: "heavy", Kind: drf.FilterBool, Required: true}}}
	document := Document(About{Base: "/api"}, []Operation{
		{Method: http.MethodGet, Path: "/api/old/bells/", Query: list, Status: 200, Answers: bells.Shape(), Form: Page},
		{Method: http.MethodPost, Path: "/api/old/bells/{id}/ring/", Takes: founder.Shape(), Status: 204},
		{Method: http.MethodGet, Path: "/-/ready/", Open: true, Status: 204},
	})
	got := yamlOf(t, document, "paths", "/old/bells/", "get")
	for _, want := range []string{"operationId: old_bells_list\n", "name: heavy\n  schema:\n    type: boolean\n  required: true\n",
		"name: pitch\n", "name: tone\n", "name: page\n", "name: page_size\n", "name: ordering\n", "name: search\n",
		"- authentik: []\n", "\"404\":", "PaginatedBellList"} {
		if !strings.Contains(got, want) {
			t.Errorf("the list lacks %q: %s", want, got)
		}
	}
	got = yamlOf(t, document, "paths", "/old/bells/{id}/ring/", "post")
	for _, want := range []string{"operationId: old_bells_ring_create\n", "name: id\n  schema:\n    type: integer\n  required: true\n",
		"tags:\n- old\n", "schemas/FounderRequest\"\n  required: true\n", "  \"204\":\n    description: \"\"\n  \"400\""} {
		if !strings.Contains(got, want) {
			t.Errorf("the action lacks %q: %s", want, got)
		}
	}
	got = yamlOf(t, document, "paths", "/-/ready/")
	for _, want := range []string{"servers:\n- url: /\n", "operationId: ready_retrieve\n", "security:\n  - {}\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("what is outside of the API lacks %q: %s", want, got)
		}
	}
	if strings.Contains(got, "403") {
		t.Errorf("what is open to all is forbidden: %s", got)
	}
}

func TestTwoSchemasOfOneNameAreRefused(t *testing.T) {
	again := drf.NewSerializer("Founder",
		drf.Text("name", text, func(p *founderPatch) *drf.Field[string] { return &p.name }, drf.Required()))
	Document(About{}, []Operation{{Method: http.MethodGet, Path: "/a/", Answers: founder.Shape(), Status: 200},
		{Method: http.MethodGet, Path: "/b/", Answers: again.Shape(), Status: 200}}) // the same twice is one
	other := drf.NewSerializer("Bell", drf.UUID[bell, bellPatch]("pk", text))
	defer func() {
		if recover() == nil {
			t.Error("two different schemas are called Bell")
		}
	}()
	Document(About{}, []Operation{{Method: http.MethodGet, Path: "/a/", Answers: bells.Shape(), Status: 200},
		{Method: http.MethodGet, Path: "/b/", Answers: other.Shape(), Status: 200}})
}

func TestTextsInYAMLAreTexts(t *testing.T) {
	m := Map{{"true", "no"}, {"200", "3.0.3"}, {"a b", "a: b"}, {"empty", ""}, {"list", []any{}}, {"map", Map{}}, {"hash", "a #b"},
		{"plain", "One of them."}, {"space", "ends "}, {"line", "a\nb"}, {"n", int64(-1)}, {"on", true}, {"nested", []any{[]any{"x"}, Map{{"k", []any{"y"}}}}}}
	const want = `"true": "no"
"200": "3.0.3"
a b: "a: b"
empty: ""
list: []
map: {}
hash: "a #b"
plain: One of them.
space: "ends "
line: "a\nb"
"n": -1
"on": true
nested:
- - x
- k:
  - "y"
`
	if diff := cmp.Diff(want, string(m.YAML())); diff != "" {
		t.Error(diff)
	}
	if got := string(m[:2].JSON()); got != `{"true":"no","200":"3.0.3"}` {
		t.Error(got)
	}
}
