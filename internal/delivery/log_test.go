package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/outbound"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// prepareTests gives the API a worker, which does not run, and a caller who can be written to.
func (c *client) prepareTests(log *slog.Logger) {
	c.t.Helper()
	err := c.db.Write(c.t.Context(), func(tx *sqldb.Tx) error {
		_, err := identity.Seed(tx, identity.HashKey("key"))
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.caller.User = identity.User{PK: 1, Username: "akadmin"}
	c.api.Worker = c.worker(log, outbound.Loopback)
	c.api.Rehearse = func(_ *http.Request, message string) Rehearsal {
		event := script.Event{PK: sqldb.NewID(), Action: "custom_", Summary: message, Created: time.Now()}
		return Rehearsal{Event: event, Write: func(_ *sqldb.Tx, _ string, inbox []Inbox) error {
			c.rehearsed, c.inbox = append(c.rehearsed, event), append(c.inbox, inbox...)
			return nil
		}}
	}
}

// worker makes a worker whose webhooks reach addresses of the classes.
func (c *client) worker(log *slog.Logger, allow ...outbound.Class) *Worker {
	c.t.Helper()
	web := outbound.NewClient(outbound.Options{Allow: allow, UserAgent: "Belfry"})
	c.t.Cleanup(web.Close)
	return NewWorker(Options{
		DB: c.db, Log: log, Client: web, Runner: script.NewRunner(),
		Event:   func(*sqldb.Tx, string) (*script.Event, error) { return nil, nil },
		Changed: func(string) {},
		Notice:  func(string) func(*sqldb.Tx) error { return func(*sqldb.Tx) error { return nil } },
		MappingFailed: func(f *Failure) func(*sqldb.Tx) error {
			return func(*sqldb.Tx) error { c.failed = append(c.failed, f.MappingName); return nil }
		},
	})
}

// hook is a receiver that answers every request with a status and a text, and keeps what it got.
type hook struct {
	*httptest.Server
	got chan *http.Request // with the body in place
}

func newHook(t *testing.T, status int, text string) *hook {
	h := &hook{got: make(chan *http.Request, 100)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		h.got <- r
		if status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text)) // the status says whether it may
	}))
	t.Cleanup(h.Close)
	return h
}

// answerTogether has each of the first n requests but the last answered only when the next one has come: of two that are under way
// neither is overtaken by a third.
func (h *hook) answerTogether(n int) {
	come := make(chan struct{}, n) // of the second request on
	var requests atomic.Int32
	answer := h.Config.Handler
	h.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number := requests.Add(1)
		answer.ServeHTTP(w, r) // which net/http sends when this returns
		if number > 1 {
			come <- struct{}{}
		}
		if int(number) < n {
			select {
			case <-come:
			case <-r.Context().Done():
			}
		}
	})
}

// next is the next request. It is there well before a worker looks by itself: whoever made it due woke the worker.
func (h *hook) next(t *testing.T) *http.Request {
	t.Helper()
	select {
	case r := <-h.got:
		return r
	case <-time.After(pollTime / 2):
		t.Fatal("the worker was not woken")
		return nil
	}
}

// webhook makes a transport that sends to a URL, with more fields.
func (c *client) webhook(name, url, more string) string {
	c.t.Helper()
	return c.create(`{"name":"` + name + `","mode":"webhook","webhook_url":"` + url + `"` + more + `}`)
}

// object makes a request that must be answered with a status and an object.
func (c *client) object(status int, method, path, body string) map[string]any {
	c.t.Helper()
	got, text := c.call(method, path, body)
	var object map[string]any
	if got != status || json.Unmarshal([]byte(text), &object) != nil {
		c.t.Fatalf("%s %s %s: want %d, got %d %s", method, path, body, status, got, text)
	}
	return object
}

const goodSecret, otherSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "a-key-of-printable-characters-only"

// stored reads a transport as it is in the database.
func (c *client) stored(pk string) (t Transport) {
	c.t.Helper()
	err := c.db.Read(c.t.Context(), func(tx *sqldb.Tx) (err error) {
		t, err = getTransport(tx, visible(true), pk, "")
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return t
}

func TestNewSecretOverlapsWithTheOneBefore(t *testing.T) {
	each(t, func(c *client) {
		pk := c.webhook("t", "https://example.com/", "")
		for _, step := range []struct{ body, secret, previous string }{
			{`{"secret":"` + goodSecret + `"}`, goodSecret, ""},
			{`{"secret":"` + goodSecret + `"}`, goodSecret, ""}, // the same again is no rotation
			{`{"secret":"` + otherSecret + `"}`, otherSecret, goodSecret},
			{`{"name":"t"}`, otherSecret, goodSecret},
			{`{"previous_secret":""}`, otherSecret, ""},
			{`{"secret":"` + goodSecret + `","previous_secret":""}`, goodSecret, ""},
			{`{"previous_secret":"` + otherSecret + `"}`, goodSecret, otherSecret},
			{`{"secret":""}`, "", ""},
		} {
			answer := c.object(200, "PATCH", "/transports/"+pk+"/", step.body)
			t := c.stored(pk)
			if t.Secret != step.secret || t.PreviousSecret != step.previous {
				c.t.Errorf("after %s: %q and %q", step.body, t.Secret, t.PreviousSecret)
			}
			if answer["has_secret"] != (step.secret != "") || answer["has_previous_secret"] != (step.previous != "") {
				c.t.Errorf("after %s: %v", step.body, answer)
			}
		}
	})
}

func TestSecretIsNeverAnsweredAndStarsInTheTrail(t *testing.T) {
	each(t, func(c *client) {
		pk := c.webhook("t", "https://example.com/", `,"secret":"`+goodSecret+`"`)
		c.object(200, "PATCH", "/transports/"+pk+"/", `{"secret":"`+otherSecret+`"}`)
		for _, query := range []string{"/transports/", "/transports/" + pk + "/", "/transports/?search=whsec_", "/transports/?secret=" + goodSecret} {
			if _, text := c.call("GET", query, ""); strings.Contains(text, `"secret"`) || strings.Contains(text, "AAECAw") || strings.Contains(text, otherSecret) {
				c.t.Errorf("%s: %s", query, text)
			}
		}
		c.caller.Scopes = identity.Scopes(0)
		if one := c.object(200, "GET", "/transports/"+pk+"/", ""); one["has_secret"] != true || one["has_previous_secret"] != true {
			c.t.Errorf("who may only read is told %v", one)
		}
		want := []drf.FieldChange{{Name: "secret", Previous: drf.StarsJSON, Next: drf.StarsJSON}, {Name: "previous_secret", Previous: `""`, Next: drf.StarsJSON}}
		if diff := cmp.Diff(want, c.trail[1].Diff); diff != "" {
			c.t.Error(diff)
		}
	})
}

func TestWhatIsWrongWithASecretIsSaidUnderItsName(t *testing.T) {
	each(t, func(c *client) {
		for _, bad := range []struct{ body, field string }{
			{`"secret":"short"`, "secret"}, {`"secret":null`, "secret"}, {`"secret":"whsec_not base64 but long enough to be one"`, "secret"},
			{`"previous_secret":"` + goodSecret + `"`, "previous_secret"},
			{`"secret":"","previous_secret":"` + goodSecret + `"`, "previous_secret"},
		} {
			answer := c.object(400, "POST", "/transports/", `{"name":"t",`+bad.body+`}`)
			if len(answer) != 1 || answer[bad.field] == nil || strings.Contains(fmt.Sprint(answer), "AAECAw") {
				c.t.Errorf("%s: %v", bad.body, answer)
			}
		}
	})
}

func TestTransportIsDisabledByATimeAndEnabledByNull(t *testing.T) {
	each(t, func(c *client) {
		pk := c.webhook("t", "https://example.com/", "")
		path := "/transports/" + pk + "/"
		off := c.object(200, "PATCH", path, `{"disabled_at":"2026-01-02T03:04:05Z","disabled_reason":"mine"}`)
		if off["disabled_at"] != "2026-01-02T03:04:05Z" || off["disabled_reason"] != "Disabled over the API." {
			c.t.Errorf("disabled: %v", off)
		}
		if err := c.db.Write(c.t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE transport SET disabled_reason = 'The receiver answered 410 Gone.'`)
			return err
		}); err != nil {
			c.t.Fatal(err)
		}
		again := c.object(200, "PATCH", path, `{"disabled_at":"2026-01-03T00:00:00Z"}`)
		if again["disabled_reason"] != "The receiver answered 410 Gone." {
			c.t.Errorf("disabled again: %v", again)
		}
		if on := c.object(200, "PATCH", path, `{"disabled_at":null}`); on["disabled_at"] != nil || on["disabled_reason"] != "" {
			c.t.Errorf("enabled: %v", on)
		}
		c.want("PATCH", path, `{"disabled_at":"2999-01-01T00:00:00Z"}`, 400,
			`{"disabled_at":["A transport is disabled at once: this may not lie in the future."]}`)
	})
}

// closedPort is an address on which nobody listens.
func closedPort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestATestAnswersWhatTheReceiverSaid(t *testing.T) {
	each(t, func(c *client) {
		for i, test := range []struct {
			mode   string
			status int
			text   string
			want   string
		}{
			{"webhook", 200, "thank you", `200 {"messages":["200","thank you"]}`},
			{"webhook_slack", 200, "ok", `200 {"messages":["200","ok"]}`},
			{"webhook", 204, "", `200 {"messages":["204",""]}`},
			{"webhook", 201, "\xff\x00<b>", `200 {"messages":["201","` + "\uFFFD\uFFFD" + `<b>"]}`},
			{"webhook", 404, "no such\n hook", `400 {"non_field_errors":["Receiver answered 404: no such hook"]}`},
			{"webhook", 500, "", `400 {"non_field_errors":["Receiver answered 500."]}`},
			{"webhook", 302, "", `400 {"non_field_errors":["Receiver answered 302."]}`},
			{"webhook", 410, "", `400 {"non_field_errors":["Receiver answered 410."]}`},
		} {
			h := newHook(c.t, test.status, test.text)
			name := fmt.Sprintf("t%d", i)
			pk := c.create(`{"name":"` + name + `","mode":"` + test.mode + `","webhook_url":"` + h.URL + `","secret":"` + goodSecret + `"}`)
			status, answer := c.call("POST", "/transports/"+pk+"/test/", `not even JSON`)
			if got := fmt.Sprint(status, " ", answer); got != test.want {
				c.t.Errorf("%s %d: %s", test.mode, test.status, got)
			}
			c.checkTestRequest(h, test.mode, name)
			c.checkTestInLog(pk, test.status)
			if c.stored(pk).DisabledAt != nil {
				c.t.Errorf("%d: a test disables the transport", test.status)
			}
		}
	})
}

// checkTestRequest wants one request, signed, that says what it is.
func (c *client) checkTestRequest(h *hook, mode, name string) {
	c.t.Helper()
	if len(h.got) != 1 {
		c.t.Fatalf("the receiver got %d requests", len(h.got))
	}
	r := <-h.got
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if mode == ModeWebhook && !strings.Contains(string(body), `"body":"Test Notification from transport `+name+`"`) {
		c.t.Errorf("the receiver got %s", body)
	}
	if !strings.HasPrefix(r.Header.Get("Webhook-Signature"), "v1,") || r.Header.Get("Webhook-Id") == "" {
		c.t.Errorf("the test is not signed: %v", r.Header)
	}
}

// checkTestInLog wants a delivery of its own with its one attempt, and the event.
func (c *client) checkTestInLog(transport string, status int) {
	c.t.Helper()
	list := c.object(200, "GET", "/deliveries/?transport="+transport, "")["results"].([]any)
	if len(list) != 1 {
		c.t.Fatalf("the log has %v", list)
	}
	logged := list[0].(map[string]any)
	one := c.object(200, "GET", "/deliveries/"+logged["pk"].(string)+"/", "")
	state := StateDead
	if status/100 == 2 {
		state = StateDelivered
	}
	attempts := one["attempts"].([]any)
	if one["state"] != state || one["rule"] != nil || one["next_attempt_at"] != nil || len(attempts) != 1 ||
		attempts[0].(map[string]any)["status"] != float64(status) || one["event"] != c.rehearsed[len(c.rehearsed)-1].PK {
		c.t.Errorf("the log says %v", one)
	}
	headers, err := json.Marshal(attempts[0].(map[string]any)["headers"])
	if err != nil || strings.Contains(string(headers), "v1,") || !strings.Contains(string(headers), `"Webhook-Signature":null`) ||
		!strings.Contains(string(headers), `"Content-Type":"application/json"`) {
		c.t.Errorf("the log shows the headers %s (%v)", headers, err)
	}
}

func TestATestThatReachesNobodyIs400WithASentence(t *testing.T) {
	each(t, func(c *client) {
		h := newHook(c.t, 200, "")
		closed := c.webhook("closed", "http://"+closedPort(c.t)+"/hook-canary", "")
		here := c.webhook("here", h.URL+"/hook-canary", "")
		ftp := c.webhook("ftp", "ftp://example.com/hook-canary", "")
		blank := c.create(`{"name":"blank"}`)
		c.object(200, "PATCH", "/transports/"+blank+"/", `{"mode":"webhook","webhook_url":"https://example.com/"}`)
		c.object(200, "PATCH", "/transports/"+blank+"/", `{"webhook_url":""}`)
		mail := c.create(`{"name":"mail","mode":"email"}`)
		test := func(pk, says string) {
			c.t.Helper()
			answer := c.object(400, "POST", "/transports/"+pk+"/test/", "")
			if text := fmt.Sprint(answer["non_field_errors"]); !strings.Contains(text, says) || strings.Contains(text, "canary") || len(answer) != 1 {
				c.t.Errorf("want %q, got %s", says, text)
			}
		}
		test(closed, "refused")
		test(ftp, "http")
		test(blank, "URL")
		test(mail, "--smtp-host")
		c.api.Worker = c.worker(slog.New(slog.NewTextHandler(c.t.Output(), nil)), outbound.External)
		test(here, "--outbound-allow")
		if len(h.got) != 0 {
			c.t.Error("the guard let a test through")
		}
		c.want("POST", "/transports/"+nobody+"/test/", "", 404, `{"detail":"Not found."}`)
		c.caller = identity.Caller{Host: true, Superuser: true, Scopes: identity.ScopeAdmin}
		test(here, "use the token of a user")
	})
}

func TestSentencesHaveACapitalAndOneEnd(t *testing.T) {
	for text, want := range map[string]string{"no server": "No server.", "Done.": "Done.", "is there an end?": "Is there an end?", "élan!": "Élan!"} {
		if got := sentence(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestATestWhileExpressionsAreBusyIs400WithASentence(t *testing.T) {
	each(t, func(c *client) {
		h := newHook(c.t, 200, "")
		for _, field := range []string{"webhook_mapping", "webhook_mapping_headers"} {
			mapping := c.object(201, "POST", "/mappings/", `{"name":"`+field+`","expression":"return {}"}`)["pk"].(string)
			pk := c.create(`{"name":"t-` + field + `","mode":"webhook","webhook_url":"` + h.URL + `","` + field + `":"` + mapping + `"}`)
			giveBack := occupy(c.api.Worker.opt.Runner)
			c.want("POST", "/transports/"+pk+"/test/", "", 400,
				`{"non_field_errors":["Another expression has been running for too long: try again in a moment."]}`)
			giveBack()
			if list := c.object(200, "GET", "/deliveries/?state=pending", "")["results"].([]any); len(list) != 0 {
				c.t.Errorf("%s: %v waits", field, list)
			}
		}
		if len(h.got) != 0 {
			c.t.Error("a test was sent")
		}
	})
}

func TestATestOfALocalTransportFillsTheCallersInbox(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create(`{"name":"inbox"}`)
		c.want("POST", "/transports/"+pk+"/test/", "", 200, `{"messages":[]}`)
		want := []Inbox{{UserPK: 1, TransportPK: pk, Body: "Test Notification from transport inbox"}}
		if diff := cmp.Diff(want, c.inbox); diff != "" {
			c.t.Error(diff)
		}
		if len(c.rehearsed) != 1 {
			c.t.Errorf("%d events", len(c.rehearsed))
		}
	})
}

// put stores a delivery by a transport.
func (c *client) put(transport string, change func(d *Delivery)) Delivery {
	c.t.Helper()
	now, rule := int64(0), sqldb.NewID()
	d := Delivery{PK: sqldb.NewID(), EventPK: sqldb.NewID(), RulePK: &rule, RuleName: "rule", TransportName: "transport", Username: "akadmin",
		TransportPK: transport, UserPK: 1, Mode: ModeWebhook, State: StatePending, Severity: "alert", Summary: "The disk is full",
		Body: `{"body":"The disk is full"}`, Due: &now}
	change(&d)
	if err := c.db.Write(c.t.Context(), func(tx *sqldb.Tx) error { return Insert(tx, []Delivery{d}) }); err != nil {
		c.t.Fatal(err)
	}
	return d
}

// dead settles a delivery before it is stored.
func dead(d *Delivery) { d.settle(StateDead, "given up"); d.Attempts, d.Step = 10, 10 }

// in is the state of a delivery.
func (c *client) in(pk string) string {
	c.t.Helper()
	return c.object(200, "GET", "/deliveries/"+pk+"/", "")["state"].(string)
}

// summaries lists the deliveries of a query by what they say.
func (c *client) summaries(query string) string {
	c.t.Helper()
	var all []string
	for _, one := range c.object(200, "GET", "/deliveries/?"+query, "")["results"].([]any) {
		all = append(all, one.(map[string]any)["summary"].(string))
	}
	return strings.Join(all, " ")
}

func TestDeliveriesAreFilteredSearchedAndOrdered(t *testing.T) {
	each(t, func(c *client) {
		pk := c.webhook("t", "https://example.com/", "")
		put := func(summary string, change func(d *Delivery)) Delivery {
			return c.put(pk, func(d *Delivery) { d.Summary = summary; change(d) })
		}
		a := put("a", func(*Delivery) {})
		b := put("b", func(d *Delivery) {
			d.TransportPK = nobody
			d.UserPK = 7
			d.TransportName, d.RuleName = "Ops Chat", "Größe"
		})
		put("c", dead)
		put("d", func(d *Delivery) { d.settle(StateCancelled, "x"); d.Username = "Ünal" })
		created := func(pk string) string { return c.object(200, "GET", "/deliveries/"+pk+"/", "")["created"].(string) }
		for query, want := range map[string]string{
			"":                                "d c b a",
			"ordering=created":                "a b c d",
			"ordering=state,created":          "d c a b",
			"ordering=-recipient":             "b d c a",
			"ordering=body":                   "d c b a",
			"state=dead&state=cancelled":      "d c",
			"transport=" + pk:                 "d c a",
			"event=" + a.EventPK:              "a",
			"rule=" + *b.RulePK:               "b",
			"recipient=7":                     "b",
			"created__gte=" + created(b.PK):   "d c b",
			"created__lt=" + created(b.PK):    "a",
			"search=CHAT":                     "b",
			"search=GR%C3%96%C3%9FE+ops":      "b",
			"search=%C3%BCNAL":                "d",
			"search=disk":                     "",
			"search=%25":                      "",
			"search=akadmin&ordering=created": "a b c",
			"page_size=2&page=2":              "b a",
			"unknown=x&state=":                "d c b a",
		} {
			if got := c.summaries(query); got != want {
				c.t.Errorf("%s: want %q, got %q", query, want, got)
			}
		}
		for _, bad := range []string{"state=lost", "transport=x", "event=x", "rule=x", "recipient=x", "created__gte=x"} {
			c.object(400, "GET", "/deliveries/?"+bad, "")
			c.object(400, "POST", "/deliveries/retry/?"+bad, "")
		}
		for _, verb := range []string{"GET /", "POST /retry/", "POST /cancel/"} {
			method, rest, _ := strings.Cut(verb, " ")
			c.want(method, "/deliveries/"+nobody+rest, "", 404, `{"detail":"Not found."}`)
		}
	})
}

func TestDeliveryIsAnsweredWithEveryFieldInOrder(t *testing.T) {
	each(t, func(c *client) {
		pk := c.webhook("t", "https://example.com/", "")
		due := int64(1_800_000_000_000_000)
		d := c.put(pk, func(d *Delivery) { d.Due, d.Reason, d.Attempts, d.Step = &due, "the receiver answered 500", 1, 1 })
		err := c.db.Write(c.t.Context(), func(tx *sqldb.Tx) error {
			return insertAttempt(tx, &Attempt{DeliveryPK: d.PK, Number: 1, Started: 1_700_000_000_000_000, Duration: 250_000, Status: 500,
				Error: "the receiver answered 500", Answer: "oh no", Headers: `{"Webhook-Id":"` + drf.JSON(d.PK) + `","X-Key":null}`})
		})
		if err != nil {
			c.t.Fatal(err)
		}
		_, text := c.call("GET", "/deliveries/"+d.PK+"/", "")
		created, _, _ := strings.Cut(strings.SplitAfter(text, `"created":"`)[1], `"`)
		shown := func(reason string) string {
			return `{"pk":"` + d.PK + `","state":"pending","reason":"` + reason + `","event":"` + d.EventPK + `","rule":"` + *d.RulePK + `","rule_name":"rule",` +
				`"transport":"` + pk + `","transport_name":"transport","mode":"webhook","recipient":1,"recipient_username":"akadmin","severity":"alert",` +
				`"summary":"The disk is full","created":"` + created + `","attempt_count":1,"next_attempt_at":"2027-01-15T08:00:00Z","parked":false,"settled_at":null`
		}
		c.want("GET", "/deliveries/"+d.PK+"/", "", 200, shown("the receiver answered 500")+`,"body":"{\"body\":\"The disk is full\"}","attempts":[`+
			`{"number":1,"started":"2023-11-14T22:13:20Z","duration":0.25,"status":500,"error":"the receiver answered 500","answer":"oh no",`+
			`"headers":{"Webhook-Id":"`+d.PK+`","X-Key":null}}]}`)
		_, list := c.call("GET", "/deliveries/", "")
		if !strings.HasSuffix(list, `"results":[`+shown("the receiver answered 500")+`}]}`) {
			c.t.Errorf("the list is %s", list)
		}
		c.caller.Scopes = identity.ScopeRead
		if _, list = c.call("GET", "/deliveries/", ""); !strings.HasSuffix(list, `"results":[`+shown("")+`}]}`) {
			c.t.Errorf("who may only read sees %s", list)
		}
		c.caller.Scopes = identity.ScopeAdmin
		c.object(200, "PATCH", "/transports/"+pk+"/", `{"disabled_at":"2026-01-01T00:00:00Z"}`)
		parked := c.object(200, "GET", "/deliveries/"+d.PK+"/", "")
		if parked["parked"] != true || parked["next_attempt_at"] != nil || parked["state"] != StatePending {
			c.t.Errorf("parked: %v", parked)
		}
	})
}

// running runs the client's worker until the end of the test.
func (c *client) running() {
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		c.api.Worker.Run(ctx)
	}()
	c.t.Cleanup(func() { cancel(); <-done })
}

func TestRetriedDeliveryHasTheSameIDAndBodyAndAFreshSchedule(t *testing.T) {
	each(t, func(c *client) {
		h := newHook(c.t, 500, "")
		pk := c.webhook("t", h.URL, "")
		c.running()
		for name, change := range map[string]func(d *Delivery){
			"dead": dead, "cancelled": func(d *Delivery) { d.settle(StateCancelled, "x") },
			"delivered": func(d *Delivery) { d.settle(StateDelivered, ""); d.Attempts, d.Step = 3, 3 },
			"pending":   func(d *Delivery) { later := int64(1) << 60; d.Due, d.Attempts, d.Step = &later, 4, 4 },
		} {
			d := c.put(pk, change)
			answer := c.object(200, "POST", "/deliveries/"+d.PK+"/retry/", "")
			if answer["pk"] != d.PK || answer["body"] != d.Body {
				c.t.Errorf("%s: %v", name, answer)
			}
			r := h.next(c.t)
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != d.Body || r.Header.Get("Webhook-Id") != d.PK {
				c.t.Errorf("%s: the receiver got %s %s (%v)", name, r.Header.Get("Webhook-Id"), body, err)
			}
			c.until(func() bool {
				return c.object(200, "GET", "/deliveries/"+d.PK+"/", "")["attempt_count"] == float64(d.Attempts+1)
			})
			if got := c.row(d.PK); got.Step != 1 || got.State != StatePending || got.Due == nil {
				c.t.Errorf("%s: afterwards it is %+v", name, got)
			}
		}
	})
}

// row reads a delivery as it is stored.
func (c *client) row(pk string) (l Logged) {
	c.t.Helper()
	err := c.db.Read(c.t.Context(), func(tx *sqldb.Tx) (err error) { l, err = getLogged(tx, pk); return err })
	if err != nil {
		c.t.Fatal(err)
	}
	return l
}

func TestRetryIsRefusedWithASentence(t *testing.T) {
	each(t, func(c *client) {
		pk := c.webhook("t", "https://example.com/", "")
		for want, change := range map[string]func(d *Delivery){
			"Its transport is gone.": func(d *Delivery) { dead(d); d.TransportPK = nobody },
			"Its recipient is gone.": func(d *Delivery) { dead(d); d.UserPK = 99 },
			errSending:               func(d *Delivery) { d.State = StateSending },
		} {
			d := c.put(pk, change)
			c.want("POST", "/deliveries/"+d.PK+"/retry/", "", 400, `{"non_field_errors":["`+want+`"]}`)
			if got := c.row(d.PK); got.State != d.State || got.Reason != d.Reason {
				c.t.Errorf("%s: it is now %+v", want, got)
			}
		}
		if len(c.trail) != 1 { // the transport's
			c.t.Errorf("refused retries leave a trail: %v", c.trail)
		}
	})
}

func TestOnlyWhatWaitsIsCancelled(t *testing.T) {
	each(t, func(c *client) {
		pk := c.webhook("t", "https://example.com/", "")
		d := c.put(pk, func(*Delivery) {})
		answer := c.object(200, "POST", "/deliveries/"+d.PK+"/cancel/", "")
		if answer["state"] != StateCancelled || answer["reason"] != "Cancelled by akadmin." || answer["settled_at"] == nil {
			c.t.Errorf("cancelled: %v", answer)
		}
		for _, change := range []func(d *Delivery){
			dead, func(d *Delivery) { d.State = StateSending }, func(d *Delivery) { d.settle(StateDelivered, "") }, func(d *Delivery) { d.settle(StateCancelled, "") },
		} {
			d := c.put(pk, change)
			c.object(400, "POST", "/deliveries/"+d.PK+"/cancel/", "")
			if c.in(d.PK) != d.State {
				c.t.Errorf("a delivery that was %s is %s", d.State, c.in(d.PK))
			}
		}
	})
}

func TestAllThatMatchAreRetriedInBatches(t *testing.T) {
	each(t, func(c *client) {
		pk := c.webhook("t", "https://example.com/", "")
		var many []Delivery
		for i := range retryBatch + 5 {
			rule := sqldb.NewID()
			d := Delivery{PK: sqldb.NewID(), EventPK: sqldb.NewID(), RulePK: &rule, TransportPK: pk, UserPK: 1, Mode: ModeWebhook,
				Summary: "n" + strconv.Itoa(i), Body: "{}"}
			dead(&d)
			many = append(many, d)
		}
		if err := c.db.Write(c.t.Context(), func(tx *sqldb.Tx) error { return Insert(tx, many) }); err != nil {
			c.t.Fatal(err)
		}
		gone := c.put(nobody, dead)
		cancelled := c.put(pk, func(d *Delivery) { d.settle(StateCancelled, "") })
		delivered := c.put(pk, func(d *Delivery) { d.settle(StateDelivered, "") })
		c.trail = nil
		c.want("POST", "/deliveries/retry/?search=n7&transport="+pk, "", 200, `{"retried":111,"skipped":0}`) // n7, n70 to n79, n700 to n799
		c.want("POST", "/deliveries/retry/", "", 200, `{"retried":894,"skipped":1}`)
		c.want("POST", "/deliveries/retry/", "", 200, `{"retried":0,"skipped":1}`)
		if len(c.trail) != 2 || c.trail[0].Name != "111 deliveries" || c.trail[1].Name != "894 deliveries" {
			c.t.Errorf("the trail is %v", c.trail)
		}
		c.want("POST", "/deliveries/retry/?state=pending", "", 200, `{"retried":1005,"skipped":0}`)
		if len(c.trail) != 4 || c.trail[2].Name != "1000 deliveries" || c.trail[3].Name != "5 deliveries" {
			c.t.Errorf("the trail is %v", c.trail)
		}
		for _, d := range []Delivery{gone, cancelled, delivered} {
			if c.in(d.PK) != d.State {
				c.t.Errorf("a delivery that was %s is %s", d.State, c.in(d.PK))
			}
		}
		c.want("POST", "/deliveries/retry/?state=cancelled&state=delivered&transport="+pk, "", 200, `{"retried":2,"skipped":0}`)
	})
}

func TestRetryOfManyLeavesWhatHasChangedOrCameMeanwhileAlone(t *testing.T) {
	each(t, func(c *client) {
		pk := c.webhook("t", "https://example.com/", "")
		d := c.put(pk, func(d *Delivery) { d.settle(StateDelivered, "") })
		started, err := c.api.startMany(httptest.NewRequestWithContext(c.t.Context(), "POST", "/", nil), []string{d.PK}, []string{StateDead})
		if err != nil || started != 0 || c.in(d.PK) != StateDelivered {
			c.t.Errorf("%d were started, and it is %s (%v)", started, c.in(d.PK), err)
		}
		q, err := RetryList.Parse(httptest.NewRequestWithContext(c.t.Context(), "POST", "/", nil))
		if err != nil {
			c.t.Fatal(err)
		}
		chosen := chosen{query: q, states: []string{StateDead}}
		for i, want := range []int{1, 0} {
			c.put(pk, dead)
			err := c.db.Read(c.t.Context(), func(tx *sqldb.Tx) error {
				pks, err := chosen.next(tx, 10)
				if len(pks) != want {
					c.t.Errorf("batch %d has %d deliveries", i, len(pks))
				}
				return err
			})
			if err != nil {
				c.t.Fatal(err)
			}
		}
	})
}

func TestEnablingATransportSendsWhatHasComeDueInOrder(t *testing.T) {
	each(t, func(c *client) {
		h := newHook(c.t, 200, "")
		pk := c.webhook("t", h.URL, `,"disabled_at":"2026-01-01T00:00:00Z"`)
		var want []string
		for i := range 5 {
			want = append(want, c.put(pk, func(d *Delivery) { d.Body = strconv.Itoa(i) }).PK)
		}
		h.answerTogether(len(want))
		other := newHook(c.t, 200, "")
		c.put(c.webhook("other", other.URL, ""), func(*Delivery) {})
		c.running()
		other.next(c.t) // the worker has looked at all transports
		c.object(200, "PATCH", "/transports/"+pk+"/", `{"disabled_at":null}`)
		got := map[string]bool{}
		for i := range want {
			got[h.next(c.t).Header.Get("Webhook-Id")] = true
			if i > 0 && !got[want[i-1]] { // two are under way at once
				c.t.Errorf("the first %d were %v", i+1, got)
			}
		}
		if len(got) != len(want) {
			c.t.Errorf("sent were %v", got)
		}
	})
}

// until waits for what another goroutine does.
func (c *client) until(ready func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ready(); {
		if time.Now().After(deadline) {
			c.t.Fatal("it did not happen")
		}
	}
}
