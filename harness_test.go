package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"belfry/internal/identity"
	"belfry/internal/outbound"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// asProgram makes the test binary behave as belfry itself, so that tests can start and kill a real process.
const asProgram = "BELFRY_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"belfry": main})
}

// adminKey is the key of akadmin's token in tests.
const adminKey = "blf_test-key-of-akadmin-0123456789abcdef"

// fixture is a server over real HTTP on a fresh database that was filled as at the first start.
type fixture struct {
	t      *testing.T
	db     *sqldb.DB
	server *server
	url    string
}

// each runs a test on a fresh fixture for each database.
func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, newFixture(t, db, t.Output())) })
}

// newFixture fills a database and serves it. All that is logged goes to log.
func newFixture(t *testing.T, db *sqldb.DB, log io.Writer) *fixture {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error { return seed(tx, identity.HashKey(adminKey)) })
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(db, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), thisMachine())
	web := httptest.NewUnstartedServer(nil)
	web.Config, web.Listener = newHTTP(s.handler(), s.log), connections{web.Listener}
	web.Config.MaxHeaderBytes = 0 // a test's search may be longer than the program lets a header be
	web.Start()
	t.Cleanup(web.Close)
	return &fixture{t: t, db: db, server: s, url: web.URL}
}

// thisMachine lets webhooks reach receivers of the test, and nobody else: no name is looked up.
func thisMachine() outside {
	return outside{client: outbound.NewClient(outbound.Options{UserAgent: "Belfry",
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !strings.HasPrefix(address, "127.0.0.1:") {
				return nil, errors.New("a test reaches this machine only")
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}})}
}

// reply is an answer with its body decoded.
type reply struct {
	status int
	header http.Header
	text   string
	json   any
}

// get digs into a decoded body: reply.get("results", 0, "pk").
func (r reply) get(path ...any) any {
	value := r.json
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

// str is get as text, "" where there is none.
func (r reply) str(path ...any) string {
	s, _ := r.get(path...).(string)
	return s
}

// call makes a request with a token's key ("" for none) and reads the answer.
func (f *fixture) call(key, method, path, body string) reply {
	f.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	return f.send(request)
}

// send makes a request without following redirects.
func (f *fixture) send(request *http.Request) reply {
	f.t.Helper()
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	r := reply{status: answer.StatusCode, header: answer.Header, text: string(text)}
	if len(text) > 0 && strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &r.json); err != nil {
			f.t.Fatalf("the answer is not JSON: %v\n%s", err, text)
		}
	}
	return r
}

// must makes a request as akadmin and wants its status.
func (f *fixture) must(status int, method, path, body string) reply {
	f.t.Helper()
	r := f.call(adminKey, method, path, body)
	if r.status != status {
		f.t.Fatalf("%s %s: want %d, got %d %s", method, path, status, r.status, r.text)
	}
	return r
}

// past writes events of any time, each as event says.
func (f *fixture) past(count int, event func(i int, now int64) Event) {
	f.t.Helper()
	err := f.db.Write(f.t.Context(), func(tx *sqldb.Tx) error {
		counts := tally{}
		for i := range count {
			e := event(i, tx.Now())
			c := columnsOf(&e)
			if err := putEvent(tx, &e, &c, counts); err != nil {
				return err
			}
		}
		tx.AtEnd(counts)
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// notified posts an event that a rule of the first start matches, and answers akadmin's notification of it.
func (f *fixture) notified(message string) (notification, event string) {
	f.t.Helper()
	body, err := json.Marshal(map[string]any{"action": "configuration_error", "app": "backup", "context": map[string]string{"message": message}})
	if err != nil {
		f.t.Fatal(err)
	}
	event = f.must(201, "POST", "/api/v3/events/events/", string(body)).str("pk")
	list := f.must(200, "GET", "/api/v3/events/notifications/?user=1&event="+event, "")
	notification = list.str("results", 0, "pk")
	if notification == "" {
		f.t.Fatalf("no notification of the event: %s", list.text)
	}
	return notification, event
}

// user makes a plain user and a token of the given scopes for it.
func (f *fixture) user(name string, scopes ...string) (pk int64, key string) {
	f.t.Helper()
	made := f.must(201, "POST", "/api/v3/core/users/", `{"username":"`+name+`","name":""}`)
	number, _ := made.get("pk").(float64)
	return int64(number), f.token(int64(number), name+"-"+strings.Join(scopes, "-"), scopes...)
}

// token makes a token for a user.
func (f *fixture) token(user int64, identifier string, scopes ...string) string {
	f.t.Helper()
	fields := map[string]any{"identifier": identifier, "user": user, "intent": "api"}
	if len(scopes) > 0 {
		fields["scopes"] = scopes
	}
	body, err := json.Marshal(fields)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.must(201, "POST", "/api/v3/core/tokens/", string(body)).str("key")
}

// notifyUser puts a notification of an event into a user's inbox, through a rule of its own.
func (f *fixture) notifyUser(user int64, name string) (notification, event string) {
	f.t.Helper()
	body := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			f.t.Fatal(err)
		}
		return string(text)
	}
	group := f.must(201, "POST", "/api/v3/core/groups/", body(map[string]any{"name": name, "users": []int64{user}})).str("pk")
	rule := f.must(201, "POST", "/api/v3/events/rules/", body(map[string]any{"name": name, "group": group, "transports": []string{}})).str("pk")
	policy := f.must(201, "POST", "/api/v3/policies/event_matcher/", body(map[string]any{"name": name, "action": "custom_" + name})).str("pk")
	f.must(201, "POST", "/api/v3/policies/bindings/", body(map[string]any{"policy": policy, "target": rule, "order": 0}))
	event = f.must(201, "POST", "/api/v3/events/events/", body(map[string]any{"action": "custom_" + name, "app": name})).str("pk")
	list := f.must(200, "GET", "/api/v3/events/notifications/?event="+event, "")
	notification = list.str("results", 0, "pk")
	if notification == "" {
		f.t.Fatalf("no notification for %s: %s", name, list.text)
	}
	return notification, event
}

// forget empties the log: what a test has set up has left a trail.
func (f *fixture) forget() {
	f.t.Helper()
	err := f.db.Write(f.t.Context(), func(tx *sqldb.Tx) error {
		_, events := tx.Exec("DELETE FROM event")
		_, counters := tx.Exec("DELETE FROM event_hour")
		_, past := tx.Exec("DELETE FROM event_past")
		_, uses := tx.Exec("DELETE FROM event_application")
		return errors.Join(events, counters, past, uses)
	})
	if err != nil {
		f.t.Fatal(err)
	}
}
