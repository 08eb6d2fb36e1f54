package rules

import (
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// API answers the requests under /api/v3/events/rules/ and /policies/.
// Who may call what is decided before it.
type API struct {
	DB *sqldb.DB
	// MissingTransport answers the first of pks that is no transport, or "" when all are.
	MissingTransport func(tx *sqldb.Tx, pks []string) (string, error)
	// Subject reads an event, as the API writes it or a part of that, for the test of a policy.
	Subject func(event drf.JSON) (Subject, *drf.Errors)
	// Trail records every change, in its transaction.
	Trail trail.Func
}

var rules = noun[Rule, RulePatch]{
	name: "rule", path: "pbm_uuid",
	serializer: RuleSerializer, trail: &ruleKind, spec: RuleList,
	list: listRules, get: getRule, fill: fillRules,
	fresh: newRule, apply: applyRule, insert: insertRule, update: updateRule,
	taken:  func() error { return drf.Invalid("name", ruleTaken) },
	usedBy: usedByOfRule,
}

var matchers = noun[Matcher, MatcherPatch]{
	name: "policy", path: "policy_uuid",
	serializer: MatcherSerializer, trail: &matcherKind, spec: MatcherList,
	list: listMatchers, get: getMatcher,
	fill:  fillNothing[Matcher],
	fresh: newMatcher,
	apply: applyMatcher, insert: insertMatcher, update: updateMatcher,
	taken:  func() error { return drf.Invalid("name", kinds[kindMatcher].taken()) },
	usedBy: usedByOfPolicy,
}

var bindings = noun[Binding, BindingPatch]{
	name: "binding", path: "policy_binding_uuid",
	serializer: BindingSerializer, trail: &bindingKind, spec: BindingList,
	list: listBindings, get: getBinding, fill: fillBindings,
	fresh: newBinding, apply: applyBinding, insert: insertBinding, update: updateBinding,
	taken:  func() error { return drf.Invalid("", bindingTaken) },
	usedBy: func(*sqldb.Tx, string) ([]drf.UsedBy, error) { return nil, nil },
}

// ListRules answers GET /events/rules/.
func (a *API) ListRules(w http.ResponseWriter, r *http.Request) error {
	return rules.answerList(a, w, r)
}

// CreateRule answers POST /events/rules/.
func (a *API) CreateRule(w http.ResponseWriter, r *http.Request) error {
	return rules.answerCreate(a, w, r)
}

// GetRule answers GET /events/rules/{pbm_uuid}/.
func (a *API) GetRule(w http.ResponseWriter, r *http.Request) error {
	return rules.answerGet(a, w, r)
}

// UpdateRule answers PUT and PATCH /events/rules/{pbm_uuid}/.
func (a *API) UpdateRule(w http.ResponseWriter, r *http.Request) error {
	return rules.answerUpdate(a, w, r)
}

// DeleteRule answers DELETE /events/rules/{pbm_uuid}/.
func (a *API) DeleteRule(w http.ResponseWriter, r *http.Request) error {
	return rules.answerDelete(a, w, r)
}

// RuleUsedBy answers GET /events/rules/{pbm_uuid}/used_by/.
func (a *API) RuleUsedBy(w http.ResponseWriter, r *http.Request) error {
	return rules.answerUsedBy(a, w, r)
}

// ListMatchers answers GET /policies/event_matcher/.
func (a *API) ListMatchers(w http.ResponseWriter, r *http.Request) error {
	return matchers.answerList(a, w, r)
}

// CreateMatcher answers POST /policies/event_matcher/.
func (a *API) CreateMatcher(w http.ResponseWriter, r *http.Request) error {
	return matchers.answerCreate(a, w, r)
}

// GetMatcher answers GET /policies/event_matcher/{policy_uuid}/.
func (a *API) GetMatcher(w http.ResponseWriter, r *http.Request) error {
	return matchers.answerGet(a, w, r)
}

// UpdateMatcher answers PUT and PATCH /policies/event_matcher/{policy_uuid}/.
func (a *API) UpdateMatcher(w http.ResponseWriter, r *http.Request) error {
	return matchers.answerUpdate(a, w, r)
}

// DeleteMatcher answers DELETE /policies/event_matcher/{policy_uuid}/.
func (a *API) DeleteMatcher(w http.ResponseWriter, r *http.Request) error {
	return matchers.answerDelete(a, w, r)
}

// MatcherUsedBy answers GET /policies/event_matcher/{policy_uuid}/used_by/.
func (a *API) MatcherUsedBy(w http.ResponseWriter, r *http.Request) error {
	return matchers.answerUsedBy(a, w, r)
}

// ListBindings answers GET /policies/bindings/.
func (a *API) ListBindings(w http.ResponseWriter, r *http.Request) error {
	return bindings.answerList(a, w, r)
}

// CreateBinding answers POST /policies/bindings/.
func (a *API) CreateBinding(w http.ResponseWriter, r *http.Request) error {
	return bindings.answerCreate(a, w, r)
}

// GetBinding answers GET /policies/bindings/{policy_binding_uuid}/.
func (a *API) GetBinding(w http.ResponseWriter, r *http.Request) error {
	return bindings.answerGet(a, w, r)
}

// UpdateBinding answers PUT and PATCH /policies/bindings/{policy_binding_uuid}/.
func (a *API) UpdateBinding(w http.ResponseWriter, r *http.Request) error {
	return bindings.answerUpdate(a, w, r)
}

// DeleteBinding answers DELETE /policies/bindings/{policy_binding_uuid}/.
func (a *API) DeleteBinding(w http.ResponseWriter, r *http.Request) error {
	return bindings.answerDelete(a, w, r)
}

// BindingUsedBy answers GET /policies/bindings/{policy_binding_uuid}/used_by/.
func (a *API) BindingUsedBy(w http.ResponseWriter, r *http.Request) error {
	return bindings.answerUsedBy(a, w, r)
}
