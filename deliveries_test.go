package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/internal/outbound"
	"belfry/internal/sqldb"
)

const (
	transportsPath = "/api/v3/events/transports/"
	rulesPath      = "/api/v3/events/rules/"
)

// received is what a receiver was sent.
type received struct {
	id, body string
	header   http.Header
}

// receiving starts the worker, and a receiver that answers what status says, and makes a rule for the action custom_send that
// sends akadmin webhooks by a transport.
func (f *fixture) receiving(status func() int) (transport, rule string, got chan received) {
	f.t.Helper()
	got = make(chan received, 100)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.WriteHeader(status())
		got <- received{id: r.Header.Get("Webhook-Id"), body: string(body), header: r.Header}
	}))
	f.t.Cleanup(web.Close)
	f.t.Cleanup(f.server.startWorker(f.t.Context()))
	transport = f.must(201, "POST", transportsPath, `{"name":"hook","mode":"webhook","webhook_url":"`+web.URL+`/hidden-path"}`).str("pk")
	rule = f.must(201, "POST", rulesPath, fmt.Sprintf(`{"name":"send","group":%q,"transports":[%q]}`, f.admins(), transport)).str("pk")
	policy := f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"send","action":"custom_send"}`).str("pk")
	f.must(201, "POST", "/api/v3/policies/bindings/", fmt.Sprintf(`{"policy":%q,"target":%q,"order":0}`, policy, rule))
	return transport, rule, got
}

// post posts an event that the rule of receiving matches.
func (f *fixture) post(message string) (event string) {
	f.t.Helper()
	return f.must(201, "POST", eventsPath, fmt.Sprintf(`{"action":"custom_send","app":"x","context":{"message":%q}}`, message)).str("pk")
}

// arrival waits for what a receiver gets next.
func (f *fixture) arrival(got chan received) received {
	f.t.Helper()
	select {
	case r := <-got:
		return r
	case <-time.After(10 * time.Second):
		f.t.Fatal("nothing arrives")
		return received{}
	}
}

// states are those of the deliveries of an event, once there is none of state not.
func (f *fixture) states(event, not string) (states []string) {
	f.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := f.db.Read(f.t.Context(), func(tx *sqldb.Tx) (err error) {
			states, err = sqldb.All(tx, func(row sqldb.Scanner) (s string, err error) { return s, row.Scan(&s) },
				`SELECT state FROM delivery WHERE event_pk = $1 AND mode = 'webhook' ORDER BY pk`, event)
			return err
		})
		if err != nil {
			f.t.Fatal(err)
		}
		if !strings.Contains(strings.Join(states, " "), not) {
			return states
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the deliveries are %v", states)
		}
	}
}

func TestAMatchedEventReachesItsReceiver(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, _, got := f.receiving(func() int { return 200 })
		event := f.post("Hello")
		r := f.arrival(got)
		if !strings.Contains(r.body, `"user_username":"akadmin"`) || !strings.Contains(r.body, "Hello") || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("the receiver got %s with %v", r.body, r.header)
		}
		if states := f.states(event, "ing"); len(states) != 1 || states[0] != "delivered" {
			t.Errorf("the deliveries are %v, want one that is delivered", states)
		}
	})
}

func TestAReceiverThatIsGoneDisablesItsTransportAndSuperusersAreTold(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		status := make(chan int, 10)
		transport, _, got := f.receiving(func() int { return <-status })
		_, alice := f.user("alice", "inbox")
		status <- 410
		event := f.post("Hello")
		first := f.arrival(got)
		f.states(event, "sending")
		inbox := f.must(200, "GET", "/api/v3/events/notifications/?user=1", "")
		if want := `The transport \"hook\" was disabled`; !strings.Contains(inbox.text, want) || strings.Contains(inbox.text, "hidden-path") {
			t.Errorf("want %s, without the address, in %s", want, inbox.text)
		}
		if n := f.call(alice, "GET", "/api/v3/events/notifications/", "").get("pagination", "count"); n != 0.0 {
			t.Errorf("a plain user has %v notices", n)
		}
		if at := f.must(200, "GET", transportsPath+transport+"/", "").get("disabled_at"); at == nil {
			t.Error("the transport is not disabled")
		}
		parked := f.post("Later")
		if states := f.states(parked, "sending"); len(states) != 1 || states[0] != "pending" {
			t.Errorf("the deliveries of a disabled transport are %v, want pending", states)
		}
		status <- 200
		status <- 200
		f.must(200, "PATCH", transportsPath+transport+"/", `{"disabled_at":null}`)
		if r := f.arrival(got); !strings.Contains(r.body, "Later") || r.id == first.id {
			t.Errorf("after enabling %s arrived, want what waited", r.body)
		}
		f.states(parked, "ing")
	})
}

func TestTheEndOfTransportsAndUsersCancelsAndThatOfRulesAndEventsDoesNot(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		transport, rule, _ := f.receiving(func() int { return 200 })
		f.must(200, "PATCH", transportsPath+transport+"/", `{"disabled_at":"2026-01-01T00:00:00Z"}`)
		bob, _ := f.user("bob", "inbox")
		f.must(204, "POST", "/api/v3/core/groups/"+f.admins()+"/add_user/", fmt.Sprintf(`{"pk":%d}`, bob))
		event := f.post("Hello")
		want := func(when string, want ...string) {
			t.Helper()
			if states := f.states(event, "sending"); fmt.Sprint(states) != fmt.Sprint(want) {
				t.Errorf("after %s the deliveries are %v, want %v", when, states, want)
			}
		}
		want("the event", "pending", "pending")
		f.must(204, "DELETE", rulesPath+rule+"/", "")
		f.must(204, "DELETE", eventsPath+event+"/", "")
		want("the end of rule and event", "pending", "pending")
		f.must(204, "DELETE", fmt.Sprintf("/api/v3/core/users/%d/", bob), "")
		want("the end of a recipient", "pending", "cancelled")
		f.must(204, "DELETE", transportsPath+transport+"/", "")
		want("the end of the transport", "cancelled", "cancelled")
	})
}

func TestAnEmailThatWasSentLeavesAnEventThatNoRuleRunsFor(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rule := f.must(201, "POST", rulesPath, `{"name":"all","group":"`+f.admins()+`"}`).str("pk")
		f.must(201, "POST", "/api/v3/policies/bindings/", `{"user":1,"target":"`+rule+`","order":0,"negate":true}`)
		f.forget()
		mail := outbound.Mail{Subject: "Alarm", Text: "It burns", HTML: "<p>It burns</p>"}
		sent := f.server.recorder.sends(outside{from: "belfry@example.org"}).MailSent("ada@example.org", mail)
		if err := f.db.Write(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
		events := f.must(200, "GET", eventsPath, "")
		want := `"context":{"message":"Email to ada@example.org sent","subject":"Alarm","body":"<p>It burns</p>",` +
			`"from_email":"belfry@example.org","to_email":["ada@example.org"]}`
		if events.get("pagination", "count") != 1.0 || events.str("results", 0, "action") != "email_sent" || !strings.Contains(events.text, want) {
			t.Errorf("want email_sent with %s, got %s", want, events.text)
		}
		if n := f.must(200, "GET", "/api/v3/events/notifications/?event="+events.str("results", 0, "pk"), "").get("pagination", "count"); n != 0.0 {
			t.Errorf("%v notifications of an e-mail that was sent", n)
		}
	})
}

func TestRetentionDeletesSettledDeliveries(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, _, got := f.receiving(func() int { return 200 })
		event := f.post("Hello")
		f.arrival(got)
		f.states(event, "ing")
		sweeper := &retention{db: f.db, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		sweeper.sweep(t.Context(), time.Now().Add(29*24*time.Hour))
		if n := len(f.states(event, "none")); n != 1 {
			t.Errorf("%d deliveries after 29 days, want 1", n)
		}
		sweeper.sweep(t.Context(), time.Now().Add(31*24*time.Hour))
		if n := len(f.states(event, "none")); n != 0 {
			t.Errorf("%d deliveries after 31 days, want 0", n)
		}
	})
}

// TestStopDoesNotWaitForReceiversThatHang sends SIGTERM while attempts hang, and finds them pending at the next start.
func TestStopDoesNotWaitForReceiversThatHang(t *testing.T) {
	arrived := make(chan string, 100)
	release := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- r.Header.Get("Webhook-Id")
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer web.Close()
	p := &program{t: t, database: filepath.Join(t.TempDir(), "data", "belfry.db"), env: []string{"BELFRY_OUTBOUND_ALLOW=loopback"}}
	p.start()
	p.crashRules(web.URL)
	if status, _, err := p.call("POST", eventsPath, `{"action":"custom_crash","app":"x"}`); err != nil || status != http.StatusCreated {
		t.Fatal(status, err)
	}
	first, second := <-arrived, <-arrived
	begun := time.Now()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil {
		t.Errorf("the exit status: %v: %s", err, p.log.String())
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it stopped after %v, want 10 s at most", took)
	}
	close(release)
	p.start()
	defer p.kill()
	for range 2 {
		if id := <-arrived; id != first && id != second {
			t.Errorf("%s arrived after the start, want %s or %s", id, first, second)
		}
	}
}
