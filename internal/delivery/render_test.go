package delivery

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belfry/internal/outbound"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

var (
	ada = script.User{PK: 1, Username: "ada", Name: "Ada", Email: "ada@example.org", IsActive: true}
	bob = script.User{PK: 2, Username: "bob", Name: "Bob", IsActive: true}
)

// occasion is an event that a rule matched, told by the transports to bob and ada, in this order.
func occasion(transports ...string) Occasion {
	return Occasion{
		Event: script.Event{PK: "event", Action: "login", App: "test", Summary: "ada logged in",
			User: json.RawMessage(`{"pk":1,"username":"ada","email":"ada@example.org"}`), Context: json.RawMessage(`{"message":"Hello","n":1}`)},
		RulePK: "rule", RuleName: "Rule", Severity: "alert", Transports: transports, Recipients: []script.User{bob, ada},
	}
}

// mapping makes a mapping whose pk is its name.
func (r *rig) mapping(name, expression string) *string {
	r.t.Helper()
	write(r.t, r.db, func(tx *sqldb.Tx) error {
		return insertMapping(tx, &Mapping{PK: name, Name: name, Expression: expression})
	})
	return &name
}

// render renders an occasion by what is stored.
func (r *rig) render(o Occasion, opt RenderOptions) Rendered {
	r.t.Helper()
	var s *Snapshot
	read(r.t, r.db, func(tx *sqldb.Tx) (err error) { s, err = Load(tx); return err })
	rendered, err := s.Render(r.t.Context(), r.options.Runner, o, opt)
	if err != nil {
		r.t.Fatal(err)
	}
	return rendered
}

func TestWhatATransportMakesOfAnEvent(t *testing.T) {
	webhook := func(email, name string) string {
		return fmt.Sprintf(`{"body":"ada logged in","severity":"alert","user_email":%q,"user_username":%q,"event_user_email":"ada@example.org","event_user_username":"ada"}`, email, name)
	}
	for _, test := range []struct {
		name       string
		mode       string
		expression string
		once, mail bool
		inbox      []Inbox
		deliveries [][4]string // recipient, state, reason, body
		failures   int
	}{
		{name: "local", mode: ModeLocal, inbox: []Inbox{{2, "t", "ada logged in"}, {1, "t", "ada logged in"}}},
		{name: "local, once", mode: ModeLocal, once: true, inbox: []Inbox{{1, "t", "ada logged in"}}},
		{name: "local, mapped", mode: ModeLocal, expression: `notification.body = "For " + user.username`,
			inbox: []Inbox{{2, "t", "For bob"}, {1, "t", "For ada"}}},
		{name: "local, a failing mapping", mode: ModeLocal, expression: `return 1 // 0`,
			inbox: []Inbox{{2, "t", "ada logged in"}, {1, "t", "ada logged in"}}, failures: 1},
		{name: "webhook", mode: ModeWebhook,
			deliveries: [][4]string{{"bob", StatePending, "", webhook("", "bob")}, {"ada", StatePending, "", webhook("ada@example.org", "ada")}}},
		{name: "webhook, once", mode: ModeWebhook, once: true, deliveries: [][4]string{{"ada", StatePending, "", webhook("ada@example.org", "ada")}}},
		{name: "webhook, mapped", mode: ModeWebhook, once: true, expression: `return {"text": notification.body, "to": user.username}`,
			deliveries: [][4]string{{"ada", StatePending, "", `{"text":"ada logged in","to":"ada"}`}}},
		{name: "webhook, a failing mapping", mode: ModeWebhook, expression: `return 1 // 0`,
			deliveries: [][4]string{{"bob", StateDead, `the mapping "m" failed: `, ""}, {"ada", StateDead, `the mapping "m" failed: `, ""}}, failures: 1},
		{name: "mail without a server", mode: ModeEmail,
			deliveries: [][4]string{{"bob", StateCancelled, noMailServer, ""}, {"ada", StateCancelled, noMailServer, ""}}},
		{name: "mail without an address", mode: ModeEmail, mail: true,
			deliveries: [][4]string{{"bob", StateCancelled, noAddress, ""}, {"ada", StatePending, "", `{"subject":"authentik Notification: login","text":"`}}},
		{name: "Slack does not use the mapping", mode: ModeSlack, once: true, expression: `return 1 // 0`,
			deliveries: [][4]string{{"ada", StatePending, "", `{"`}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachRig(t, func(t *testing.T, r *rig) {
				r.transport("t", func(t *Transport) {
					t.Mode, t.SendOnce = test.mode, test.once
					if test.expression != "" {
						t.BodyMapping = r.mapping("m", test.expression)
					}
				})
				got := r.render(occasion("t", "unknown"), RenderOptions{Mail: test.mail, Version: "1"})
				if diff := cmp.Diff(test.inbox, got.Inbox); diff != "" {
					t.Errorf("the inbox (-want +got):\n%s", diff)
				}
				if len(got.Failures) != test.failures || len(got.Deliveries) != len(test.deliveries) {
					t.Fatalf("%d failures and %d deliveries, want %d and %d", len(got.Failures), len(got.Deliveries), test.failures, len(test.deliveries))
				}
				for i, want := range test.deliveries {
					d := got.Deliveries[i]
					if d.Username != want[0] || d.State != want[1] || !strings.HasPrefix(d.Reason, want[2]) || !strings.HasPrefix(d.Body, want[3]) || want[3] == "" && d.Body != "" {
						t.Errorf("delivery %d is for %s: %s (%s), %s; want %q", i, d.Username, d.State, d.Reason, d.Body, want)
					}
					if (d.Due == nil) != (d.State != StatePending) {
						t.Errorf("a delivery that is %s is due %v", d.State, d.Due)
					}
				}
				write(t, r.db, func(tx *sqldb.Tx) error { return Insert(tx, got.Deliveries) })
			})
		})
	}
}

func TestARuleWithoutTransportsNotifiesTheInbox(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		got := r.render(occasion(), RenderOptions{})
		if diff := cmp.Diff([]Inbox{{2, "", "ada logged in"}, {1, "", "ada logged in"}}, got.Inbox); diff != "" {
			t.Error(diff)
		}
	})
}

func TestADeliveryWhoseMappingFailedIsRenderedAnewByARetry(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("t", func(t *Transport) { t.BodyMapping, t.SendOnce = r.mapping("m", `return 1 // 0`), true })
		in.answer = func(n int) *http.Response {
			if n == 0 {
				return status(503)
			}
			return status(200)
		}
		rendered := r.render(occasion("t"), RenderOptions{})
		write(t, r.db, func(tx *sqldb.Tx) error { return Insert(tx, rendered.Deliveries) })
		id := rendered.Deliveries[0].PK
		r.start()
		after(time.Minute)
		r.want(id, StateDead, 0)
		change := func(expression string) {
			r.exec(`UPDATE mapping SET expression = $1`, expression)
			r.exec(`UPDATE generation SET value = value + 1`)
			r.worker.Wake()
			after(time.Millisecond)
		}
		change(`return {"n": 1}`)
		r.exec(`UPDATE delivery SET state = 'pending', due = 0, settled = NULL, step = 0`)
		r.worker.Wake()
		after(time.Second)
		r.want(id, StatePending, 1)
		change(`return {"n": 2}`)
		after(time.Minute)
		r.want(id, StateDelivered, 2)
		for i, q := range in.requests() {
			if q.id != id || q.body != `{"n":1}` {
				t.Errorf("attempt %d was %s %s, want %s with what was rendered at first", i+1, q.id, q.body, id)
			}
		}
	})
}

func TestExtraHeadersAreMadeAtEachAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("t", func(t *Transport) {
			t.HeadersMapping = r.mapping("h", `return {"X-For": user.username, "X-Number": 1, "X-None": None}`)
		})
		in.answer = always(503)
		id := r.deliver(1, "t")[0]
		r.start()
		after(time.Second)
		r.exec(`UPDATE mapping SET expression = 'return ["no dictionary"]'`)
		r.exec(`UPDATE generation SET value = value + 1`)
		after(time.Minute)
		r.want(id, StatePending, 2)
		got := in.requests()
		if len(got) != 1 || got[0].header.Get("X-For") != "ada" || got[0].header.Get("X-Number") != "1" || got[0].header.Values("X-None") != nil {
			t.Errorf("the receiver got %+v, want one request with the headers of the mapping", got)
		}
		if len(r.noted(&r.failures)) != 1 || !strings.Contains(r.noted(&r.failures)[0], "dictionary") {
			t.Errorf("the failures are %q, want that of the second mapping", r.noted(&r.failures))
		}
	})
}

// mailServer speaks enough SMTP to take one mail a connection.
type mailServer struct {
	mu     sync.Mutex
	taken  []string
	refuse string // the answer to RCPT, "" to take it
}

func (s *mailServer) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go s.serve(theirs)
	return ours, nil
}

func (s *mailServer) serve(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewReader(conn)
	say := func(text string) { fmt.Fprintf(conn, "%s\r\n", text) }
	say("220 ready")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.ToUpper(verb) {
		case "RCPT":
			if s.refuse != "" {
				say(s.refuse)
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 go on")
			var mail strings.Builder
			for line, err = lines.ReadString('\n'); err == nil && line != ".\r\n"; line, err = lines.ReadString('\n') {
				mail.WriteString(line)
			}
			s.mu.Lock()
			s.taken = append(s.taken, mail.String())
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// mailRig is a rig with a mail transport, and a mail that is due.
func mailRig(t *testing.T, r *rig, refuse string) (*mailServer, string) {
	t.Helper()
	server := &mailServer{refuse: refuse}
	mailer, err := outbound.NewMailer(outbound.MailOptions{Host: "localhost", Encryption: outbound.Plaintext, From: "belfry@example.org", Dial: server.dial})
	if err != nil {
		t.Fatal(err)
	}
	r.options.Mailer = mailer
	r.transport("mail", func(t *Transport) { t.Mode, t.SendOnce = ModeEmail, true })
	rendered := r.render(occasion("mail"), RenderOptions{Mail: true})
	write(t, r.db, func(tx *sqldb.Tx) error { return Insert(tx, rendered.Deliveries) })
	return server, rendered.Deliveries[0].PK
}

func TestAnEmailThatIsTakenIsDeliveredAndRecorded(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		server, id := mailRig(t, r, "")
		r.start()
		after(time.Second)
		r.want(id, StateDelivered, 1)
		if len(server.taken) != 1 || !strings.Contains(server.taken[0], "authentik Notification: login") {
			t.Errorf("the mail server took %q, want one mail with its subject", server.taken)
		}
		if !slices.Equal(r.noted(&r.sent), []string{"ada@example.org"}) {
			t.Errorf("the e-mails recorded are for %q, want ada's address", r.noted(&r.sent))
		}
	})
}

func TestAnEmailThatIsRefusedForGoodMakesANoticeAndIsTriedAgain(t *testing.T) {
	for refusal, notices := range map[string]int{"550 no such user": 1, "451 later": 0} {
		bubble(t, func(t *testing.T, r *rig) {
			_, id := mailRig(t, r, refusal)
			r.start()
			after(time.Second)
			r.want(id, StatePending, 1)
			if len(r.told()) != notices || len(r.noted(&r.sent)) != 0 {
				t.Errorf("%s made the notices %q and the e-mails %q, want %d and none", refusal, r.told(), r.noted(&r.sent), notices)
			}
		})
	}
}

func TestAnEmailGoesToTheAddressOfTheMoment(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		server, id := mailRig(t, r, "")
		r.exec(`UPDATE app_user SET email = 'new@example.org'`)
		r.start()
		after(time.Second)
		r.want(id, StateDelivered, 1)
		if len(server.taken) != 1 || !strings.Contains(server.taken[0], "new@example.org") {
			t.Errorf("the mail server took %q, want a mail to the new address", server.taken)
		}
	})
	bubble(t, func(t *testing.T, r *rig) {
		_, id := mailRig(t, r, "")
		r.exec(`UPDATE app_user SET email = ''`)
		r.start()
		after(time.Second)
		if d := r.want(id, StateCancelled, 0); d.Reason != noAddress {
			t.Errorf("the reason is %q, want %q", d.Reason, noAddress)
		}
	})
}

func TestHeadersThatDifferByCapitalsAreRefused(t *testing.T) {
	if _, err := headersOf([]byte(`{"X-Key":"a","x-key":"b"}`)); err == nil || err.Error() != "the header X-Key is there twice: capitals make no difference" {
		t.Errorf("%v", err)
	}
	if header, err := headersOf([]byte(`{"X-Key":"a","X-Other":"b"}`)); err != nil || len(header) != 2 {
		t.Errorf("%v, %v", header, err)
	}
}
