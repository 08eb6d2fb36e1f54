package acceptance

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	api "goauthentik.io/api/v3"
)

// notice posts an event that a rule of every new database matches, and returns the
// one notification that akadmin gets for it.
func notice(t *testing.T, c *api.APIClient, message string) api.Notification {
	t.Helper()
	event := post(t, c, api.EventRequest{Action: api.EVENTACTIONS_CONFIGURATION_ERROR, App: "acceptance.notice",
		Context: object{"message": message}})
	list := ok(t, 200, c.EventsApi.EventsNotificationsList(t.Context()).Event(event.Pk).Execute)
	same(t, len(list.Results), 1)
	same(t, list.Results[0].Event, event)
	return list.Results[0]
}

// user makes a plain user and returns it with a client that is signed in as it.
func user(t *testing.T, s *server, name string, groups ...string) (*api.User, *api.APIClient) {
	t.Helper()
	admin := s.admin()
	made := ok(t, 201, admin.CoreApi.CoreUsersCreate(t.Context()).UserRequest(
		api.UserRequest{Username: name, Name: strings.ToUpper(name), Groups: groups}).Execute)
	return made, s.client(token(t, admin, made.Pk, "token-of-"+name))
}

// token makes an API token of a user and returns its key.
func token(t *testing.T, c *api.APIClient, user int32, identifier string) string {
	t.Helper()
	answer := call(t, t.Context(), c, "POST", "/core/tokens/",
		object{"identifier": identifier, "intent": "api", "user": user}).want(t, 201)
	return text(t, answer.object(t), "key")
}

func TestNotificationOfADefaultRule(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	for _, action := range []string{"configuration_error", "update_available", "policy_exception", "property_mapping_exception"} {
		event := post(t, c, api.EventRequest{Action: api.EventActions(action), App: "acceptance", Context: object{"message": action}})
		list := ok(t, 200, c.EventsApi.EventsNotificationsList(t.Context()).Event(event.Pk).Execute)
		same(t, len(list.Results), 1)
		got := list.Results[0]
		same(t, got.Severity, api.SEVERITYENUM_ALERT)
		same(t, got.Body, action)
		same(t, *got.Seen, false)
		same(t, got.Event, event)
	}
	quiet := post(t, c, api.EventRequest{Action: api.EVENTACTIONS_LOGIN, App: "acceptance"})
	same(t, len(ok(t, 200, c.EventsApi.EventsNotificationsList(t.Context()).Event(quiet.Pk).Execute).Results), 0)
}

func TestNotificationFilters(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	me := ok(t, 200, c.CoreApi.CoreUsersMeRetrieve(t.Context()).Execute).User.Pk
	names := map[string]string{}
	first, second, third := notice(t, c, "first thing"), notice(t, c, "second thing"), notice(t, c, "third")
	names[first.Pk], names[second.Pk], names[third.Pk] = "first", "second", "third"
	ok(t, 200, c.EventsApi.EventsNotificationsPartialUpdate(t.Context(), second.Pk).PatchedNotificationRequest(
		api.PatchedNotificationRequest{Seen: api.PtrBool(true)}).Execute)
	list := func() api.ApiEventsNotificationsListRequest {
		return c.EventsApi.EventsNotificationsList(t.Context()).Ordering("created")
	}
	for _, test := range []struct {
		filter  string
		request api.ApiEventsNotificationsListRequest
		want    string
	}{
		{"all", list(), "first second third"},
		{"newest first", list().Ordering("-created"), "third second first"},
		{"body is whole", list().Body("first thing"), "first"},
		{"a part of a body is none", list().Body("first"), ""},
		{"severity", list().Severity("alert"), "first second third"},
		{"another severity", list().Severity("notice"), ""},
		{"seen", list().Seen(true), "second"},
		{"unseen", list().Seen(false), "first third"},
		{"event", list().Event(third.Event.Pk), "third"},
		{"user", list().User(me).Seen(false), "first third"},
		{"search", list().Search("THING"), "first second"},
		{"second page", list().PageSize(2).Page(2), "third"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			got := ok(t, 200, test.request.Execute)
			same(t, strings.Join(keys(got.Results, func(n api.Notification) string { return names[n.Pk] }), " "), test.want)
		})
	}
	t.Run("created", func(t *testing.T) { // the official client cuts the microseconds off
		query := url.Values{"created": {second.Created.Format(time.RFC3339Nano)}}
		page, err := decode[api.PaginatedNotificationList](
			call(t, t.Context(), c, "GET", "/events/notifications/?"+query.Encode(), nil).want(t, 200).body)
		if err != nil {
			t.Fatal(err)
		}
		same(t, keys(page.Results, func(n api.Notification) string { return names[n.Pk] }), []string{"second"})
	})
	choice := "Select a valid choice. That choice is not one of the available choices."
	no(t, 400, encode(t, object{"event": []string{choice}}), list().Event(uuid.NewString()).Execute)
	no(t, 400, encode(t, object{"user": []string{choice}}), list().User(4711).Execute)
	call(t, outside(t.Context()), c, "GET", "/events/notifications/?severity=zzz", nil).
		is(t, 400, `{"severity":["Select a valid choice. zzz is not one of the available choices."]}`)
}

func TestNotificationChangesAndGoes(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	n := notice(t, c, "to be changed")
	same(t, *ok(t, 200, c.EventsApi.EventsNotificationsRetrieve(t.Context(), n.Pk).Execute), n)
	same(t, *ok(t, 200, c.EventsApi.EventsNotificationsUpdate(t.Context(), n.Pk).
		NotificationRequest(api.NotificationRequest{}).Execute), n) // nothing is required
	n.Seen = api.PtrBool(true)
	same(t, *ok(t, 200, c.EventsApi.EventsNotificationsUpdate(t.Context(), n.Pk).
		NotificationRequest(api.NotificationRequest{Seen: n.Seen}).Execute), n)
	whole := call(t, t.Context(), c, "GET", "/events/notifications/"+n.Pk+"/", nil).want(t, 200)
	call(t, t.Context(), c, "PUT", "/events/notifications/"+n.Pk+"/", string(whole.body)).is(t, 200, string(whole.body))
	call(t, t.Context(), c, "PATCH", "/events/notifications/"+n.Pk+"/",
		`{"seen":true,"body":"x","severity":"notice","pk":"x","unknown":1}`).is(t, 200, string(whole.body))
	same(t, len(ok(t, 200, c.EventsApi.EventsNotificationsUsedByList(t.Context(), n.Pk).Execute)), 0)

	done(t, 204, c.EventsApi.EventsEventsDestroy(t.Context(), n.Event.Pk).Execute)
	n.Event = nil
	same(t, *ok(t, 200, c.EventsApi.EventsNotificationsRetrieve(t.Context(), n.Pk).Execute), n)
	done(t, 204, c.EventsApi.EventsNotificationsDestroy(t.Context(), n.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.EventsApi.EventsNotificationsRetrieve(t.Context(), n.Pk).Execute)
}

func TestNotificationRefusals(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	n := notice(t, c, "stays as it is")
	path := "/events/notifications/" + n.Pk + "/"
	for _, test := range []struct {
		method, body string
		status       int
		want         string
	}{
		{"PATCH", `{"seen":"maybe"}`, 400, `{"seen":["Must be a valid boolean."]}`},
		{"PATCH", `{"seen":true,"event":null}`, 400, `{"event":["This field may not be null."]}`},
		{"PATCH", `{"seen":true,"event":"x"}`, 400, `{"event":{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}}`},
		{"PATCH", `{"seen":true,"event":{"action":"zz"}}`, 400, `{"event":{"action":["\"zz\" is not a valid choice."]}}`},
		{"PUT", `{"seen":true,"event":{}}`, 400, `{"event":{"action":["This field is required."],"app":["This field is required."]}}`},
		{"PATCH", `[]`, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`},
		{"POST", `{}`, 405, `{"detail":"Method \"POST\" not allowed."}`},
	} {
		t.Run(test.method+" "+test.body, func(t *testing.T) {
			call(t, outside(t.Context()), c, test.method, path, test.body).is(t, test.status, test.want)
			same(t, *ok(t, 200, c.EventsApi.EventsNotificationsRetrieve(t.Context(), n.Pk).Execute), n)
		})
	}
	call(t, outside(t.Context()), c, "PATCH", path, `{"seen":`).want(t, 400)
	call(t, outside(t.Context()), c, "POST", "/events/notifications/", `{}`).want(t, 405)
	call(t, t.Context(), c, "PATCH", "/events/notifications/"+uuid.NewString()+"/", `{}`).want(t, 404)
	same(t, *ok(t, 200, c.EventsApi.EventsNotificationsRetrieve(t.Context(), n.Pk).Execute), n)
}

func TestMarkAllSeenTouchesOnlyOnesOwn(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	me := ok(t, 200, c.CoreApi.CoreUsersMeRetrieve(t.Context()).Execute).User
	admins := me.Groups[0].Pk
	other, theirs := user(t, s, "ada", admins)
	event := post(t, c, api.EventRequest{Action: api.EVENTACTIONS_CONFIGURATION_ERROR, App: "acceptance"})
	unseen := func(user int32) int {
		return len(ok(t, 200, c.EventsApi.EventsNotificationsList(t.Context()).User(user).Event(event.Pk).Seen(false).Execute).Results)
	}
	same(t, []int{unseen(me.Pk), unseen(other.Pk)}, []int{1, 1})
	done(t, http.StatusNoContent, theirs.EventsApi.EventsNotificationsMarkAllSeenCreate(t.Context()).Execute)
	same(t, []int{unseen(me.Pk), unseen(other.Pk)}, []int{1, 0})
	done(t, http.StatusNoContent, c.EventsApi.EventsNotificationsMarkAllSeenCreate(t.Context()).Execute)
	same(t, []int{unseen(me.Pk), unseen(other.Pk)}, []int{0, 0})
}

// TestStory is the main job from end to end: an event raises a notification, its reader
// changes the event through it, and what was answered outlives the process.
func TestStory(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	n := notice(t, c, "the provider is not configured")
	same(t, n.Severity, api.SEVERITYENUM_ALERT)

	changed := ok(t, 200, c.EventsApi.EventsNotificationsPartialUpdate(t.Context(), n.Pk).PatchedNotificationRequest(
		api.PatchedNotificationRequest{Seen: api.PtrBool(true), Event: &api.EventRequest{
			Action: api.EVENTACTIONS_SUSPICIOUS_REQUEST, App: "acceptance.story",
			User: object{"username": "ada"}, Context: object{"ticket": "T-1"},
		}}).Execute)
	want := n
	want.Seen = api.PtrBool(true)
	event := *n.Event
	event.Action, event.App = api.EVENTACTIONS_SUSPICIOUS_REQUEST, "acceptance.story"
	event.User, event.Context = object{"username": "ada"}, object{"ticket": "T-1"}
	want.Event = &event // body, severity and all that was not sent are as they were
	same(t, *changed, want)
	same(t, *ok(t, 200, c.EventsApi.EventsEventsRetrieve(t.Context(), event.Pk).Execute), event)
	foundBy := func(query api.ApiEventsEventsListRequest) []string {
		return keys(ok(t, 200, query.Execute).Results, func(e api.Event) string { return e.Pk })
	}
	same(t, foundBy(c.EventsApi.EventsEventsList(t.Context()).Username("ada").Action("suspicious")), []string{event.Pk})
	same(t, foundBy(c.EventsApi.EventsEventsList(t.Context()).Search("T-1 acceptance.story").Action("suspicious")), []string{event.Pk})
	same(t, foundBy(c.EventsApi.EventsEventsList(t.Context()).Action("configuration_error")), []string{})

	// Beyond the official description: only what shall change, under the path with the
	// two slashes that the API reference itself writes.
	expires := `"2031-05-06T07:08:09Z"`
	partial := call(t, outside(t.Context()), c, "PATCH", "//events/notifications/"+n.Pk+"/",
		`{"event":{"expires":`+expires+`,"client_ip":"192.0.2.7"}}`).want(t, 200)
	inside, isObject := partial.object(t)["event"].(object)
	if !isObject {
		t.Fatalf("no event in %s", partial.body)
	}
	holds(t, inside, object{"pk": event.Pk, "app": "acceptance.story", "client_ip": "192.0.2.7",
		"expires": "2031-05-06T07:08:09Z", "context": object{"ticket": "T-1"}})
	call(t, t.Context(), c, "GET", "//events/notifications/"+n.Pk+"/", nil).is(t, 200, string(partial.body))

	trail := ok(t, 200, c.EventsApi.EventsEventsList(t.Context()).Action("model_updated").
		ContextModelApp("authentik_events").ContextModelName("event").ContextModelPk(event.Pk).Execute)
	same(t, len(trail.Results), 2)
	for _, entry := range trail.Results {
		actor, _ := entry.User.(object)
		holds(t, actor, object{"username": "akadmin"})
		inside, _ := entry.Context.(object)
		about, _ := inside["model"].(object)
		holds(t, about, object{"app": "authentik_events", "model_name": "event", "pk": strings.ReplaceAll(event.Pk, "-", "")})
	}

	s.kill(t)
	s.launch(t)
	c = s.admin()
	call(t, t.Context(), c, "GET", "/events/notifications/"+n.Pk+"/", nil).is(t, 200, string(partial.body))
	again := ok(t, 200, c.EventsApi.EventsEventsList(t.Context()).Action("model_updated").ContextModelPk(event.Pk).Execute)
	same(t, again.Results, trail.Results)
	list := ok(t, 200, c.EventsApi.EventsNotificationsList(t.Context()).Event(event.Pk).Execute)
	same(t, keys(list.Results, func(n api.Notification) string { return n.Pk }), []string{n.Pk})
}
