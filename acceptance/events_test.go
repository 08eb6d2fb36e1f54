package acceptance

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	api "goauthentik.io/api/v3"
)

// object is a JSON object, as the client takes it.
type object = map[string]any

func post(t *testing.T, c *api.APIClient, event api.EventRequest) *api.Event {
	t.Helper()
	return ok(t, http.StatusCreated, c.EventsApi.EventsEventsCreate(t.Context()).EventRequest(event).Execute)
}

func TestEventKeepsWhatWasPostedAndChangesOnlyWhatIsSent(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	expires := time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC)
	sent := api.EventRequest{
		User:   object{"pk": 7.0, "username": "ada", "email": "ada@example.com"},
		Action: api.EVENTACTIONS_AUTHORIZE_APPLICATION, App: "acceptance.events",
		Context:  object{"message": "Grüße <b>&amp;</b> \u2028 😀", "list": []any{1.5, "x", nil, false, object{}}},
		ClientIp: *api.NewNullableString(api.PtrString("2001:0DB8::0001")), Expires: &expires,
		Brand: object{"name": "acceptance brand"},
	}
	made := post(t, c, sent)
	same(t, made.User, sent.User)
	same(t, made.Context, sent.Context)
	same(t, made.Brand, sent.Brand)
	same(t, made.Action, sent.Action)
	same(t, made.App, sent.App)
	same(t, made.ClientIp.Get(), api.PtrString("2001:db8::1"))
	same(t, made.Expires.UTC(), expires)
	if age := time.Since(made.Created); age < -time.Minute || age > time.Minute {
		t.Errorf("created %v is not now", made.Created)
	}
	same(t, ok(t, 200, c.EventsApi.EventsEventsRetrieve(t.Context(), made.Pk).Execute), made)

	put := ok(t, 200, c.EventsApi.EventsEventsUpdate(t.Context(), made.Pk).EventRequest(api.EventRequest{
		Action: api.EVENTACTIONS_LOGIN, App: "acceptance.put", Context: object{"only": "this"},
	}).Execute)
	want := *made
	want.Action, want.App, want.Context = api.EVENTACTIONS_LOGIN, "acceptance.put", object{"only": "this"}
	same(t, *put, want) // what a PUT leaves out stays

	patched := ok(t, 200, c.EventsApi.EventsEventsPartialUpdate(t.Context(), made.Pk).PatchedEventRequest(
		api.PatchedEventRequest{ClientIp: *api.NewNullableString(nil)}).Execute)
	want.ClientIp = *api.NewNullableString(nil)
	same(t, *patched, want)
	same(t, *ok(t, 200, c.EventsApi.EventsEventsRetrieve(t.Context(), made.Pk).Execute), want)

	done(t, 204, c.EventsApi.EventsEventsDestroy(t.Context(), made.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.EventsApi.EventsEventsRetrieve(t.Context(), made.Pk).Execute)
	never(t, 404, `{"detail":"Not found."}`, c.EventsApi.EventsEventsDestroy(t.Context(), made.Pk).Execute)
}

func TestEventDefaults(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	made := post(t, c, api.EventRequest{Action: api.EVENTACTIONS_CUSTOM, App: "acceptance"})
	same(t, made.User, any(object{}))
	same(t, made.Context, any(object{}))
	same(t, made.Brand, any(object{"pk": strings.Repeat("0", 32), "app": "authentik_brands",
		"name": "Brand fallback", "model_name": "brand"}))
	same(t, made.ClientIp.Get(), (*string)(nil))
	if kept := made.Expires.Sub(made.Created); kept < 364*24*time.Hour || kept > 366*24*time.Hour {
		t.Errorf("kept for %v, not a year", kept)
	}
}

// filterEvents are what TestEventFilters looks for, by a short name.
var filterEvents = map[string]api.EventRequest{
	"login": {Action: api.EVENTACTIONS_LOGIN, App: "acceptance.one",
		User: object{"username": "ada", "pk": 11}, Context: object{"marker": "filter-me"},
		ClientIp: *api.NewNullableString(api.PtrString("192.0.2.1"))},
	"login_failed": {Action: api.EVENTACTIONS_LOGIN_FAILED, App: "acceptance.two",
		User: object{"username": "adam"}, Context: object{"marker": "filter-me", "username": "ada"},
		ClientIp: *api.NewNullableString(api.PtrString("192.0.2.11"))},
	"created": {Action: api.EVENTACTIONS_MODEL_CREATED, App: "acceptance.three",
		Context: object{"marker": "filter-me", "model": object{"app": "authentik_core",
			"model_name": "application", "pk": "0123456789abcdef0123456789abcdef"}},
		Brand: object{"name": "Acceptance %_ brand"}},
	"deleted": {Action: api.EVENTACTIONS_MODEL_DELETED, App: "acceptance.three",
		Context: object{"marker": "filter-me", "model": object{"app": "authentik_events",
			"model_name": "application", "pk": 4711}}},
	"authorized": {Action: api.EVENTACTIONS_AUTHORIZE_APPLICATION, App: "acceptance.four",
		Context: object{"marker": "filter-me", "authorized_application": object{"pk": "fedcba98", "name": "wiki"}}},
}

func TestEventFiltersFindExactlyWhatTheyName(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	names, created := map[string]string{}, map[string]*api.Event{}
	for _, name := range []string{"login", "login_failed", "created", "deleted", "authorized"} {
		created[name] = post(t, c, filterEvents[name])
		names[created[name].Pk] = name
	}
	list := func() api.ApiEventsEventsListRequest { return c.EventsApi.EventsEventsList(t.Context()) }
	for _, test := range []struct {
		filter  string
		request api.ApiEventsEventsListRequest
		want    string // newest first
	}{
		{"search", list().Search("filter-me"), "authorized deleted created login_failed login"},
		{"search in any case", list().Search("FILTER-ME"), "authorized deleted created login_failed login"},
		{"search by two terms", list().Search("filter-me wiki"), "authorized"},
		{"search by pk", list().Search(created["created"].Pk), "created"},
		{"search by client_ip", list().Search("192.0.2.1"), "login_failed login"},
		{"search does not know wildcards", list().Search("filter%me"), ""},
		{"action is a part of the name", list().Search("filter-me").Action("login"), "login_failed login"},
		{"action in any case", list().Search("filter-me").Action("MODEL_"), "deleted created"},
		{"client_ip is whole", list().ClientIp("192.0.2.1"), "login"},
		{"client_ip invalid", list().ClientIp("zzz"), ""},
		{"username, of the context too", list().Username("ada"), "login_failed login"},
		{"username is whole", list().Username("adam"), "login_failed"},
		{"brand_name", list().BrandName("Acceptance %_ brand"), "created"},
		{"context_model_app", list().ContextModelApp("authentik_core").Search("filter-me"), "created"},
		{"context_model_name", list().ContextModelName("application"), "deleted created"},
		{"context_model_pk with dashes", list().ContextModelPk("01234567-89ab-cdef-0123-456789abcdef"), "created"},
		{"context_model_pk as a number", list().ContextModelPk("4711"), "deleted"},
		{"context_authorized_app", list().ContextAuthorizedApp("fedcba98"), "authorized"},
		{"two filters", list().Username("ada").Action("failed"), "login_failed"},
		{"ordering created", list().Search("filter-me").Ordering("created"), "login login_failed created deleted authorized"},
		{"ordering action", list().Search("filter-me").Ordering("action"), "authorized login login_failed created deleted"},
		{"ordering -app,created", list().Search("filter-me").Ordering("-app,created"),
			"login_failed created deleted login authorized"},
		{"ordering unknown", list().Search("filter-me").Ordering("nonsense"), "authorized deleted created login_failed login"},
		{"second page", list().Search("filter-me").PageSize(2).Page(2), "created login_failed"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			got := ok(t, 200, test.request.Execute)
			found := keys(got.Results, func(e api.Event) string { return names[e.Pk] })
			same(t, strings.Join(found, " "), test.want)
		})
	}
	t.Run("actions of later releases", func(t *testing.T) {
		query := "?search=filter-me&ordering=created&actions=login&actions=model_deleted"
		page, err := decode[api.PaginatedEventList](call(t, t.Context(), c, "GET", "/events/events/"+query, nil).want(t, 200).body)
		if err != nil {
			t.Fatal(err)
		}
		same(t, keys(page.Results, func(e api.Event) string { return names[e.Pk] }), []string{"login", "deleted"})
	})
}

func TestEventPages(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	for range 5 {
		post(t, c, api.EventRequest{Action: api.EVENTACTIONS_LOGOUT, App: "acceptance.pages"})
	}
	list := c.EventsApi.EventsEventsList(t.Context()).Search("acceptance.pages")
	for page, want := range map[int32]api.Pagination{
		1: {Next: 2, Previous: 0, Count: 5, Current: 1, TotalPages: 3, StartIndex: 1, EndIndex: 2},
		2: {Next: 3, Previous: 1, Count: 5, Current: 2, TotalPages: 3, StartIndex: 3, EndIndex: 4},
		3: {Next: 0, Previous: 2, Count: 5, Current: 3, TotalPages: 3, StartIndex: 5, EndIndex: 5},
	} {
		same(t, ok(t, 200, list.PageSize(2).Page(page).Execute).Pagination, want)
	}
	same(t, ok(t, 200, list.Search("nothing like that").Execute).Pagination, api.Pagination{Current: 1, TotalPages: 1})
	no(t, 404, `{"detail":"Invalid page."}`, list.PageSize(2).Page(4).Execute)
}

func TestEventActionsListsAllNamesInOrder(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	list := ok(t, 200, c.EventsApi.EventsEventsActionsList(t.Context()).Execute)
	values := keys(list, func(a api.TypeCreate) string { return a.Component })
	labels := map[string]string{}
	for _, action := range list {
		labels[action.Component] = action.Name
	}
	var first []string
	for _, value := range values {
		if slices.Contains(api.AllowedEventActionsEnumValues, api.EventActions(value)) {
			first = append(first, value)
		}
	}
	same(t, first, keys(api.AllowedEventActionsEnumValues, func(a api.EventActions) string { return string(a) }))
	for _, later := range laterActions {
		has(t, values, later.(string))
	}
	same(t, values[len(values)-1], "custom_")
	for value, label := range map[string]string{"login_failed": "Login Failed", "invitation_used": "Invite Used", "custom_": "Custom Prefix"} {
		same(t, labels[value], label)
	}
}

func TestEventTakesEveryActionOfEveryRelease(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	actions := append(slices.Clone(laterActions), "custom_foo", "custom_")
	for _, action := range api.AllowedEventActionsEnumValues {
		actions = append(actions, string(action))
	}
	for _, action := range actions {
		made := call(t, t.Context(), c, "POST", "/events/events/", object{"action": action, "app": "acceptance"}).want(t, 201)
		holds(t, made.object(t), object{"action": action})
	}
	call(t, outside(t.Context()), c, "POST", "/events/events/", object{"action": "zzz", "app": "acceptance"}).
		is(t, 400, `{"action":["\"zzz\" is not a valid choice."]}`)
}

func TestTopPerUserCountsEventsAndUsersByApplication(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	for _, seen := range []struct {
		application string
		user        int
	}{{"wiki", 1}, {"wiki", 1}, {"wiki", 2}, {"mail", 0}} {
		user := object{}
		if seen.user > 0 {
			user["pk"] = seen.user
		}
		post(t, c, api.EventRequest{Action: api.EVENTACTIONS_AUTHORIZE_APPLICATION, App: "acceptance", User: user,
			Context: object{"authorized_application": object{"name": seen.application}}})
	}
	post(t, c, api.EventRequest{Action: api.EVENTACTIONS_AUTHORIZE_APPLICATION, App: "acceptance"})
	top := c.EventsApi.EventsEventsTopPerUserList(t.Context()).Action("authorize_application")
	wiki := api.EventTopPerUser{Application: object{"name": "wiki"}, CountedEvents: 3, UniqueUsers: 2}
	mail := api.EventTopPerUser{Application: object{"name": "mail"}, CountedEvents: 1, UniqueUsers: 0}
	same(t, ok(t, 200, top.Execute), []api.EventTopPerUser{wiki, mail})
	same(t, ok(t, 200, top.TopN(1).Execute), []api.EventTopPerUser{wiki})
	same(t, len(ok(t, 200, c.EventsApi.EventsEventsTopPerUserList(t.Context()).Execute)), 0)
}

// point is one of a chart. The official client cannot hold it: its times are int32.
type point struct {
	X int64 `json:"x_cord"`
	Y int64 `json:"y_cord"`
}

func TestVolumeAndPerMonthCountEveryEventOnce(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	for i := range 6 {
		post(t, c, api.EventRequest{Action: api.EVENTACTIONS_SECRET_VIEW, App: fmt.Sprint("acceptance.chart", i%2)})
	}
	for _, test := range []struct {
		path  string
		total int64
	}{
		{"volume/?action=secret_view", 6},
		{"volume/?action=secret_view&search=acceptance.chart1", 3},
		{"volume/?action=secret_rotate", 0},
		{"per_month/?action=secret_view", 6},
		{"per_month/?action=secret_view&query=" + url.QueryEscape(`{"app":"acceptance.chart0"}`), 3},
		{"per_month/", 0},
	} {
		t.Run(test.path, func(t *testing.T) {
			points, err := decode[[]point](call(t, t.Context(), c, "GET", "/events/events/"+test.path, nil).want(t, 200).body)
			if err != nil {
				t.Fatal(err)
			}
			if len(points) < 20 {
				t.Errorf("%d points", len(points))
			}
			var total int64
			for _, p := range points {
				total += p.Y
				if p.X > 0 && p.Y > 0 && time.Since(time.UnixMilli(p.X)).Abs() > 48*time.Hour {
					t.Errorf("%d events of today stand at %v", p.Y, time.UnixMilli(p.X))
				}
			}
			same(t, total, test.total)
		})
	}
	t.Run("volume of later releases", func(t *testing.T) {
		type bin struct {
			Time   time.Time `json:"time"`
			Action string    `json:"action"`
			Count  int       `json:"count"`
		}
		bins, err := decode[[]bin](call(t, t.Context(), c, "GET", "/events/events/volume/?history_days=2&search=acceptance.chart", nil).want(t, 200).body)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, b := range bins {
			total += b.Count
			if b.Time.Hour()%6 != 0 || b.Time.Minute() != 0 || b.Action != "secret_view" {
				t.Errorf("bin %+v", b)
			}
		}
		same(t, total, 6)
	})
	call(t, t.Context(), c, "GET", "/events/events/per_month/?query=%7B", nil).want(t, 400)
	call(t, outside(t.Context()), c, "GET", "/events/events/top_per_user/?top_n=x", nil).want(t, 400)
}

func TestStatsCountPeopleAndRecentEvents(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	for _, user := range []any{object{"pk": 1}, object{"pk": 2}, object{"pk": 1}, object{}} {
		post(t, c, api.EventRequest{Action: api.EVENTACTIONS_LOGOUT, App: "acceptance", User: user})
	}
	call(t, t.Context(), c, "GET", "/events/events/stats/?action=logout&count_steps=hours%3D24&count_steps=days%3D7", nil).
		is(t, 200, `{"unique_users":2,"count_step":{"hours24":4,"days7":4}}`)
	call(t, outside(t.Context()), c, "GET", "/events/events/stats/?count_steps=24d", nil).
		is(t, 400, `{"count_steps":{"0":["24d is not in the correct format of 'hours=3;minutes=1'."]}}`)
}

func TestThereAreNoSystemTasks(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	tasks := ok(t, 200, c.EventsApi.EventsSystemTasksList(t.Context()).Execute)
	same(t, len(tasks.Results), 0)
	const any = "0190a0b0-0000-7000-8000-000000000000"
	no(t, 404, `{"detail":"Not found."}`, c.EventsApi.EventsSystemTasksRetrieve(t.Context(), any).Execute)
	never(t, 404, `{"detail":"Not found."}`, c.EventsApi.EventsSystemTasksRunCreate(t.Context(), any).Execute)
}
