package openapi

import (
	"reflect"
	"slices"
	"strings"

	"belfry/internal/drf"
)

// side says what a schema is for: an object that is answered has all its fields, one that is sent those that may be sent.
type side int

const (
	answered side = iota
	sent          // by POST and PUT
	patched       // by PATCH: nothing is required
)

// component is the name of a shape's schema on a side.
func (s side) component(shape *drf.Shape) string {
	switch s {
	case sent:
		return shape.Name + "Request"
	case patched:
		return "Patched" + shape.Name + "Request"
	}
	return shape.Name
}

// components collects the schemas that something refers to.
type components struct {
	schemas map[string]any
	sources map[string]any // what each was made of: a name stands for one thing only
}

func newComponents() *components {
	return &components{schemas: map[string]any{}, sources: map[string]any{}}
}

// add makes a schema the first time that its name is used. It panics when a name is used for two things that differ.
func (c *components) add(name string, source any, make func() any) Map {
	if known, ok := c.sources[name]; !ok {
		c.sources[name] = source
		c.schemas[name] = make()
	} else if !reflect.DeepEqual(known, source) {
		panic("openapi: two schemas are called " + name)
	}
	return ref("schemas", name)
}

// tree is all schemas in the order of their names.
func (c *components) tree() Map {
	var m Map
	for name, schema := range c.schemas {
		m.set(name, schema)
	}
	slices.SortFunc(m, func(a, b Member) int { return strings.Compare(a.Key, b.Key) })
	return m
}

func ref(kind, name string) Map { return Map{{"$ref", "#/components/" + kind + "/" + name}} }

// shape is a reference to the schema of a noun.
func (c *components) shape(shape *drf.Shape, s side) Map {
	return c.add(s.component(shape), shape, func() any { return c.object(shape, s) })
}

// object is the schema of a noun: every field that an answer has is in every answer.
func (c *components) object(shape *drf.Shape, s side) Map {
	var properties Map
	var required []any
	oneWay := isOneWay(shape)
	for i := range shape.Fields {
		f := shape.Fields[i]
		if s == answered && f.WriteOnly || s != answered && f.ReadOnly {
			continue
		}
		if oneWay {
			f.ReadOnly, f.WriteOnly = false, false // nothing to be told apart
		}
		names := []string{f.Name}
		if f.Alias != "" {
			names = append(names, f.Alias)
		}
		for _, name := range names {
			properties.set(name, c.field(&f, s))
			// Of a required field with two names a body may have either: OpenAPI cannot say so.
			if s == answered || s == sent && f.Required && f.Alias == "" {
				required = append(required, name)
			}
		}
	}
	m := Map{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		m.set("required", required)
	}
	return m
}

// isOneWay reports whether a noun is only ever answered, or only ever sent.
func isOneWay(shape *drf.Shape) bool {
	return !slices.ContainsFunc(shape.Fields, func(f drf.Info) bool { return !f.ReadOnly }) ||
		!slices.ContainsFunc(shape.Fields, func(f drf.Info) bool { return !f.WriteOnly })
}

// field is the schema of one field.
func (c *components) field(f *drf.Info, s side) Map {
	base := c.value(f, s)
	var more Map
	if f.Help != "" {
		more.set("description", f.Help)
	}
	if f.Nullable || s == answered && f.NullAnswer {
		more.set("nullable", true)
	}
	if f.ReadOnly {
		more.set("readOnly", true)
	}
	if f.WriteOnly {
		more.set("writeOnly", true)
	}
	if s != answered && isText(f) && !f.AllowBlank {
		more.set("minLength", int64(1))
	}
	if f.MaxLength > 0 {
		more.set("maxLength", int64(f.MaxLength))
	}
	if f.Min != nil {
		more.set("minimum", *f.Min)
	}
	if f.Max != nil {
		more.set("maximum", *f.Max)
	}
	if len(more) > 0 && len(base) > 0 && base[0].Key == "$ref" {
		base = Map{{"allOf", []any{base}}} // what stands beside a $ref does not count
	}
	return append(base, more...)
}

// isText reports whether "" would be a value of the field's type.
func isText(f *drf.Info) bool {
	return f.Type == "string" && f.Choices == nil && slices.Contains([]string{"", "ip", "slug"}, f.Format)
}

// value is the schema of a field's type.
func (c *components) value(f *drf.Info, s side) Map {
	switch {
	case f.Choices != nil:
		return c.enum(f.Choices)
	case f.Ref != nil:
		return c.shape(f.Ref, s)
	case f.Items != nil:
		items := c.value(f.Items, s)
		if f.Items.Nullable {
			items.set("nullable", true)
		}
		return Map{{"type", "array"}, {"items", items}}
	case f.Type == "":
		return Map{}
	case f.Type == "object":
		return anyObject()
	}
	m := Map{{"type", f.Type}}
	switch f.Format {
	case "", "ip": // OpenAPI has a format for either kind of address and none for both; authentik says none
	case "slug":
		m.set("pattern", "^[-a-zA-Z0-9_]+$")
	default:
		m.set("format", f.Format)
	}
	return m
}

// anyObject is an object that may have any members.
func anyObject() Map { return Map{{"type", "object"}, {"additionalProperties", Map{}}} }

// enum is a reference to the schema of choices.
func (c *components) enum(choices *drf.Choices) Map {
	return c.add(choices.Name, choices, func() any { return enum(choices) })
}

// enum is one of the values, or text of the pattern.
func enum(choices *drf.Choices) Map {
	named := Map{{"type", "string"}, {"enum", list(choices.Values)}}
	if choices.Also == nil {
		return named
	}
	return Map{{"anyOf", []any{named, Map{{"type", "string"}, {"pattern", choices.Pattern}}}}}
}

// list is a list of strings as a part of a tree.
func list(values []string) []any {
	items := make([]any, len(values))
	for i, v := range values {
		items[i] = v
	}
	return items
}

// filter is the schema of a query parameter.
func (c *components) filter(f drf.Filter) Map {
	text := func(format string) Map { return Map{{"type", "string"}, {"format", format}} }
	array := func(items Map) Map { return Map{{"type", "array"}, {"items", items}} }
	switch f.Kind {
	case drf.FilterChoice:
		return enum(f.Choices)
	case drf.FilterChoices:
		return array(c.enum(f.Choices))
	case drf.FilterBool:
		return Map{{"type", "boolean"}}
	case drf.FilterInt, drf.FilterIntRef:
		return Map{{"type", "integer"}}
	case drf.FilterCount:
		return Map{{"type", "integer"}, {"minimum", int64(0)}}
	case drf.FilterUUID:
		return text("uuid")
	case drf.FilterUUIDs:
		return array(text("uuid"))
	case drf.FilterTime:
		return text("date-time")
	case drf.FilterTexts:
		return array(Map{{"type", "string"}})
	}
	return Map{{"type", "string"}}
}
