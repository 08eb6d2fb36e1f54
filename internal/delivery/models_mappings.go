package delivery

import (
	"belfry/internal/drf"
	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// Mapping is an expression that makes the body or the headers of what a webhook sends. Its name is unique.
type Mapping struct {
	PK         string
	Name       string
	Expression string // as it was sent, but for white space around it
}

func newMapping() Mapping { return Mapping{PK: sqldb.NewID()} }

// MappingPatch is what a request asks to be changed of a mapping.
type MappingPatch struct {
	Name, Expression drf.Field[string]
}

func (p *MappingPatch) apply(m *Mapping) {
	p.Name.Apply(&m.Name)
	p.Expression.Apply(&m.Expression)
}

// MappingSerializer is how the API reads and writes a [Mapping].
var MappingSerializer = drf.NewSerializer("NotificationWebhookMapping",
	drf.UUID[Mapping, MappingPatch]("pk", func(m *Mapping) string { return m.PK }),
	drf.Text("name", func(m *Mapping) string { return m.Name },
		func(p *MappingPatch) *drf.Field[string] { return &p.Name }, drf.Required()),
	drf.Text("expression", func(m *Mapping) string { return m.Expression },
		func(p *MappingPatch) *drf.Field[string] { return &p.Expression }, drf.Required(), drf.Secret()),
)

// mappingKind is how mappings stand in the trail.
var mappingKind = trail.Kind[Mapping, MappingPatch]{
	App: "authentik_events", Model: "notificationwebhookmapping", Serializer: MappingSerializer,
	PK:   func(m *Mapping) drf.JSON { return trail.HexPK(m.PK) },
	Name: func(m *Mapping) string { return m.Name },
}

// MappingList is what GET /propertymappings/notification/ takes.
var MappingList = &drf.ListSpec{
	Filters:   []drf.Filter{{Name: "name"}},
	Search:    true,
	Orderings: []string{"pk", "name", "expression"},
	Default:   []string{"name"},
}
