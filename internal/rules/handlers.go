package rules

import (
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/resource"
	"belfry/internal/script"
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
	// Runner runs expressions.
	Runner *script.Runner
}

func (a *API) rules() *resource.Noun[Rule, RulePatch] {
	return &resource.Noun[Rule, RulePatch]{
		DB: a.DB, Trail: a.Trail, Changed: identity.BumpGeneration,
		Table: "rule", Path: "pbm_uuid",
		Serializer: RuleSerializer, Kind: &ruleKind, Spec: RuleList,
		List: listRules, Get: getRule, Fill: fillRules,
		Fresh: newRule, Apply: a.applyRule, Insert: insertRule, Update: updateRule,
		Taken:  func() error { return drf.Invalid("name", ruleTaken) },
		UsedBy: usedByOfRule,
	}
}

func (a *API) matchers() *resource.Noun[Matcher, MatcherPatch] {
	return &resource.Noun[Matcher, MatcherPatch]{
		DB: a.DB, Trail: a.Trail, Changed: identity.BumpGeneration,
		Table: "policy", Path: "policy_uuid",
		Serializer: MatcherSerializer, Kind: &matcherKind, Spec: MatcherList,
		List: listMatchers, Get: getMatcher,
		Fresh: newMatcher, Apply: applyMatcher, Insert: insertMatcher, Update: updateMatcher,
		Taken:  func() error { return drf.Invalid("name", kinds[kindMatcher].taken()) },
		UsedBy: usedByOfPolicy,
	}
}

func (a *API) bindings() *resource.Noun[Binding, BindingPatch] {
	return &resource.Noun[Binding, BindingPatch]{
		DB: a.DB, Trail: a.Trail, Changed: identity.BumpGeneration,
		Table: "binding", Path: "policy_binding_uuid",
		Serializer: BindingSerializer, Kind: &bindingKind, Spec: BindingList,
		List: listBindings, Get: getBinding, Fill: fillBindings,
		Fresh: newBinding, Apply: applyBinding, Insert: insertBinding, Update: updateBinding,
		Taken:  func() error { return drf.Invalid("", bindingTaken) },
		UsedBy: func(*sqldb.Tx, string) ([]drf.UsedBy, error) { return nil, nil },
	}
}

// ListRules answers GET /events/rules/.
func (a *API) ListRules(w http.ResponseWriter, r *http.Request) error {
	return a.rules().AnswerList(w, r)
}

// CreateRule answers POST /events/rules/.
func (a *API) CreateRule(w http.ResponseWriter, r *http.Request) error {
	return a.rules().AnswerCreate(w, r)
}

// GetRule answers GET /events/rules/{pbm_uuid}/.
func (a *API) GetRule(w http.ResponseWriter, r *http.Request) error {
	return a.rules().AnswerGet(w, r)
}

// UpdateRule answers PUT and PATCH /events/rules/{pbm_uuid}/.
func (a *API) UpdateRule(w http.ResponseWriter, r *http.Request) error {
	return a.rules().AnswerUpdate(w, r)
}

// DeleteRule answers DELETE /events/rules/{pbm_uuid}/.
func (a *API) DeleteRule(w http.ResponseWriter, r *http.Request) error {
	return a.rules().AnswerDelete(w, r)
}

// RuleUsedBy answers GET /events/rules/{pbm_uuid}/used_by/.
func (a *API) RuleUsedBy(w http.ResponseWriter, r *http.Request) error {
	return a.rules().AnswerUsedBy(w, r)
}

// ListMatchers answers GET /policies/event_matcher/.
func (a *API) ListMatchers(w http.ResponseWriter, r *http.Request) error {
	return a.matchers().AnswerList(w, r)
}

// CreateMatcher answers POST /policies/event_matcher/.
func (a *API) CreateMatcher(w http.ResponseWriter, r *http.Request) error {
	return a.matchers().AnswerCreate(w, r)
}

// GetMatcher answers GET /policies/event_matcher/{policy_uuid}/.
func (a *API) GetMatcher(w http.ResponseWriter, r *http.Request) error {
	return a.matchers().AnswerGet(w, r)
}

// UpdateMatcher answers PUT and PATCH /policies/event_matcher/{policy_uuid}/.
func (a *API) UpdateMatcher(w http.ResponseWriter, r *http.Request) error {
	return a.matchers().AnswerUpdate(w, r)
}

// DeleteMatcher answers DELETE /policies/event_matcher/{policy_uuid}/.
func (a *API) DeleteMatcher(w http.ResponseWriter, r *http.Request) error {
	return a.matchers().AnswerDelete(w, r)
}

// MatcherUsedBy answers GET /policies/event_matcher/{policy_uuid}/used_by/.
func (a *API) MatcherUsedBy(w http.ResponseWriter, r *http.Request) error {
	return a.matchers().AnswerUsedBy(w, r)
}

// ListBindings answers GET /policies/bindings/.
func (a *API) ListBindings(w http.ResponseWriter, r *http.Request) error {
	return a.bindings().AnswerList(w, r)
}

// CreateBinding answers POST /policies/bindings/.
func (a *API) CreateBinding(w http.ResponseWriter, r *http.Request) error {
	return a.bindings().AnswerCreate(w, r)
}

// GetBinding answers GET /policies/bindings/{policy_binding_uuid}/.
func (a *API) GetBinding(w http.ResponseWriter, r *http.Request) error {
	return a.bindings().AnswerGet(w, r)
}

// UpdateBinding answers PUT and PATCH /policies/bindings/{policy_binding_uuid}/.
func (a *API) UpdateBinding(w http.ResponseWriter, r *http.Request) error {
	return a.bindings().AnswerUpdate(w, r)
}

// DeleteBinding answers DELETE /policies/bindings/{policy_binding_uuid}/.
func (a *API) DeleteBinding(w http.ResponseWriter, r *http.Request) error {
	return a.bindings().AnswerDelete(w, r)
}

// BindingUsedBy answers GET /policies/bindings/{policy_binding_uuid}/used_by/.
func (a *API) BindingUsedBy(w http.ResponseWriter, r *http.Request) error {
	return a.bindings().AnswerUsedBy(w, r)
}
