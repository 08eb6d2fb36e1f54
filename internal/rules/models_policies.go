package rules

import (
	"sync"

	"belfry/internal/drf"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// The kinds of policies, in their common table.
const (
	kindMatcher    = "event_matcher"
	kindExpression = "expression"
)

// kind is what authentik says of a kind of policies.
type kind struct {
	component                  string // of the form that edits one
	verboseName, verbosePlural string
	app, model                 string // of Django
	description                string
}

// taken is the error for a name that another policy has.
func (k kind) taken() string { return k.verboseName + " with this name already exists." }

var kinds = map[string]kind{
	kindMatcher: {
		component: "ak-policy-event-matcher-form", verboseName: "Event Matcher Policy", verbosePlural: "Event Matcher Policies",
		app: "authentik_policies_event_matcher", model: "eventmatcherpolicy",
		description: "Passes when Event matches selected criteria.",
	},
	kindExpression: {
		component: "ak-policy-expression-form", verboseName: "Expression Policy", verbosePlural: "Expression Policies",
		app: "authentik_policies_expression", model: "expressionpolicy",
		description: "Decides by an expression of your own.",
	},
}

// Policy is what every policy has, whatever its kind. Its name is unique among all of them.
type Policy struct {
	PK               string
	Name             string
	ExecutionLogging bool

	kind                 string
	created, lastUpdated int64 // UTC microseconds
	boundTo              int64 // how many bindings there are of it
}

func newPolicy(kind string) Policy { return Policy{PK: sqldb.NewID(), kind: kind} }

// PolicyPatch is what a request asks to be changed of a policy, whatever its kind.
type PolicyPatch struct {
	Name             drf.Field[string]
	ExecutionLogging drf.Field[bool]
}

func (p *PolicyPatch) apply(to *Policy) {
	p.Name.Apply(&to.Name)
	p.ExecutionLogging.Apply(&to.ExecutionLogging)
}

// policyFields are what every policy shows of itself. They are for a serializer of M, whose policy is of's, and
// whose patch's policy is in's.
func policyFields[M, P any](of func(*M) *Policy, in func(*P) *PolicyPatch) []drf.Def[M, P] {
	constant := func(name, help string, get func(kind) string) drf.Def[M, P] {
		return drf.Text[M, P](name, func(m *M) string { return get(kinds[of(m).kind]) }, nil, drf.Help(help))
	}
	return []drf.Def[M, P]{
		drf.UUID[M, P]("pk", func(m *M) string { return of(m).PK }),
		drf.Text("name", func(m *M) string { return of(m).Name },
			func(p *P) *drf.Field[string] { return &in(p).Name }, drf.Required()),
		drf.Bool("execution_logging", func(m *M) bool { return of(m).ExecutionLogging },
			func(p *P) *drf.Field[bool] { return &in(p).ExecutionLogging },
			drf.Help("When this option is enabled, all executions of this policy will be logged. "+
				"By default, only execution errors are logged.")),
		constant("component", "Get object component so that we know how to edit the object",
			func(k kind) string { return k.component }),
		constant("verbose_name", "Return object's verbose_name", func(k kind) string { return k.verboseName }),
		constant("verbose_name_plural", "Return object's plural verbose_name", func(k kind) string { return k.verbosePlural }),
		constant("meta_model_name", "Return internal model name", func(k kind) string { return k.app + "." + k.model }),
		drf.Int[M, P]("bound_to", func(m *M) int64 { return of(m).boundTo }, nil, drf.Help("Return objects policy is bound to")),
	}
}

// PolicySerializer is how /policies/all/ and a binding show a policy, whatever its kind.
var PolicySerializer = drf.NewSerializer("Policy", policyFields(
	func(p *Policy) *Policy { return p }, func(p *PolicyPatch) *PolicyPatch { return p })...)

// PolicyList is what GET /policies/all/ takes.
var PolicyList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "bindings__isnull", Kind: drf.FilterBool},
		{Name: "promptstage__isnull", Kind: drf.FilterBool},
	},
	Search:    true,
	Orderings: []string{"pk", "name", "execution_logging"},
	Default:   []string{"name"},
}

// Matcher is a policy that looks at an event. What is nil is not looked at; one that
// looks at nothing lets every event pass.
type Matcher struct {
	Policy
	Action   *string // exact
	ClientIP *string // exact, as text
	App      *string // exact
	Model    *string // app.model_name, such as authentik_core.user
}

func newMatcher() Matcher { return Matcher{Policy: newPolicy(kindMatcher)} }

// MatcherPatch is what a request asks to be changed of a matcher.
type MatcherPatch struct {
	PolicyPatch
	Action, ClientIP, App, Model drf.Field[string]
}

func (p *MatcherPatch) apply(m *Matcher) {
	p.PolicyPatch.apply(&m.Policy)
	p.Action.ApplyNull(&m.Action)
	p.ClientIP.ApplyNull(&m.ClientIP)
	p.App.ApplyNull(&m.App)
	p.Model.ApplyNull(&m.Model)
}

// MatcherSerializer is how the API reads and writes a [Matcher].
var MatcherSerializer = drf.NewSerializer("EventMatcherPolicy", append(policyFields(
	func(m *Matcher) *Policy { return &m.Policy }, func(p *MatcherPatch) *PolicyPatch { return &p.PolicyPatch }),
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

// ExpressionPolicy is a policy that decides by an expression.
type ExpressionPolicy struct {
	Policy
	Expression string // as it was sent, but for white space around it

	program func() (*script.Program, error) // of Expression; see prepare
}

// prepare lets the policy be run. Its expression is compiled when it is run first, and once for all goroutines.
func (e *ExpressionPolicy) prepare() *ExpressionPolicy {
	source := e.Expression
	e.program = sync.OnceValues(func() (*script.Program, error) { return script.Compile(source) })
	return e
}

func newExpression() ExpressionPolicy { return ExpressionPolicy{Policy: newPolicy(kindExpression)} }

// ExpressionPatch is what a request asks to be changed of an expression policy.
type ExpressionPatch struct {
	PolicyPatch
	Expression drf.Field[string]
}

func (p *ExpressionPatch) apply(e *ExpressionPolicy) {
	p.PolicyPatch.apply(&e.Policy)
	p.Expression.Apply(&e.Expression)
}

// ExpressionSerializer is how the API reads and writes an [ExpressionPolicy].
var ExpressionSerializer = drf.NewSerializer("ExpressionPolicy", append(policyFields(
	func(e *ExpressionPolicy) *Policy { return &e.Policy }, func(p *ExpressionPatch) *PolicyPatch { return &p.PolicyPatch }),
	drf.Text("expression", func(e *ExpressionPolicy) string { return e.Expression },
		func(p *ExpressionPatch) *drf.Field[string] { return &p.Expression }, drf.Required(), drf.Secret(), drf.Valid(script.Check)),
)...)

// ExpressionList is what GET /policies/expression/ takes.
var ExpressionList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "created", Kind: drf.FilterTime},
		{Name: "execution_logging", Kind: drf.FilterBool},
		{Name: "expression"},
		{Name: "last_updated", Kind: drf.FilterTime},
		{Name: "name"},
		{Name: "policy_uuid", Kind: drf.FilterUUID},
	},
	Search:    true,
	Orderings: []string{"pk", "name", "execution_logging", "expression"},
	Default:   []string{"name"},
}
