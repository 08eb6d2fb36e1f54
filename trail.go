package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"belfry/internal/drf"
	"belfry/internal/identity"
)

// trailApp is the app that authentik names in the events of its own audit trail.
const trailApp = "authentik.events.middleware"

// stars stand where a secret was.
const stars = "********************"

// secretName matches names whose values are never written into the trail, as authentik's cleansing does.
var secretName = regexp.MustCompile(`(?i)api|token|key|secret|pass|signature`)

// object is what a trail event is about.
type object struct{ app, model, pk, name string }

// fieldChange is one field of a diff, both values as JSON.
type fieldChange struct{ field, previous, next string }

// trailEvent is the record of a change: who did what to which object, through which request.
func trailEvent(action string, caller identity.Caller, r *http.Request, about object, diff []fieldChange) Event {
	e := Event{User: actor(caller), Action: action, App: trailApp, Brand: fallbackBrand, Origin: OriginTrail}
	if caller.Source != "" {
		e.ClientIP = &caller.Source
	}
	context := append([]byte(`{"model":`), about.json()...)
	context = append(append(context, `,"http_request":`...), requestJSON(r)...)
	if len(diff) > 0 {
		context = append(append(context, `,"diff":`...), diffJSON(diff)...)
	}
	e.Context = drf.JSON(append(context, '}'))
	return e
}

// actor is the caller as events name people.
func actor(caller identity.Caller) drf.JSON {
	if caller.Host {
		return `{"username":"command line"}`
	}
	out := drf.AppendString([]byte(`{"pk":`+strconv.FormatInt(caller.User.PK, 10)+`,"email":`), caller.User.Email)
	out = drf.AppendString(append(out, `,"username":`...), caller.User.Username)
	return drf.JSON(append(out, '}'))
}

// json is the object as authentik writes models into a context; uuids have no dashes there.
func (o object) json() []byte {
	out := drf.AppendString([]byte(`{"pk":`), strings.ReplaceAll(o.pk, "-", ""))
	out = drf.AppendString(append(out, `,"app":`...), o.app)
	out = drf.AppendString(append(out, `,"name":`...), o.name)
	out = drf.AppendString(append(out, `,"model_name":`...), o.model)
	return append(out, '}')
}

// requestJSON is the request as authentik writes it into a context; of a repeated argument the last counts.
func requestJSON(r *http.Request) []byte {
	out := []byte(`{"args":{`)
	params := drf.Params(r)
	for i, name := range slices.Sorted(maps.Keys(params)) {
		if i > 0 {
			out = append(out, ',')
		}
		value := params[name]
		if secretName.MatchString(name) {
			value = stars
		}
		out = drf.AppendString(out, clean(name))
		out = drf.AppendString(append(out, ':'), clean(value))
	}
	out = drf.AppendString(append(out, `},"path":`...), clean(r.URL.Path))
	out = drf.AppendString(append(out, `,"method":`...), r.Method)
	return append(out, '}')
}

// clean makes text of a URL storable: valid UTF-8 without NUL.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// diffJSON writes previous and new value of every changed field.
func diffJSON(diff []fieldChange) []byte {
	out := []byte{'{'}
	for i, change := range diff {
		if i > 0 {
			out = append(out, ',')
		}
		out = drf.AppendString(out, change.field)
		out = append(out, `:{"new_value":`+masked(change.next)+`,"previous_value":`+masked(change.previous)+`}`...)
	}
	return append(out, '}')
}

// masked is JSON in which the values of secret names are stars, at any depth; authentik's exception is "passing".
func masked(j string) string {
	var value any
	decoder := json.NewDecoder(strings.NewReader(j))
	decoder.UseNumber()
	if !strings.Contains(j, "{") || decoder.Decode(&value) != nil {
		return j
	}
	if !mask(value) {
		return j // as it was, keys in their order
	}
	return marshal(value)
}

// mask replaces secrets inside a decoded value and reports whether there were any. Below a secret name objects
// are descended into, everything else is a secret.
func mask(value any) (found bool) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			found = mask(item) || found
		}
	case map[string]any:
		for name, item := range value {
			if secretName.MatchString(name) && !strings.Contains(strings.ToLower(name), "passing") {
				value[name] = hidden(item)
				found = true
			} else {
				found = mask(item) || found
			}
		}
	}
	return found
}

// hidden is what stands for the value of a secret name.
func hidden(value any) any {
	switch value := value.(type) {
	case map[string]any:
		mask(value)
		return value
	case []any:
		for i := range value {
			value[i] = hidden(value[i])
		}
		return value
	}
	return stars
}

// diffEvents lists the fields in which two states of an event differ.
func diffEvents(before, after *Event) []fieldChange {
	var diff []fieldChange
	for _, f := range []fieldChange{
		{"user", string(before.User), string(after.User)},
		{"action", quote(before.Action), quote(after.Action)},
		{"app", quote(before.App), quote(after.App)},
		{"context", string(before.Context), string(after.Context)},
		{"client_ip", quoteOrNull(before.ClientIP), quoteOrNull(after.ClientIP)},
		{"expires", quote(drf.FormatTime(before.Expires)), quote(drf.FormatTime(after.Expires))},
		{"brand", string(before.Brand), string(after.Brand)},
	} {
		if f.previous != f.next {
			diff = append(diff, f)
		}
	}
	return diff
}

// quote is s as a JSON string.
func quote(s string) string { return string(drf.AppendString(nil, s)) }

// quoteOrNull is s as a JSON string, or null.
func quoteOrNull(s *string) string {
	if s == nil {
		return "null"
	}
	return quote(*s)
}

// aboutEvent names an event as the object of a trail event.
func aboutEvent(e *Event) object {
	return object{app: "authentik_events", model: "event", pk: e.PK, name: shorten(summarize(e), 75)}
}

// shorten cuts text to at most n characters.
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}
