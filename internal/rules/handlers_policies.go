package rules

import (
	"errors"
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/resource"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// policies are those of all kinds: they are seen and deleted, but made and changed as what they are.
func (a *API) policies() *resource.Noun[Policy, PolicyPatch] {
	return &resource.Noun[Policy, PolicyPatch]{
		DB: a.DB, Path: "policy_uuid", Serializer: PolicySerializer, Spec: PolicyList,
		List: listPolicies, Get: getPolicy, UsedBy: usedByOfPolicy,
	}
}

func (a *API) expressions() *resource.Noun[ExpressionPolicy, ExpressionPatch] {
	return &resource.Noun[ExpressionPolicy, ExpressionPatch]{
		DB: a.DB, Trail: a.Trail, Changed: identity.BumpGeneration,
		Table: "policy", Path: "policy_uuid",
		Serializer: ExpressionSerializer, Kind: &expressionKind, Spec: ExpressionList,
		List: listExpressions, Get: getExpression,
		Fresh: newExpression, Apply: applyExpression, Insert: insertExpression, Update: updateExpression,
		Taken:  func() error { return drf.Invalid("name", kinds[kindExpression].taken()) },
		UsedBy: usedByOfPolicy,
	}
}

// ListPolicies answers GET /policies/all/.
func (a *API) ListPolicies(w http.ResponseWriter, r *http.Request) error {
	return a.policies().AnswerList(w, r)
}

// GetPolicy answers GET /policies/all/{policy_uuid}/.
func (a *API) GetPolicy(w http.ResponseWriter, r *http.Request) error {
	return a.policies().AnswerGet(w, r)
}

// DeletePolicy answers DELETE /policies/all/{policy_uuid}/: the policy is deleted as what it is.
func (a *API) DeletePolicy(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "policy_uuid")
	if err != nil {
		return err
	}
	var p Policy
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		p, err = getPolicy(tx, pk, "")
		return err
	})
	if err != nil {
		return err
	}
	if p.kind == kindExpression {
		return a.expressions().AnswerDelete(w, r)
	}
	return a.matchers().AnswerDelete(w, r)
}

// PolicyUsedBy answers GET /policies/all/{policy_uuid}/used_by/.
func (a *API) PolicyUsedBy(w http.ResponseWriter, r *http.Request) error {
	return a.policies().AnswerUsedBy(w, r)
}

// PolicyTypes answers GET /policies/all/types/ with the kinds of policies that can be made.
func (a *API) PolicyTypes(w http.ResponseWriter, r *http.Request) error {
	var types []drf.Kind
	for _, name := range []string{kindMatcher, kindExpression} {
		k := kinds[name]
		types = append(types, drf.Kind{Name: k.verboseName, Description: k.description, Component: k.component, ModelName: k.model})
	}
	return drf.KindSerializer.WriteAll(w, r, types)
}

// PolicyCacheSerializer writes how many results of policies are kept.
var PolicyCacheSerializer = drf.NewSerializer("Cache",
	drf.Int[int64, struct{}]("count", func(n *int64) int64 { return *n }, nil),
)

// PolicyCacheInfo answers GET /policies/all/cache_info/: no results of policies are kept.
func (a *API) PolicyCacheInfo(w http.ResponseWriter, r *http.Request) error {
	var none int64
	return PolicyCacheSerializer.Write(w, r, http.StatusOK, &none)
}

// ClearPolicyCache answers POST /policies/all/cache_clear/ with 204: there is nothing to clear.
func (a *API) ClearPolicyCache(w http.ResponseWriter, _ *http.Request) error { return drf.NoContent(w) }

// TestPolicy answers POST /policies/all/{policy_uuid}/test/ with what the policy says of the event in the request's
// context. Nothing is stored.
func (a *API) TestPolicy(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "policy_uuid")
	if err != nil {
		return err
	}
	in := PolicyTestSerializer.Read(w, r, drf.Create)
	subject, wrong := a.subjectOf(in.Patch)
	var b Binding // what would ask the policy
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) error {
		if b, err = policyToTest(tx, pk); err != nil {
			return err
		}
		errs := in.Errors()
		if err := checkUser(tx, errs, in.Patch.User); err != nil {
			return err
		}
		errs.Nest("context", wrong)
		if err := errs.Err(); err != nil {
			return err
		}
		if b.expression != nil {
			subject.Input.User, err = identity.ScriptUser(tx, in.Patch.User.Value)
		}
		return err
	})
	if err != nil {
		return err
	}
	said := Verdict{Failure: `There is no event to look at: send one as "event" in "context".`}
	if in.Patch.Context.Value.Event.Value != "" || b.expression != nil {
		said, err = newEvaluation(r.Context(), a.Runner, subject, nil).ask(&b)
		if errors.Is(err, script.ErrBusy) {
			said, err = Verdict{Failure: err.Error()}, nil
		}
		if err != nil {
			return err
		}
	}
	return PolicyTestResultSerializer.Write(w, r, http.StatusOK, &said)
}

// policyToTest is a binding of the policy, by which it can be asked.
func policyToTest(tx *sqldb.Tx, pk string) (b Binding, err error) {
	p, err := getPolicy(tx, pk, "")
	if err != nil {
		return b, err
	}
	if p.kind == kindExpression {
		e, err := getExpression(tx, pk, "")
		b.expression = e.prepare()
		return b, err
	}
	m, err := getMatcher(tx, pk, "")
	b.matcher = &m
	return b, err
}

// subjectOf reads the event of a test, and answers what is wrong with the test's context.
func (a *API) subjectOf(test policyTest) (Subject, *drf.Errors) {
	wrong := drf.NewErrors()
	event := test.Context.Value.Event
	if event.Value == "" {
		return Subject{}, wrong
	}
	subject, inner := a.Subject(event.Value)
	wrong.Nest("event", inner)
	return subject, wrong
}

// CreateExpression answers POST /policies/expression/.
func (a *API) CreateExpression(w http.ResponseWriter, r *http.Request) error {
	return a.expressions().AnswerCreate(w, r)
}

// ListExpressions answers GET /policies/expression/.
func (a *API) ListExpressions(w http.ResponseWriter, r *http.Request) error {
	return a.expressions().AnswerList(w, r)
}

// GetExpression answers GET /policies/expression/{policy_uuid}/.
func (a *API) GetExpression(w http.ResponseWriter, r *http.Request) error {
	return a.expressions().AnswerGet(w, r)
}

// UpdateExpression answers PUT and PATCH /policies/expression/{policy_uuid}/.
func (a *API) UpdateExpression(w http.ResponseWriter, r *http.Request) error {
	return a.expressions().AnswerUpdate(w, r)
}

// DeleteExpression answers DELETE /policies/expression/{policy_uuid}/.
func (a *API) DeleteExpression(w http.ResponseWriter, r *http.Request) error {
	return a.expressions().AnswerDelete(w, r)
}

// ExpressionUsedBy answers GET /policies/expression/{policy_uuid}/used_by/.
func (a *API) ExpressionUsedBy(w http.ResponseWriter, r *http.Request) error {
	return a.expressions().AnswerUsedBy(w, r)
}
