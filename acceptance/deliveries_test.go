package acceptance

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	api "goauthentik.io/api/v3"
)

// hook is a receiver of webhooks on this machine.
type hook struct {
	*httptest.Server
	status int
	got    chan string // the ids and bodies of what came
}

func newHook(t *testing.T, status int) *hook {
	h := &hook{status: status, got: make(chan string, 100)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h.got <- r.Header.Get("webhook-id") + " " + string(body)
		w.WriteHeader(h.status)
		_, _ = io.WriteString(w, "heard") // who hangs up does not read it
	}))
	t.Cleanup(h.Close)
	return h
}

// next is what comes next, as id and body.
func (h *hook) next(t *testing.T) (id, body string) {
	t.Helper()
	select {
	case got := <-h.got:
		id, body, _ = strings.Cut(got, " ")
		return id, body
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was delivered")
		return "", ""
	}
}

// belfry is a client of Belfry's own paths, judged by its own description.
func (s *server) belfry() *api.APIClient {
	c := s.admin()
	judge := *run.judge.own
	judge.covered = &coverage{calls: map[string]map[int]int{}}
	c.GetConfig().Servers = api.ServerConfigurations{{URL: s.url + "/api/belfry"}}
	c.GetConfig().HTTPClient = &http.Client{Transport: &judge}
	return c
}

func TestTransportsAreTested(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	test := func(pk string) api.ApiEventsTransportsTestCreateRequest {
		return c.EventsApi.EventsTransportsTestCreate(t.Context(), pk)
	}
	webhook, slack := api.NOTIFICATIONTRANSPORTMODEENUM_WEBHOOK, api.NOTIFICATIONTRANSPORTMODEENUM_WEBHOOK_SLACK
	for _, mode := range []api.NotificationTransportModeEnum{webhook, slack} {
		h := newHook(t, 200)
		made := transport(t, c, api.NotificationTransportRequest{Name: "test-" + string(mode), Mode: &mode, WebhookUrl: &h.URL})
		same(t, ok(t, 200, test(made.Pk).Execute).Messages, []string{"200", "heard"})
		h.next(t)
	}
	local := transport(t, c, api.NotificationTransportRequest{Name: "test-local"})
	same(t, ok(t, 200, test(local.Pk).Execute).Messages, []string{})
	deaf := newHook(t, 404)
	broken := transport(t, c, api.NotificationTransportRequest{Name: "test-broken", Mode: &webhook, WebhookUrl: &deaf.URL})
	no(t, 400, `{"non_field_errors":["Receiver answered 404: heard"]}`, test(broken.Pk).Execute)
	for _, e := range ok(t, 200, c.EventsApi.EventsEventsList(t.Context()).Action("custom_").Execute).Results {
		same(t, e.App, "authentik.events.api.notification_transports")
	}
}

func TestEventsAreDeliveredAndSentAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	c, own := s.admin(), s.belfry()
	h, mode := newHook(t, 200), api.NOTIFICATIONTRANSPORTMODEENUM_WEBHOOK
	made := transport(t, c, api.NotificationTransportRequest{Name: "hook", Mode: &mode, WebhookUrl: &h.URL})
	crew := group(t, c, api.GroupRequest{Name: "crew", Users: []int32{1}})
	told := rule(t, c, api.NotificationRuleRequest{Name: "tell", Transports: []string{made.Pk}, Group: maybe(crew.Pk)})
	login := api.EVENTACTIONS_LOGIN
	match := matcher(t, c, api.EventMatcherPolicyRequest{Name: "logins", Action: *api.NewNullableEventActions(&login)})
	binding(t, c, api.PolicyBindingRequest{Policy: maybe(match.Pk), Target: told.Pk, Order: 0})
	event := ok(t, 201, c.EventsApi.EventsEventsCreate(t.Context()).EventRequest(api.EventRequest{Action: login, App: "x"}).Execute)

	id, body := h.next(t)
	path := "/deliveries/" + id + "/"
	delivered := func() map[string]any {
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
			if one := call(t, t.Context(), own, "GET", path, nil).want(t, 200).object(t); one["state"] == "delivered" {
				return one
			}
		}
		t.Fatal("the delivery does not become delivered")
		return nil
	}
	one := delivered()
	holds(t, one, map[string]any{"pk": id, "event": event.Pk, "rule": told.Pk, "rule_name": "tell", "transport": made.Pk, "transport_name": "hook",
		"recipient": 1, "recipient_username": "akadmin", "body": body, "attempt_count": 1, "next_attempt_at": nil})
	list := call(t, t.Context(), own, "GET", "/deliveries/?state=delivered&event="+event.Pk, nil).want(t, 200).object(t)
	same(t, len(list["results"].([]any)), 1)

	call(t, t.Context(), own, "POST", path+"retry/", nil).want(t, 200)
	again, sameBody := h.next(t)
	same(t, again+" "+sameBody, id+" "+body)
	same(t, delivered()["attempt_count"], any(2.0))
	call(t, t.Context(), own, "POST", path+"cancel/", nil).want(t, 400)
	call(t, t.Context(), own, "POST", "/deliveries/retry/?state=delivered&transport="+made.Pk, nil).is(t, 200, `{"retried":1,"skipped":0}`)
	h.next(t)
}
