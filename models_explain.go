package main

import (
	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/rules"
)

// readOnly is the patch of what is only answered.
type readOnly struct{}

// told is one transport of a rule, with whom it tells of an event. People are at most so many as the answer shows.
type told struct {
	delivery.Way
	count int64 // of those who are told
}

// explained is what a rule makes of an event, with all that decides on it.
type explained struct {
	rules.Explanation
	told []told
}

// explanation is all that happened, and would happen today, because of an event.
type explanation struct {
	event         string
	why           string // why no rule runs; "" where they do
	waiting       bool   // rules have yet to run
	rules         []explained
	complete      bool // time was enough
	notifications []createdNotification
	notified      int64
	deliveries    []delivery.Logged
	delivered     int64
}

// createdNotification is a notification that an event has led to.
type createdNotification struct {
	Notification
	username string
}

// dryRun is what a rule would make of past events.
type dryRun struct {
	rule     rules.Rule
	events   int64 // that were looked at
	matched  int64
	complete bool
	results  []dryResult
}

// dryResult is one event that the rule matches.
type dryResult struct {
	event   Event
	summary string
	explained
}

// dryRunPatch is the body of a dry run.
type dryRunPatch struct{ last drf.Field[int64] }

// all is a list that is answered as one, nil too.
func all[T any](rows []T) []T { return append([]T{}, rows...) }

// optional is a key, nil where it is "".
func optional(pk string) *string {
	if pk == "" {
		return nil
	}
	return &pk
}

var toldUserSerializer = drf.NewSerializer("ExplainedRecipient",
	drf.Int[delivery.Receiver, readOnly]("user", func(r *delivery.Receiver) int64 { return r.UserPK }, nil),
	drf.Text[delivery.Receiver, readOnly]("username", func(r *delivery.Receiver) string { return r.Username }, nil),
	drf.Bool[delivery.Receiver, readOnly]("notified", func(r *delivery.Receiver) bool { return r.Why == "" }, nil),
	drf.Text[delivery.Receiver, readOnly]("reason", func(r *delivery.Receiver) string { return r.Why }, nil,
		drf.Help("Why not, where the recipient is not notified.")),
)

var toldSerializer = drf.NewSerializer("ExplainedTransport",
	drf.Ref[told, readOnly]("transport", func(t *told) *string { return optional(t.TransportPK) }, nil, drf.Nullable(),
		drf.Help("null for a rule without transports, which notifies the inbox.")),
	drf.Text[told, readOnly]("transport_name", func(t *told) string { return t.Name }, nil),
	drf.Text[told, readOnly]("mode", func(t *told) string { return t.Mode }, nil),
	drf.Text[told, readOnly]("note", func(t *told) string { return t.Note }, nil, drf.Help("What is special about it at present.")),
	drf.Int[told, readOnly]("notified_count", func(t *told) int64 { return t.count }, nil),
	drf.NestedList[told, readOnly]("recipients", toldUserSerializer, func(t *told) []delivery.Receiver { return all(t.Receivers) },
		drf.Help("The first of them.")),
)

var bindingResultSerializer = drf.NewSerializer("ExplainedBinding",
	drf.UUID[rules.BindingResult, readOnly]("binding", func(b *rules.BindingResult) string { return b.PK }),
	drf.Int[rules.BindingResult, readOnly]("order", func(b *rules.BindingResult) int64 { return b.Order }, nil),
	drf.Text[rules.BindingResult, readOnly]("subject", func(b *rules.BindingResult) string { return b.Subject }, nil),
	drf.Bool[rules.BindingResult, readOnly]("enabled", func(b *rules.BindingResult) bool { return b.Enabled }, nil,
		drf.Help("One that is not enabled is not asked.")),
	drf.Bool[rules.BindingResult, readOnly]("negate", func(b *rules.BindingResult) bool { return b.Negate }, nil),
	drf.Bool[rules.BindingResult, readOnly]("failure_result", func(b *rules.BindingResult) bool { return b.OnFailure }, nil),
	drf.Bool[rules.BindingResult, readOnly]("passing", func(b *rules.BindingResult) bool { return b.Passing }, nil,
		drf.Help("What the policy, group or user says by itself.")),
	drf.Bool[rules.BindingResult, readOnly]("result", func(b *rules.BindingResult) bool { return b.Result }, nil,
		drf.Help("What counts: passing, or the failure_result where the policy failed, negated where the binding says so.")),
	drf.Strings[rules.BindingResult, readOnly]("messages", nil, func(b *rules.BindingResult) []string { return b.Messages }, nil),
	drf.Text[rules.BindingResult, readOnly]("error", func(b *rules.BindingResult) string { return b.Failure }, nil,
		drf.Help("Why the policy failed, where it did.")),
)

// explainedFields are what is said of a rule and an event.
func explainedFields[M any](of func(*M) *explained) []drf.Def[M, readOnly] {
	return []drf.Def[M, readOnly]{
		drf.Ref[M, readOnly]("decided_by", func(m *M) *string { return optional(of(m).DecidedBy) }, nil, drf.Nullable(),
			drf.Help("The first binding that passes.")),
		drf.Text[M, readOnly]("nobody", func(m *M) string { return of(m).Nobody }, nil,
			drf.Help("Why there is no recipient, where there is none.")),
		drf.NestedList[M, readOnly]("transports", toldSerializer, func(m *M) []told { return all(of(m).told) },
			drf.Help("Who is notified by what; where the rule does not match, who would be.")),
	}
}

var explainedSerializer = drf.NewSerializer("ExplainedRule", append([]drf.Def[explained, readOnly]{
	drf.UUID[explained, readOnly]("rule", func(x *explained) string { return x.Rule.PK }),
	drf.Text[explained, readOnly]("rule_name", func(x *explained) string { return x.Rule.Name }, nil),
	drf.Choice[explained, readOnly]("severity", rules.Severities, func(x *explained) string { return x.Rule.Severity }, nil),
	drf.Bool[explained, readOnly]("matched", func(x *explained) bool { return x.Matched }, nil),
	drf.Text[explained, readOnly]("reason", func(x *explained) string { return x.Why }, nil, drf.Help("Why the rule does not match, where it does not.")),
	drf.NestedList[explained, readOnly]("bindings", bindingResultSerializer, func(x *explained) []rules.BindingResult { return all(x.Bindings) }),
}, explainedFields(func(x *explained) *explained { return x })...)...)

var createdSerializer = drf.NewSerializer("ExplainedNotification",
	drf.UUID[createdNotification, readOnly]("notification", func(m *createdNotification) string { return m.PK }),
	drf.Int[createdNotification, readOnly]("user", func(m *createdNotification) int64 { return m.UserPK }, nil),
	drf.Text[createdNotification, readOnly]("username", func(m *createdNotification) string { return m.username }, nil),
	drf.Ref[createdNotification, readOnly]("rule", func(m *createdNotification) *string { return optional(m.RulePK) }, nil, drf.Nullable()),
	drf.Ref[createdNotification, readOnly]("transport", func(m *createdNotification) *string { return optional(m.TransportPK) }, nil, drf.Nullable()),
	drf.Choice[createdNotification, readOnly]("severity", rules.Severities, func(m *createdNotification) string { return m.Severity }, nil),
	drf.Time[createdNotification, readOnly]("created", func(m *createdNotification) int64 { return m.Created }, nil),
	drf.Bool[createdNotification, readOnly]("seen", func(m *createdNotification) bool { return m.Seen }, nil),
)

var explanationSerializer = drf.NewSerializer("EventExplanation",
	drf.UUID[explanation, readOnly]("event", func(x *explanation) string { return x.event }),
	drf.Text[explanation, readOnly]("reason", func(x *explanation) string { return x.why }, nil,
		drf.Help("Why no rule runs for the event, where none does.")),
	drf.Bool[explanation, readOnly]("waiting", func(x *explanation) bool { return x.waiting }, nil,
		drf.Help("Whether the rules have yet to run for it.")),
	drf.NestedList[explanation, readOnly]("rules", explainedSerializer, func(x *explanation) []explained { return all(x.rules) },
		drf.Help("What today's rules make of it.")),
	drf.Bool[explanation, readOnly]("complete", func(x *explanation) bool { return x.complete }, nil,
		drf.Help("False where time was too short to ask all rules.")),
	drf.Int[explanation, readOnly]("notification_count", func(x *explanation) int64 { return x.notified }, nil,
		drf.Help("How many notifications of it there are.")),
	drf.NestedList[explanation, readOnly]("notifications", createdSerializer, func(x *explanation) []createdNotification { return all(x.notifications) },
		drf.Help("The first of them.")),
	drf.Int[explanation, readOnly]("delivery_count", func(x *explanation) int64 { return x.delivered }, nil,
		drf.Help("How many deliveries of it there are.")),
	drf.NestedList[explanation, readOnly]("deliveries", delivery.LoggedSerializer, func(x *explanation) []delivery.Logged { return all(x.deliveries) },
		drf.Help("The first of them.")),
)

// dryRunRequestSerializer reads how many events a dry run looks at.
var dryRunRequestSerializer = drf.NewSerializer("RuleDryRunRequest",
	drf.Int[readOnly]("last", nil, func(p *dryRunPatch) *drf.Field[int64] { return &p.last }, drf.Range(1, dryRunMost),
		drf.Help("How many events, the newest first. Those that no rule runs for are left out.")),
)

var dryResultSerializer = drf.NewSerializer("RuleDryRunMatch", append([]drf.Def[dryResult, readOnly]{
	drf.UUID[dryResult, readOnly]("event", func(d *dryResult) string { return d.event.PK }),
	drf.Text[dryResult, readOnly]("action", func(d *dryResult) string { return d.event.Action }, nil),
	drf.Text[dryResult, readOnly]("app", func(d *dryResult) string { return d.event.App }, nil),
	drf.Time[dryResult, readOnly]("created", func(d *dryResult) int64 { return d.event.Created }, nil),
	drf.Text[dryResult, readOnly]("summary", func(d *dryResult) string { return d.summary }, nil),
}, explainedFields(func(d *dryResult) *explained { return &d.explained })...)...)

var dryRunSerializer = drf.NewSerializer("RuleDryRun",
	drf.UUID[dryRun, readOnly]("rule", func(d *dryRun) string { return d.rule.PK }),
	drf.Text[dryRun, readOnly]("rule_name", func(d *dryRun) string { return d.rule.Name }, nil),
	drf.Int[dryRun, readOnly]("event_count", func(d *dryRun) int64 { return d.events }, nil, drf.Help("How many events were looked at.")),
	drf.Int[dryRun, readOnly]("matched_count", func(d *dryRun) int64 { return d.matched }, nil),
	drf.Bool[dryRun, readOnly]("complete", func(d *dryRun) bool { return d.complete }, nil,
		drf.Help("False where time was too short to look at all of them.")),
	drf.NestedList[dryRun, readOnly]("results", dryResultSerializer, func(d *dryRun) []dryResult { return all(d.results) }),
)
