package acceptance

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	api "goauthentik.io/api/v3"
)

func rule(t *testing.T, c *api.APIClient, sent api.NotificationRuleRequest) *api.NotificationRule {
	t.Helper()
	return ok(t, 201, c.EventsApi.EventsRulesCreate(t.Context()).NotificationRuleRequest(sent).Execute)
}

func transport(t *testing.T, c *api.APIClient, sent api.NotificationTransportRequest) *api.NotificationTransport {
	t.Helper()
	return ok(t, 201, c.EventsApi.EventsTransportsCreate(t.Context()).NotificationTransportRequest(sent).Execute)
}

func matcher(t *testing.T, c *api.APIClient, sent api.EventMatcherPolicyRequest) *api.EventMatcherPolicy {
	t.Helper()
	return ok(t, 201, c.PoliciesApi.PoliciesEventMatcherCreate(t.Context()).EventMatcherPolicyRequest(sent).Execute)
}

func binding(t *testing.T, c *api.APIClient, sent api.PolicyBindingRequest) *api.PolicyBinding {
	t.Helper()
	return ok(t, 201, c.PoliciesApi.PoliciesBindingsCreate(t.Context()).PolicyBindingRequest(sent).Execute)
}

func group(t *testing.T, c *api.APIClient, sent api.GroupRequest) *api.Group {
	t.Helper()
	return ok(t, 201, c.CoreApi.CoreGroupsCreate(t.Context()).GroupRequest(sent).Execute)
}

func maybe(value string) api.NullableString { return *api.NewNullableString(&value) }

func TestNewDatabaseHasTheDefaults(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	rules := ok(t, 200, c.EventsApi.EventsRulesList(t.Context()).Execute).Results
	same(t, keys(rules, func(r api.NotificationRule) string { return r.Name }),
		[]string{"default-notify-configuration-error", "default-notify-exception", "default-notify-update"})
	for _, r := range rules {
		same(t, r.GroupObj.Name, "authentik Admins")
		same(t, *r.Severity, api.SEVERITYENUM_ALERT)
		same(t, len(r.Transports), 2)
	}
	transports := ok(t, 200, c.EventsApi.EventsTransportsList(t.Context()).Execute).Results
	same(t, keys(transports, func(r api.NotificationTransport) string { return r.Name + " " + r.ModeVerbose }),
		[]string{"default-email-transport Email", "default-local-transport authentik inbuilt notifications"})
	matchers := ok(t, 200, c.PoliciesApi.PoliciesEventMatcherList(t.Context()).Execute).Results
	same(t, keys(matchers, func(m api.EventMatcherPolicy) string { return m.Name + " " + string(*m.Action.Get()) }), []string{
		"default-match-configuration-error configuration_error", "default-match-policy-exception policy_exception",
		"default-match-property-mapping-exception property_mapping_exception", "default-match-update update_available"})
	same(t, len(ok(t, 200, c.PoliciesApi.PoliciesBindingsList(t.Context()).Execute).Results), 4)
}

func TestRules(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	crew := group(t, c, api.GroupRequest{Name: "crew"})
	local := transport(t, c, api.NotificationTransportRequest{Name: "acceptance-local"})
	warning, notice := api.SEVERITYENUM_WARNING, api.SEVERITYENUM_NOTICE
	made := rule(t, c, api.NotificationRuleRequest{Name: "acceptance-rule", Severity: &warning,
		Transports: []string{local.Pk}, Group: maybe(crew.Pk)})
	same(t, made.Name, "acceptance-rule")
	same(t, *made.Severity, warning)
	same(t, made.Transports, []string{local.Pk})
	same(t, made.Group.Get(), &crew.Pk)
	same(t, made.GroupObj, *crew)
	same(t, ok(t, 200, c.EventsApi.EventsRulesRetrieve(t.Context(), made.Pk).Execute), made)

	plain := rule(t, c, api.NotificationRuleRequest{Name: "acceptance-plain"})
	same(t, *plain.Severity, notice)
	same(t, plain.Group.Get(), (*string)(nil))
	same(t, plain.Transports, []string{})

	list := func() api.ApiEventsRulesListRequest { return c.EventsApi.EventsRulesList(t.Context()) }
	for _, test := range []struct {
		filter  string
		request api.ApiEventsRulesListRequest
		want    string
	}{
		{"name", list().Name("acceptance-rule"), "acceptance-rule"},
		{"name is whole and minds the case", list().Name("Acceptance-rule"), ""},
		{"severity", list().Severity("warning"), "acceptance-rule"},
		{"group__name", list().GroupName("crew"), "acceptance-rule"},
		{"search", list().Search("ACCEPTANCE"), "acceptance-plain acceptance-rule"},
		{"search in the group's name", list().Search("crew"), "acceptance-rule"},
		{"ordering", list().Search("acceptance").Ordering("-name"), "acceptance-rule acceptance-plain"},
		{"page", list().Search("acceptance").PageSize(1).Page(2), "acceptance-rule"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			found := keys(ok(t, 200, test.request.Execute).Results, func(r api.NotificationRule) string { return r.Name })
			same(t, strings.Join(found, " "), test.want)
		})
	}

	put := ok(t, 200, c.EventsApi.EventsRulesUpdate(t.Context(), made.Pk).NotificationRuleRequest(
		api.NotificationRuleRequest{Name: "acceptance-renamed"}).Execute)
	made.Name = "acceptance-renamed"
	same(t, put, made) // what a PUT leaves out stays
	patched := ok(t, 200, c.EventsApi.EventsRulesPartialUpdate(t.Context(), made.Pk).PatchedNotificationRuleRequest(
		api.PatchedNotificationRuleRequest{Severity: &notice, Group: *api.NewNullableString(nil)}).Execute)
	same(t, *patched.Severity, notice)
	same(t, patched.Group.Get(), (*string)(nil))
	same(t, patched.GroupObj, api.Group{})
	same(t, patched.Transports, made.Transports)

	bound := binding(t, c, api.PolicyBindingRequest{Target: made.Pk, Group: maybe(crew.Pk), Order: 3})
	used := ok(t, 200, c.EventsApi.EventsRulesUsedByList(t.Context(), made.Pk).Execute)
	has(t, keys(used, func(u api.UsedBy) string { return u.App + "." + u.ModelName + " " + u.Pk + " " + string(u.Action) }),
		"authentik_policies.policybinding "+bound.Pk+" cascade")

	no(t, 400, `{"name":["Notification Rule with this name already exists."]}`, c.EventsApi.EventsRulesCreate(t.Context()).
		NotificationRuleRequest(api.NotificationRuleRequest{Name: "acceptance-plain"}).Execute)
	unknown := uuid.NewString()
	no(t, 400, `{"transports":["Invalid pk \"`+unknown+`\" - object does not exist."],"group":["Invalid pk \"`+unknown+`\" - object does not exist."]}`,
		c.EventsApi.EventsRulesCreate(t.Context()).NotificationRuleRequest(
			api.NotificationRuleRequest{Name: "x", Transports: []string{unknown}, Group: maybe(unknown)}).Execute)

	done(t, 204, c.EventsApi.EventsRulesDestroy(t.Context(), made.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.EventsApi.EventsRulesRetrieve(t.Context(), made.Pk).Execute)
	no(t, 404, "", c.PoliciesApi.PoliciesBindingsRetrieve(t.Context(), bound.Pk).Execute)
	ok(t, 200, c.EventsApi.EventsTransportsRetrieve(t.Context(), local.Pk).Execute)
}

func TestTransports(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	slack, local := api.NOTIFICATIONTRANSPORTMODEENUM_WEBHOOK_SLACK, api.NOTIFICATIONTRANSPORTMODEENUM_LOCAL
	made := transport(t, c, api.NotificationTransportRequest{Name: "acceptance-slack", Mode: &slack,
		WebhookUrl: api.PtrString("https://discord.com/...."), SendOnce: api.PtrBool(true)})
	same(t, *made.Mode, slack)
	same(t, made.ModeVerbose, "Slack Webhook (Slack/Discord)")
	same(t, *made.WebhookUrl, "https://discord.com/....")
	same(t, *made.SendOnce, true)
	same(t, made.WebhookMapping.Get(), (*string)(nil))
	same(t, ok(t, 200, c.EventsApi.EventsTransportsRetrieve(t.Context(), made.Pk).Execute), made)
	plain := transport(t, c, api.NotificationTransportRequest{Name: "acceptance-plain"})
	same(t, *plain.Mode, local)
	same(t, *plain.WebhookUrl, "")
	same(t, *plain.SendOnce, false)

	list := func() api.ApiEventsTransportsListRequest { return c.EventsApi.EventsTransportsList(t.Context()) }
	for _, test := range []struct {
		filter  string
		request api.ApiEventsTransportsListRequest
		want    string
	}{
		{"name", list().Name("acceptance-plain"), "acceptance-plain"},
		{"mode", list().Mode("webhook_slack"), "acceptance-slack"},
		{"webhook_url", list().WebhookUrl("https://discord.com/...."), "acceptance-slack"},
		{"send_once", list().SendOnce(true), "acceptance-slack"},
		{"search", list().Search("acceptance"), "acceptance-plain acceptance-slack"},
		{"search in the address", list().Search("discord"), "acceptance-slack"},
		{"ordering", list().Search("acceptance").Ordering("-name"), "acceptance-slack acceptance-plain"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			found := keys(ok(t, 200, test.request.Execute).Results, func(r api.NotificationTransport) string { return r.Name })
			same(t, strings.Join(found, " "), test.want)
		})
	}

	put := ok(t, 200, c.EventsApi.EventsTransportsUpdate(t.Context(), made.Pk).NotificationTransportRequest(
		api.NotificationTransportRequest{Name: "acceptance-renamed"}).Execute)
	made.Name = "acceptance-renamed"
	same(t, put, made)
	patched := ok(t, 200, c.EventsApi.EventsTransportsPartialUpdate(t.Context(), made.Pk).PatchedNotificationTransportRequest(
		api.PatchedNotificationTransportRequest{Mode: &local, SendOnce: api.PtrBool(false)}).Execute)
	same(t, []any{*patched.Mode, *patched.SendOnce, *patched.WebhookUrl}, []any{local, false, "https://discord.com/...."})
	no(t, 400, `{"webhook_url":["Webhook URL may not be empty."]}`, c.EventsApi.EventsTransportsPartialUpdate(t.Context(), made.Pk).
		PatchedNotificationTransportRequest(api.PatchedNotificationTransportRequest{Mode: &slack}).Execute)
	no(t, 400, `{"name":["Notification Transport with this name already exists."]}`, c.EventsApi.EventsTransportsCreate(t.Context()).
		NotificationTransportRequest(api.NotificationTransportRequest{Name: "acceptance-plain"}).Execute)

	user := rule(t, c, api.NotificationRuleRequest{Name: "acceptance-rule", Transports: []string{made.Pk}})
	same(t, ok(t, 200, c.EventsApi.EventsTransportsUsedByList(t.Context(), made.Pk).Execute), []api.UsedBy{{
		App: "authentik_events", ModelName: "notificationrule", Pk: user.Pk,
		Name: "Notification Rule acceptance-rule", Action: api.USEDBYACTIONENUM_CASCADE_MANY}})
	done(t, 204, c.EventsApi.EventsTransportsDestroy(t.Context(), made.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.EventsApi.EventsTransportsRetrieve(t.Context(), made.Pk).Execute)
	same(t, ok(t, 200, c.EventsApi.EventsRulesRetrieve(t.Context(), user.Pk).Execute).Transports, []string{})
}

func TestEventMatchers(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	action, app, model := api.EVENTACTIONS_LOGIN, api.APPENUM_CORE, api.MODELENUM_CORE_USER
	made := matcher(t, c, api.EventMatcherPolicyRequest{Name: "acceptance-all", ExecutionLogging: api.PtrBool(true),
		Action: *api.NewNullableEventActions(&action), ClientIp: maybe("192.0.2.1"),
		App: *api.NewNullableAppEnum(&app), Model: *api.NewNullableModelEnum(&model)})
	same(t, []any{*made.ExecutionLogging, *made.Action.Get(), *made.ClientIp.Get(), *made.App.Get(), *made.Model.Get()},
		[]any{true, action, "192.0.2.1", app, model})
	same(t, []any{made.Component, made.VerboseName, made.VerboseNamePlural, made.MetaModelName, made.BoundTo},
		[]any{"ak-policy-event-matcher-form", "Event Matcher Policy", "Event Matcher Policies",
			"authentik_policies_event_matcher.eventmatcherpolicy", int32(0)})
	same(t, ok(t, 200, c.PoliciesApi.PoliciesEventMatcherRetrieve(t.Context(), made.Pk).Execute), made)
	plain := matcher(t, c, api.EventMatcherPolicyRequest{Name: "acceptance-any"})
	same(t, []bool{plain.Action.Get() == nil, plain.ClientIp.Get() == nil, plain.App.Get() == nil, plain.Model.Get() == nil,
		!*plain.ExecutionLogging}, []bool{true, true, true, true, true})

	list := func() api.ApiPoliciesEventMatcherListRequest {
		return c.PoliciesApi.PoliciesEventMatcherList(t.Context())
	}
	for _, test := range []struct {
		filter  string
		request api.ApiPoliciesEventMatcherListRequest
		want    string
	}{
		{"name", list().Name("acceptance-any"), "acceptance-any"},
		{"action", list().Action("login"), "acceptance-all"},
		{"client_ip", list().ClientIp("192.0.2.1"), "acceptance-all"},
		{"app", list().App("authentik.core"), "acceptance-all"},
		{"model", list().Model("authentik_core.user"), "acceptance-all"},
		{"execution_logging", list().ExecutionLogging(true), "acceptance-all"},
		{"policy_uuid", list().PolicyUuid(plain.Pk), "acceptance-any"},
		{"search", list().Search("ACCEPTANCE"), "acceptance-all acceptance-any"},
		{"ordering", list().Search("acceptance").Ordering("-name"), "acceptance-any acceptance-all"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			found := keys(ok(t, 200, test.request.Execute).Results, func(r api.EventMatcherPolicy) string { return r.Name })
			same(t, strings.Join(found, " "), test.want)
		})
	}

	put := ok(t, 200, c.PoliciesApi.PoliciesEventMatcherUpdate(t.Context(), made.Pk).EventMatcherPolicyRequest(
		api.EventMatcherPolicyRequest{Name: "acceptance-renamed", ClientIp: *api.NewNullableString(nil)}).Execute)
	made.Name, made.ClientIp = "acceptance-renamed", *api.NewNullableString(nil)
	same(t, put, made)
	patched := ok(t, 200, c.PoliciesApi.PoliciesEventMatcherPartialUpdate(t.Context(), made.Pk).PatchedEventMatcherPolicyRequest(
		api.PatchedEventMatcherPolicyRequest{ExecutionLogging: api.PtrBool(false), Action: *api.NewNullableEventActions(nil)}).Execute)
	made.ExecutionLogging, made.Action = api.PtrBool(false), *api.NewNullableEventActions(nil)
	same(t, patched, made)
	no(t, 400, `{"name":["Event Matcher Policy with this name already exists."]}`, c.PoliciesApi.PoliciesEventMatcherCreate(t.Context()).
		EventMatcherPolicyRequest(api.EventMatcherPolicyRequest{Name: "acceptance-any"}).Execute)

	target := rule(t, c, api.NotificationRuleRequest{Name: "acceptance-rule"})
	bound := binding(t, c, api.PolicyBindingRequest{Target: target.Pk, Policy: maybe(made.Pk), Order: 0})
	same(t, ok(t, 200, c.PoliciesApi.PoliciesEventMatcherRetrieve(t.Context(), made.Pk).Execute).BoundTo, int32(1))
	used := ok(t, 200, c.PoliciesApi.PoliciesEventMatcherUsedByList(t.Context(), made.Pk).Execute)
	has(t, keys(used, func(u api.UsedBy) string { return u.ModelName + " " + u.Pk + " " + string(u.Action) }),
		"policybinding "+bound.Pk+" cascade")
	done(t, 204, c.PoliciesApi.PoliciesEventMatcherDestroy(t.Context(), made.Pk).Execute)
	no(t, 404, "", c.PoliciesApi.PoliciesEventMatcherRetrieve(t.Context(), made.Pk).Execute)
	no(t, 404, "", c.PoliciesApi.PoliciesBindingsRetrieve(t.Context(), bound.Pk).Execute)
}

func TestBindings(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	crew := group(t, c, api.GroupRequest{Name: "crew"})
	ada, _ := user(t, s, "ada")
	policy := matcher(t, c, api.EventMatcherPolicyRequest{Name: "acceptance-any"})
	target := rule(t, c, api.NotificationRuleRequest{Name: "acceptance-rule"})
	made := binding(t, c, api.PolicyBindingRequest{Target: target.Pk, Policy: maybe(policy.Pk), Order: 7})
	same(t, []any{made.Target, *made.Policy.Get(), made.Group.Get(), made.User.Get(), made.Order, *made.Enabled, *made.Negate, *made.Timeout, *made.FailureResult},
		[]any{target.Pk, policy.Pk, (*string)(nil), (*int32)(nil), int32(7), true, false, int32(30), false})
	same(t, made.PolicyObj.Name, "acceptance-any")
	same(t, ok(t, 200, c.PoliciesApi.PoliciesBindingsRetrieve(t.Context(), made.Pk).Execute), made)
	byGroup := binding(t, c, api.PolicyBindingRequest{Target: target.Pk, Group: maybe(crew.Pk), Order: 2, Enabled: api.PtrBool(false)})
	same(t, byGroup.GroupObj, *ok(t, 200, c.CoreApi.CoreGroupsRetrieve(t.Context(), crew.Pk).Execute))
	byUser := binding(t, c, api.PolicyBindingRequest{Target: target.Pk, User: *api.NewNullableInt32(&ada.Pk), Order: 1, Timeout: api.PtrInt32(5)})
	same(t, byUser.UserObj.Username, "ada")

	names := map[string]string{made.Pk: "policy", byGroup.Pk: "group", byUser.Pk: "user"}
	list := func() api.ApiPoliciesBindingsListRequest {
		return c.PoliciesApi.PoliciesBindingsList(t.Context()).Target(target.Pk)
	}
	for _, test := range []struct {
		filter  string
		request api.ApiPoliciesBindingsListRequest
		want    string
	}{
		{"target", list(), "user group policy"},
		{"target_in", c.PoliciesApi.PoliciesBindingsList(t.Context()).TargetIn([]string{uuid.NewString(), target.Pk}), "user group policy"},
		{"policy", list().Policy(policy.Pk), "policy"},
		{"policy__isnull", list().PolicyIsnull(true), "user group"},
		{"enabled", list().Enabled(false), "group"},
		{"order", list().Order(7), "policy"},
		{"timeout", list().Timeout(5), "user"},
		{"search", list().Search("acceptance-any"), "policy"},
		{"ordering", list().Ordering("-order"), "policy group user"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			found := keys(ok(t, 200, test.request.Execute).Results, func(b api.PolicyBinding) string { return names[b.Pk] })
			same(t, strings.Join(found, " "), test.want)
		})
	}

	put := ok(t, 200, c.PoliciesApi.PoliciesBindingsUpdate(t.Context(), made.Pk).PolicyBindingRequest(
		api.PolicyBindingRequest{Target: target.Pk, Policy: maybe(policy.Pk), Order: 8}).Execute)
	made.Order = 8
	same(t, put, made)
	patched := ok(t, 200, c.PoliciesApi.PoliciesBindingsPartialUpdate(t.Context(), made.Pk).PatchedPolicyBindingRequest(
		api.PatchedPolicyBindingRequest{Policy: maybe(policy.Pk), Negate: api.PtrBool(true)}).Execute)
	made.Negate = api.PtrBool(true)
	same(t, patched, made)

	create := func(sent api.PolicyBindingRequest) func(string) {
		return func(body string) {
			t.Helper()
			no(t, 400, body, c.PoliciesApi.PoliciesBindingsCreate(t.Context()).PolicyBindingRequest(sent).Execute)
		}
	}
	create(api.PolicyBindingRequest{Target: target.Pk, Order: 9})(`{"non_field_errors":["One of 'policy', 'group' or 'user' must be set."]}`)
	create(api.PolicyBindingRequest{Target: target.Pk, Order: 9, Policy: maybe(policy.Pk), Group: maybe(crew.Pk)})(
		`{"non_field_errors":["Only one of 'policy', 'group' or 'user' can be set."]}`)
	create(api.PolicyBindingRequest{Target: target.Pk, Order: 8, Policy: maybe(policy.Pk)})(
		`{"non_field_errors":["The fields policy, target, order must make a unique set."]}`)
	unknown := uuid.NewString()
	create(api.PolicyBindingRequest{Target: unknown, Order: 1, Policy: maybe(policy.Pk)})(
		`{"target":["Invalid pk \"` + unknown + `\" - object does not exist."]}`)

	same(t, len(ok(t, 200, c.PoliciesApi.PoliciesBindingsUsedByList(t.Context(), made.Pk).Execute)), 0)
	done(t, 204, c.PoliciesApi.PoliciesBindingsDestroy(t.Context(), made.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.PoliciesApi.PoliciesBindingsRetrieve(t.Context(), made.Pk).Execute)
}

func TestRuleDecidesWhoIsNotified(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	crew := group(t, c, api.GroupRequest{Name: "crew"})
	ada, hers := user(t, s, "ada", crew.Pk)
	_, his := user(t, s, "bob")
	action := api.EVENTACTIONS_SECRET_ROTATE
	policy := matcher(t, c, api.EventMatcherPolicyRequest{Name: "acceptance-rotate", Action: *api.NewNullableEventActions(&action)})
	target := rule(t, c, api.NotificationRuleRequest{Name: "acceptance-rule", Group: maybe(crew.Pk)}) // no transport: inbox
	binding(t, c, api.PolicyBindingRequest{Target: target.Pk, Policy: maybe(policy.Pk), Order: 0})

	event := post(t, c, api.EventRequest{Action: action, App: "acceptance", User: object{"username": "ada", "pk": ada.Pk}})
	inbox := func(c *api.APIClient) int {
		return len(ok(t, 200, c.EventsApi.EventsNotificationsList(t.Context()).Execute).Results)
	}
	same(t, []int{inbox(hers), inbox(his)}, []int{1, 0})
	got := ok(t, 200, hers.EventsApi.EventsNotificationsList(t.Context()).Execute).Results[0]
	same(t, got.Event.Pk, event.Pk)
	same(t, got.Severity, api.SEVERITYENUM_NOTICE)

	post(t, c, api.EventRequest{Action: api.EVENTACTIONS_SECRET_VIEW, App: "acceptance"})
	same(t, []int{inbox(hers), inbox(his)}, []int{1, 0})
}
