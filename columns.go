package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/rules"
)

// columns are what is filtered on of an event's JSON, and the text that is searched.
// They are written with the event, so that no query ever looks into JSON.
type columns struct {
	userPK          *int64
	username        *string
	contextUsername *string
	modelApp        *string
	modelName       *string
	modelPK         *string
	applicationPK   *string
	application     *string // canonical text, for grouping
	brandName       *string
	folded          string
}

// columnsOf reads the columns out of an event. What is not an object is read as an empty one.
func columnsOf(e *Event) columns {
	user, context, brand := members(e.User), members(e.Context), members(e.Brand)
	model, application := members(drf.JSON(context["model"])), members(drf.JSON(context["authorized_application"]))
	c := columns{
		userPK:          integer(user["pk"]),
		username:        text(user["username"]),
		contextUsername: text(context["username"]),
		modelApp:        text(model["app"]),
		modelName:       text(model["model_name"]),
		modelPK:         textOrInteger(model["pk"]),
		applicationPK:   textOrInteger(application["pk"]),
		brandName:       text(brand["name"]),
		folded:          foldEvent(e),
	}
	if application != nil {
		c.application = canonical(context["authorized_application"])
	}
	return c
}

// use is which application the event is about.
func (c *columns) use() use { return use{c.application, c.userPK} }

// subjectOf is the event as rules see it.
func subjectOf(e *Event, c *columns) rules.Subject {
	s := rules.Subject{Action: e.Action, App: e.App, ModelApp: c.modelApp, ModelName: c.modelName, UserPK: c.userPK}
	if e.ClientIP != nil {
		s.ClientIP = *e.ClientIP
	}
	return s
}

// subjectOfJSON is an event of the API as rules see it, and what is wrong with it. What it leaves out is as in a new event.
func subjectOfJSON(event drf.JSON) (rules.Subject, *drf.Errors) {
	in := EventSerializer.Decode([]byte(event), drf.Partial)
	e := newEvent(in.Patch, OriginAPI)
	c := columnsOf(&e)
	s := subjectOf(&e, &c)
	s.Input.Event = scriptEvent(&e)
	return s, in.Errors()
}

// foldEvent joins what search looks at, a field a line: a term has no line break, so it never
// matches across two fields.
func foldEvent(e *Event) string {
	ip := ""
	if e.ClientIP != nil {
		ip = *e.ClientIP
	}
	return drf.Fold(strings.Join([]string{e.PK, string(e.User), e.Action, e.App, string(e.Context), ip}, "\n"))
}

// members are the members of a JSON object, nil for anything else.
func members(j drf.JSON) map[string]json.RawMessage {
	if !strings.HasPrefix(string(j), "{") {
		return nil
	}
	var m map[string]json.RawMessage
	if json.Unmarshal([]byte(j), &m) != nil {
		return nil
	}
	return m
}

// text is a JSON string's value, nil for anything else.
func text(raw json.RawMessage) *string {
	if len(raw) == 0 || raw[0] != '"' {
		return nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return &s
}

// integer is a JSON integer's value, nil for anything else.
func integer(raw json.RawMessage) *int64 {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// textOrInteger is a key as authentik writes it: text, or an integer in decimal.
func textOrInteger(raw json.RawMessage) *string {
	if s := text(raw); s != nil {
		return s
	}
	if n := integer(raw); n != nil {
		s := strconv.FormatInt(*n, 10)
		return &s
	}
	return nil
}

// canonical is a JSON value with its keys sorted, so that equal values are equal texts.
// Numbers keep their digits.
func canonical(raw json.RawMessage) *string {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	s := marshal(value)
	return &s
}

// marshal writes a JSON value of maps, lists, texts and numbers with its keys sorted.
func marshal(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(fmt.Sprintf("a JSON value cannot be encoded: %v", err))
	}
	return strings.TrimSuffix(out.String(), "\n")
}
