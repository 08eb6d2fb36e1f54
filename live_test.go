package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/live"
)

const livePath = "/api/belfry/live"

// listener is a client that follows what changes.
type listener struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
	told   map[string]bool // see seen
}

// listen opens a stream by a key or a cookie, and reads its first message.
func listen(t *testing.T, client http.RoundTripper, url, key, cookie string) *listener {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url+livePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip")
	request.Header.Set("Accept", "text/event-stream")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	answer, err := client.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	l := &listener{t: t, answer: answer, lines: bufio.NewScanner(answer.Body), told: map[string]bool{}}
	if event, data := l.next(); answer.StatusCode != 200 || event != "hello" || data != `{"heartbeat":20}` {
		t.Fatalf("%d, first message %s %s", answer.StatusCode, event, data)
	}
	return l
}

// next reads one message; "" once the stream has ended.
func (l *listener) next() (event, data string) {
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch {
		case name == "event":
			event = value
		case name == "data":
			data = value
		case name == "" && event != "":
			return event, data
		}
	}
	return "", ""
}

// hints reads one change, and answers its hints as kind and id.
func (l *listener) hints() (all []string) {
	l.t.Helper()
	event, data := l.next()
	var list []live.Hint
	if err := json.Unmarshal([]byte(data), &list); event != "change" || err != nil {
		l.t.Fatalf("no change: %s %s", event, data)
	}
	for _, h := range list {
		all = append(all, h.Kind+" "+h.ID)
	}
	return all
}

// until reads changes until one of them has the hint, and answers all that was read.
func (l *listener) until(hint string) string {
	l.t.Helper()
	all := " "
	for !strings.Contains(all, " "+hint+" ") {
		all += strings.Join(l.hints(), " ") + " "
	}
	return all
}

// seen reads changes until one of them has told of a hint, by itself or by its kind.
func (l *listener) seen(hint string) {
	l.t.Helper()
	kind, _, _ := strings.Cut(hint, " ")
	for !l.told[hint] && !l.told[kind+" "] {
		for _, h := range l.hints() {
			l.told[h] = true
		}
	}
}

func (f *fixture) listen(key, cookie string) *listener {
	f.t.Helper()
	return listen(f.t, http.DefaultTransport, f.url, key, cookie)
}

func TestAStreamTellsWhatChangesToThoseWhoMaySeeIt(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, inboxKey := f.person("alice", "inbox")
		admin, read := f.listen(adminKey, ""), f.listen(f.token(1, "read", "read"), "")
		narrow := f.listen(f.token(1, "narrow", "inbox"), "")
		plain, byCookie := f.listen(inboxKey, ""), f.listen("", f.signIn("alice", password).cookie)
		h := plain.answer.Header
		if h.Get("Content-Type") != "text/event-stream" || h.Get("X-Accel-Buffering") != "no" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Encoding") != "" {
			t.Errorf("headers %v", h)
		}

		mapping := f.must(201, "POST", "/api/v3/propertymappings/notification/", `{"name":"one","expression":"return {}"}`).str("pk")
		admin.until("mapping " + mapping)
		rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"one"}`).str("pk")
		admin.until("rule " + rule)
		if got := read.until("rule " + rule); strings.Contains(got, mapping) {
			t.Errorf("the scope read: %s", got)
		}
		own, event := f.notified("for akadmin")
		for name, l := range map[string]*listener{"admin": admin, "read": read} {
			if got := l.until("event " + event); !strings.Contains(got, " notification "+own+" ") {
				t.Errorf("%s: %s", name, got)
			}
		}
		if got := narrow.hints(); fmt.Sprint(got) != "[notification "+own+"]" {
			t.Errorf("the scope inbox: %s", got)
		}
		notification, event := f.notifyUser(alice, "for_alice")
		if got := admin.until("event " + event); strings.Contains(got, notification) {
			t.Errorf("a superuser is told of somebody else's inbox: %s", got)
		}
		f.call(inboxKey, "PATCH", notificationsPath+notification+"/", `{"seen":true}`)
		for _, l := range []*listener{plain, byCookie} {
			if got := fmt.Sprint(l.hints()); got != "[notification "+notification+"]" && got != "[notification "+notification+" notification "+notification+"]" {
				t.Errorf("alice: %s", got)
			}
		}
	})
}

func TestEveryKindOfObjectHasItsHints(t *testing.T) {
	whose := identity.Caller{User: identity.User{PK: 7}, Superuser: true, Scopes: identity.ScopeRead}
	for i := range trailCases {
		c := &trailCases[i]
		words := strings.Fields(c.about)
		key := `"0189000000007000800000000000abcd"`
		want := "01890000-0000-7000-8000-00000000abcd"
		if words[2] == "user" {
			key, want = "42", "42"
		}
		e := Event{PK: "it", User: "{}", Brand: "{}", Action: words[0], Origin: OriginTrail,
			Context: drf.JSON(`{"model":{"pk":` + key + `,"app":"` + words[1] + `","name":"","model_name":"` + words[2] + `"}}`)}
		columns := columnsOf(&e)
		hints := eventHints(&e, &columns)
		if len(hints) != 2 || hints[0] != (live.Hint{Kind: kindEvent, ID: "it"}) || hints[1].ID != want || hints[1].Kind == "" {
			t.Fatalf("%s: %v", c.route, hints)
		}
		hidden := hints[1].Kind == kindToken || hints[1].Kind == kindSession || hints[1].Kind == kindMapping
		if audienceOf(whose).Sees(hints[1].Kind) == hidden {
			t.Errorf("the scope read and the kind %s", hints[1].Kind)
		}
		e.Origin = OriginAPI // what somebody posts is about nothing
		if hints := eventHints(&e, &columns); len(hints) != 1 {
			t.Errorf("%s: %v of a posted event", c.route, hints)
		}
	}
}

func TestAnInboxIsToldToItsOwnerAlone(t *testing.T) {
	for _, scopes := range []identity.Scopes{identity.ScopeAdmin, identity.ScopeRead, identity.ScopeInbox} {
		if audienceOf(identity.Caller{Superuser: true, Scopes: scopes}).Sees(kindNotification) {
			t.Errorf("superusers with the scopes %v see whose it is not", scopes)
		}
	}
}

func TestInboxChangesAreToldToTheirOwner(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, key := f.person("alice", "inbox")
		one, _ := f.notifyUser(alice, "one")
		l := f.listen(key, "")
		for _, c := range []struct{ method, path, body, id string }{
			{"PATCH", one + "/", `{"seen":true}`, one}, {"PATCH", one + "/", `{"seen":false,"event":{"app":"x"}}`, one},
			{"POST", "mark_all_seen/", "", ""}, {"DELETE", one + "/", "", one},
		} {
			by := adminKey
			if c.method == "POST" {
				by = key
			}
			if r := f.call(by, c.method, notificationsPath+c.path, c.body); r.status >= 300 {
				t.Fatalf("%s %s: %d %s", c.method, c.path, r.status, r.text)
			}
			if got := fmt.Sprint(l.hints()); got != "[notification "+c.id+"]" {
				t.Errorf("%s %s: %s", c.method, c.path, got)
			}
		}
	})
}

// TestAStreamEndsWithTheRightToIt takes rights away under an open stream: it says so and ends, and tells nothing more.
func TestAStreamEndsWithTheRightToIt(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		heir, _ := f.person("heir", "inbox")
		user := func(pk int64) string { return fmt.Sprintf("/api/v3/core/users/%d/", pk) }
		for i, c := range []struct {
			name, reason string
			by           string
			end          func(pk int64, name string, b *browser)
		}{
			{"token deleted", "ended", "token", func(_ int64, name string, _ *browser) {
				f.must(204, "DELETE", "/api/v3/core/tokens/"+name+"-inbox/", "")
			}},
			{"token has another key", "ended", "token", func(_ int64, name string, _ *browser) {
				f.must(204, "POST", "/api/v3/core/tokens/"+name+"-inbox/set_key/", `{"key":"another-key-0123456789-0123456789-`+name+`"}`)
			}},
			{"token may only post", "ended", "token", func(_ int64, name string, _ *browser) {
				f.must(200, "PATCH", "/api/v3/core/tokens/"+name+"-inbox/", `{"scopes":["ingest"]}`)
			}},
			{"token is somebody else's", "stopping", "token", func(_ int64, name string, _ *browser) {
				f.must(200, "PATCH", "/api/v3/core/tokens/"+name+"-inbox/", fmt.Sprintf(`{"user":%d}`, heir))
			}},
			{"user disabled", "ended", "token", func(pk int64, _ string, _ *browser) { f.must(200, "PATCH", user(pk), `{"is_active":false}`) }},
			{"user deleted", "ended", "session", func(pk int64, _ string, _ *browser) { f.must(204, "DELETE", user(pk), "") }},
			{"password set", "ended", "session", func(pk int64, _ string, _ *browser) {
				f.must(204, "POST", user(pk)+"set_password/", `{"password":"another password"}`)
			}},
			{"signed out", "ended", "session", func(_ int64, _ string, b *browser) { b.wants(204, "DELETE", sessionPath, "") }},
			{"session ended", "ended", "session", func(_ int64, _ string, b *browser) {
				f.must(204, "DELETE", "/api/belfry/sessions/"+b.ask("GET", mePath, "").str("session", "pk")+"/", "")
			}},
			{"made a superuser", "stopping", "session", func(pk int64, _ string, _ *browser) {
				f.must(204, "POST", "/api/v3/core/groups/"+f.admins()+"/add_user/", fmt.Sprintf(`{"pk":%d}`, pk))
			}},
		} {
			name := fmt.Sprint("user", i)
			pk, key := f.person(name, "inbox")
			b := f.signIn(name, password)
			l := f.listen(key, "")
			if c.by == "session" {
				l = f.listen("", b.cookie)
			}
			c.end(pk, name, b)
			if event, data := l.next(); event != "bye" || data != `{"reason":"`+c.reason+`"}` {
				t.Errorf("%s: %s %s", c.name, event, data)
			}
			if event, data := l.next(); event != "" {
				t.Errorf("%s: after the end came %s %s", c.name, event, data)
			}
		}
	})
}

// TestEveryListenerIsToldOfEveryEvent posts from several clients at once, to more listeners than one user may have.
func TestEveryListenerIsToldOfEveryEvent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var listeners []*listener
		for i := range 4 {
			name := fmt.Sprint("admin", i)
			pk, _ := f.person(name, "inbox")
			f.must(204, "POST", "/api/v3/core/groups/"+f.admins()+"/add_user/", fmt.Sprintf(`{"pk":%d}`, pk))
			key := f.token(pk, name, "read")
			for range 16 {
				listeners = append(listeners, f.listen(key, ""))
			}
		}
		keys := make(chan string, 4*25)
		var posting sync.WaitGroup
		for range 4 {
			posting.Go(func() {
				for range 25 {
					keys <- f.call(adminKey, "POST", eventsPath, `{"action":"custom_told","app":"x"}`).str("pk")
				}
			})
		}
		posting.Wait()
		close(keys)
		for key := range keys {
			for _, l := range listeners {
				l.seen("event " + key)
			}
		}
	})
}

func TestTheOldestOfTooManyStreamsGivesWay(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.listen(adminKey, "")
		for range 16 {
			f.listen(adminKey, "")
		}
		if event, data := first.next(); event != "bye" || data != `{"reason":"replaced"}` {
			t.Errorf("%s %s", event, data)
		}
		f.server.hub.Close()
		if r := f.call(adminKey, "GET", livePath, ""); r.status != 503 || r.header.Get("Retry-After") == "" {
			t.Errorf("while stopping: %d %s", r.status, r.text)
		}
		if r := f.call(adminKey, "HEAD", "/api/belfry/live/", ""); r.status != 404 {
			t.Errorf("with a slash: %d", r.status)
		}
	})
}

// pipes is a listener of connections in memory, for tests whose time is not the world's.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// inBubble serves a new database with the program's limits inside a bubble of synctest.
func inBubble(t *testing.T, test func(t *testing.T, s *server, client *http.Transport)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "belfry.db")
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		db, err := openStore(t.Context(), path, identity.HashKey(adminKey), log)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		s := newServer(db, log, outside{})
		accept := make(pipes)
		web := newHTTP(s.handler(), log)
		served := make(chan error)
		go func() { served <- serveOn(web, accept) }()
		client := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			accept <- theirs
			return ours, nil
		}}
		test(t, s, client)
		client.CloseIdleConnections()
		if err := web.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func TestAStreamOutlivesTheLimitsOfARequestAndBeatsMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
		l := listen(t, client, "http://belfry", adminKey, "")
		defer l.answer.Body.Close()
		for i := range 60 { // twenty minutes
			before := time.Now()
			event, data := l.next()
			if pause := time.Since(before); event != "beat" || data != "{}" || pause != heartbeat {
				t.Fatalf("after %d beats: %q %q in %v", i, event, data, pause)
			}
		}
		before := time.Now()
		s.publish(live.Hint{Kind: kindEvent, ID: "a"})
		time.Sleep(gatherTime / 2)
		s.publish(live.Hint{Kind: kindEvent, ID: "b"}, live.Hint{Kind: kindEvent, ID: "a"})
		if event, data := l.next(); event != "change" || data != `[{"kind":"event","id":"a"},{"kind":"event","id":"b"}]` || time.Since(before) != gatherTime {
			t.Errorf("%s %s after %v", event, data, time.Since(before))
		}
	})
}

// do makes one request of a bubble, and answers the body.
func do(t *testing.T, client *http.Transport, method, path, body string) string {
	t.Helper()
	request, err := http.NewRequest(method, "http://belfry"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+adminKey)
	answer, err := client.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s, %v", method, path, answer.StatusCode, text, err)
	}
	return string(text)
}

// TestWhoIsRevokedIsToldNothingOfWhatWasGathered revokes a token while something waits for its stream.
func TestWhoIsRevokedIsToldNothingOfWhatWasGathered(t *testing.T) {
	inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
		var made struct{ Key string }
		if err := json.Unmarshal([]byte(do(t, client, "POST", "/api/v3/core/tokens/", `{"identifier":"short","intent":"api"}`)), &made); err != nil {
			t.Fatal(err)
		}
		time.Sleep(gatherTime) // that a token was made has been told
		l, stays := listen(t, client, "http://belfry", made.Key, ""), listen(t, client, "http://belfry", adminKey, "")
		defer l.answer.Body.Close()
		defer stays.answer.Body.Close()
		before := time.Now()
		s.publish(live.Hint{Kind: kindEvent, ID: "gathered"})
		do(t, client, "DELETE", "/api/v3/core/tokens/short/", "")
		if event, data := l.next(); event != "bye" || data != `{"reason":"ended"}` || time.Since(before) != 0 {
			t.Errorf("%s %s after %v", event, data, time.Since(before))
		}
		if event, data := stays.next(); event != "change" || !strings.Contains(data, "gathered") || time.Since(before) != gatherTime {
			t.Errorf("to others: %s %s after %v", event, data, time.Since(before))
		}
	})
}

func TestWhoeverTakesNothingIsNotWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
		l := listen(t, client, "http://belfry", adminKey, "")
		defer l.answer.Body.Close()
		// A pipe holds nothing, and the transport reads a few kilobytes ahead: then nobody takes anything.
		for i := range 500 {
			before := time.Now()
			s.publish(live.Hint{Kind: kindEvent, ID: strings.Repeat(fmt.Sprint(i), 100)})
			if time.Since(before) != 0 {
				t.Fatal("who publishes has waited")
			}
			time.Sleep(gatherTime)
		}
		time.Sleep(listenTime)
		if n := s.hub.Len(); n != 0 {
			t.Errorf("%d readers are still served", n)
		}
	})
}

func TestAnOpenStreamAloneKeepsNoSession(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *server, client *http.Transport) {
		request, err := http.NewRequest("POST", "http://belfry"+sessionPath, strings.NewReader(`{"token":"`+adminKey+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		answer, err := client.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		cookie, _, _ := strings.Cut(answer.Header.Get("Set-Cookie"), ";")
		opened := time.Now()
		l := listen(t, client, "http://belfry", "", cookie)
		defer l.answer.Body.Close()
		event, data := l.next()
		for event == "beat" {
			event, data = l.next()
		}
		if lasted := time.Since(opened); event != "bye" || data != `{"reason":"ended"}` || lasted < 12*time.Hour || lasted > 12*time.Hour+heartbeat {
			t.Errorf("%s %s after %v", event, data, lasted)
		}
	})
}

func TestSIGTERMEndsOpenStreamsAtOnce(t *testing.T) {
	p := &program{t: t, database: filepath.Join(t.TempDir(), "belfry.db")}
	p.start()
	var all []*listener
	for range 8 {
		all = append(all, listen(t, http.DefaultTransport, p.url, adminKey, ""))
	}
	began := time.Now()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if event, data := l.next(); event != "bye" || data != `{"reason":"stopping"}` {
			t.Errorf("%s %s", event, data)
		}
		if _, err := io.Copy(io.Discard, l.answer.Body); err != nil {
			t.Errorf("a stream was cut off: %v", err)
		}
	}
	if err := p.command.Wait(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v: %s", err, time.Since(began), p.log.String())
	}
	if strings.Contains(p.log.String(), "cut off") {
		t.Error(p.log.String())
	}
}
