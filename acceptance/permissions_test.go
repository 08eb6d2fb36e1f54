package acceptance

import (
	"testing"

	api "goauthentik.io/api/v3"
)

const forbidden = `{"detail":"You do not have permission to perform this action."}`

func TestPlainUserSeesOnlyItsInbox(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	foreign := notice(t, c, "for akadmin only")
	_, plain := user(t, s, "ada")

	me := ok(t, 200, plain.CoreApi.CoreUsersMeRetrieve(t.Context()).Execute).User
	same(t, me.Username, "ada")
	ok(t, 200, plain.EventsApi.EventsEventsActionsList(t.Context()).Execute)
	ok(t, 200, plain.RootApi.RootConfigRetrieve(t.Context()).Execute)
	ok(t, 200, plain.AdminApi.AdminVersionRetrieve(t.Context()).Execute)
	same(t, len(ok(t, 200, plain.EventsApi.EventsNotificationsList(t.Context()).Execute).Results), 0)
	mine := ok(t, 200, plain.CoreApi.CoreTokensList(t.Context()).Execute).Results
	same(t, keys(mine, func(t api.Token) string { return t.Identifier }), []string{"token-of-ada"})

	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
		for _, path := range []string{
			"/events/events/" + foreign.Event.Pk + "/", "/events/rules/" + foreign.Pk + "/",
			"/events/transports/" + foreign.Pk + "/", "/policies/event_matcher/" + foreign.Pk + "/",
			"/policies/bindings/" + foreign.Pk + "/", "/core/groups/" + foreign.Pk + "/", "/core/users/1/",
		} {
			refuses(t, plain, method, path, 403, forbidden)
		}
		refuses(t, plain, method, "/events/notifications/"+foreign.Pk+"/", 404, `{"detail":"Not found."}`)
	}
	for _, path := range []string{
		"/events/events/", "/events/events/top_per_user/", "/events/events/volume/", "/events/events/per_month/",
		"/events/rules/", "/events/transports/", "/policies/event_matcher/", "/policies/bindings/",
		"/core/users/", "/core/groups/",
	} {
		refuses(t, plain, "GET", path, 403, forbidden)
	}
	for _, path := range []string{
		"/events/events/", "/events/rules/", "/events/transports/", "/policies/event_matcher/",
		"/policies/bindings/", "/core/users/", "/core/groups/", "/core/groups/" + foreign.Pk + "/add_user/", "/core/users/1/set_password/",
	} {
		refuses(t, plain, "POST", path, 403, forbidden)
	}
	refuses(t, plain, "GET", "/events/notifications/"+foreign.Pk+"/used_by/", 404, `{"detail":"Not found."}`)
	done(t, 204, plain.EventsApi.EventsNotificationsMarkAllSeenCreate(t.Context()).Execute)
	same(t, *ok(t, 200, c.EventsApi.EventsNotificationsRetrieve(t.Context(), foreign.Pk).Execute), foreign)
}

func refuses(t *testing.T, c *api.APIClient, method, path string, status int, body string) {
	t.Helper()
	t.Run(method+" "+path, func(t *testing.T) {
		t.Helper()
		var sent any
		if method != "GET" && method != "DELETE" {
			sent = object{}
		}
		call(t, outside(t.Context()), c, method, path, sent).is(t, status, body)
	})
}

func TestOwnerOfANotificationCannotChangeItsEvent(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	crew := group(t, c, api.GroupRequest{Name: "crew"})
	_, owner := user(t, s, "ada", crew.Pk)
	action := api.EVENTACTIONS_SECRET_ROTATE
	policy := matcher(t, c, api.EventMatcherPolicyRequest{Name: "acceptance-rotate", Action: *api.NewNullableEventActions(&action)})
	target := rule(t, c, api.NotificationRuleRequest{Name: "acceptance-rule", Group: maybe(crew.Pk)})
	binding(t, c, api.PolicyBindingRequest{Target: target.Pk, Policy: maybe(policy.Pk), Order: 0})
	post(t, c, api.EventRequest{Action: action, App: "acceptance"})
	list := ok(t, 200, owner.EventsApi.EventsNotificationsList(t.Context()).Execute).Results
	same(t, len(list), 1)
	n := list[0]
	path := "/events/notifications/" + n.Pk + "/"
	for _, method := range []string{"PUT", "PATCH"} {
		for _, body := range []string{`{"seen":true,"event":{"action":"login","app":"x"}}`, `{"seen":true,"event":{}}`, `{"event":null}`} {
			call(t, outside(t.Context()), owner, method, path, body).is(t, 403, forbidden)
		}
	}
	same(t, *ok(t, 200, owner.EventsApi.EventsNotificationsRetrieve(t.Context(), n.Pk).Execute), n) // nothing was applied
	n.Seen = api.PtrBool(true)
	same(t, *ok(t, 200, owner.EventsApi.EventsNotificationsPartialUpdate(t.Context(), n.Pk).PatchedNotificationRequest(
		api.PatchedNotificationRequest{Seen: n.Seen}).Execute), n)
	done(t, 204, owner.EventsApi.EventsNotificationsDestroy(t.Context(), n.Pk).Execute)
}

func TestCallerMustBeKnown(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, test := range []struct{ header, body string }{
		{"", `{"detail":"Authentication credentials were not provided."}`},
		{"Bearer", `{"detail":"Authentication credentials were not provided."}`},
		{"Basic YTpi", `{"detail":"Unsupported authentication type"}`},
		{"Bearer " + adminToken + "x", `{"detail":"Token invalid/expired"}`},
	} {
		t.Run(test.header, func(t *testing.T) {
			c := s.client("")
			c.GetConfig().DefaultHeader["Authorization"] = test.header
			if test.header == "" {
				delete(c.GetConfig().DefaultHeader, "Authorization")
			}
			no(t, 403, test.body, c.EventsApi.EventsEventsList(t.Context()).Execute)
			// who is not known learns nothing of what exists
			call(t, outside(t.Context()), c, "GET", "/core/users/4711/", nil).is(t, 403, test.body)
			call(t, outside(t.Context()), c, "POST", "/events/events/", `{"`).is(t, 403, test.body)
		})
	}
}
