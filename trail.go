package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// trailApp is the app that authentik names in the events of its own audit trail.
const trailApp = "authentik.events.middleware"

// secretName matches names whose values are never written into the trail, as authentik's cleansing does, and beside
// them what later releases of Django hide, a webhook's address, and expressions.
var secretName = regexp.MustCompile(`(?i)api|token|key|secret|pass|signature|authorization|cookie|webhook|expression`)

// isSecret reports whether the value of a name is a secret. "passing" alone makes none, as in authentik.
func isSecret(name string) bool {
	return secretName.MatchString(strings.ReplaceAll(strings.ToLower(name), "passing", ""))
}

// trail writes the record of a change into the transaction that makes it. Whom it concerns is known only once the change
// is made, and rules do not run inside a write: they run once that is committed (see postpone).
func (r *recorder) trail(tx *sqldb.Tx, req *http.Request, c trail.Change) error {
	counts := tally{}
	if _, err := r.commit(req.Context(), tx, newPlan(trailEvent(req, c)), counts); err != nil {
		return err
	}
	tx.AtEnd(counts)
	return nil
}

// trailEvent is the record of a change: who did what to which object, through which request.
func trailEvent(r *http.Request, c trail.Change) Event {
	caller := identity.CallerOf(r.Context())
	e := Event{User: actor(caller), Action: c.Action, App: trailApp, Brand: fallbackBrand, Origin: OriginTrail}
	if caller.Source != "" {
		e.ClientIP = &caller.Source
	}
	var diff drf.JSON
	if len(c.Diff) > 0 {
		diff = diffJSON(c.Diff)
	}
	e.Context = objectJSON(member{"model", modelJSON(c)}, member{"http_request", requestJSON(r)}, member{"diff", diff})
	return e
}

// actor is the caller as events name people.
func actor(caller identity.Caller) drf.JSON {
	if caller.Host {
		return `{"username":"command line"}`
	}
	return personJSON(caller.User.PK, caller.User.Email, caller.User.Username)
}

// personJSON is a user as events name people.
func personJSON(pk int64, email, username string) drf.JSON {
	return objectJSON(member{"pk", trail.IntPK(pk)}, member{"email", drf.JSON(quote(email))}, member{"username", drf.JSON(quote(username))})
}

// modelJSON is the object of a change as authentik writes models into a context.
func modelJSON(c trail.Change) drf.JSON {
	return objectJSON(member{"pk", c.PK}, member{"app", drf.JSON(quote(c.App))}, member{"name", drf.JSON(quote(c.Name))},
		member{"model_name", drf.JSON(quote(c.Model))})
}

// requestJSON is the request as authentik writes it into a context; of a repeated argument the last counts.
func requestJSON(r *http.Request) drf.JSON {
	out := []byte(`{"args":{`)
	params := map[string]string{} // by the names that are stored: two that differ in what cannot be are one
	for name, value := range drf.Params(r) {
		params[clean(name)] = clean(value)
	}
	for i, name := range slices.Sorted(maps.Keys(params)) {
		if i > 0 {
			out = append(out, ',')
		}
		value := params[name]
		if isSecret(name) {
			value = drf.Stars
		}
		out = drf.AppendString(out, name)
		out = drf.AppendString(append(out, ':'), value)
	}
	out = drf.AppendString(append(out, `},"path":`...), clean(r.URL.Path))
	out = drf.AppendString(append(out, `,"method":`...), r.Method)
	return drf.JSON(append(out, '}'))
}

// clean makes text of a URL storable: valid UTF-8 without NUL.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// diffJSON writes previous and new value of every changed field. Secrets inside of them are stars.
func diffJSON(diff []drf.FieldChange) drf.JSON {
	out := []byte{'{'}
	for i, change := range diff {
		if i > 0 {
			out = append(out, ',')
		}
		out = drf.AppendString(out, change.Name)
		out = append(append(out, `:{"new_value":`...), masked(change.Next)...)
		out = append(append(out, `,"previous_value":`...), masked(change.Previous)...)
		out = append(out, '}')
	}
	return drf.JSON(append(out, '}'))
}

// masked is JSON in which the values of secret names are stars, at any depth.
func masked(j drf.JSON) drf.JSON {
	var value any
	decoder := json.NewDecoder(strings.NewReader(string(j)))
	decoder.UseNumber()
	if !strings.Contains(string(j), "{") || decoder.Decode(&value) != nil {
		return j
	}
	if !mask(value) {
		return j // as it was, keys in their order
	}
	return drf.JSON(marshal(value))
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
			if isSecret(name) {
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
	return drf.Stars
}

// eventKind is how events stand in the trail.
var eventKind = trail.Kind[Event, EventPatch]{
	App: "authentik_events", Model: "event", Serializer: EventSerializer,
	PK:   func(e *Event) drf.JSON { return trail.HexPK(e.PK) },
	Name: func(e *Event) string { return shorten(summarize(e), 75) },
}

// quote is s as a JSON string.
func quote(s string) string { return string(drf.AppendString(nil, s)) }

// shorten cuts text to at most n characters.
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}
