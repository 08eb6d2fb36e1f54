package acceptance

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	goodEvent = `{"pk":"0190a0b0-0000-7000-8000-000000000000","user":{},"action":"login","app":"x","context":{},` +
		`"client_ip":null,"created":"2024-06-01T12:00:00.123456Z","expires":"2025-06-01T12:00:00Z","brand":{}}`
	goodNotification = `{"pk":"0190a0b0-0000-7000-8000-000000000000","severity":"alert","body":"x",` +
		`"created":"2024-06-01T12:00:00Z","event":` + goodEvent + `,"seen":false}`
)

// TestJudgeRefusesWrongAnswers proves that a wrong answer fails a run.
func TestJudgeRefusesWrongAnswers(t *testing.T) {
	const event, notification = "/events/events/0190a0b0-0000-7000-8000-000000000000/", "/events/notifications/0190a0b0-0000-7000-8000-000000000000/"
	change := func(good, old, changed string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to change: %s", old)
		}
		return strings.Replace(good, old, changed, 1)
	}
	for _, test := range []struct {
		name, path   string
		status       int
		body         string
		wrong        bool
		contentTypes string
	}{
		{name: "good event", path: event, status: 200, body: goodEvent},
		{name: "amended: custom action", path: event, status: 200, body: change(goodEvent, `"login"`, `"custom_foo"`)},
		{name: "amended: later action", path: event, status: 200, body: change(goodEvent, `"login"`, `"review_overdue"`)},
		{name: "unknown action", path: event, status: 200, body: change(goodEvent, `"login"`, `"custom-foo"`), wrong: true},
		{name: "required field missing", path: event, status: 200, body: change(goodEvent, `"app":"x",`, ``), wrong: true},
		{name: "null where none is allowed", path: event, status: 200, body: change(goodEvent, `"context":{}`, `"context":null`), wrong: true},
		{name: "number for a text", path: event, status: 200, body: change(goodEvent, `"app":"x"`, `"app":1`), wrong: true},
		{name: "uuid without dashes", path: event, status: 200, body: change(goodEvent, `0190a0b0-0000`, `0190a0b00000`), wrong: true},
		{name: "time with an offset", path: event, status: 200, body: change(goodEvent, `12:00:00.123456Z`, `12:00:00+00:00`), wrong: true},
		{name: "time with milliseconds", path: event, status: 200, body: change(goodEvent, `.123456Z`, `.123Z`), wrong: true},
		{name: "good notification", path: notification, status: 200, body: goodNotification},
		{name: "amended: no event", path: notification, status: 200, body: change(goodNotification, goodEvent, `null`)},
		{name: "wrong inside the event", path: notification, status: 200, body: change(goodNotification, `"app":"x"`, `"app":null`), wrong: true},
		{name: "refusal", path: event, status: 403, body: `{"detail":"no"}`},
		{name: "amended: not found", path: event, status: 404, body: `{"detail":"Not found."}`},
		{name: "refusal without detail", path: event, status: 404, body: `{"error":"x"}`, wrong: true},
		{name: "undocumented status", path: event, status: 500, body: `{"detail":"x"}`, wrong: true},
		{name: "undocumented success", path: event, status: 202, body: goodEvent, wrong: true},
		{name: "not JSON", path: event, status: 200, body: `<html>`, wrong: true},
		{name: "charset in the content type", path: event, status: 200, body: goodEvent, contentTypes: "application/json; charset=utf-8", wrong: true},
		{name: "official volume", path: "/events/events/volume/", status: 200, body: `[{"x_cord":1718000000000,"y_cord":2}]`},
		{name: "amended: later volume", path: "/events/events/volume/", status: 200, body: `[{"time":"2024-06-01T12:00:00Z","action":"login","count":1}]`},
		{name: "other volume", path: "/events/events/volume/", status: 200, body: `[{"time":"2024-06-01T12:00:00Z","count":1}]`, wrong: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if test.contentTypes != "" {
					w.Header().Set("Content-Type", test.contentTypes)
				}
				w.WriteHeader(test.status)
				w.Write([]byte(test.body))
			}))
			defer server.Close()
			expectJudgement(t, t.Context(), "GET", server.URL+"/api/v3"+test.path, "", test.wrong)
		})
	}
}

// TestJudgeRefusesWrongRequests proves that this run cannot send by mistake what the
// description does not allow, and can send it on purpose.
func TestJudgeRefusesWrongRequests(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		w.Write([]byte(`{"non_field_errors":["no"]}`))
	}))
	defer server.Close()
	for _, test := range []struct {
		method, path, body string
		wrong              bool
	}{
		{"POST", "/events/events/", `{"action":"custom_foo","app":"x"}`, false},
		{"POST", "/events/events/", `{"action":"zzz","app":"x"}`, true},
		{"POST", "/events/events/", `{"action":"login"}`, true},
		{"GET", "/events/events/?page=x", ``, true},
		{"GET", "/events/nothing/", ``, true},
		{"POST", "/events/notifications/", `{}`, true},
	} {
		t.Run(test.method+" "+test.path+" "+test.body, func(t *testing.T) {
			expectJudgement(t, t.Context(), test.method, server.URL+"/api/v3"+test.path, test.body, test.wrong)
			expectJudgement(t, outside(t.Context()), test.method, server.URL+"/api/v3"+test.path, test.body,
				test.path == "/events/nothing/" || test.method+test.path == "POST/events/notifications/") // a GenericError was due
		})
	}
}

// expectJudgement makes one call through a judge of its own, so that it does not count.
func expectJudgement(t *testing.T, ctx context.Context, method, url, body string, wrong bool) {
	t.Helper()
	judge := *run.judge
	judge.own = nil // what is judged here is the official part of the run
	judge.covered = &coverage{calls: map[string]map[int]int{}}
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	got, err := judge.RoundTrip(r)
	if err == nil {
		got.Body.Close()
	}
	if (err != nil) != wrong {
		t.Errorf("judged %v, want it refused: %v", err, wrong)
	}
}

func TestCoverageMissesWhatWasNotCalledWell(t *testing.T) {
	c := &coverage{calls: map[string]map[int]int{}}
	same(t, c.missing(), operations)
	for _, operation := range operations {
		c.count(operation, http.StatusBadRequest)
	}
	same(t, c.missing(), operations)
	for _, operation := range operations[1:] {
		c.count(operation, http.StatusNoContent)
	}
	same(t, c.missing(), []string{operations[0], "events_system_tasks_retrieve", "events_system_tasks_run_create", "core_tokens_view_key_retrieve"})
}

func TestCoverageMissesWhatAnNPMClientHasAndDidNotCallWell(t *testing.T) {
	c := &coverage{calls: map[string]map[int]int{}}
	for _, operation := range operations {
		c.count(operation, http.StatusOK)
		c.count(operation, refused[operation])
	}
	same(t, len(c.missing()), 0)
	c.ran("npm", map[string]npmUsed{
		operations[0]: {Has: true, Statuses: map[int]int{http.StatusBadRequest: 1}},
		operations[1]: {Has: true, Statuses: map[int]int{http.StatusOK: 1}},
		operations[2]: {},
		operations[3]: {Has: true},
	})
	same(t, c.missing(), []string{operations[0] + " (npm)", operations[3] + " (npm)"})
}
