package main

import (
	"fmt"
	"strconv"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/rules"
	"belfry/internal/trail"
)

// The apps that authentik names in the events of its policies and mappings.
const (
	policyApp  = "authentik.policies.process"
	mappingApp = "authentik.core.expression.evaluator"
)

// executionEvent is the record of the execution of a policy on an event: policy_exception where it failed, else
// policy_execution. It names the event and the user, as authentik does, and quotes neither the event nor an expression.
func executionEvent(x rules.Execution, of *Event, d *identity.Directory, userPK *int64) Event {
	user := drf.JSON("{}")
	if userPK != nil {
		if p, ok := d.Person(*userPK); ok {
			user = personJSON(*userPK, p.Email, p.Username)
		}
	}
	e := Event{User: user, Action: "policy_exception", App: policyApp, Brand: fallbackBrand, Origin: OriginScript}
	message, result := fmt.Sprintf("The policy %q failed: %s", x.Policy.Name, x.Failure), drf.JSON("")
	if x.Failure == "" {
		e.Action, message = "policy_execution", fmt.Sprintf("The policy %q was asked", x.Policy.Name)
		result = objectJSON(member{"passing", drf.JSON(strconv.FormatBool(x.Passing))}, member{"messages", listJSON(x.Messages)})
	}
	request := objectJSON(member{"user", user}, member{"context", objectJSON(member{"event", modelJSON(eventKind.Object(of))})})
	e.Context = objectJSON(member{"message", drf.JSON(quote(message))}, member{"policy_uuid", x.Policy.PK},
		member{"binding", modelJSON(x.Binding)}, member{"request", request}, member{"result", result})
	return e
}

// mappingEvent is the record of a mapping that failed on an event, or on nil for a test. Its expression is a secret, as in the trail.
func mappingEvent(f *delivery.Failure, on *Event) Event {
	var event drf.JSON
	if on != nil {
		event = modelJSON(eventKind.Object(on))
	}
	named := func(model, pk, name string) drf.JSON {
		return modelJSON(trail.Change{App: "authentik_events", Model: model, PK: trail.HexPK(pk), Name: name})
	}
	return Event{User: "{}", Action: "property_mapping_exception", App: mappingApp, Brand: fallbackBrand, Origin: OriginScript,
		Context: objectJSON(member{"message", drf.JSON(quote(upper(f.Error())))}, member{"expression", drf.StarsJSON},
			member{"mapping", named("notificationwebhookmapping", f.MappingPK, f.MappingName)},
			member{"transport", named("notificationtransport", f.TransportPK, f.TransportName)}, member{"event", event})}
}

// member is one member of an object.
type member struct {
	name  string
	value drf.JSON
}

// objectJSON is the object of the given members, without those that are null or nothing at all.
func objectJSON(members ...member) drf.JSON {
	out := []byte{'{'}
	for _, m := range members {
		if m.value == "" || m.value == "null" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(drf.AppendString(out, m.name), ':'), m.value...)
	}
	return drf.JSON(append(out, '}'))
}

// listJSON is the list of the given texts.
func listJSON(texts []string) drf.JSON {
	out := []byte{'['}
	for i, text := range texts {
		if i > 0 {
			out = append(out, ',')
		}
		out = drf.AppendString(out, clean(text))
	}
	return drf.JSON(append(out, ']'))
}
