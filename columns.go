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
	var user [2]drf.JSON
	e.User.Pick(user[:], "pk", "username")
	var context [3]drf.JSON
	e.Context.Pick(context[:], "username", "model", "authorized_application")
	var model [3]drf.JSON
	context[1].Pick(model[:], "app", "model_name", "pk")
	c := columns{
		userPK:          integer(user[0]),
		username:        text(user[1]),
		contextUsername: text(context[0]),
		modelApp:        text(model[0]),
		modelName:       text(model[1]),
		modelPK:         textOrInteger(model[2]),
		applicationPK:   textOrInteger(context[2].Member("pk")),
		brandName:       text(e.Brand.Member("name")),
		folded:          foldEvent(e),
	}
	if strings.HasPrefix(string(context[2]), "{") {
		c.application = canonical(context[2])
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
	fields := [...]string{e.PK, string(e.User), e.Action, e.App, string(e.Context), ip}
	size := len(fields) - 1
	for _, field := range fields {
		size += len(field)
	}
	folded := make([]byte, 0, size)
	for i, field := range fields {
		if i > 0 {
			folded = append(folded, '\n')
		}
		folded = drf.AppendFold(folded, field)
	}
	return string(folded)
}

// text is a JSON string's value, nil for anything else.
func text(j drf.JSON) *string {
	if s, ok := j.Text(); ok {
		return &s
	}
	return nil
}

// integer is a JSON integer's value, nil for anything else.
func integer(j drf.JSON) *int64 {
	if n, err := strconv.ParseInt(string(j), 10, 64); err == nil {
		return &n
	}
	return nil
}

// textOrInteger is a key as authentik writes it: text, or an integer in decimal.
func textOrInteger(j drf.JSON) *string {
	if s := text(j); s != nil {
		return s
	}
	if n := integer(j); n != nil {
		s := strconv.FormatInt(*n, 10)
		return &s
	}
	return nil
}

// canonical is a JSON value with its keys sorted, so that equal values are equal texts.
// Numbers keep their digits.
func canonical(j drf.JSON) *string {
	decoder := json.NewDecoder(strings.NewReader(string(j)))
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
