package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/rules"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// longestBody bounds the text of a notification, in characters: it is stored for every recipient.
const longestBody = 4096

// outcome is what follows from an event, by the rules of one generation.
type outcome struct {
	generation    int64
	notifications []Notification
	deliveries    []delivery.Delivery
	events        []plan // of origin script: what became of expressions
}

// workOut finds out what follows from an event. It runs expressions and has no place in a write.
func (r *recorder) workOut(ctx context.Context, s *snapshot, e *Event, c *columns) (*outcome, error) {
	subject, err := r.subject(ctx, s, e, c)
	if err != nil {
		return nil, err
	}
	matches, executions, err := s.rules.Match(ctx, r.runner, subject)
	if err != nil {
		return nil, err
	}
	out := &outcome{generation: s.rules.Generation}
	for _, x := range executions {
		out.events = append(out.events, newPlan(executionEvent(x, e, s.rules.Directory(), c.userPK)))
	}
	if len(matches) == 0 {
		return out, nil
	}
	seen := scriptEvent(e)
	for _, m := range matches {
		recipients, err := r.recipients(ctx, s, m)
		if err != nil {
			return nil, err
		}
		rendered, err := s.delivery.Render(ctx, r.runner, delivery.Occasion{
			Event: *seen, RulePK: m.Rule.PK, RuleName: m.Rule.Name, Severity: m.Rule.Severity,
			Transports: m.Transports, Recipients: recipients,
		}, r.render)
		if err != nil {
			return nil, err
		}
		out.add(rendered, m.Rule, e)
	}
	return out, nil
}

// add adds what one rule leads to.
func (o *outcome) add(rendered delivery.Rendered, rule rules.Rule, e *Event) {
	for _, n := range rendered.Inbox {
		body := shorten(clean(n.Body), longestBody)
		o.notifications = append(o.notifications, Notification{
			PK: sqldb.NewID(), UserPK: n.UserPK, RulePK: rule.PK, TransportPK: n.TransportPK,
			Severity: rule.Severity, Body: body, folded: drf.Fold(body),
		})
	}
	o.deliveries = append(o.deliveries, rendered.Deliveries...)
	for i := range rendered.Failures {
		o.events = append(o.events, newPlan(mappingEvent(&rendered.Failures[i], e)))
	}
}

// subject is the event as rules look at it, with what expressions see of it where there are any.
func (r *recorder) subject(ctx context.Context, s *snapshot, e *Event, c *columns) (rules.Subject, error) {
	subject := subjectOf(e, c)
	if !s.rules.Scripted() {
		return subject, nil
	}
	subject.Input.Event = scriptEvent(e)
	if c.userPK == nil {
		return subject, nil
	}
	err := r.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		subject.Input.User, err = identity.ScriptUser(tx, *c.userPK)
		return err
	})
	return subject, err
}

// recipients are those who receive an event, with all that a mapping may ask of them where there is one.
func (r *recorder) recipients(ctx context.Context, s *snapshot, m rules.Match) ([]script.User, error) {
	if !s.delivery.Mapped(m.Transports) {
		return s.known(m.Users), nil
	}
	users := make([]script.User, 0, len(m.Users))
	var known map[int64]*script.User
	err := r.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		known, err = identity.ScriptUsers(tx, m.Users)
		return err
	})
	for _, pk := range m.Users {
		if user := known[pk]; user != nil { // who is gone is no recipient any more
			users = append(users, *user)
		}
	}
	return users, err
}

// known are users as far as the snapshot knows them.
func (s *snapshot) known(pks []int64) []script.User {
	users := make([]script.User, len(pks))
	for i, pk := range pks {
		p, _ := s.rules.Directory().Person(pk)
		users[i] = script.User{PK: pk, Username: p.Username, Name: p.Name, Email: p.Email, IsActive: p.Active, IsSuperuser: p.Superuser}
	}
	return users
}

// scriptEvent is an event as expressions see it. One that is not written yet is of now.
func scriptEvent(e *Event) *script.Event {
	seen := &script.Event{PK: e.PK, Action: e.Action, App: e.App, Summary: shorten(summarize(e), longestBody),
		User: json.RawMessage(e.User), Context: json.RawMessage(e.Context), Brand: json.RawMessage(e.Brand)}
	if e.ClientIP != nil {
		seen.ClientIP = *e.ClientIP
	}
	created, expires := e.Created, e.Expires
	if created == 0 {
		created = time.Now().UnixMicro()
	}
	if expires == 0 && !e.dated {
		expires = created + retentionMicros
	}
	seen.Created, seen.Expires = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
	return seen
}

// insertOutcome writes the notifications and deliveries of an event, in a write that has the event.
func insertOutcome(tx *sqldb.Tx, e *Event, o *outcome) error {
	for _, n := range o.notifications {
		n.Event = e
		if err := insertNotification(tx, &n); err != nil {
			return err
		}
	}
	return delivery.Insert(tx, o.deliveries)
}

// follow writes what follows from an event, in a write that has the event.
func (r *recorder) follow(ctx context.Context, tx *sqldb.Tx, e *Event, o *outcome, counts tally) error {
	if err := insertOutcome(tx, e, o); err != nil {
		return err
	}
	tx.OnCommit(func() {
		r.publish(outcomeHints(o)...)
		if len(o.deliveries) > 0 {
			r.wake(o.transports()...)
		}
	})
	for _, p := range o.events {
		if _, err := r.commit(ctx, tx, p, counts); err != nil {
			return err
		}
	}
	return nil
}

// transports are the keys of those that have something to send.
func (o *outcome) transports() []string {
	var pks []string
	for _, d := range o.deliveries {
		pks = append(pks, d.TransportPK)
	}
	slices.Sort(pks)
	return slices.Compact(pks)
}

// ofThoseThere is the outcome without the users and transports that are not there any more, or not active.
func (o *outcome) ofThoseThere(tx *sqldb.Tx) (*outcome, error) {
	active, err := identity.ActiveUsers(tx)
	if err != nil {
		return nil, err
	}
	transports, err := delivery.LoadTransports(tx)
	if err != nil {
		return nil, err
	}
	gone := func(user int64, transport string) bool {
		_, there := transports[transport]
		return !active[user] || transport != "" && !there
	}
	there := &outcome{generation: o.generation, events: o.events}
	for _, n := range o.notifications {
		if !gone(n.UserPK, n.TransportPK) {
			there.notifications = append(there.notifications, n)
		}
	}
	for _, d := range o.deliveries {
		if !gone(d.UserPK, d.TransportPK) {
			there.deliveries = append(there.deliveries, d)
		}
	}
	return there, nil
}
