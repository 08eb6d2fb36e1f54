package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// raw sends a request line as it is, which no HTTP client would do with most of them, and reads the answer.
func (f *fixture) raw(t *testing.T, method, target string) reply {
	t.Helper()
	address := strings.TrimPrefix(f.url, "http://")
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, err = fmt.Fprintf(connection, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", method, target, address, adminKey)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: answer.StatusCode, header: answer.Header, text: string(text)}
}

func TestPaths(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const config = "/api/v3/root/config/"
		for _, c := range []struct {
			method, target string
			status         int
			location       string
		}{
			{"GET", config, 200, ""},
			{"GET", "//api/v3/root/config/", 200, ""},
			{"GET", "/api/v3//root/config/", 200, ""},
			{"GET", "///api//v3///root////config//", 200, ""},
			{"GET", "/%61pi/v3//root/c%6Fnfig/?x=//", 200, ""},
			{"POST", "/api/v3//events/notifications//mark_all_seen/", 204, ""},
			{"GET", "http://evil.example/api/v3/root/config/", 200, ""},

			{"GET", "/api/v3/root/./config/", 404, ""},
			{"GET", "/api/v3/./root/config/", 404, ""},
			{"GET", "/api/v3/root/../root/config/", 404, ""},
			{"GET", "/../api/v3/root/config/", 404, ""},
			{"GET", "/api/v3/root/config/..", 404, ""},
			{"GET", "/api/v3/root/config/.", 404, ""},
			{"GET", "/api/v3/root/%2e/config/", 404, ""},
			{"GET", "/api/v3/events/%2e%2e/root/config/", 404, ""},
			{"GET", "/api/v3/events/.%2E/root/config/", 404, ""},
			{"GET", "/api/v3//../v3/root/config/", 404, ""},
			{"GET", "/api/v3/root%2fconfig/", 404, ""},
			{"GET", "/api/v3/root/%2Fconfig/", 404, ""},
			{"GET", "/api/v3/root/config%2F", 404, ""},
			{"GET", "%2Fapi/v3/root/config/", 400, ""}, // no request target: the HTTP server itself refuses it
			{"GET", "/%2Fevil.example/", 404, ""},
			{"GET", "/api/v3/root/config/%00", 404, ""},
			{"GET", "/api/v3/core/tokens/%00/", 404, ""},
			{"GET", "/api/v3/core/tokens/%ff/", 404, ""},
			{"GET", "/api/v3/core/tokens/a%5Cb/", 404, ""},
			{"GET", "/api/v3/root/config/zzz/", 404, ""},
			{"GET", "/API/v3/root/config/", 404, ""},
			{"OPTIONS", "*", 200, ""}, // answered by the HTTP server itself
			{"GET", "*", 404, ""},

			{"GET", "/api/v3/root/config", 301, config},
			{"HEAD", "/api/v3/root/config", 301, config},
			{"POST", "/api/v3/root/config", 308, config},
			{"DELETE", "/api/v3/events/events/x", 308, "/api/v3/events/events/x/"},
			{"OPTIONS", "/api/v3/root/config", 308, config},
			{"ZZZ", "/api/v3/root/config", 308, config},
			{"GET", "/api/v3/root/config?", 301, config},
			{"GET", "/api/v3/events/events?a=1&b=%2F&a=//x", 301, "/api/v3/events/events/?a=1&b=%2F&a=//x"},
			{"GET", "//api/v3//root/config", 301, config},
			{"GET", "/-/health/live", 301, "/-/health/live/"},
			{"GET", "http://evil.example/api/v3/root/config", 301, config},
			{"GET", "//evil.example/api/v3/root/config", 404, ""},
			{"GET", "//evil.example/api/v3/root/config/", 404, ""},
			{"GET", "///evil.example", 404, ""},
			{"GET", `/\evil.example/api/v3/root/config`, 404, ""},
			{"GET", "/api/v3/core/tokens//evil.example", 301, "/api/v3/core/tokens/evil.example/"},
			{"GET", "/api/v3/core/tokens/%5Cevil.example", 301, "/api/v3/core/tokens/%5Cevil.example/"},
			{"GET", "/api/v3/core/tokens/x%0d%0aSet-Cookie:%20a=b", 301, "/api/v3/core/tokens/x%0d%0aSet-Cookie:%20a=b/"},
			{"GET", "/api/v3/core/tokens/%3Fx", 301, "/api/v3/core/tokens/%3Fx/"},
		} {
			r := f.raw(t, c.method, c.target)
			if r.status != c.status || r.header.Get("Location") != c.location {
				t.Errorf("%s %s: want %d %q, got %d %q", c.method, c.target, c.status, c.location, r.status, r.header.Get("Location"))
			}
			if c.status == 404 && r.text != `{"detail":"Not found."}` {
				t.Errorf("%s %s: %s", c.method, c.target, r.text)
			}
			if r.header.Get("Set-Cookie") != "" {
				t.Errorf("%s %s set a cookie", c.method, c.target)
			}
		}
	})
}

// TestMethods asks every route for every method that it does not have.
func TestMethods(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, rt := range f.server.routes() {
			path := unknownKeys.Replace(rt.path)
			allowed := methods(rt)
			want := append(slices.Clone(allowed), http.MethodOptions)
			slices.Sort(want)
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"} {
				if method == "GET" && kinds()[rt.path].endless {
					continue // a stream has its own tests
				}
				r := f.call(adminKey, method, path, "")
				allow := strings.Split(r.header.Get("Allow"), ", ")
				slices.Sort(allow)
				if !slices.Equal(allow, want) {
					t.Errorf("%s %s: Allow is %q, want %q", method, path, allow, want)
				}
				switch {
				case slices.Contains(allowed, method):
					if r.status == http.StatusMethodNotAllowed || r.status >= 500 {
						t.Errorf("%s %s: %d %s", method, path, r.status, r.text)
					}
				case method == http.MethodOptions:
					if r.status != http.StatusOK || r.get("renders", 0) != "application/json" {
						t.Errorf("OPTIONS %s: %d %s", path, r.status, r.text)
					}
				case r.status != http.StatusMethodNotAllowed || method != http.MethodHead && r.text != `{"detail":"Method \"`+method+`\" not allowed."}`:
					t.Errorf("%s %s: %d %s", method, path, r.status, r.text)
				}
			}
		}
	})
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, rt := range f.server.routes() {
			path := unknownKeys.Replace(rt.path)
			if !slices.Contains(methods(rt), http.MethodGet) || kinds()[rt.path].endless {
				continue
			}
			got, head := f.call(adminKey, "GET", path, ""), f.call(adminKey, "HEAD", path, "")
			if head.status != got.status || head.text != "" {
				t.Errorf("HEAD %s: %d %q, GET: %d", path, head.status, head.text, got.status)
			}
			for _, name := range []string{"Content-Type", "Content-Length", "Allow"} {
				if head.header.Get(name) != got.header.Get(name) {
					t.Errorf("HEAD %s: %s is %q, of GET %q", path, name, head.header.Get(name), got.header.Get(name))
				}
			}
		}
	})
}

func TestBodiesAreBounded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const limit = 1 << 20
		event := `{"action":"login","app":"x"}`
		notification, _ := f.notified("full")
		rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"x"}`).str("pk")
		for _, c := range []struct {
			method, path, body string
			status             int // of the largest body
		}{
			{"POST", eventsPath, event, 201},
			{"PATCH", notificationsPath + notification + "/", `{}`, 200},
			{"PUT", "/api/v3/events/rules/" + rule + "/", `{"name":"x"}`, 200},
			{"POST", "/api/v3/core/users/", `{"username":"u","name":""}`, 201},
			{"POST", "/api/v3/core/tokens/", `{"identifier":"t"}`, 201},
			{"POST", "/api/v3/events/transports/", `{"name":"x"}`, 201},
		} {
			largest := c.body + strings.Repeat(" ", limit-len(c.body))
			for name, body := range map[string]string{"one byte": largest + " ", "much": largest + largest} {
				r := f.call(adminKey, c.method, c.path, body)
				if want := `{"detail":"Request body too large: at most 1048576 bytes."}`; r.status != 413 || r.text != want {
					t.Errorf("%s %s, %s too large: %d %s", c.method, c.path, name, r.status, r.text)
				}
			}
			if r := f.call(adminKey, c.method, c.path, largest); r.status != c.status {
				t.Errorf("%s %s, the largest body: want %d, got %d %s", c.method, c.path, c.status, r.status, r.text)
			}
		}
		// Sent in chunks, no header says how long it is.
		request, err := http.NewRequestWithContext(t.Context(), "POST", f.url+eventsPath, io.MultiReader(strings.NewReader(event+strings.Repeat(" ", limit))))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+adminKey)
		request.Header.Set("Content-Type", "application/json")
		if r := f.send(request); r.status != 413 {
			t.Errorf("in chunks: %d %s", r.status, r.text)
		}
		if list := f.must(200, "GET", eventsPath+"?action=login", ""); list.get("pagination", "count") != float64(1) {
			t.Errorf("a body that was too large was stored: %s", list.text)
		}
	})
}

func TestHeadersAreBounded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		web := newHTTP(f.server.handler(), slog.New(slog.DiscardHandler))
		t.Cleanup(func() { _ = web.Close() })
		go func() { _ = serveOn(web, listener) }() // ends with the test
		f.url = "http://" + listener.Addr().String()
		for size, want := range map[int]int{100: 200, headerBytes / 2: 200, 2 * headerBytes: 431} {
			request, err := http.NewRequestWithContext(t.Context(), "GET", f.url+"/api/v3/root/config/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+adminKey)
			request.Header.Set("X-Large", strings.Repeat("x", size))
			if r := f.send(request); r.status != want {
				t.Errorf("a header of %d bytes: want %d, got %d", size, want, r.status)
			}
		}
		if r := f.raw(t, "GET", "/api/v3/root/config/?"+strings.Repeat("x", 2*headerBytes)); r.status != 431 {
			t.Errorf("a large request line: %d", r.status)
		}
	})
}

func TestPanicStaysInItsRequest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var log bytes.Buffer
		s := newServer(f.db, slog.New(slog.NewJSONHandler(&log, nil)), outside{})
		panics := s.answer(route{"/panic/", []verb{
			get(open, func(http.ResponseWriter, *http.Request) error { panic("secret of the handler") }),
			post(open, func(_ http.ResponseWriter, r *http.Request) error {
				return f.db.Write(r.Context(), func(*sqldb.Tx) error { panic("secret of the write") })
			}),
			put(open, func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }),
			remove(open, func(http.ResponseWriter, *http.Request) error { return errors.New("secret of the error") }),
		}})
		web := httptest.NewServer(s.recovering(panics))
		t.Cleanup(web.Close)
		fixed := &fixture{t: t, url: web.URL}
		for _, method := range []string{"GET", "POST", "DELETE", "GET"} {
			r := fixed.call("", method, "/panic/", "")
			if r.status != 500 || r.text != `{"detail":"A server error occurred."}` {
				t.Errorf("%s: %d %s", method, r.status, r.text)
			}
		}
		for _, secret := range []string{"secret of the handler", "secret of the write", "secret of the error", "middleware_test.go"} {
			if !strings.Contains(log.String(), secret) {
				t.Errorf("the log does not say %q:\n%s", secret, log.String())
			}
		}
		for line := range strings.Lines(log.String()) {
			if !strings.HasPrefix(line, `{"time":`) {
				t.Errorf("a line of the log is forged: %s", line)
			}
		}
		// A handler that gives up in the middle of an answer must not look as if it had answered.
		request, err := http.NewRequestWithContext(t.Context(), "PUT", web.URL+"/panic/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := http.DefaultTransport.RoundTrip(request); err == nil {
			answer.Body.Close()
			t.Errorf("an aborted answer is %s", answer.Status)
		}
		f.must(200, "GET", "/api/v3/root/config/", "")
		f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`)
	})
}

func TestSecurityHeaders(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, path := range []string{
			"/api/v3/root/config/", "/api/v3/events/events/zz/", "/api/v3/events/events/?page=0", "/-/health/live/",
			"/zzz", "/api/v3/", "/api/v3/root/config", "/a/../b",
		} {
			for _, key := range []string{adminKey, ""} {
				r := f.call(key, "GET", path, "")
				if r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %v", path, r.header)
				}
				for _, name := range []string{"Access-Control-Allow-Origin", "Server", "X-Powered-By", "Set-Cookie", "WWW-Authenticate"} {
					if got := r.header.Get(name); got != "" {
						t.Errorf("%s: %s: %s", path, name, got)
					}
				}
			}
		}
	})
}

func TestPageIsServedOutOfTheBinary(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for path, contentType := range map[string]string{
			"/": "text/html; charset=utf-8", "/app.js": "text/javascript; charset=utf-8", "/style.css": "text/css; charset=utf-8",
			"/?x=1": "text/html; charset=utf-8", "//": "text/html; charset=utf-8",
		} {
			r := f.call("", "GET", path, "")
			tag := r.header.Get("ETag")
			if r.status != 200 || r.text == "" || tag == "" || r.header.Get("Content-Type") != contentType {
				t.Fatalf("%s: %d %v", path, r.status, r.header)
			}
			policy := "; " + r.header.Get("Content-Security-Policy") + ";"
			for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "script-src 'self'", "require-trusted-types-for 'script'"} {
				if !strings.Contains(policy, "; "+part+";") {
					t.Errorf("%s: the policy lacks %q: %s", path, part, policy)
				}
			}
			if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "http") {
				t.Errorf("%s: the policy is weak: %s", path, policy)
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"} {
				if got := r.header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
			head := f.call("", "HEAD", path, "")
			if head.status != 200 || head.text != "" || head.header.Get("Content-Length") != strconv.Itoa(len(r.text)) {
				t.Errorf("HEAD %s: %d %v", path, head.status, head.header)
			}
			for shown, status := range map[string]int{tag: 304, `"other"`: 200, `"other", ` + tag: 304, "W/" + tag: 304, "*": 304} {
				request, err := http.NewRequestWithContext(t.Context(), "GET", f.url+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("If-None-Match", shown)
				if again := f.send(request); again.status != status || status == 304 && (again.text != "" || again.header.Get("ETag") != tag) {
					t.Errorf("%s with If-None-Match: %s: want %d, got %d", path, shown, status, again.status)
				}
			}
			for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
				if other := f.call("", method, path, ""); other.status != 405 || other.header.Get("Allow") != "GET, HEAD" {
					t.Errorf("%s %s: %d %v", method, path, other.status, other.header)
				}
			}
		}
		page := f.call("", "GET", "/", "").text
		for _, forbidden := range []string{"<style", " style=", "onclick=", "onload=", "http://", "https://", "javascript:"} {
			if strings.Contains(page, forbidden) {
				t.Errorf("the page has %q, which its policy forbids", forbidden)
			}
		}
		for _, path := range []string{"/index.html", "/web/index.html", "/app.js/", "/favicon.ico.", "/schema.sql"} {
			if r := f.call("", "GET", path, ""); r.status != 404 {
				t.Errorf("%s: %d", path, r.status)
			}
		}
	})
}

func TestStateOfTheDatabaseIsSaidInTheClientsWords(t *testing.T) {
	for _, c := range []struct {
		err    error
		detail string
		wait   string
		logged bool
	}{
		{sqldb.ErrOverloaded, "Too many writes are waiting. Try again.", "1", false},
		{sqldb.ErrTimeout, "The request took too long and was stopped. Narrow the filter or try again.", "1", false},
		{context.DeadlineExceeded, "The request took too long and was stopped. Narrow the filter or try again.", "1", false},
		{sqldb.ErrClosed, "Belfry is shutting down.", "1", false},
		{fmt.Errorf("%w: disk I/O error at /var/lib/secret", sqldb.ErrStorage), "The storage failed; nothing of this request was kept. See /-/health/ready/.", "5", true},
	} {
		err := fmt.Errorf("insert event: %w", c.err)
		var answer *drf.Error
		if !errors.As(inClientsWords(err), &answer) {
			t.Errorf("%v: %v is no answer", err, inClientsWords(err))
			continue
		}
		want := `{"detail":` + quote(c.detail) + `}`
		if answer.Status != 503 || string(answer.Body) != want || answer.Header.Get("Retry-After") != c.wait {
			t.Errorf("%v: %d %s %v", err, answer.Status, answer.Body, answer.Header)
		}
		if logged := answer.Cause != nil; logged != c.logged {
			t.Errorf("%v: the cause is %v", err, answer.Cause)
		}
	}
	for _, err := range []error{errors.New("other"), drf.NotFound(), context.Canceled} {
		if got := inClientsWords(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestClosedDatabaseIs503WithoutACrash(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.must(204, "GET", "/-/health/live/", "")
		f.must(204, "GET", "/-/health/ready/", "")
		if err := f.db.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/api/v3/root/config/", ""}, {"GET", eventsPath, ""}, {"POST", eventsPath, `{"action":"login","app":"x"}`},
			{"GET", "/-/health/ready/", ""}, {"PATCH", notificationsPath + "01890000-0000-7000-8000-000000000000/", `{"event":{}}`},
		} {
			r := f.call(adminKey, c.method, c.path, c.body)
			if r.status != 503 || r.header.Get("Retry-After") == "" || r.str("detail") == "" || strings.Contains(r.text, "sql") {
				t.Errorf("%s %s: %d %s %v", c.method, c.path, r.status, r.text, r.header)
			}
		}
		f.must(204, "GET", "/-/health/live/", "")
		if r := f.call("", "GET", "/", ""); r.status != 200 {
			t.Errorf("the page: %d", r.status)
		}
	})
}

func TestGuessingIsAnswered429WithRetryAfter(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.must(200, "GET", "/api/v3/root/config/", "") // from now on this source is known to work with this key
		var r reply
		for i := range 200 {
			if r = f.call(fmt.Sprintf("guess-%d", i), "GET", "/api/v3/root/config/", ""); r.status != 403 {
				break
			}
		}
		if r.status != 429 || r.header.Get("Retry-After") == "" || !strings.HasPrefix(r.str("detail"), "Request was throttled. Expected available in ") {
			t.Errorf("%d %s %v", r.status, r.text, r.header)
		}
		f.must(200, "GET", "/api/v3/root/config/", "")
		if r := f.call("", "GET", "/-/health/live/", ""); r.status != 204 {
			t.Errorf("a route that is open: %d", r.status)
		}
	})
}
