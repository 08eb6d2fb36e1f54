// Package rules holds notification rules, the policies that are bound to
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
		func(r *Rule) *identity.Group { return r.group }, nil, drf.NullAnswer(), drf.Alias("destination_group_obj", "2025.6")),
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

// Binding ties one policy, group or user to a rule. It passes an event if the policy does, if
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

	policy *Policy // of PolicyPK, filled in for answers, as are the next three
	group  *identity.Group
	user   *identity.User
	rule   string // name of the rule that TargetPK says

	matcher    *Matcher          // of PolicyPK, filled in for matching, as is the next: one of them
	expression *ExpressionPolicy // is nil
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
	drf.Nested[Binding, BindingPatch]("policy_obj", PolicySerializer, func(b *Binding) *Policy { return b.policy }, nil, drf.NullAnswer()),
	drf.Nested[Binding, BindingPatch]("group_obj", identity.GroupSerializer, func(b *Binding) *identity.Group { return b.group }, nil, drf.NullAnswer()),
	drf.Nested[Binding, BindingPatch]("user_obj", identity.UserSerializer, func(b *Binding) *identity.User { return b.user }, nil, drf.NullAnswer()),
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
