package rules

import (
	"belfry/internal/drf"
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

// PolicyTestResultSerializer writes the result of a policy's test. Why a policy failed stands among the messages.
var PolicyTestResultSerializer = drf.NewSerializer("PolicyTestResult",
	drf.Bool[Verdict, nothing]("passing", func(v *Verdict) bool { return v.Passing }, nil),
	drf.Strings[Verdict, nothing]("messages", nil, func(v *Verdict) []string { return v.said() }, nil),
	drf.NestedList[Verdict, nothing]("log_messages", drf.LogEventSerializer, func(*Verdict) []drf.LogEvent { return []drf.LogEvent{} }),
)

// said are the messages of a verdict, never nil, the failure last.
func (v *Verdict) said() []string {
	said := append([]string{}, v.Messages...)
	if v.Failure != "" {
		said = append(said, v.Failure)
	}
	return said
}

// test says of each thing that the matcher asks for whether the event has it.
func (m *Matcher) test(event Subject) Verdict {
	said := Verdict{Passing: m.passes(event)}
	for _, c := range m.criteria(event) {
		switch {
		case c.want == nil:
		case c.matched():
			said.Messages = append(said.Messages, c.name+" matched.")
		default:
			said.Messages = append(said.Messages, c.name+" did not match.")
		}
	}
	if len(said.Messages) == 0 {
		said.Messages = append(said.Messages, "The policy asks for nothing: every event matches.")
	}
	return said
}
