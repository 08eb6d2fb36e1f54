package script

import (
	"slices"
	"strings"

	"go.starlark.net/starlark"
)

// query is what authentik's database answers for the groups of a user, as far as names go.
type query struct {
	*starlark.List // of groups
	names          []string
}

func groupsOf(names []string) query {
	var groups []starlark.Value
	for _, name := range names {
		group := newObject("group", name)
		group.set("name", starlark.String(name))
		groups = append(groups, group)
	}
	return query{starlark.NewList(groups), names}
}

// Type names it in sentences.
func (q query) Type() string { return "group list" }

var queryMethods = map[string]method[query]{
	"all": func(_ *meter, q query, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) { return q, nil },
	"exists": func(_ *meter, q query, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return starlark.Bool(len(q.names) > 0), nil
	},
	"count": func(_ *meter, q query, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return starlark.MakeInt(len(q.names)), nil
	},
	"first": func(_ *meter, q query, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		if len(q.names) == 0 {
			return starlark.None, nil
		}
		return q.Index(0), nil
	},
	"filter": func(_ *meter, q query, _ starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return filterGroups(q, kwargs, true)
	},
	"exclude": func(_ *meter, q query, _ starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return filterGroups(q, kwargs, false)
	},
	"values_list": func(_ *meter, q query, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		if len(args) != 1 || args[0] != starlark.String("name") {
			return nil, words("groups have a name only: write values_list(\"name\", flat=True)")
		}
		var names []starlark.Value
		for _, name := range q.names {
			names = append(names, starlark.String(name))
		}
		return starlark.NewList(names), nil
	},
}

// Attr is a method.
func (q query) Attr(name string) (starlark.Value, error) {
	if f := queryMethods[name]; f != nil {
		return bind(name, q, f), nil
	}
	return nil, nil
}

// AttrNames are the methods.
func (q query) AttrNames() []string {
	var names []string
	for name := range queryMethods {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// lookups are what names can be asked for, in Django's words.
var lookups = map[string]func(name, value string) bool{
	"name":              func(name, value string) bool { return name == value },
	"name__exact":       func(name, value string) bool { return name == value },
	"name__iexact":      strings.EqualFold,
	"name__contains":    strings.Contains,
	"name__icontains":   func(name, value string) bool { return strings.Contains(strings.ToLower(name), strings.ToLower(value)) },
	"name__startswith":  strings.HasPrefix,
	"name__istartswith": func(name, value string) bool { return strings.HasPrefix(strings.ToLower(name), strings.ToLower(value)) },
	"name__endswith":    strings.HasSuffix,
}

// filterGroups keeps the groups that all lookups fit, or those that they do not.
func filterGroups(q query, kwargs []starlark.Tuple, keep bool) (starlark.Value, error) {
	var kept []string
	for _, name := range q.names {
		fits := true
		for _, kwarg := range kwargs {
			fit, err := fitsLookup(name, string(kwarg[0].(starlark.String)), kwarg[1])
			if err != nil {
				return nil, err
			}
			fits = fits && fit
		}
		if fits == keep {
			kept = append(kept, name)
		}
	}
	return groupsOf(kept), nil
}

func fitsLookup(name, lookup string, value starlark.Value) (bool, error) {
	if lookup == "name__in" {
		values, ok := value.(starlark.Iterable)
		if !ok {
			return false, words("name__in takes a list of names")
		}
		return slices.Contains(elementsOf(values), starlark.Value(starlark.String(name))), nil
	}
	fits, text := lookups[lookup], ""
	if fits == nil {
		return false, words("groups can be asked for name, name__in, name__iexact, name__contains, name__startswith and name__endswith, not for %s", lookup)
	}
	text, ok := starlark.AsString(value)
	if !ok {
		return false, words("the name of a group is a string, not %s", article(value.Type()))
	}
	return fits(name, text), nil
}
