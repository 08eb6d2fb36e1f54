package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"belfry/internal/outbound"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// Snapshot is the transports and their mappings, as they were at one moment. It does not change, so that it may
// be used by several goroutines and outside of transactions.
type Snapshot struct {
	transports map[string]Transport
	mappings   map[string]*compiled
}

// compiled is a mapping ready to run, or why it cannot be.
type compiled struct {
	Mapping
	program *script.Program
	err     error
}

// Load reads a snapshot. It compiles every mapping, and so belongs into a read.
func Load(tx *sqldb.Tx) (*Snapshot, error) {
	transports, err := LoadTransports(tx)
	if err != nil {
		return nil, err
	}
	rows, err := sqldb.All(tx, scanMapping, `SELECT `+mappingColumns+` FROM mapping`)
	if err != nil {
		return nil, fmt.Errorf("load mappings: %w", err)
	}
	s := &Snapshot{transports: transports, mappings: make(map[string]*compiled, len(rows))}
	for _, m := range rows {
		c := &compiled{Mapping: m}
		c.program, c.err = script.Compile(m.Expression)
		s.mappings[m.PK] = c
	}
	return s, nil
}

// mapping is the one of that pk, nil for none.
func (s *Snapshot) mapping(pk *string) *compiled {
	if pk == nil {
		return nil
	}
	return s.mappings[*pk]
}

// Mapped reports whether one of the transports has a mapping, which may ask for all that is known of a recipient.
func (s *Snapshot) Mapped(transportPKs []string) bool {
	return slices.ContainsFunc(transportPKs, func(pk string) bool { return s.transports[pk].BodyMapping != nil })
}

// Occasion is an event that a rule matched, and whom the rule tells by what.
type Occasion struct {
	Event            script.Event // with its Summary
	RulePK, RuleName string       // "" for a test of the transports
	Severity         string
	Transports       []string      // pks; none means the inbox
	Recipients       []script.User // each once, in the order in which they are told
}

// RenderOptions say what is possible at present.
type RenderOptions struct {
	Mail    bool   // there is a server for e-mail
	Version string // Belfry's, as chats show it
}

// Inbox is a notification for Belfry's own inbox.
type Inbox struct {
	UserPK      int64
	TransportPK string // "" for a rule without transports
	Body        string
}

// Failure is a mapping that failed.
type Failure struct {
	TransportPK, TransportName string
	MappingPK, MappingName     string
	Expression, Message        string
}

// Error says which mapping failed, and why.
func (f *Failure) Error() string {
	return fmt.Sprintf("the mapping %q failed: %s", f.MappingName, f.Message)
}

// Rendered is all that an occasion makes, ready to be written.
type Rendered struct {
	Inbox      []Inbox
	Deliveries []Delivery // see [Insert]
	Failures   []Failure  // at most one of each transport
}

// Render makes what an occasion sends. It runs expressions and so belongs outside of writes. The error is that of
// ctx or [script.ErrBusy]; a mapping that fails is one of the Failures, and what it should have made is written as dead, to be made anew by a retry.
func (s *Snapshot) Render(ctx context.Context, runner *script.Runner, o Occasion, opt RenderOptions) (Rendered, error) {
	var all Rendered
	if len(o.Transports) == 0 {
		for _, user := range o.Recipients {
			all.Inbox = append(all.Inbox, Inbox{UserPK: user.PK, Body: o.Event.Summary})
		}
	}
	for _, pk := range o.Transports {
		t, ok := s.transports[pk]
		if !ok {
			continue
		}
		r := rendering{snapshot: s, runner: runner, occasion: &o, transport: &t, opt: opt, into: &all}
		if err := r.recipients(ctx); err != nil {
			return Rendered{}, err
		}
	}
	return all, nil
}

// rendering is what one transport makes of an occasion.
type rendering struct {
	snapshot  *Snapshot
	runner    *script.Runner
	occasion  *Occasion
	transport *Transport
	opt       RenderOptions
	into      *Rendered
	failed    bool // a failure was noted already
}

// recipients renders for everybody, or, where the transport sends once, for the one of the lowest pk.
func (r *rendering) recipients(ctx context.Context) error {
	for _, user := range r.transport.receivers(r.occasion.Recipients) {
		render := r.delivery
		if r.transport.Mode == ModeLocal {
			render = r.inbox
		}
		err := render(ctx, &user)
		failure, ok := errors.AsType[*Failure](err)
		if err != nil && !ok {
			return err
		}
		if ok && !r.failed {
			r.failed = true
			r.into.Failures = append(r.into.Failures, *failure)
		}
	}
	return nil
}

// receivers are those of the users whom the transport reaches.
func (t *Transport) receivers(users []script.User) []script.User {
	if !t.SendOnce || len(users) < 2 {
		return users
	}
	first := users[0]
	for _, user := range users[1:] {
		if user.PK < first.PK {
			first = user
		}
	}
	return []script.User{first}
}

// inbox makes a notification. Its mapping runs for what it does to the body; where it fails, the body stays as it was.
func (r *rendering) inbox(ctx context.Context, user *script.User) error {
	body := r.occasion.Event.Summary
	result, err := r.snapshot.run(ctx, r.runner, r.transport, r.transport.BodyMapping, r.input(user))
	if err == nil && result != nil {
		body = result.Body
	}
	r.into.Inbox = append(r.into.Inbox, Inbox{UserPK: user.PK, TransportPK: r.transport.PK, Body: body})
	return err
}

// delivery makes a delivery, whatever becomes of its body.
func (r *rendering) delivery(ctx context.Context, user *script.User) error {
	o, now := r.occasion, int64(0)
	d := Delivery{
		PK: sqldb.NewID(), EventPK: o.Event.PK, RuleName: o.RuleName, TransportName: r.transport.Name,
		Username: user.Username, TransportPK: r.transport.PK, UserPK: user.PK, Mode: r.transport.Mode,
		State: StatePending, Severity: o.Severity, Summary: o.Event.Summary, Due: &now,
	}
	if o.RulePK != "" {
		d.RulePK = &o.RulePK
	}
	var err error
	switch {
	case d.Mode == ModeEmail && !r.opt.Mail:
		d.settle(StateCancelled, noMailServer)
	case d.Mode == ModeEmail && user.Email == "":
		d.settle(StateCancelled, noAddress)
	default:
		if d.Body, err = r.snapshot.body(ctx, r.runner, r.transport, d.Mode, r.opt.Version, r.input(user)); err != nil {
			d.settle(StateDead, clean(err.Error()))
		}
	}
	r.into.Deliveries = append(r.into.Deliveries, d)
	return err
}

// Why an e-mail is not sent at all.
const (
	noMailServer = "no server for e-mail is configured: set --smtp-host"
	noAddress    = "the recipient has no e-mail address"
)

// settle says how a new delivery ends before it has begun.
func (d *Delivery) settle(state, reason string) { d.State, d.Reason, d.Due = state, reason, nil }

// input is what the expressions of an occasion see.
func (r *rendering) input(user *script.User) script.Input {
	return inputOf(&r.occasion.Event, r.occasion.Severity, r.occasion.Event.Summary, user)
}

func inputOf(event *script.Event, severity, summary string, user *script.User) script.Input {
	n := script.Notification{Severity: severity, Body: summary}
	if event != nil {
		n.PK, n.Created = event.PK, event.Created
	}
	return script.Input{Event: event, Notification: &n, User: user}
}

// run runs a mapping. The result is nil where there is none; the error is a [*Failure], [script.ErrBusy], or that of ctx.
func (s *Snapshot) run(ctx context.Context, runner *script.Runner, t *Transport, mapping *string, in script.Input) (*script.Result, error) {
	m := s.mapping(mapping)
	if m == nil {
		return nil, nil
	}
	var result script.Result
	err := m.err
	if err == nil {
		result, err = runner.Run(ctx, m.program, in)
	}
	switch {
	case err == nil:
		return &result, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, script.ErrBusy):
		return nil, err
	}
	return nil, &Failure{TransportPK: t.PK, TransportName: t.Name, MappingPK: m.PK, MappingName: m.Name,
		Expression: m.Expression, Message: err.Error()}
}

// body makes what is sent. Only a generic webhook's mapping counts, as in authentik.
func (s *Snapshot) body(ctx context.Context, runner *script.Runner, t *Transport, mode, version string, in script.Input) (string, error) {
	message := messageOf(t, in)
	switch mode {
	case ModeEmail:
		mail := outbound.MailBody(message, t.EmailSubjectPrefix)
		text, err := json.Marshal(mailParts(mail))
		return string(text), err
	case ModeSlack:
		return string(outbound.SlackBody(message, version)), nil
	}
	result, err := s.run(ctx, runner, t, t.BodyMapping, in)
	if err != nil {
		return "", err
	}
	if result != nil {
		return string(result.JSON), nil
	}
	return string(outbound.WebhookBody(message)), nil
}

// mailParts is how an e-mail is stored.
type mailParts struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

// messageOf collects what the builders of bodies work from.
func messageOf(t *Transport, in script.Input) outbound.Message {
	m := outbound.Message{Severity: in.Notification.Severity, Body: in.Notification.Body, Transport: t.Name}
	if in.User != nil {
		m.Recipient = outbound.Person{Username: in.User.Username, Name: in.User.Name, Email: in.User.Email}
		m.RecipientIsAdmin = in.User.IsSuperuser
	}
	if in.Event != nil {
		m.Action, m.EventUser, m.Context = in.Event.Action, eventUser(in.Event.User), textEntries(in.Event.Context)
	}
	return m
}

// eventUser is what an event says of its user: nil where it says nothing at all.
func eventUser(user json.RawMessage) *outbound.EventUser {
	var fields map[string]json.RawMessage
	if json.Unmarshal(user, &fields) != nil || len(fields) == 0 {
		return nil
	}
	return &outbound.EventUser{Username: textOf(fields["username"]), Email: textOf(fields["email"])}
}

// textOf is a JSON string's text, nil for anything else.
func textOf(value json.RawMessage) *string {
	var text *string
	if json.Unmarshal(value, &text) != nil {
		return nil
	}
	return text
}

// textEntries are the members of an object whose values are text, in their order; none of anything else.
func textEntries(object json.RawMessage) []outbound.Entry {
	dec := json.NewDecoder(bytes.NewReader(object))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	var entries []outbound.Entry
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return entries
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return entries
		}
		if text := textOf(value); text != nil {
			entries = append(entries, outbound.Entry{Name: name.(string), Value: *text})
		}
	}
	return entries
}
