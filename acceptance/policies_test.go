package acceptance

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	api "goauthentik.io/api/v3"
)

func mapping(t *testing.T, c *api.APIClient, sent api.NotificationWebhookMappingRequest) *api.NotificationWebhookMapping {
	t.Helper()
	return ok(t, 201, c.PropertymappingsApi.PropertymappingsNotificationCreate(t.Context()).
		NotificationWebhookMappingRequest(sent).Execute)
}

func TestWebhookMappings(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	made := mapping(t, c, api.NotificationWebhookMappingRequest{Name: "acceptance-body", Expression: "return {\"a\": 1}"})
	same(t, []string{made.Name, made.Expression}, []string{"acceptance-body", "return {\"a\": 1}"})
	same(t, ok(t, 200, c.PropertymappingsApi.PropertymappingsNotificationRetrieve(t.Context(), made.Pk).Execute), made)
	mapping(t, c, api.NotificationWebhookMappingRequest{Name: "acceptance-other", Expression: "return 1"})

	list := func() api.ApiPropertymappingsNotificationListRequest {
		return c.PropertymappingsApi.PropertymappingsNotificationList(t.Context())
	}
	for _, test := range []struct {
		filter  string
		request api.ApiPropertymappingsNotificationListRequest
		want    string
	}{
		{"all", list(), "acceptance-body acceptance-other"},
		{"name", list().Name("acceptance-body"), "acceptance-body"},
		{"name is whole", list().Name("acceptance"), ""},
		{"search", list().Search("OTHER"), "acceptance-other"},
		{"ordering", list().Ordering("-name"), "acceptance-other acceptance-body"},
		{"page", list().PageSize(1).Page(2), "acceptance-other"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			found := keys(ok(t, 200, test.request.Execute).Results, func(m api.NotificationWebhookMapping) string { return m.Name })
			same(t, strings.Join(found, " "), test.want)
		})
	}

	put := ok(t, 200, c.PropertymappingsApi.PropertymappingsNotificationUpdate(t.Context(), made.Pk).NotificationWebhookMappingRequest(
		api.NotificationWebhookMappingRequest{Name: "acceptance-renamed", Expression: "return 2"}).Execute)
	made.Name, made.Expression = "acceptance-renamed", "return 2"
	same(t, put, made)
	patched := ok(t, 200, c.PropertymappingsApi.PropertymappingsNotificationPartialUpdate(t.Context(), made.Pk).
		PatchedNotificationWebhookMappingRequest(api.PatchedNotificationWebhookMappingRequest{Expression: api.PtrString("return 3")}).Execute)
	made.Expression = "return 3"
	same(t, patched, made)
	no(t, 400, `{"name":["Webhook Mapping with this name already exists."]}`, c.PropertymappingsApi.PropertymappingsNotificationCreate(t.Context()).
		NotificationWebhookMappingRequest(api.NotificationWebhookMappingRequest{Name: "acceptance-other", Expression: "return 1"}).Execute)

	hook := transport(t, c, api.NotificationTransportRequest{Name: "acceptance-hook", WebhookMapping: maybe(made.Pk)})
	same(t, hook.WebhookMapping.Get(), &made.Pk)
	same(t, ok(t, 200, c.PropertymappingsApi.PropertymappingsNotificationUsedByList(t.Context(), made.Pk).Execute), []api.UsedBy{{
		App: "authentik_events", ModelName: "notificationtransport", Pk: hook.Pk,
		Name: "Notification Transport acceptance-hook", Action: api.USEDBYACTIONENUM_SET_DEFAULT}})
	unknown := uuid.NewString()
	no(t, 400, `{"webhook_mapping":["Invalid pk \"`+unknown+`\" - object does not exist."]}`, c.EventsApi.EventsTransportsCreate(t.Context()).
		NotificationTransportRequest(api.NotificationTransportRequest{Name: "x", WebhookMapping: maybe(unknown)}).Execute)
	done(t, 204, c.PropertymappingsApi.PropertymappingsNotificationDestroy(t.Context(), made.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.PropertymappingsApi.PropertymappingsNotificationRetrieve(t.Context(), made.Pk).Execute)
	same(t, ok(t, 200, c.EventsApi.EventsTransportsRetrieve(t.Context(), hook.Pk).Execute).WebhookMapping.Get(), (*string)(nil))
}

func TestExpressionPolicies(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	create := func(name, expression string) *api.ExpressionPolicy {
		t.Helper()
		return ok(t, 201, c.PoliciesApi.PoliciesExpressionCreate(t.Context()).ExpressionPolicyRequest(
			api.ExpressionPolicyRequest{Name: name, Expression: expression}).Execute)
	}
	made := create("acceptance-office", "return True")
	same(t, []any{made.Name, made.Expression, *made.ExecutionLogging, made.Component, made.VerboseName, made.MetaModelName, made.BoundTo},
		[]any{"acceptance-office", "return True", false, "ak-policy-expression-form", "Expression Policy",
			"authentik_policies_expression.expressionpolicy", int32(0)})
	same(t, ok(t, 200, c.PoliciesApi.PoliciesExpressionRetrieve(t.Context(), made.Pk).Execute), made)
	create("acceptance-other", "return 1")

	list := func() api.ApiPoliciesExpressionListRequest { return c.PoliciesApi.PoliciesExpressionList(t.Context()) }
	for _, test := range []struct {
		filter  string
		request api.ApiPoliciesExpressionListRequest
		want    string
	}{
		{"all", list(), "acceptance-office acceptance-other"},
		{"name", list().Name("acceptance-office"), "acceptance-office"},
		{"expression", list().Expression("return 1"), "acceptance-other"},
		{"execution_logging", list().ExecutionLogging(true), ""},
		{"policy_uuid", list().PolicyUuid(made.Pk), "acceptance-office"},
		{"search", list().Search("OTHER"), "acceptance-other"},
		{"ordering", list().Ordering("-name"), "acceptance-other acceptance-office"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			found := keys(ok(t, 200, test.request.Execute).Results, func(p api.ExpressionPolicy) string { return p.Name })
			same(t, strings.Join(found, " "), test.want)
		})
	}

	put := ok(t, 200, c.PoliciesApi.PoliciesExpressionUpdate(t.Context(), made.Pk).ExpressionPolicyRequest(
		api.ExpressionPolicyRequest{Name: "acceptance-renamed", Expression: "return 2"}).Execute)
	made.Name, made.Expression = "acceptance-renamed", "return 2"
	same(t, put, made)
	patched := ok(t, 200, c.PoliciesApi.PoliciesExpressionPartialUpdate(t.Context(), made.Pk).PatchedExpressionPolicyRequest(
		api.PatchedExpressionPolicyRequest{ExecutionLogging: api.PtrBool(true)}).Execute)
	made.ExecutionLogging = api.PtrBool(true)
	same(t, patched, made)
	no(t, 400, `{"name":["Expression Policy with this name already exists."]}`, c.PoliciesApi.PoliciesExpressionCreate(t.Context()).
		ExpressionPolicyRequest(api.ExpressionPolicyRequest{Name: "acceptance-other", Expression: "return 1"}).Execute)

	target := rule(t, c, api.NotificationRuleRequest{Name: "acceptance-rule"})
	bound := binding(t, c, api.PolicyBindingRequest{Target: target.Pk, Policy: maybe(made.Pk), Order: 0})
	same(t, bound.PolicyObj.MetaModelName, "authentik_policies_expression.expressionpolicy")
	used := ok(t, 200, c.PoliciesApi.PoliciesExpressionUsedByList(t.Context(), made.Pk).Execute)
	same(t, keys(used, func(u api.UsedBy) string { return u.ModelName + " " + u.Pk }), []string{"policybinding " + bound.Pk})
	done(t, 204, c.PoliciesApi.PoliciesExpressionDestroy(t.Context(), made.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.PoliciesApi.PoliciesExpressionRetrieve(t.Context(), made.Pk).Execute)
	no(t, 404, "", c.PoliciesApi.PoliciesBindingsRetrieve(t.Context(), bound.Pk).Execute)
}

func TestPoliciesOfAllKinds(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	action := api.EVENTACTIONS_LOGIN
	made := matcher(t, c, api.EventMatcherPolicyRequest{Name: "acceptance-login", Action: *api.NewNullableEventActions(&action)})
	expression := ok(t, 201, c.PoliciesApi.PoliciesExpressionCreate(t.Context()).ExpressionPolicyRequest(
		api.ExpressionPolicyRequest{Name: "acceptance-office", Expression: "return True"}).Execute)
	found := ok(t, 200, c.PoliciesApi.PoliciesAllList(t.Context()).Search("acceptance").BindingsIsnull(true).PromptstageIsnull(true).Execute)
	same(t, keys(found.Results, func(p api.Policy) string { return p.Name + " " + p.Component }),
		[]string{"acceptance-login ak-policy-event-matcher-form", "acceptance-office ak-policy-expression-form"})
	same(t, ok(t, 200, c.PoliciesApi.PoliciesAllRetrieve(t.Context(), made.Pk).Execute).VerboseNamePlural, "Event Matcher Policies")
	same(t, len(ok(t, 200, c.PoliciesApi.PoliciesAllUsedByList(t.Context(), made.Pk).Execute)), 0)
	types := ok(t, 200, c.PoliciesApi.PoliciesAllTypesList(t.Context()).Execute)
	same(t, keys(types, func(p api.TypeCreate) string { return p.Name + " " + p.ModelName }),
		[]string{"Event Matcher Policy eventmatcherpolicy", "Expression Policy expressionpolicy"})
	same(t, ok(t, 200, c.PoliciesApi.PoliciesAllCacheInfoRetrieve(t.Context()).Execute).Count, int32(0))
	done(t, 204, c.PoliciesApi.PoliciesAllCacheClearCreate(t.Context()).Execute)

	test := func(policy string, context object) *api.PolicyTestResult {
		t.Helper()
		return ok(t, 200, c.PoliciesApi.PoliciesAllTestCreate(t.Context(), policy).PolicyTestRequest(
			api.PolicyTestRequest{User: 1, Context: context}).Execute)
	}
	same(t, test(made.Pk, object{"event": object{"action": "login"}}).Passing, true)
	same(t, test(made.Pk, object{"event": object{"action": "logout"}}).Messages, []string{"Action did not match."})
	same(t, test(made.Pk, nil).Passing, false)
	same(t, test(expression.Pk, nil).Passing, true)

	done(t, 204, c.PoliciesApi.PoliciesAllDestroy(t.Context(), expression.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.PoliciesApi.PoliciesAllRetrieve(t.Context(), expression.Pk).Execute)
}
