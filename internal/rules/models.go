// Package rules holds notification rules, the event matchers that are bound to
// them, and the decision which rules an event fires and who receives it (see
// [Snapshot.Match]). By which way it is sent is not known here: a transport is no more than its pk.
package rules

import (
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

// Rule says who is notified of the events that its bindings let pass. Its name is unique.
type Rule struct {
	PK       string
	Name     string
	Severity string  // notice, warning or alert; copied into each notification
	GroupPK  *string // whose members are notified; nil for nobody
	// DestinationEventUser notifies the user of the event as well.
	DestinationEventUser bool
	Transports           []string // pks, ascending

	group *identity.Group // of GroupPK; filled in for answers
}

// newRule has a pk of its own and the defaults of authentik.
func newRule() Rule { return Rule{PK: sqldb.NewID(), Severity: "notice"} }

// RulePatch is what a request asks to be changed of a rule.
type RulePatch struct {
	Name, Severity, Group drf.Field[string]
	Transports            drf.Field[[]string]
	DestinationEventUser  drf.Field[bool]
}

func (p *RulePatch) apply(r *Rule) {
	p.Name.Apply(&r.Name)
	p.Severity.Apply(&r.Severity)
	p.Group.ApplyNull(&r.GroupPK)
	p.DestinationEventUser.Apply(&r.DestinationEventUser)
	if p.Transports.Set {
		r.Transports = sortedSet(p.Transports.Value)
	}
}

// RuleSerializer is how the API reads and writes a [Rule].
var RuleSerializer = drf.NewSerializer("NotificationRule",
	drf.UUID[Rule, RulePatch]("pk", func(r *Rule) string { return r.PK }),
	drf.Text("name", func(r *Rule) string { return r.Name },
		func(p *RulePatch) *drf.Field[string] { return &p.Name }, drf.Required()),
	drf.Refs("transports", func(r *Rule) []string { return r.Transports },
		func(p *RulePatch) *drf.Field[[]string] { return &p.Transports },
		drf.Help("Select which transports should be used to notify the user. If none are selected, "+
			"the notification will only be shown in the authentik UI.")),
	drf.Choice("severity", Severities, func(r *Rule) string { return r.Severity },
		func(p *RulePatch) *drf.Field[string] { return &p.Severity },
		drf.Help("Controls which severity level the created notifications will have.")),
	drf.Ref("group", func(r *Rule) *string { return r.GroupPK },
		func(p *RulePatch) *drf.Field[string] { return &p.Group },
		drf.Nullable(), drf.Alias("destination_group", "2025.6"),
		drf.Help("Define which group of users this notification should be sent and shown to. "+
			"If left empty, Notification won't ben sent.")),
	drf.Nested[Rule, RulePatch]("group_obj", identity.GroupSerializer,
		func(r *Rule) *identity.Group { return r.group }, nil, drf.Alias("destination_group_obj", "2025.6")),
	drf.Bool("destination_event_user", func(r *Rule) bool { return r.DestinationEventUser },
		func(p *RulePatch) *drf.Field[bool] { return &p.DestinationEventUser }, drf.Since("2025.6"),
		drf.Help("When enabled, notification will be sent to the user that triggered the event.")),
)

// RuleList is what GET /events/rules/ takes.
var RuleList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "group__name", Alias: "destination_group__name"},
		{Name: "name"},
		{Name: "severity", Kind: drf.FilterChoice, Choices: Severities},
	},
	Search:    true,
	Orderings: []string{"pk", "name", "severity", "group", "destination_group", "destination_event_user"},
	Default:   []string{"name"},
}

// Matcher is a policy that looks at an event. What is nil is not looked at; one that
// looks at nothing lets every event pass. Its name is unique among all policies.
type Matcher struct {
	PK               string
	Name             string
	ExecutionLogging bool
	Action           *string // exact
	ClientIP         *string // exact, as text
	App              *string // exact
	Model            *string // app.model_name, such as authentik_core.user

	created, lastUpdated int64 // UTC microseconds
	boundTo              int64 // how many bindings there are of it
}

// MatcherPatch is what a request asks to be changed of a matcher.
type MatcherPatch struct {
	Name                         drf.Field[string]
	ExecutionLogging             drf.Field[bool]
	Action, ClientIP, App, Model drf.Field[string]
}

func (p *MatcherPatch) apply(m *Matcher) {
	p.Name.Apply(&m.Name)
	p.ExecutionLogging.Apply(&m.ExecutionLogging)
	p.Action.ApplyNull(&m.Action)
	p.ClientIP.ApplyNull(&m.ClientIP)
	p.App.ApplyNull(&m.App)
	p.Model.ApplyNull(&m.Model)
}

// constant is a field that says the same of every matcher.
func constant(name, value, help string) drf.Def[Matcher, MatcherPatch] {
	return drf.Text[Matcher, MatcherPatch](name, func(*Matcher) string { return value }, nil, drf.Help(help))
}

// policyFields are what every policy shows of itself, whatever its kind.
var policyFields = []drf.Def[Matcher, MatcherPatch]{
	drf.UUID[Matcher, MatcherPatch]("pk", func(m *Matcher) string { return m.PK }),
	drf.Text("name", func(m *Matcher) string { return m.Name },
		func(p *MatcherPatch) *drf.Field[string] { return &p.Name }, drf.Required()),
	drf.Bool("execution_logging", func(m *Matcher) bool { return m.ExecutionLogging },
		func(p *MatcherPatch) *drf.Field[bool] { return &p.ExecutionLogging },
		drf.Help("When this option is enabled, all executions of this policy will be logged. "+
			"By default, only execution errors are logged.")),
	constant("component", "ak-policy-event-matcher-form", "Get object component so that we know how to edit the object"),
	constant("verbose_name", "Event Matcher Policy", "Return object's verbose_name"),
	constant("verbose_name_plural", "Event Matcher Policies", "Return object's plural verbose_name"),
	constant("meta_model_name", "authentik_policies_event_matcher.eventmatcherpolicy", "Return internal model name"),
	drf.Int[Matcher, MatcherPatch]("bound_to", func(m *Matcher) int64 { return m.boundTo }, nil,
		drf.Help("Return objects policy is bound to")),
}

// PolicySerializer is how a binding shows its policy, whatever its kind.
var PolicySerializer = drf.NewSerializer("Policy", policyFields...)

// MatcherSerializer is how the API reads and writes a [Matcher].
var MatcherSerializer = drf.NewSerializer("EventMatcherPolicy", append(policyFields[:len(policyFields):len(policyFields)],
	drf.NullChoice("action", EventActions, func(m *Matcher) *string { return m.Action },
		func(p *MatcherPatch) *drf.Field[string] { return &p.Action },
		drf.Help("Match created events with this action type. When left empty, all action types will be matched.")),
	drf.NullText("client_ip", func(m *Matcher) *string { return m.ClientIP },
		func(p *MatcherPatch) *drf.Field[string] { return &p.ClientIP },
		drf.Help("Matches Event's Client IP (strict matching, for network matching use an Expression Policy)")),
	drf.NullChoice("app", apps, func(m *Matcher) *string { return m.App },
		func(p *MatcherPatch) *drf.Field[string] { return &p.App },
		drf.Help("Match events created by selected application. When left empty, all applications are matched.")),
	drf.NullChoice("model", eventModels, func(m *Matcher) *string { return m.Model },
		func(p *MatcherPatch) *drf.Field[string] { return &p.Model },
		drf.Help("Match events created by selected model. When left empty, all models are matched. "+
			"When an app is selected, all the application's models are matched.")),
)...)

// MatcherList is what GET /policies/event_matcher/ takes.
var MatcherList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "action", Kind: drf.FilterChoice, Choices: EventActions},
		{Name: "app"},
		{Name: "client_ip"},
		{Name: "created", Kind: drf.FilterTime},
		{Name: "execution_logging", Kind: drf.FilterBool},
		{Name: "last_updated", Kind: drf.FilterTime},
		{Name: "model"},
		{Name: "name"},
		{Name: "policy_uuid", Kind: drf.FilterUUID},
	},
	Search:    true,
	Orderings: []string{"pk", "name", "execution_logging", "action", "client_ip", "app", "model"},
	Default:   []string{"name"},
}

// Binding ties one policy, group or user to a rule. It passes an event if the matcher does, if
// the event's user is a member, or if it is that user; Negate turns that round.
type Binding struct {
	PK        string
	PolicyPK  *string
	GroupPK   *string
	UserPK    *int64
	TargetPK  string // of the rule
	Negate    bool
	Enabled   bool
	Order     int64
	Timeout   int64 // seconds
	OnFailure bool  // the result of a policy that fails

	policy *Matcher // of PolicyPK, filled in for answers, as is what follows
	group  *identity.Group
	user   *identity.User
	rule   string // name of the rule that TargetPK says
}

// newBinding has a pk of its own and the defaults of authentik.
func newBinding() Binding { return Binding{PK: sqldb.NewID(), Enabled: true, Timeout: 30} }

// subjects is how many of policy, group and user are set: one in a binding that is right.
func (b *Binding) subjects() (n int) {
	for _, set := range []bool{b.PolicyPK != nil, b.GroupPK != nil, b.UserPK != nil} {
		if set {
			n++
		}
	}
	return n
}

// BindingPatch is what a request asks to be changed of a binding.
type BindingPatch struct {
	Policy, Group, Target      drf.Field[string]
	User, Order, Timeout       drf.Field[int64]
	Negate, Enabled, OnFailure drf.Field[bool]
}

func (p *BindingPatch) apply(b *Binding) {
	p.Policy.ApplyNull(&b.PolicyPK)
	p.Group.ApplyNull(&b.GroupPK)
	p.User.ApplyNull(&b.UserPK)
	p.Target.Apply(&b.TargetPK)
	p.Negate.Apply(&b.Negate)
	p.Enabled.Apply(&b.Enabled)
	p.Order.Apply(&b.Order)
	p.Timeout.Apply(&b.Timeout)
	p.OnFailure.Apply(&b.OnFailure)
}

// BindingSerializer is how the API reads and writes a [Binding].
var BindingSerializer = drf.NewSerializer("PolicyBinding",
	drf.UUID[Binding, BindingPatch]("pk", func(b *Binding) string { return b.PK }),
	drf.Ref("policy", func(b *Binding) *string { return b.PolicyPK },
		func(p *BindingPatch) *drf.Field[string] { return &p.Policy }, drf.Nullable()),
	drf.Ref("group", func(b *Binding) *string { return b.GroupPK },
		func(p *BindingPatch) *drf.Field[string] { return &p.Group }, drf.Nullable()),
	drf.IntRef("user", func(b *Binding) *int64 { return b.UserPK },
		func(p *BindingPatch) *drf.Field[int64] { return &p.User }, drf.Nullable()),
	drf.Nested[Binding, BindingPatch]("policy_obj", PolicySerializer, func(b *Binding) *Matcher { return b.policy }, nil),
	drf.Nested[Binding, BindingPatch]("group_obj", identity.GroupSerializer, func(b *Binding) *identity.Group { return b.group }, nil),
	drf.Nested[Binding, BindingPatch]("user_obj", identity.UserSerializer, func(b *Binding) *identity.User { return b.user }, nil),
	drf.Ref("target", func(b *Binding) *string { return &b.TargetPK },
		func(p *BindingPatch) *drf.Field[string] { return &p.Target }, drf.Required()),
	drf.Bool("negate", func(b *Binding) bool { return b.Negate },
		func(p *BindingPatch) *drf.Field[bool] { return &p.Negate },
		drf.Help("Negates the outcome of the policy. Messages are unaffected.")),
	drf.Bool("enabled", func(b *Binding) bool { return b.Enabled },
		func(p *BindingPatch) *drf.Field[bool] { return &p.Enabled }),
	drf.Int("order", func(b *Binding) int64 { return b.Order },
		func(p *BindingPatch) *drf.Field[int64] { return &p.Order }, drf.Required(), drf.Range(-1<<31, 1<<31-1)),
	drf.Int("timeout", func(b *Binding) int64 { return b.Timeout },
		func(p *BindingPatch) *drf.Field[int64] { return &p.Timeout }, drf.Range(0, 1<<31-1),
		drf.Help("Timeout after which Policy execution is terminated.")),
	drf.Bool("failure_result", func(b *Binding) bool { return b.OnFailure },
		func(p *BindingPatch) *drf.Field[bool] { return &p.OnFailure },
		drf.Help("Result if the Policy execution fails.")),
	// Clients of 2026.8 ask for these two; a binding of 2024.6 never expires.
	drf.NullTime[Binding, BindingPatch]("expires", func(*Binding) *int64 { return nil }, nil, drf.Since("2026.8")),
	drf.Bool[Binding, BindingPatch]("expiring", func(*Binding) bool { return false }, nil, drf.Since("2026.8")),
)

// BindingList is what GET /policies/bindings/ takes.
var BindingList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "enabled", Kind: drf.FilterBool},
		{Name: "order", Kind: drf.FilterInt},
		{Name: "policy", Kind: drf.FilterUUID},
		{Name: "policy__isnull", Kind: drf.FilterBool},
		{Name: "target", Kind: drf.FilterUUID},
		{Name: "target_in", Kind: drf.FilterUUIDs},
		{Name: "timeout", Kind: drf.FilterInt},
	},
	Search: true,
	Orderings: []string{"pk", "policy", "group", "user", "target", "negate", "enabled",
		"order", "timeout", "failure_result"},
	Default: []string{"target", "order"},
}
