package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

const (
	sessionPath = "/api/belfry/session/"
	mePath      = "/api/belfry/me/"
	lostSession = `{"detail":"Authentication credentials were not provided."}`
	password    = "correct horse battery"
)

// browser is a client that keeps the session's cookie, and nothing else.
type browser struct {
	*fixture
	cookie string
	header http.Header // sent with every request
}

// ask makes a request as a browser does.
func (b *browser) ask(method, path, body string) reply {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for name, values := range b.header {
		request.Header[name] = values
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if b.cookie != "" {
		request.Header.Set("Cookie", b.cookie)
	}
	r := b.send(request)
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		b.cookie = c.Name + "=" + c.Value
		if c.MaxAge < 0 {
			b.cookie = ""
		}
	}
	return r
}

// wants makes a request and wants its status.
func (b *browser) wants(status int, method, path, body string) reply {
	b.t.Helper()
	r := b.ask(method, path, body)
	if r.status != status {
		b.t.Errorf("%s %s %s: want %d, got %d %s", method, path, body, status, r.status, r.text)
	}
	return r
}

// signIn is a browser of a user with a password.
func (f *fixture) signIn(username, password string) *browser {
	f.t.Helper()
	b := &browser{fixture: f}
	b.wants(201, "POST", sessionPath, `{"username":"`+username+`","password":"`+password+`"}`)
	return b
}

// signInByToken is a browser whose session a token opened.
func (f *fixture) signInByToken(key string) *browser {
	f.t.Helper()
	b := &browser{fixture: f}
	b.wants(201, "POST", sessionPath, `{"token":"`+key+`"}`)
	return b
}

// person makes a user with the password of all in these tests, and a token of it.
func (f *fixture) person(name string, scopes ...string) (pk int64, key string) {
	f.t.Helper()
	pk, key = f.user(name, scopes...)
	f.must(204, "POST", fmt.Sprintf("/api/v3/core/users/%d/set_password/", pk), `{"password":"`+password+`"}`)
	return pk, key
}

func TestSignInByPasswordOrToken(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, key := f.person("alice", "inbox")
		nobody := &browser{fixture: f}
		const none = `{"user":null,"scopes":[],"has_password":false,"session":null}`
		if r := nobody.wants(200, "GET", sessionPath, ""); r.text != none || r.header.Get("Set-Cookie") != "" {
			t.Errorf("nobody is %s %v", r.text, r.header)
		}
		nobody.wants(403, "GET", mePath, "")
		for _, c := range []struct {
			body, method string
			scope        string
			list         int // what GET of the tokens answers
		}{
			{`{"username":"alice","password":"` + password + `"}`, "password", "admin", 200},
			{`{"token":"` + key + `"}`, "token", "inbox", 403},
		} {
			b := &browser{fixture: f, header: http.Header{"User-Agent": {"Fire\tfox"}}}
			before := time.Now().Add(-time.Second)
			r := b.wants(201, "POST", sessionPath, c.body)
			cookie := r.header.Get("Set-Cookie")
			name, secret, _ := strings.Cut(b.cookie, "=")
			if want := "belfry=" + secret + "; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict"; cookie != want || name != "belfry" || len(secret) < 26 {
				t.Errorf("the cookie is %q, want %q", cookie, want)
			}
			if r.get("user", "pk") != float64(alice) || r.str("scopes", 0) != c.scope || r.str("session", "method") != c.method ||
				r.get("has_password") != true || r.str("session", "user_agent") != "Firefox" || r.str("session", "client_ip") != "127.0.0.1" ||
				r.get("session", "current") != true || strings.Contains(r.text, secret) {
				t.Errorf("who: %s", r.text)
			}
			for _, path := range []string{sessionPath, mePath} {
				if again := b.wants(200, "GET", path, ""); again.text != r.text {
					t.Errorf("%s is %s, want %s", path, again.text, r.text)
				}
			}
			b.wants(c.list, "GET", "/api/v3/core/tokens/", "")
			b.wants(403, "GET", eventsPath, "")
			b.wants(200, "GET", notificationsPath, "")
			login, err := time.Parse(time.RFC3339, f.must(200, "GET", fmt.Sprintf("/api/v3/core/users/%d/", alice), "").str("last_login"))
			if err != nil || login.Before(before) {
				t.Errorf("last_login is %v, %v", login, err)
			}
			var stored strings.Builder
			if err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error { return dumpTable(tx, "user_session", &stored) }); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(stored.String(), secret) || !strings.Contains(stored.String(), identity.HashKey(secret)) {
				t.Errorf("the secret is stored as it is: %s", &stored)
			}
			cookie = b.wants(204, "DELETE", sessionPath, "").header.Get("Set-Cookie")
			if cookie != "belfry=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict" {
				t.Errorf("signed out with %q", cookie)
			}
			b.wants(204, "DELETE", sessionPath, "")
		}
	})
}

func TestSignInRefusesWhatIsIncompleteOrTooMuch(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, ingest := f.user("door", "ingest")
		_, key := f.user("both", "admin")
		for body, want := range map[string]string{
			`{}`:               `400 {"username":["This field is required."],"password":["This field is required."]}`,
			`{"username":"x"}`: `400 {"password":["This field is required."]}`,
			`{"username":"both","password":"x","token":"` + key + `"}`: `400 {"non_field_errors":["Sign in with a user name and a password, or with a token."]}`,
			`{"username":"","password":""}`:                            `400 {"username":["This field may not be blank."],"password":["This field may not be blank."]}`,
			`{"username":null,"password":["x"]}`:                       `400 {"username":["This field may not be null."],"password":["Not a valid string."]}`,
			`[]`:                                                       `400 {"username":["This field is required."],"password":["This field is required."],"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`,
			`{"token":"` + ingest + `"}`:                               `403 {"detail":"This token may post events and look at nothing."}`,
		} {
			b := &browser{fixture: f}
			if r := b.ask("POST", sessionPath, body); fmt.Sprint(r.status, " ", r.text) != want || b.cookie != "" {
				t.Errorf("%s: %d %s %q", body, r.status, r.text, b.cookie)
			}
		}
	})
}

func TestSignInTellsNothingOfWhoExists(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.person("alice")
		disabled, _ := f.person("disabled")
		f.must(200, "PATCH", fmt.Sprintf("/api/v3/core/users/%d/", disabled), `{"is_active":false}`)
		for name, with := range map[string]string{"alice": "wrong password", "disabled": password, "akadmin": "has none yet", "nobody": password, "Alice": password} {
			b := &browser{fixture: f}
			r := b.ask("POST", sessionPath, `{"username":"`+name+`","password":"`+with+`"}`)
			r.header.Del("Date")
			if want := `{"detail":"Wrong user name or password."}`; r.status != 403 || r.text != want || len(r.header) != 5 || b.cookie != "" {
				t.Errorf("%s: %d %s %v", name, r.status, r.text, r.header)
			}
		}
		f.signIn("alice", password)
	})
}

// TestSessionsEndAtTheNextRequest takes away what a session rests on. Every other session goes on.
func TestSessionsEndAtTheNextRequest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		bystander, _ := f.person("bystander")
		witness := f.signIn("bystander", password)
		user := func(pk int64) string { return fmt.Sprintf("/api/v3/core/users/%d/", pk) }
		own := func(b *browser) string { return b.ask("GET", mePath, "").str("session", "pk") }
		for i, c := range []struct {
			name string
			by   string // what the session was opened with
			end  func(pk int64, key string, b, other *browser)
			all  bool // the user's other session ends, too
		}{
			{"signed out", "password", func(_ int64, _ string, b, _ *browser) {
				cookie := b.cookie
				b.wants(204, "DELETE", sessionPath, "")
				b.cookie = cookie
			}, false},
			{"ended by its user", "password", func(_ int64, _ string, b, other *browser) {
				other.wants(204, "DELETE", mePath+"sessions/"+own(b)+"/", "")
			}, false},
			{"ended by itself", "password", func(_ int64, _ string, b, _ *browser) { b.wants(204, "DELETE", mePath+"sessions/"+own(b)+"/", "") }, false},
			{"ended by a superuser", "password", func(_ int64, _ string, b, _ *browser) {
				f.must(204, "DELETE", "/api/belfry/sessions/"+own(b)+"/", "")
			}, false},
			{"password changed by its user", "password", func(_ int64, _ string, _, other *browser) {
				other.wants(204, "POST", mePath+"password/", `{"old_password":"`+password+`","password":"another password"}`)
			}, false},
			{"password set by a superuser", "password", func(pk int64, _ string, _, _ *browser) {
				f.must(204, "POST", user(pk)+"set_password/", `{"password":"another password"}`)
			}, true},
			{"user disabled", "password", func(pk int64, _ string, _, _ *browser) { f.must(200, "PATCH", user(pk), `{"is_active":false}`) }, true},
			{"user disabled and enabled", "password", func(pk int64, _ string, _, _ *browser) {
				f.must(200, "PATCH", user(pk), `{"is_active":false}`)
				f.must(200, "PATCH", user(pk), `{"is_active":true}`)
			}, true},
			{"user deleted", "password", func(pk int64, _ string, _, _ *browser) { f.must(204, "DELETE", user(pk), "") }, true},
			{"unused for long", "password", func(_ int64, _ string, b, _ *browser) {
				f.exec(t, "UPDATE user_session SET last_used = $1 WHERE pk = $2", time.Now().Add(-12*time.Hour).UnixMicro(), own(b))
			}, false},
			{"used for too long", "password", func(_ int64, _ string, b, _ *browser) {
				f.exec(t, "UPDATE user_session SET expires = $1 WHERE pk = $2", time.Now().UnixMicro(), own(b))
			}, false},
			{"token deleted", "token", func(_ int64, key string, _, _ *browser) { f.must(204, "DELETE", "/api/v3/core/tokens/"+key+"/", "") }, false},
			{"token expired", "token", func(_ int64, key string, _, _ *browser) {
				f.exec(t, "UPDATE token SET expires = $1 WHERE identifier = $2", time.Now().UnixMicro(), key)
			}, false},
			{"token has another key", "token", func(_ int64, key string, _, _ *browser) {
				f.must(204, "POST", "/api/v3/core/tokens/"+key+"/set_key/", `{"key":"another-key-0123456789-0123456789-`+key+`"}`)
			}, false},
			{"token is for something else", "token", func(_ int64, key string, _, _ *browser) {
				f.must(200, "PATCH", "/api/v3/core/tokens/"+key+"/", `{"intent":"recovery"}`)
			}, false},
			{"token is somebody else's", "token", func(_ int64, key string, _, _ *browser) {
				f.must(200, "PATCH", "/api/v3/core/tokens/"+key+"/", fmt.Sprintf(`{"user":%d}`, bystander))
			}, false},
		} {
			name := fmt.Sprint("user", i)
			pk, key := f.person(name)
			b, other := f.signIn(name, password), f.signIn(name, password)
			if c.by == "token" {
				b = f.signInByToken(key)
			}
			b.wants(200, "GET", mePath, "")
			c.end(pk, name+"-", b, other)
			cookie := b.cookie
			if r := b.wants(403, "GET", notificationsPath, ""); r.text != lostSession {
				t.Errorf("%s: %s", c.name, r.text)
			}
			if r := b.wants(200, "GET", sessionPath, ""); r.get("user") != nil || b.cookie != "" {
				t.Errorf("%s: %s, and the cookie %q is kept", c.name, r.text, cookie)
			}
			if status := map[bool]int{false: 200, true: 403}[c.all]; other.ask("GET", mePath, "").status != status {
				t.Errorf("%s: the other session answered no %d", c.name, status)
			}
			witness.wants(200, "GET", mePath, "")
		}
	})
}

func TestTheUseOfASessionIsNotedOnceAMinute(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.person("alice")
		b := f.signIn("alice", password)
		for _, c := range []struct {
			ago   time.Duration
			noted bool
		}{{30 * time.Second, false}, {90 * time.Second, true}, {11 * time.Hour, true}} {
			was := time.Now().Add(-c.ago).Truncate(time.Microsecond)
			f.exec(t, "UPDATE user_session SET last_used = $1", was.UnixMicro())
			b.wants(200, "GET", notificationsPath, "")
			now, err := time.Parse(time.RFC3339, b.wants(200, "GET", mePath, "").str("session", "last_used"))
			if err != nil || now.After(was) != c.noted {
				t.Errorf("used %v ago: now %v, %v", c.ago, now, err)
			}
		}
	})
}

func TestCookieRequestsAreSafeFromOtherSites(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.person("alice")
		b := f.signIn("alice", password)
		host := strings.TrimPrefix(f.url, "http://")
		for _, c := range []struct {
			name, value string
			safe        bool
		}{
			{"Sec-Fetch-Site", "same-origin", true}, {"Sec-Fetch-Site", "none", true},
			{"Sec-Fetch-Site", "cross-site", false}, {"Sec-Fetch-Site", "same-site", false},
			{"Origin", "http://" + host, true}, {"Origin", "http://evil.example", false}, {"Origin", "null", false},
			{"Origin", "http://127.0.0.1:1", false}, // a neighbour on another port
		} {
			b.header = http.Header{c.name: {c.value}}
			status := map[bool]int{true: 204, false: 403}[c.safe]
			b.wants(status, "POST", notificationsPath+"mark_all_seen/", "")
			b.wants(200, "GET", notificationsPath, "") // nobody else is let read the answer
			stranger := &browser{fixture: f, header: b.header}
			if r := stranger.ask("POST", sessionPath, `{"username":"alice","password":"`+password+`"}`); (r.status == 201) != c.safe {
				t.Errorf("a sign-in with %s: %s answered %d", c.name, c.value, r.status)
			}
			if !c.safe {
				b.wants(403, "DELETE", sessionPath, "")
				b.wants(403, "POST", mePath+"password/", `{"old_password":"`+password+`","password":"another password"}`)
			}
			request, err := http.NewRequest("POST", f.url+notificationsPath+"mark_all_seen/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{c.name: {c.value}, "Authorization": {"Bearer " + adminKey}}
			if r := f.send(request); r.status != 204 { // a token does not travel by itself
				t.Errorf("with a token and %s: %s: %d", c.name, c.value, r.status)
			}
		}
	})
}

func TestAnAuthorizationHeaderCountsAndTheCookieDoesNot(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, key := f.person("alice", "inbox")
		b := f.signInByToken(adminKey)
		b.wants(200, "GET", eventsPath, "")
		for header, status := range map[string]int{"Bearer " + key: 403, "Bearer wrong": 403, "": 403, "Basic YTpi": 403, "Bearer " + adminKey: 200} {
			b.header = http.Header{"Authorization": {header}}
			b.wants(status, "GET", eventsPath, "")
			if r := b.wants(200, "GET", sessionPath, ""); r.get("user") != nil {
				t.Errorf("%q has a session: %s", header, r.text)
			}
			b.wants(204, "DELETE", sessionPath, "")
			b.cookie = "belfry=" + strings.TrimPrefix(b.cookie, "belfry=")
		}
	})
}

func TestSignInsAreInTheLog(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, key := f.person("alice", "inbox")
		policy := f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"guesses","action":"login_failed"}`).str("pk")
		rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"guesses","group":"`+f.admins()+`","transports":[]}`).str("pk")
		f.must(201, "POST", "/api/v3/policies/bindings/", `{"policy":"`+policy+`","target":"`+rule+`","order":0}`)
		b := f.signIn("alice", password)
		b.wants(204, "DELETE", sessionPath, "")
		b.wants(204, "DELETE", sessionPath, "") // nobody signs out
		b = f.signInByToken(key)
		b.wants(403, "POST", sessionPath, `{"username":"`+strings.Repeat("é", 200)+`","password":"canary-password"}`)
		b.wants(403, "POST", sessionPath, `{"token":"canary-token"}`)
		b.wants(400, "POST", sessionPath, `{"username":"x"}`)
		const request = `"http_request":{"args":{},"path":"/api/belfry/session/","method":`
		who := fmt.Sprintf(`{"pk":%d,"email":"","username":"alice"}`, alice)
		want := []string{
			`login ` + who + ` {"auth_method":"password","auth_method_args":{},` + request + `"POST"}}`,
			`logout ` + who + ` {` + request + `"DELETE"}}`,
			`login ` + who + ` {"auth_method":"token","auth_method_args":{},` + request + `"POST"}}`,
			`login_failed {} {"auth_method":"password","username":"` + strings.Repeat("é", 150) + `","password":"********************",` + request + `"POST"}}`,
			`login_failed {} {"auth_method":"token",` + request + `"POST"}}`,
		}
		list := f.must(200, "GET", eventsPath+"?ordering=created&action=log", "")
		var got []string
		err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
			events, err := sqldb.All(tx, scanEvent, "SELECT "+eventColumns+" FROM event e WHERE e.origin = 'system' ORDER BY e.created")
			for _, e := range events {
				got = append(got, e.Action+" "+string(e.User)+" "+string(e.Context))
				if e.App != "authentik.events.signals" || *e.ClientIP != "127.0.0.1" {
					t.Errorf("%+v", e)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") || strings.Contains(list.text, "canary") {
			t.Errorf("the log says\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		inbox := f.must(200, "GET", notificationsPath+"?ordering=created&user=1", "")
		if inbox.get("pagination", "count") != float64(2) || inbox.str("results", 1, "body") != "Somebody failed to log in from 127.0.0.1" {
			t.Errorf("rules did not run: %s", inbox.text)
		}
	})
}

func TestASignInThatCannotBeLoggedOpensNoSession(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.person("alice")
		f.exec(t, "ALTER TABLE event_hour RENAME TO away")
		b := &browser{fixture: f}
		b.wants(500, "POST", sessionPath, `{"username":"alice","password":"`+password+`"}`)
		f.exec(t, "ALTER TABLE away RENAME TO event_hour")
		if list := f.must(200, "GET", "/api/belfry/sessions/", ""); b.cookie != "" || list.get("pagination", "count") != float64(0) {
			t.Errorf("a session was opened: %q %s", b.cookie, list.text)
		}
	})
}

func TestGuessingPasswordsIsLimitedAndWritesNoMoreThanThat(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.person("alice")
		f.person("bob")
		f.signIn("alice", password)
		var r reply
		refused := 0
		for i := range 60 {
			b := &browser{fixture: f}
			if r = b.ask("POST", sessionPath, fmt.Sprintf(`{"username":"bob","password":"guess %d"}`, i)); r.status == 429 {
				break
			}
			refused++
		}
		if r.status != 429 || r.header.Get("Retry-After") == "" || refused < 20 || refused > 40 {
			t.Fatalf("after %d guesses: %d %s", refused, r.status, r.text)
		}
		if n := f.must(200, "GET", eventsPath+"?action=login_failed", "").get("pagination", "count"); n != float64(refused) {
			t.Errorf("%d guesses are %v lines in the log", refused, n)
		}
		f.signIn("alice", password) // whose password is known to work from here
		elsewhere := &browser{fixture: f, header: http.Header{"X-Forwarded-For": {"192.0.2.1"}}}
		elsewhere.wants(429, "POST", sessionPath, `{"username":"bob","password":"`+password+`"}`) // it says so, and nobody vouches for it
		f.server.identity.Proxies, _ = identity.ParseProxies("127.0.0.1")
		elsewhere.wants(201, "POST", sessionPath, `{"username":"bob","password":"`+password+`"}`)
	})
}

func TestOnesOwnPasswordNeedsTheOldOne(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, _ := f.person("alice")
		b := f.signIn("alice", password)
		const path = mePath + "password/"
		for body, want := range map[string]string{
			`{"password":"another password"}`:                             `{"old_password":["This is not the password."]}`,
			`{"old_password":"","password":"another password"}`:           `{"old_password":["This is not the password."]}`,
			`{"old_password":"wrong","password":"another password"}`:      `{"old_password":["This is not the password."]}`,
			`{"old_password":"` + password + `","password":"short"}`:      `{"password":["A password needs at least 10 characters."]}`,
			`{"old_password":"` + password + `"}`:                         `{"password":["This field is required."]}`,
			`{"old_password":["` + password + `"],"password":"long one"}`: `{"old_password":["Not a valid string."],"password":["A password needs at least 10 characters."]}`,
		} {
			if r := b.wants(400, "POST", path, body); r.text != want {
				t.Errorf("%s: %s, want %s", body, r.text, want)
			}
		}
		if r := b.wants(403, "POST", fmt.Sprintf("/api/v3/core/users/%d/set_password/", alice), `{"password":"another password"}`); !strings.Contains(r.text, "/api/belfry/me/password/") {
			t.Errorf("the way around the old password: %s", r.text)
		}
		b.wants(204, "POST", path, `{"old_password":"`+password+`","password":"another password"}`)
		b.wants(200, "GET", mePath, "")
		(&browser{fixture: f}).wants(403, "POST", sessionPath, `{"username":"alice","password":"`+password+`"}`)
		f.signIn("alice", "another password")

		first := f.signInByToken(adminKey) // akadmin has none at the first start
		if r := first.wants(200, "GET", mePath, ""); r.get("has_password") != false {
			t.Error(r.text)
		}
		first.wants(204, "POST", path, `{"password":"the first password"}`)
		f.signIn("akadmin", "the first password")
		first.wants(400, "POST", path, `{"password":"the next password"}`)
	})
}

func TestSessionsAreListedToTheirUserAndToSuperusers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.person("alice")
		f.person("bob")
		alice, bob := f.signIn("alice", password), f.signIn("bob", password)
		f.signIn("alice", password)
		users := func(r reply) (names []string) {
			for i := range r.get("results").([]any) {
				names = append(names, fmt.Sprint(r.str("results", i, "username"), " ", r.get("results", i, "current")))
			}
			return names
		}
		for _, c := range []struct {
			by         reply
			want       string
			pagination float64
		}{
			{alice.wants(200, "GET", mePath+"sessions/", ""), "[alice false alice true]", 2},
			{alice.wants(200, "GET", mePath+"sessions/?user__username=bob", ""), "[]", 0},
			{bob.wants(200, "GET", mePath+"sessions/", ""), "[bob true]", 1},
			{f.must(200, "GET", "/api/belfry/sessions/?ordering=created", ""), "[alice false bob false alice false]", 3},
			{f.must(200, "GET", "/api/belfry/sessions/?user__username=bob", ""), "[bob false]", 1},
			{f.must(200, "GET", "/api/belfry/sessions/?user=2&search=go-http&page_size=1&ordering=created", ""), "[alice false]", 2},
			{f.must(200, "GET", mePath+"sessions/", ""), "[]", 0},
		} {
			if got := fmt.Sprint(users(c.by)); got != c.want || c.by.get("pagination", "count") != c.pagination {
				t.Errorf("want %s, got %s", c.want, c.by.text)
			}
		}
		pk := bob.ask("GET", mePath, "").str("session", "pk")
		alice.wants(404, "DELETE", mePath+"sessions/"+pk+"/", "") // as one that is unknown
		alice.wants(403, "DELETE", "/api/belfry/sessions/"+pk+"/", "")
		bob.wants(200, "GET", mePath, "")
	})
}

func TestAUserHasAHundredSessionsAndABrowserOne(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, key := f.person("alice", "inbox")
		first := f.signInByToken(key)
		cookie := first.cookie
		first.wants(201, "POST", sessionPath, `{"token":"`+key+`"}`)
		before := &browser{fixture: f, cookie: cookie}
		before.wants(403, "GET", notificationsPath, "")
		for range 99 {
			f.signInByToken(key)
		}
		first.wants(200, "GET", notificationsPath, "")
		f.signInByToken(key)
		first.wants(403, "GET", notificationsPath, "")
		var n int
		if err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.Row("SELECT COUNT(*) FROM user_session", nil, &n) }); err != nil || n != 100 {
			t.Errorf("%d sessions, %v", n, err)
		}
	})
}

func TestForwardingHeadersCountFromTrustedProxiesOnly(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, key := f.person("alice", "inbox")
		header := http.Header{"X-Forwarded-For": {"6.6.6.6, 192.0.2.7"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=6.6.6.6;proto=https"}, "X-Real-Ip": {"6.6.6.6"}}
		for _, c := range []struct{ proxies, address, cookie string }{
			{"", "127.0.0.1", "belfry="}, {"10.0.0.0/8", "127.0.0.1", "belfry="},
			{"127.0.0.0/8", "192.0.2.7", "__Host-belfry="}, {"127.0.0.1,192.0.2.0/24", "6.6.6.6", "__Host-belfry="},
		} {
			proxies, err := identity.ParseProxies(c.proxies)
			if err != nil {
				t.Fatal(err)
			}
			f.server.identity.Proxies = proxies
			b := &browser{fixture: f, header: header}
			r := b.wants(201, "POST", sessionPath, `{"token":"`+key+`"}`)
			if address := r.str("session", "client_ip"); address != c.address || !strings.HasPrefix(b.cookie, c.cookie) {
				t.Errorf("%s: %s, %q", c.proxies, address, b.cookie)
			}
			if secure := strings.Contains(r.header.Get("Set-Cookie"), "; Secure"); secure != strings.HasPrefix(c.cookie, "__Host-") {
				t.Errorf("%s: %s", c.proxies, r.header.Get("Set-Cookie"))
			}
			b.wants(200, "GET", mePath, "")
			event := f.must(200, "GET", eventsPath+"?action=login&ordering=-created&page_size=1", "")
			if got := event.str("results", 0, "client_ip"); got != c.address {
				t.Errorf("%s: the log says %s", c.proxies, got)
			}
			made := f.call(adminKey, "POST", "/api/v3/core/tokens/", `{"identifier":"by-`+strings.NewReplacer(".", "-", "/", "-", ",", "-").Replace(c.address+c.proxies)+`"}`)
			if made.status != 201 {
				t.Fatal(made.text)
			}
		}
	})
}

// TestASessionMayWhatItsTokenMay asks every verb of every route with a token, and with the session that it opened.
func TestASessionMayWhatItsTokenMay(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		roles, plain := rolesOf(t, f)
		asking := &asker{handler: f.server.handler()}
		asked := 0
		for _, who := range roles {
			if who.name == "none" || who.name == "disabled" || who.name == "expired" || strings.HasSuffix(who.name, ":ingest") {
				continue // who has no session
			}
			signedIn := role{name: who.name + " by cookie", cookie: f.signInByToken(who.key).cookie}
			for _, rt := range f.server.routes() {
				path := unknownKeys.Replace(strings.Replace(rt.path, "{id}/set_password", fmt.Sprintf("%d/set_password", plain), 1))
				for _, v := range rt.verbs {
					if v.method+path == "DELETE"+sessionPath || strings.HasSuffix(rt.path, "/set_password/") {
						continue // the end of it, and what asks for the old password instead
					}
					asked++
					if by, cookie := asking.ask(t, who, v.method, path), asking.ask(t, signedIn, v.method, path); by != cookie {
						t.Errorf("%s %s as %s: %s with the token, %s with its session", v.method, path, who.name, by, cookie)
					}
				}
			}
		}
		if asked < 500 {
			t.Errorf("only %d verbs were asked", asked)
		}
	})
}

func TestTheServerSaysHowItIs(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.forget()
		r := f.must(200, "GET", "/api/belfry/system/", "")
		if r.get("events") != float64(0) || r.get("oldest_event") != nil || r.get("tasks", 0, "last_run") != nil {
			t.Errorf("an empty log: %s", r.text)
		}
		oldest := f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`).str("created")
		f.must(201, "POST", eventsPath, `{"action":"logout","app":"x"}`)
		swept := time.Now().UTC().Truncate(time.Second)
		f.exec(t, "INSERT INTO sweep (id, wall, doubted) VALUES (1, $1, 0)", swept.UnixMicro())
		for i, state := range []string{"pending", "sending", "sending", "dead", "dead", "dead", "dead", "delivered", "cancelled"} {
			f.exec(t, `INSERT INTO delivery (pk, event_pk, rule_name, transport_name, username, transport_pk, user_pk, mode, state, reason, severity, summary,
				body, created, attempts, step, folded) VALUES ($1, $1, '', '', '', $1, 1, 'webhook', $2, '', 'alert', '', '', 1, 1, 1, '')`, fmt.Sprint(i), state)
		}
		r = f.must(200, "GET", "/api/belfry/system/", "")
		kind := map[bool]string{false: "sqlite", true: "postgres"}[f.db.Postgres()]
		size, _ := r.get("database_size").(float64)
		started, err := time.Parse(time.RFC3339, r.str("started"))
		if r.get("events") != float64(2) || r.str("oldest_event") != oldest || r.str("database") != kind || size < 100_000 || r.str("version") != buildVersion() ||
			r.str("api_version") != compatible || r.get("streams") != float64(0) || r.get("waiting_writes") != float64(0) ||
			r.get("pending_deliveries") != float64(3) || r.get("dead_deliveries") != float64(4) ||
			r.str("tasks", 0, "name") != "retention" || r.str("tasks", 0, "last_run") != swept.Format("2006-01-02T15:04:05Z") ||
			err != nil || time.Since(started) > time.Minute {
			t.Error(r.text)
		}
		var rest map[string]json.RawMessage
		if err := json.Unmarshal([]byte(r.text), &rest); err != nil || len(rest) != 13 {
			t.Errorf("%v %s", err, r.text)
		}
	})
}
