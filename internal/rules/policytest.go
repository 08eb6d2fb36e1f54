package rules

import (
	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// policyTest is the body of a test: the user is asked for by authentik's clients, and only looked up.
type policyTest struct {
	User    drf.Field[int64]
	Context drf.Field[testContext]
}

// testContext is what a test tells a policy. The policies of Belfry look at the event alone.
type testContext struct{ Event drf.Field[drf.JSON] }

// nothing is what serializers write that only read.
type nothing struct{}

var testContextSerializer = drf.NewSerializer("PolicyTestContext",
	drf.Object[nothing]("event", nil, func(c *testContext) *drf.Field[drf.JSON] { return &c.Event }, drf.Nullable(),
		drf.Help("The event to look at, as the API writes it. What it leaves out is empty.")),
)

// PolicyTestSerializer reads the body of a policy's test.
var PolicyTestSerializer = drf.NewSerializer("PolicyTest",
	drf.IntRef[nothing]("user", nil, func(p *policyTest) *drf.Field[int64] { return &p.User }, drf.Required()),
	drf.Nested[nothing, policyTest, nothing, testContext]("context", testContextSerializer, nil,
		func(p *policyTest) *drf.Field[testContext] { return &p.Context }),
)

// policyResult is what a policy says of an event, and why.
type policyResult struct {
	passing  bool
	messages []string
}

// PolicyTestResultSerializer writes the result of a policy's test.
var PolicyTestResultSerializer = drf.NewSerializer("PolicyTestResult",
	drf.Bool[policyResult, nothing]("passing", func(p *policyResult) bool { return p.passing }, nil),
	drf.Strings[policyResult, nothing]("messages", nil, func(p *policyResult) []string { return p.messages }, nil),
	drf.NestedList[policyResult, nothing]("log_messages", drf.LogEventSerializer, func(*policyResult) []drf.LogEvent { return []drf.LogEvent{} }),
)

// test is what the policy says of the event; nil is a test without one.
func (p *Policy) test(tx *sqldb.Tx, event *Subject) (policyResult, error) {
	switch {
	case p.kind == kindExpression:
		return policyResult{messages: []string{"Expressions are stored and not run yet."}}, nil
	case event == nil:
		return policyResult{messages: []string{`There is no event to look at: send one as "event" in "context".`}}, nil
	}
	m, err := getMatcher(tx, p.PK, "")
	if err != nil {
		return policyResult{}, err
	}
	return m.test(*event), nil
}

// test says of each thing that the matcher asks for whether the event has it.
func (m *Matcher) test(event Subject) policyResult {
	result := policyResult{passing: m.passes(event), messages: []string{}}
	for _, c := range m.criteria(event) {
		switch {
		case c.want == nil:
		case c.matched():
			result.messages = append(result.messages, c.name+" matched.")
		default:
			result.messages = append(result.messages, c.name+" did not match.")
		}
	}
	if len(result.messages) == 0 {
		result.messages = append(result.messages, "The policy asks for nothing: every event matches.")
	}
	return result
}
