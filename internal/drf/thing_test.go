package drf

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// thing is a noun with a field of every kind.
type thing struct {
	pk, text, raw, long, blank, slug, email, url, choice, other string
	nullText, ip, nullChoice, ref, must                         *string
	flag                                                        bool
	number, count, at                                           int64
	nullAt, owner                                               *int64
	any, object                                                 JSON
	refs, words, scopes                                         []string
	owners                                                      []int64
	part                                                        *part
	parts                                                       []part
}

type part struct {
	name string
	size int64
}

type partPatch struct {
	name Field[string]
	size Field[int64]
}

type thingPatch struct {
	text, raw, long, blank, slug, email, url, choice, other Field[string]
	nullText, ip, nullChoice, ref, must, secret             Field[string]
	flag                                                    Field[bool]
	number, count, at                                       Field[int64]
	nullAt, owner                                           Field[int64]
	any, object                                             Field[JSON]
	refs, words, scopes                                     Field[[]string]
	owners                                                  Field[[]int64]
	part                                                    Field[partPatch]
}

var (
	severities = &Choices{Name: "SeverityEnum", Values: []string{"notice", "warning", "alert"}}
	actions    = &Choices{Name: "EventActions", Values: []string{"login", "custom_"}, Pattern: "custom_[a-z]+",
		Also: func(s string) bool { return strings.HasPrefix(s, "custom_") && !strings.Contains(s, " ") }}
)

var parts = NewSerializer("Part",
	Text("name", func(m *part) string { return m.name }, func(p *partPatch) *Field[string] { return &p.name }, Required()),
	Int("size", func(m *part) int64 { return m.size }, func(p *partPatch) *Field[int64] { return &p.size }),
)

var things = NewSerializer("Thing",
	UUID[thing, thingPatch]("pk", func(m *thing) string { return m.pk }),
	Text("text", func(m *thing) string { return m.text }, func(p *thingPatch) *Field[string] { return &p.text }, MaxLength(5)),
	Text("raw", func(m *thing) string { return m.raw }, func(p *thingPatch) *Field[string] { return &p.raw }, KeepSpace()),
	Text("long", func(m *thing) string { return m.long }, func(p *thingPatch) *Field[string] { return &p.long }),
	Text("blank", func(m *thing) string { return m.blank }, func(p *thingPatch) *Field[string] { return &p.blank }, AllowBlank()),
	Slug("slug", func(m *thing) string { return m.slug }, func(p *thingPatch) *Field[string] { return &p.slug }),
	Email("email", func(m *thing) string { return m.email }, func(p *thingPatch) *Field[string] { return &p.email }, AllowBlank()),
	URL("url", func(m *thing) string { return m.url }, func(p *thingPatch) *Field[string] { return &p.url }, AllowBlank()),
	Choice("choice", severities, func(m *thing) string { return m.choice }, func(p *thingPatch) *Field[string] { return &p.choice }),
	Choice("other", actions, func(m *thing) string { return m.other }, func(p *thingPatch) *Field[string] { return &p.other }, AllowBlank()),
	NullText("null_text", func(m *thing) *string { return m.nullText }, func(p *thingPatch) *Field[string] { return &p.nullText }),
	NullIP("ip", func(m *thing) *string { return m.ip }, func(p *thingPatch) *Field[string] { return &p.ip }),
	NullChoice("null_choice", severities, func(m *thing) *string { return m.nullChoice }, func(p *thingPatch) *Field[string] { return &p.nullChoice }),
	Ref("ref", func(m *thing) *string { return m.ref }, func(p *thingPatch) *Field[string] { return &p.ref }, Nullable(), Alias("later_ref", "2025.6")),
	Ref("must", func(m *thing) *string { return m.must }, func(p *thingPatch) *Field[string] { return &p.must }),
	Bool("flag", func(m *thing) bool { return m.flag }, func(p *thingPatch) *Field[bool] { return &p.flag }),
	Int("number", func(m *thing) int64 { return m.number }, func(p *thingPatch) *Field[int64] { return &p.number }, Range(0, 2147483647)),
	Int("count", func(m *thing) int64 { return m.count }, func(p *thingPatch) *Field[int64] { return &p.count }),
	Time("at", func(m *thing) int64 { return m.at }, func(p *thingPatch) *Field[int64] { return &p.at }),
	NullTime("null_at", func(m *thing) *int64 { return m.nullAt }, func(p *thingPatch) *Field[int64] { return &p.nullAt }),
	IntRef("owner", func(m *thing) *int64 { return m.owner }, func(p *thingPatch) *Field[int64] { return &p.owner }, Nullable()),
	Any("any", func(m *thing) JSON { return m.any }, func(p *thingPatch) *Field[JSON] { return &p.any }),
	Object("object", func(m *thing) JSON { return m.object }, func(p *thingPatch) *Field[JSON] { return &p.object }),
	Refs("refs", func(m *thing) []string { return m.refs }, func(p *thingPatch) *Field[[]string] { return &p.refs }),
	Strings("words", nil, func(m *thing) []string { return m.words }, func(p *thingPatch) *Field[[]string] { return &p.words }),
	Strings("scopes", severities, func(m *thing) []string { return m.scopes }, func(p *thingPatch) *Field[[]string] { return &p.scopes }),
	IntRefs("owners", func(m *thing) []int64 { return m.owners }, func(p *thingPatch) *Field[[]int64] { return &p.owners }),
	Nested("part", parts, func(m *thing) *part { return m.part }, func(p *thingPatch) *Field[partPatch] { return &p.part }),
	NestedList[thing, thingPatch]("parts", parts, func(m *thing) []part { return m.parts }),
	Text[thing]("secret", nil, func(p *thingPatch) *Field[string] { return &p.secret }),
)

// apply is what a store does with a patch.
func (p *thingPatch) apply(m *thing) {
	p.text.Apply(&m.text)
	p.raw.Apply(&m.raw)
	p.long.Apply(&m.long)
	p.blank.Apply(&m.blank)
	p.slug.Apply(&m.slug)
	p.email.Apply(&m.email)
	p.url.Apply(&m.url)
	p.choice.Apply(&m.choice)
	p.other.Apply(&m.other)
	p.nullText.ApplyNull(&m.nullText)
	p.ip.ApplyNull(&m.ip)
	p.nullChoice.ApplyNull(&m.nullChoice)
	p.ref.ApplyNull(&m.ref)
	p.must.ApplyNull(&m.must)
	p.flag.Apply(&m.flag)
	p.number.Apply(&m.number)
	p.count.Apply(&m.count)
	p.at.Apply(&m.at)
	p.nullAt.ApplyNull(&m.nullAt)
	p.owner.ApplyNull(&m.owner)
	p.any.Apply(&m.any)
	p.object.Apply(&m.object)
	p.refs.Apply(&m.refs)
	p.words.Apply(&m.words)
	p.scopes.Apply(&m.scopes)
	p.owners.Apply(&m.owners)
	if p.part.Set {
		m.part = new(part)
		p.part.Value.name.Apply(&m.part.name)
		p.part.Value.size.Apply(&m.part.size)
	}
}

// patched is the answer of a handler that applies a PATCH to an empty thing.
func patched(body string) (status int, answer string) {
	in := things.Decode([]byte(body), Partial)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPatch, "/", nil)
	if err := in.Err(); err != nil {
		Fail(w, r, nil, err)
		return w.Code, w.Body.String()
	}
	var m thing
	in.Patch.apply(&m)
	_ = things.Write(w, r, http.StatusOK, &m)
	return w.Code, w.Body.String()
}

// memberOf cuts one member out of an object, byte for byte.
func memberOf(t *testing.T, object, name string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return string(members[name])
}
