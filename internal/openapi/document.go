package openapi

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"belfry/internal/drf"
)

// Form says how many objects a body holds.
type Form int

const (
	// One is an object.
	One Form = iota
	// All is a list of objects.
	All
	// Page is a list of objects in the envelope of pages.
	Page
)

// Operation describes one verb of a route.
type Operation struct {
	Method, Path string // the path as the router has it
	ID           string // its name; "" for the usual one
	Says         string // in one sentence what it does
	Open         bool   // needs no credentials
	Takes        *drf.Shape
	Lines        []string      // media types of a body that holds many of Takes, one a line; a JSON body is a list of them
	Query        *drf.ListSpec // nil for none; its paging and ordering count for the form Page only
	Status       int           // of a success; 0 when there is never one
	Answers      *drf.Shape    // nil for no body
	Or           *drf.Shape    // what else may be answered in place of Answers; nil for nothing
	Form         Form
	Media        []drf.Media // in place of JSON of a known form
}

// About is what a document says of the whole API.
type About struct {
	Title, Description, Version string
	Base                        string // what the paths of most operations begin with, without a slash at its end
}

// Document describes an API. It panics on operations that contradict each other.
func Document(about About, operations []Operation) Map {
	c := newComponents()
	var paths Map
	for _, o := range operations {
		path, below := strings.CutPrefix(o.Path, about.Base+"/")
		path = "/" + strings.TrimPrefix(path, "/")
		at := slices.IndexFunc(paths, func(m Member) bool { return m.Key == path })
		if at < 0 {
			at = len(paths)
			item := Map{}
			if !below {
				item.set("servers", []any{Map{{"url", "/"}}})
			}
			paths.set(path, item)
		}
		paths[at].Value = append(paths[at].Value.(Map), Member{strings.ToLower(o.Method), c.operation(&o, path)})
	}
	refused := refusals(c)
	return Map{
		{"openapi", "3.0.3"},
		{"info", Map{{"title", about.Title}, {"description", about.Description}, {"version", about.Version}}},
		{"servers", []any{Map{{"url", about.Base}}}},
		{"paths", paths},
		{"components", Map{
			{"schemas", c.tree()},
			{"responses", refused},
			{"securitySchemes", Map{{"authentik", Map{{"type", "http"}, {"scheme", "bearer"}}}}},
		}},
	}
}

// methods are the ends of operation ids, but for GET.
var methods = map[string]string{
	http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "partial_update", http.MethodDelete: "destroy",
}

// id names an operation as drf-spectacular does: the path without its variables, and what is done.
func (o *Operation) id(words []string) string {
	done := methods[o.Method]
	switch {
	case done != "":
	case o.Form == One:
		done = "retrieve"
	default:
		done = "list"
	}
	return strings.Join(append(slices.Clone(words), done), "_")
}

// words are the parts of a path that are no variables.
func words(path string) (words []string) {
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "-" && part[0] != '{' {
			words = append(words, part)
		}
	}
	return words
}

func (c *components) operation(o *Operation, path string) Map {
	parts := words(path)
	m := Map{{"operationId", cmp.Or(o.ID, o.id(parts))}}
	if o.Says != "" {
		m.set("description", o.Says)
	}
	if parameters := append(pathParameters(path), c.queryParameters(o)...); len(parameters) > 0 {
		m.set("parameters", parameters)
	}
	m.set("tags", []any{parts[0]})
	if o.Takes != nil {
		m.set("requestBody", c.body(o))
	}
	security := Map{{"authentik", []any{}}}
	if o.Open {
		security = Map{}
	}
	m.set("security", []any{security})
	m.set("responses", c.responses(o, path))
	return m
}

var variable = regexp.MustCompile(`\{(\w+)\}`)

func pathParameters(path string) (parameters []any) {
	for _, match := range variable.FindAllStringSubmatch(path, -1) {
		schema := Map{{"type", "string"}}
		switch name := match[1]; {
		case strings.HasSuffix(name, "uuid"):
			schema.set("format", "uuid")
		case name == "id":
			schema = Map{{"type", "integer"}}
		}
		parameters = append(parameters, Map{{"in", "path"}, {"name", match[1]}, {"schema", schema}, {"required", true}})
	}
	return parameters
}

// paging are the parameters of every list in pages.
func paging(spec *drf.ListSpec) []drf.Filter {
	return []drf.Filter{
		{Name: "ordering", Help: "Fields to order by, separated by commas, each with a - before it for descending: " +
			strings.Join(spec.Orderings, ", ") + "."},
		{Name: "page", Kind: drf.FilterInt, Help: "A page number within the paginated result set."},
		{Name: "page_size", Kind: drf.FilterInt, Help: "Number of results to return per page."},
	}
}

func (c *components) queryParameters(o *Operation) (parameters []any) {
	if o.Query == nil {
		return nil
	}
	filters := slices.Clone(o.Query.Filters)
	if o.Query.Search {
		filters = append(filters, drf.Filter{Name: "search", Help: "A search term."})
	}
	if o.Form == Page {
		filters = append(filters, paging(o.Query)...)
	}
	for _, f := range filters {
		if f.Alias != "" {
			later := f
			later.Name = f.Alias
			filters = append(filters, later)
		}
	}
	slices.SortFunc(filters, func(a, b drf.Filter) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range filters {
		p := Map{{"in", "query"}, {"name", f.Name}, {"schema", c.filter(f)}}
		if f.Help != "" {
			p.set("description", f.Help)
		}
		if f.Required {
			p.set("required", true)
		}
		parameters = append(parameters, p)
	}
	return parameters
}

// body is what an operation takes. A body in which nothing is required may be left out, and one of many things that has none.
func (c *components) body(o *Operation) Map {
	s := sent
	if o.Method == http.MethodPatch {
		s = patched
	}
	schema := c.shape(o.Takes, s)
	content := jsonContent(schema)
	if o.Lines != nil {
		content = jsonContent(Map{{"type", "array"}, {"items", schema}})
		for _, media := range o.Lines {
			content.set(media, Map{{"schema", schema}})
		}
	}
	m := Map{{"content", content}}
	if s == sent && o.Lines == nil && slices.ContainsFunc(o.Takes.Fields, func(f drf.Info) bool { return f.Required }) {
		m.set("required", true)
	}
	return m
}

func jsonContent(schema Map) Map {
	return Map{{"application/json", Map{{"schema", schema}}}}
}

// responses are a success, the refusals that say something of the operation, and all the others.
func (c *components) responses(o *Operation, path string) Map {
	var m Map
	if o.Status != 0 {
		success := Map{{"description", ""}}
		if content := c.content(o); content != nil {
			success.set("content", content)
		}
		m.set(strconv.Itoa(o.Status), success)
	}
	if !o.Open {
		m.set("400", ref("responses", "ValidationErrorResponse"))
		m.set("403", ref("responses", "GenericErrorResponse"))
	}
	if o.Form == Page || strings.Contains(path, "{") {
		m.set("404", ref("responses", "GenericErrorResponse"))
	}
	m.set("default", ref("responses", "GenericErrorResponse"))
	return m
}

// content is the body of a success, nil for none.
func (c *components) content(o *Operation) Map {
	var forms Map
	for _, media := range o.Media {
		forms.set(media.Type, Map{{"schema", anyObject()}})
	}
	if forms != nil || o.Answers == nil {
		return forms
	}
	schema := c.shape(o.Answers, answered)
	if o.Or != nil {
		schema = Map{{"anyOf", []any{schema, c.shape(o.Or, answered)}}}
	}
	switch o.Form {
	case All:
		schema = Map{{"type", "array"}, {"items", schema}}
	case Page:
		name := "Paginated" + o.Answers.Name + "List"
		schema = c.add(name, o.Answers, func() any { return c.envelope(schema) })
	}
	return jsonContent(schema)
}

// envelope is a page of a list.
func (c *components) envelope(item Map) Map {
	return Map{
		{"type", "object"},
		{"properties", Map{
			{"pagination", c.pagination()},
			{"autocomplete", anyObject()},
			{"results", Map{{"type", "array"}, {"items", item}}},
		}},
		{"required", list([]string{"pagination", "autocomplete", "results"})},
	}
}

func (c *components) pagination() Map {
	return c.add("Pagination", "", func() any {
		parts := []string{"next", "previous", "count", "current", "total_pages", "start_index", "end_index"}
		var properties Map
		for _, part := range parts {
			properties.set(part, Map{{"type", "integer"}})
		}
		return Map{{"type", "object"}, {"properties", properties}, {"required", list(parts)}}
	})
}

// refusals are the answers that are no success.
func refusals(c *components) Map {
	text, texts := Map{{"type", "string"}}, Map{{"type", "array"}, {"items", Map{{"type", "string"}}}}
	generic := c.add("GenericError", "", func() any {
		return Map{{"type", "object"}, {"description", "Why a request was refused."},
			{"properties", Map{{"detail", text}, {"code", text}}}, {"required", []any{"detail"}}}
	})
	validation := c.add("ValidationError", "", func() any {
		return Map{{"type", "object"}, {"description", "What is wrong with which field."},
			{"properties", Map{{"non_field_errors", texts}, {"code", text}}}, {"additionalProperties", Map{}}}
	})
	return Map{
		{"GenericErrorResponse", Map{{"description", ""}, {"content", jsonContent(generic)}}},
		{"ValidationErrorResponse", Map{{"description", ""}, {"content", jsonContent(validation)}}},
	}
}
