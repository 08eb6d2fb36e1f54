package delivery

import (
	"slices"
	"strconv"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/trail"
)

// Logged is a delivery as the log shows it.
type Logged struct {
	Delivery
	// Parked says that it waits for its transport to be enabled.
	Parked bool
	// Tries are its attempts, first to last; read for one delivery only.
	Tries []Attempt
}

// next is when the next attempt is made; nil where none is, and where it is made at once.
func (l *Logged) next() *int64 {
	if l.Parked || l.Due == nil || *l.Due == 0 {
		return nil
	}
	return l.Due
}

// folded is what a search looks at: names, and what the delivery says.
func (d *Delivery) folded() string {
	return drf.Fold(strings.Join([]string{d.TransportName, d.RuleName, d.Username, d.Summary}, "\n"))
}

// nothing is what a request can change of a thing that it cannot change.
type nothing struct{}

// loggedFields are what is shown of a delivery wherever it is shown.
var loggedFields = []drf.Def[Logged, nothing]{
	drf.UUID[Logged, nothing]("pk", func(l *Logged) string { return l.PK },
		drf.Help("The same at every attempt: webhooks have it as webhook-id.")),
	drf.Choice[Logged, nothing]("state", states, func(l *Logged) string { return l.State }, nil),
	drf.Text[Logged, nothing]("reason", func(l *Logged) string { return l.Reason }, nil,
		drf.Help("Why the last attempt failed, or why none is made. Only for those who may change transports.")),
	drf.UUID[Logged, nothing]("event", func(l *Logged) string { return l.EventPK }),
	drf.Ref[Logged, nothing]("rule", func(l *Logged) *string { return l.RulePK }, nil, drf.Nullable(),
		drf.Help("null for a test of the transport.")),
	drf.Text[Logged, nothing]("rule_name", func(l *Logged) string { return l.RuleName }, nil),
	drf.UUID[Logged, nothing]("transport", func(l *Logged) string { return l.TransportPK }),
	drf.Text[Logged, nothing]("transport_name", func(l *Logged) string { return l.TransportName }, nil),
	drf.Choice[Logged, nothing]("mode", modes, func(l *Logged) string { return l.Mode }, nil),
	drf.Int[Logged, nothing]("recipient", func(l *Logged) int64 { return l.UserPK }, nil),
	drf.Text[Logged, nothing]("recipient_username", func(l *Logged) string { return l.Username }, nil),
	drf.Text[Logged, nothing]("severity", func(l *Logged) string { return l.Severity }, nil),
	drf.Text[Logged, nothing]("summary", func(l *Logged) string { return l.Summary }, nil),
	drf.Time[Logged, nothing]("created", func(l *Logged) int64 { return l.Created }, nil),
	drf.Int[Logged, nothing]("attempt_count", func(l *Logged) int64 { return l.Delivery.Attempts }, nil),
	drf.NullTime[Logged, nothing]("next_attempt_at", (*Logged).next, nil,
		drf.Help("null where no attempt is to come, or where it is made at once.")),
	drf.Bool[Logged, nothing]("parked", func(l *Logged) bool { return l.Parked }, nil,
		drf.Help("Whether it waits for its transport to be enabled.")),
	drf.NullTime[Logged, nothing]("settled_at", func(l *Logged) *int64 { return l.Settled }, nil,
		drf.Help("When it was delivered, given up or cancelled.")),
}

// LoggedSerializer writes a delivery as lists show it.
var LoggedSerializer = drf.NewSerializer("Delivery", loggedFields...)

// attemptSerializer writes one attempt.
var attemptSerializer = drf.NewSerializer("DeliveryAttempt",
	drf.Int[Attempt, nothing]("number", func(a *Attempt) int64 { return a.Number }, nil),
	drf.Time[Attempt, nothing]("started", func(a *Attempt) int64 { return a.Started }, nil),
	drf.Float[Attempt, nothing]("duration", func(a *Attempt) float64 { return float64(a.Duration) / 1e6 }, drf.Help("Seconds.")),
	drf.Int[Attempt, nothing]("status", func(a *Attempt) int64 { return a.Status }, nil,
		drf.Help("Of the receiver's answer; 0 where there was none.")),
	drf.Text[Attempt, nothing]("error", func(a *Attempt) string { return a.Error }, nil),
	drf.Text[Attempt, nothing]("answer", func(a *Attempt) string { return a.Answer }, nil,
		drf.Help("The beginning of what the receiver said.")),
	drf.Any[Attempt, nothing]("headers", func(a *Attempt) drf.JSON { return a.Headers }, nil,
		drf.Help("Those that were sent. Of those that a mapping made the values are null.")),
)

// LoggedDetailSerializer writes a delivery with what was sent and what came of it.
var LoggedDetailSerializer = drf.NewSerializer("DeliveryDetail", append(slices.Clone(loggedFields),
	drf.Text[Logged, nothing]("body", func(l *Logged) string { return l.Body }, nil,
		drf.Help("What is sent; of an e-mail its parts as JSON.")),
	drf.NestedList[Logged, nothing]("attempts", attemptSerializer, func(l *Logged) []Attempt { return l.Tries }),
)...)

// retried is what came of sending many deliveries again.
type retried struct{ retried, skipped int64 }

// RetriedSerializer writes how many deliveries are sent again.
var RetriedSerializer = drf.NewSerializer("DeliveriesRetried",
	drf.Int[retried, nothing]("retried", func(r *retried) int64 { return r.retried }, nil),
	drf.Int[retried, nothing]("skipped", func(r *retried) int64 { return r.skipped }, nil,
		drf.Help("Those that cannot be sent: their transport or recipient is gone, or an attempt is under way.")),
)

// loggedFilters are what deliveries can be chosen by.
var loggedFilters = []drf.Filter{
	{Name: "state", Kind: drf.FilterChoices, Choices: states},
	{Name: "transport", Kind: drf.FilterUUID},
	{Name: "event", Kind: drf.FilterUUID},
	{Name: "rule", Kind: drf.FilterUUID},
	{Name: "recipient", Kind: drf.FilterInt},
	{Name: "created__gte", Kind: drf.FilterTime},
	{Name: "created__lt", Kind: drf.FilterTime},
}

// LoggedList is what GET /api/belfry/deliveries/ takes.
var LoggedList = &drf.ListSpec{
	Filters: loggedFilters, Search: true,
	Orderings: []string{"created", "state", "transport", "recipient"},
	Default:   []string{"-created"},
}

// RetryList is what POST /api/belfry/deliveries/retry/ takes.
var RetryList = &drf.ListSpec{Filters: loggedFilters, Search: true}

// changed is how a change of a delivery's state stands in the trail. Of one that stays pending it is the next attempt that changes.
func (l *Logged) changed(state string) trail.Change {
	c := trail.Change{Action: trail.Updated, App: "belfry", Model: "delivery", PK: trail.HexPK(l.PK), Name: l.TransportName + " to " + l.Username}
	switch {
	case state != l.State:
		c.Diff = []drf.FieldChange{{Name: "state", Previous: quoted(l.State), Next: quoted(state)}}
	case l.Due != nil && *l.Due > 0:
		c.Diff = []drf.FieldChange{{Name: "next_attempt_at", Previous: quoted(drf.FormatTime(*l.Due)), Next: "null"}}
	}
	return c
}

// startedMany is how the sending again of n deliveries that were in one of the states stands in the trail.
func startedMany(n int64, states []string) trail.Change {
	previous := []byte{'['}
	for i, state := range states {
		if i > 0 {
			previous = append(previous, ',')
		}
		previous = drf.AppendString(previous, state)
	}
	name := strconv.FormatInt(n, 10) + " deliveries"
	if n == 1 {
		name = "1 delivery"
	}
	return trail.Change{
		Action: trail.Updated, App: "belfry", Model: "delivery", PK: "null", Name: name,
		Diff: []drf.FieldChange{{Name: "state", Previous: drf.JSON(append(previous, ']')), Next: quoted(StatePending)}},
	}
}

func quoted(s string) drf.JSON { return drf.JSON(drf.AppendString(nil, s)) }
