package rules

import (
	"strconv"

	"belfry/internal/drf"
	"belfry/internal/trail"
)

// How rules, policies and bindings stand in the trail.
var (
	ruleKind = trail.Kind[Rule, RulePatch]{
		App: "authentik_events", Model: "notificationrule", Serializer: RuleSerializer,
		PK:   func(r *Rule) drf.JSON { return trail.HexPK(r.PK) },
		Name: func(r *Rule) string { return r.Name },
	}
	matcherKind = trail.Kind[Matcher, MatcherPatch]{
		App: kinds[kindMatcher].app, Model: kinds[kindMatcher].model, Serializer: MatcherSerializer,
		PK:   func(m *Matcher) drf.JSON { return trail.HexPK(m.PK) },
		Name: func(m *Matcher) string { return m.Name },
	}
	expressionKind = trail.Kind[ExpressionPolicy, ExpressionPatch]{
		App: kinds[kindExpression].app, Model: kinds[kindExpression].model, Serializer: ExpressionSerializer,
		PK:   func(e *ExpressionPolicy) drf.JSON { return trail.HexPK(e.PK) },
		Name: func(e *ExpressionPolicy) string { return e.Name },
	}
	bindingKind = trail.Kind[Binding, BindingPatch]{
		App: "authentik_policies", Model: "policybinding", Serializer: BindingSerializer,
		PK:   func(b *Binding) drf.JSON { return trail.HexPK(b.PK) },
		Name: (*Binding).title,
	}
)

// title is what people know a binding by, which has no name: what it ties to which rule, in which place.
func (b *Binding) title() string {
	subject := ""
	switch {
	case b.policy != nil:
		subject = "Policy " + b.policy.Name
	case b.group != nil:
		subject = "Group " + b.group.Name
	case b.user != nil:
		subject = "User " + b.user.Username
	}
	return b.rule + " #" + strconv.FormatInt(b.Order, 10) + " to " + subject
}
