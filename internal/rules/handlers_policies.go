package rules

import (
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// policies are those of all kinds: they are seen and deleted, but made and changed as what they are.
var policies = noun[Policy, PolicyPatch]{
	name: "policy", path: "policy_uuid",
	serializer: PolicySerializer, spec: PolicyList,
	list: listPolicies, get: getPolicy, fill: fillNothing[Policy],
	usedBy: usedByOfPolicy,
}

var expressions = noun[ExpressionPolicy, ExpressionPatch]{
	name: "policy", path: "policy_uuid",
	serializer: ExpressionSerializer, trail: &expressionKind, spec: ExpressionList,
	list: listExpressions, get: getExpression, fill: fillNothing[ExpressionPolicy],
	fresh: newExpression, apply: applyExpression, insert: insertExpression, update: updateExpression,
	taken:  func() error { return drf.Invalid("name", kinds[kindExpression].taken()) },
	usedBy: usedByOfPolicy,
}

// ListPolicies answers GET /policies/all/.
func (a *API) ListPolicies(w http.ResponseWriter, r *http.Request) error {
	return policies.answerList(a, w, r)
}

// GetPolicy answers GET /policies/all/{policy_uuid}/.
func (a *API) GetPolicy(w http.ResponseWriter, r *http.Request) error {
	return policies.answerGet(a, w, r)
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
		return expressions.answerDelete(a, w, r)
	}
	return matchers.answerDelete(a, w, r)
}

// PolicyUsedBy answers GET /policies/all/{policy_uuid}/used_by/.
func (a *API) PolicyUsedBy(w http.ResponseWriter, r *http.Request) error {
	return policies.answerUsedBy(a, w, r)
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
	var result policyResult
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) error {
		p, err := getPolicy(tx, pk, "")
		if err != nil {
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
		result, err = p.test(tx, subject)
		return err
	})
	if err != nil {
		return err
	}
	return PolicyTestResultSerializer.Write(w, r, http.StatusOK, &result)
}

// subjectOf reads the event of a test, nil for none, and answers what is wrong with the test's context.
func (a *API) subjectOf(test policyTest) (*Subject, *drf.Errors) {
	wrong := drf.NewErrors()
	event := test.Context.Value.Event
	if event.Value == "" {
		return nil, wrong
	}
	subject, inner := a.Subject(event.Value)
	wrong.Nest("event", inner)
	return &subject, wrong
}

// CreateExpression answers POST /policies/expression/.
func (a *API) CreateExpression(w http.ResponseWriter, r *http.Request) error {
	return expressions.answerCreate(a, w, r)
}

// ListExpressions answers GET /policies/expression/.
func (a *API) ListExpressions(w http.ResponseWriter, r *http.Request) error {
	return expressions.answerList(a, w, r)
}

// GetExpression answers GET /policies/expression/{policy_uuid}/.
func (a *API) GetExpression(w http.ResponseWriter, r *http.Request) error {
	return expressions.answerGet(a, w, r)
}

// UpdateExpression answers PUT and PATCH /policies/expression/{policy_uuid}/.
func (a *API) UpdateExpression(w http.ResponseWriter, r *http.Request) error {
	return expressions.answerUpdate(a, w, r)
}

// DeleteExpression answers DELETE /policies/expression/{policy_uuid}/.
func (a *API) DeleteExpression(w http.ResponseWriter, r *http.Request) error {
	return expressions.answerDelete(a, w, r)
}

// ExpressionUsedBy answers GET /policies/expression/{policy_uuid}/used_by/.
func (a *API) ExpressionUsedBy(w http.ResponseWriter, r *http.Request) error {
	return expressions.answerUsedBy(a, w, r)
}
