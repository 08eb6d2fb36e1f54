package main

import (
	"belfry/internal/drf"
	"belfry/internal/rules"
)

// retention is how long an event is kept unless it says otherwise.
const retentionMicros = 365 * 24 * hourMicros

const (
	secondMicros = int64(1_000_000)
	hourMicros   = 3600 * secondMicros
	dayMicros    = 24 * hourMicros
)

// fallbackBrand is what authentik writes into an event that no brand was given for.
const fallbackBrand drf.JSON = `{"pk":"00000000000000000000000000000000","app":"authentik_brands",` +
	`"name":"Brand fallback","model_name":"brand"}`

// Origin says who wrote an event. It is set by the server, never read from a body, and every
// guard against loops asks it instead of the event's content.
type Origin string

// The origins. Events of script and delivery run no rules.
const (
	OriginAPI    Origin = "api"    // posted by a client
	OriginTrail  Origin = "trail"  // the record of a change made over the API
	OriginSystem Origin = "system" // written by Belfry itself
	OriginScript Origin = "script" // what became of an expression

	// OriginDelivery is that of what sending leads to, the tests of transports included.
	OriginDelivery Origin = "delivery"
)

// runsRules reports whether rules run for events of the origin: not for what rules have led to themselves.
func (o Origin) runsRules() bool { return o != OriginScript && o != OriginDelivery }

// Event is something that happened: a line of the audit log.
// Times are UTC microseconds; User, Context and Brand are any JSON but null.
type Event struct {
	PK       string
	User     drf.JSON
	Action   string
	App      string
	Context  drf.JSON
	ClientIP *string
	Created  int64
	Expires  int64
	Brand    drf.JSON
	Origin   Origin

	dated bool // Expires was given: its zero is a time like any other
}

// EventPatch is a change of an event, or what a new one is made of.
type EventPatch struct {
	User     drf.Field[drf.JSON]
	Action   drf.Field[string]
	App      drf.Field[string]
	Context  drf.Field[drf.JSON]
	ClientIP drf.Field[string]
	Expires  drf.Field[int64]
	Brand    drf.Field[drf.JSON]
}

// apply replaces what the patch has; JSON values are replaced whole.
func (p EventPatch) apply(e *Event) {
	p.User.Apply(&e.User)
	p.Action.Apply(&e.Action)
	p.App.Apply(&e.App)
	p.Context.Apply(&e.Context)
	p.ClientIP.ApplyNull(&e.ClientIP)
	p.Expires.Apply(&e.Expires)
	e.dated = e.dated || p.Expires.Set
	p.Brand.Apply(&e.Brand)
}

// newEvent is an event made of a patch, with authentik's defaults. Created, and Expires where it
// was not given, are left for the write, which knows its time.
func newEvent(p EventPatch, origin Origin) Event {
	e := Event{User: "{}", Context: "{}", Brand: fallbackBrand, Origin: origin}
	p.apply(&e)
	return e
}

// EventSerializer is the event of the API, in the order of authentik's.
var EventSerializer = drf.NewSerializer("Event",
	drf.UUID[Event, EventPatch]("pk", func(e *Event) string { return e.PK }),
	drf.Any("user", func(e *Event) drf.JSON { return e.User },
		func(p *EventPatch) *drf.Field[drf.JSON] { return &p.User }),
	drf.Choice("action", rules.EventActions, func(e *Event) string { return e.Action },
		func(p *EventPatch) *drf.Field[string] { return &p.Action }, drf.Required()),
	drf.Text("app", func(e *Event) string { return e.App },
		func(p *EventPatch) *drf.Field[string] { return &p.App }, drf.Required()),
	drf.Any("context", func(e *Event) drf.JSON { return e.Context },
		func(p *EventPatch) *drf.Field[drf.JSON] { return &p.Context }),
	drf.NullIP("client_ip", func(e *Event) *string { return e.ClientIP },
		func(p *EventPatch) *drf.Field[string] { return &p.ClientIP }),
	drf.Time[Event, EventPatch]("created", func(e *Event) int64 { return e.Created }, nil),
	drf.Time("expires", func(e *Event) int64 { return e.Expires },
		func(p *EventPatch) *drf.Field[int64] { return &p.Expires }),
	drf.Any("brand", func(e *Event) drf.JSON { return e.Brand },
		func(p *EventPatch) *drf.Field[drf.JSON] { return &p.Brand }),
)

// Notification is one person's message about an event.
type Notification struct {
	PK             string
	UserPK         int64  // whose inbox it is in; not answered, as in authentik
	RulePK         string // what made it; "" for none
	TransportPK    string
	Severity       string
	Body           string
	folded         string // Body as it is searched; known only where it is written
	Hyperlink      *string
	HyperlinkLabel *string
	Created        int64
	Event          *Event // nil once the event is gone
	Seen           bool
	SeenAt         *int64 // when it was marked as seen; retention counts from here
}

// NotificationPatch is a change of a notification; its event is changed in place.
type NotificationPatch struct {
	Hyperlink      drf.Field[string]
	HyperlinkLabel drf.Field[string]
	Event          drf.Field[EventPatch]
	Seen           drf.Field[bool]
}

// apply changes the notification's own fields; its event is [changeEvent]'s.
func (p NotificationPatch) apply(n *Notification, now int64) {
	p.Hyperlink.ApplyNull(&n.Hyperlink)
	p.HyperlinkLabel.ApplyNull(&n.HyperlinkLabel)
	p.Seen.Apply(&n.Seen)
	switch {
	case !n.Seen:
		n.SeenAt = nil
	case n.SeenAt == nil:
		at := now
		n.SeenAt = &at
	}
}

// NotificationSerializer is the notification of the API, in the order of authentik's.
var NotificationSerializer = drf.NewSerializer("Notification",
	drf.UUID[Notification, NotificationPatch]("pk", func(n *Notification) string { return n.PK }),
	drf.Choice[Notification, NotificationPatch]("severity", rules.Severities,
		func(n *Notification) string { return n.Severity }, nil),
	drf.Text[Notification, NotificationPatch]("body", func(n *Notification) string { return n.Body }, nil),
	drf.NullText("hyperlink", func(n *Notification) *string { return n.Hyperlink },
		func(p *NotificationPatch) *drf.Field[string] { return &p.Hyperlink },
		drf.AllowBlank(), drf.MaxLength(4096), drf.Since("2025.12")),
	drf.NullText("hyperlink_label", func(n *Notification) *string { return n.HyperlinkLabel },
		func(p *NotificationPatch) *drf.Field[string] { return &p.HyperlinkLabel },
		drf.AllowBlank(), drf.Since("2025.12")),
	drf.Time[Notification, NotificationPatch]("created", func(n *Notification) int64 { return n.Created }, nil),
	drf.Nested("event", EventSerializer, func(n *Notification) *Event { return n.Event },
		func(p *NotificationPatch) *drf.Field[EventPatch] { return &p.Event }, drf.NullAnswer()),
	drf.Bool("seen", func(n *Notification) bool { return n.Seen },
		func(p *NotificationPatch) *drf.Field[bool] { return &p.Seen }),
)
