package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"belfry/internal/drf"
)

// batch makes the body of a batch: lines or an array, of events that are right or not, some with a key of their own, which
// may be that of an event that is there, or of one that came before.
func (g *generator) batch(r *generated) {
	shape := &drf.Shape{Name: "BatchEvent", Fields: eventShape.Fields}
	r.elements, r.lines = []string{}, g.chance(70)
	keys := []string{g.uuid(), g.uuid(), g.stored("event")}
	for range oneOf(g, 0, 1, 2, 3, 5, 8, 30) {
		text := g.body(shape, "POST")
		if len(text) > 2 && text[0] == '{' && text[1] != '}' && g.chance(40) {
			text = `{"pk":` + quote(oneOf(g, keys[g.IntN(len(keys))], g.uuid(), g.oddUUID(g.uuid()))) + "," + text[1:]
		}
		if text = strings.TrimSpace(strings.NewReplacer("\n", " ", "\r", " ").Replace(text)); text != "" {
			r.elements = append(r.elements, text)
		}
	}
	if len(r.elements) > 1 && g.chance(30) {
		r.elements = append(r.elements, r.elements[g.IntN(len(r.elements))])
	}
	if r.lines {
		r.body = strings.Join(r.elements, oneOf(g, "\n", "\r\n", "\n\n", "\n \t\n")) + oneOf(g, "", "\n", "\r\n\r\n")
		return
	}
	r.body = oneOf(g, "", " ", "\n") + "[" + strings.Join(r.elements, oneOf(g, ",", " , ", "\n,")) + "]" + oneOf(g, "", "", "\n", "]", ",")
}

// checkBatch wants the numbers of an answer to agree with each other, and every event that was taken to be there as it was sent.
func (run *generatedRun) checkBatch(r *generated, a reply) error {
	var answer struct {
		Created, Existing, Refused int
		PKs                        []*string
		Errors                     []struct {
			Line   int
			Errors json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(a.text), &answer); err != nil {
		return err
	}
	line, taken := 0, 0
	for _, e := range answer.Errors {
		if e.Line <= line {
			return fmt.Errorf("line %d comes after line %d", e.Line, line)
		}
		if line = e.Line; checkRefusal(decoded(string(e.Errors))) != nil {
			return fmt.Errorf("line %d is refused by %s", line, e.Errors)
		}
	}
	for i, pk := range answer.PKs {
		if pk == nil {
			continue
		}
		taken++
		got := run.f.call(adminKey, "GET", eventsPath+url.PathEscape(*pk)+"/", "")
		if got.status != 200 {
			return fmt.Errorf("GET of %s answers %d", *pk, got.status)
		}
		if len(answer.PKs) == len(r.elements) {
			if err := checkKept(r.elements[i], got.text, eventShape); err != nil {
				return fmt.Errorf("element %d: %w", i+1, err)
			}
		}
	}
	run.batched += taken
	if answer.Created+answer.Existing != taken || answer.Refused != len(answer.Errors) || taken+answer.Refused != len(answer.PKs) {
		return errors.New("the numbers do not agree")
	}
	if r.lines && len(answer.PKs) != len(r.elements) && !slices.ContainsFunc(r.elements, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		return errors.New("there are " + strconv.Itoa(len(r.elements)) + " elements")
	}
	return nil
}
