package drf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"
)

// failing answers err with Fail on a route, and tells what was logged.
func failing(err error) (answer *httptest.ResponseRecorder, logged string) {
	var log bytes.Buffer
	router := mux.NewRouter()
	router.HandleFunc("/things/{uuid}/", func(w http.ResponseWriter, r *http.Request) {
		Fail(w, r, slog.New(slog.NewTextHandler(&log, nil)), err)
	})
	answer = httptest.NewRecorder()
	router.ServeHTTP(answer, httptest.NewRequest(http.MethodPut, "/things/hush/?token=hush", strings.NewReader("hush")))
	return answer, log.String()
}

func TestTheCatalogueOfErrors(t *testing.T) {
	cause := errors.New("disk on fire")
	tests := []struct {
		err    error
		status int
		body   string
		header http.Header
		logged string // "" means nothing
	}{
		{err: NotFound(), status: 404, body: `{"detail":"Not found."}`},
		{err: InvalidPage(), status: 404, body: `{"detail":"Invalid page."}`},
		{err: Forbidden(), status: 403, body: `{"detail":"You do not have permission to perform this action."}`},
		{err: NoCredentials(), status: 403, body: `{"detail":"Authentication credentials were not provided."}`},
		{err: BadToken(), status: 403, body: `{"detail":"Token invalid/expired"}`},
		{err: MethodNotAllowed("PUT"), status: 405, body: `{"detail":"Method \"PUT\" not allowed."}`},
		{err: Throttled(0), status: 429, body: `{"detail":"Request was throttled. Expected available in 1 second."}`, header: http.Header{"Retry-After": {"1"}}},
		{err: Throttled(1001 * time.Millisecond), status: 429, body: `{"detail":"Request was throttled. Expected available in 2 seconds."}`, header: http.Header{"Retry-After": {"2"}}},
		{err: Unavailable("Too many requests wait.", time.Second, nil), status: 503, body: `{"detail":"Too many requests wait."}`, header: http.Header{"Retry-After": {"1"}}, logged: "level=WARN"},
		{err: Unavailable("Not now.", 3*time.Second, cause), status: 503, body: `{"detail":"Not now."}`, header: http.Header{"Retry-After": {"3"}}, logged: "disk on fire"},
		{err: Invalid("name", `"x"`), status: 400, body: `{"name":["\"x\""]}`},
		{err: Invalid("", "All."), status: 400, body: `{"non_field_errors":["All."]}`},
		{err: fmt.Errorf("wrapped: %w", NotFound()), status: 404, body: `{"detail":"Not found."}`},
		{err: &Error{Status: 400, Body: []byte(`{}`), Cause: cause}, status: 400, body: `{}`, logged: "disk on fire"},
		{err: fmt.Errorf("insert event: %w", cause), status: 500, body: `{"detail":"A server error occurred."}`, logged: "level=ERROR"},
		{err: context.Canceled, status: 500, body: `{"detail":"A server error occurred."}`, logged: "level=ERROR"},
	}
	for _, test := range tests {
		t.Run(test.err.Error(), func(t *testing.T) {
			answer, logged := failing(test.err)
			if answer.Code != test.status || answer.Body.String() != test.body {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
			want := http.Header{"Content-Type": {"application/json"}}
			for name, values := range test.header {
				want[name] = values
			}
			if diff := cmp.Diff(want, answer.Header()); diff != "" {
				t.Error(diff)
			}
			checkLog(t, logged, test.logged)
		})
	}
}

func TestAnAnswerSaysHowLongItIs(t *testing.T) {
	for _, size := range []int{2, smallAnswer - 1, smallAnswer, smallAnswer + 1, 16 << 10, 1 << 20} {
		body := bytes.Repeat([]byte("1"), size)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = WriteJSON(w, r, 200, body) }))
		defer web.Close()
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			request, err := http.NewRequestWithContext(t.Context(), method, web.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := web.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				t.Error(err)
			}
			answer.Body.Close()
			if got := answer.ContentLength; got != int64(size) {
				t.Errorf("%s of %d bytes: Content-Length %d", method, size, got)
			}
		}
	}
}

// checkLog says whether just one line was logged, with what an operator needs and nothing that is the client's.
func checkLog(t *testing.T, logged, want string) {
	t.Helper()
	if want == "" {
		if logged != "" {
			t.Errorf("logged %s", logged)
		}
		return
	}
	for _, part := range []string{want, "method=PUT", "route=/things/{uuid}/", "status="} {
		if !strings.Contains(logged, part) {
			t.Errorf("%q is not in the log: %s", part, logged)
		}
	}
	if strings.Count(logged, "\n") != 1 || strings.Contains(logged, "hush") {
		t.Errorf("logged %s", logged)
	}
}

func TestAClientThatHungUpIsNotLogged(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log bytes.Buffer
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
	Fail(w, r, slog.New(slog.NewTextHandler(&log, nil)), fmt.Errorf("read: %w", context.Canceled))
	if w.Code != 503 || log.Len() > 0 {
		t.Errorf("%d, logged %q", w.Code, log.String())
	}
}

func TestTheCauseOfAnErrorCanBeFound(t *testing.T) {
	if !errors.Is(Unavailable("x", 0, io.EOF), io.EOF) || !strings.Contains(Unavailable("x", 0, io.EOF).Error(), "EOF") {
		t.Error("the cause is lost")
	}
}

// goneWriter is the answer to a client that has gone.
type goneWriter struct{ *httptest.ResponseRecorder }

func (goneWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAnswers(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	if err := NoContent(w); err != nil || w.Code != 204 || w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("204: %v %v", err, w)
	}
	for _, test := range []struct {
		list []UsedBy
		want string
	}{
		{nil, `[]`},
		{[]UsedBy{{"authentik_events", "notificationrule", "7f1f", `Rule "X"`, "cascade_many"}, {"a", "m", "p", "n", "x"}},
			`[{"app":"authentik_events","model_name":"notificationrule","pk":"7f1f","name":"Rule \"X\"","action":"cascade_many"},` +
				`{"app":"a","model_name":"m","pk":"p","name":"n","action":"x"}]`},
	} {
		w := httptest.NewRecorder()
		if err := WriteUsedBy(w, r, test.list); err != nil || w.Code != 200 || w.Body.String() != test.want {
			t.Errorf("%v %d %s", err, w.Code, w.Body)
		}
	}
	if err := WriteJSON(goneWriter{httptest.NewRecorder()}, r, 200, []byte("[]")); err != nil {
		t.Errorf("a client that has gone is an error: %v", err)
	}
}

func TestHEADIsAnsweredWithTheLengthOfTheBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = parts.Write(w, r, http.StatusCreated, &part{name: "n"})
	}))
	defer server.Close()
	answer, err := server.Client().Head(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 201 || answer.ContentLength != int64(len(`{"name":"n","size":0}`)) {
		t.Errorf("%d, %d bytes", answer.StatusCode, answer.ContentLength)
	}
}

func TestNegotiate(t *testing.T) {
	const refused = `406 {"detail":"Could not satisfy the request Accept header."}`
	tests := []struct{ query, accept, want string }{
		{"", "-", ""},
		{"", "", ""},
		{"", "*/*", ""},
		{"", "application/*", ""},
		{"", "application/json", ""},
		{"", "Application/JSON; q=0.5", ""},
		{"", "application/json;indent=4", ""},
		{"", "text/html, application/xml;q=0.9, */*;q=0.1", ""},
		{"", "text/html,application/json;q=0.1", ""},
		{"", "*/*;q=0, application/json", ""},
		{"", "application/json;q=0, application/json", ""},
		{"", "application/json;q=zz", ""},
		{"", "text/html", refused},
		{"", "application/xml", refused},
		{"", "application/json;q=0", refused},
		{"", "application/json;Q=0.0, */*", refused},
		{"", "application/*;q=0, */*", refused},
		{"", "nonsense", refused},
		{"", ",;,", refused},
		{"format=json", "application/json", ""},
		{"format=", "*/*", ""},
		{"format=json", "text/html", refused},
		{"format=xml", "*/*", `404 {"detail":"Not found."}`},
		{"format=xml", "text/html", `404 {"detail":"Not found."}`},
		{"format=xml&format=json", "*/*", ""},
	}
	for _, test := range tests {
		r := httptest.NewRequest(http.MethodGet, "/?"+test.query, nil)
		if test.accept != "-" {
			r.Header["Accept"] = []string{test.accept}
		}
		got := ""
		if _, err := Negotiate(r); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("?%s Accept %q: %q, want %q", test.query, test.accept, got, test.want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Accept"] = []string{"text/html", "*/*"}
	if _, err := Negotiate(r); err != nil {
		t.Errorf("the second Accept line is not read: %v", err)
	}
}

func TestNegotiateChoosesAmongOffers(t *testing.T) {
	offers := []Media{{"application/vnd.x", "yaml"}, {"application/yaml", "yaml"}, {"application/vnd.x+json", "json"}, {"application/json", "json"}}
	for _, test := range []struct{ query, accept, want string }{
		{"", "", "application/vnd.x"},
		{"", "*/*", "application/vnd.x"},
		{"", "application/*, application/json", "application/json"},
		{"", "*/*, application/vnd.x+json", "application/vnd.x+json"},
		{"", "application/vnd.x;q=0, application/*", "application/yaml"},
		{"format=json", "", "application/vnd.x+json"},
		{"format=json", "application/json", "application/json"},
		{"format=yaml", "application/yaml", "application/yaml"},
		{"format=yaml", "application/json", `406 {"detail":"Could not satisfy the request Accept header."}`},
		{"format=xml", "*/*", `404 {"detail":"Not found."}`},
		{"", "text/html", `406 {"detail":"Could not satisfy the request Accept header."}`},
	} {
		r := httptest.NewRequest(http.MethodGet, "/?"+test.query, nil)
		r.Header.Set("Accept", test.accept)
		media, err := Negotiate(r, offers...)
		got := media.Type
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("?%s Accept %q: %q, want %q", test.query, test.accept, got, test.want)
		}
	}
}

func TestOnlyPATCHIsPartial(t *testing.T) {
	for method, want := range map[string]Mode{http.MethodPost: Create, http.MethodPut: Create, http.MethodPatch: Partial} {
		if got := ModeOf(httptest.NewRequest(method, "/", nil)); got != want {
			t.Errorf("%s: %d", method, got)
		}
	}
}

func TestPaths(t *testing.T) {
	const id = "7f1f2b66-9b5e-4b1c-8c86-3f3a4de2c001"
	request := func(v string) *http.Request {
		return mux.SetURLVars(httptest.NewRequest(http.MethodGet, "/", nil), map[string]string{"v": v})
	}
	for in, want := range map[string]string{
		id: id, strings.ToUpper(id): id, strings.ReplaceAll(id, "-", ""): id, "urn:uuid:" + id: id, "{" + id + "}": id,
		"": "", "zz": "", id + "0": "", id[1:]: "", strings.Repeat("-", 200) + id: "", "ag" + id[2:]: "",
	} {
		got, err := PathUUID(request(in), "v")
		if got != want || (err != nil) != (want == "") {
			t.Errorf("uuid %q: %q %v", in, got, err)
		}
		if err != nil && err.Error() != NotFound().Error() {
			t.Error(err)
		}
	}
	for in, want := range map[string]int64{"0": 0, "7": 7, "9223372036854775807": 9223372036854775807} {
		if got, err := PathInt(request(in), "v"); err != nil || got != want {
			t.Errorf("int %q: %d %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-1", "+1", "x", "1.0", "9223372036854775808", " 1", "1_0"} {
		if _, err := PathInt(request(in), "v"); err == nil || err.Error() != NotFound().Error() {
			t.Errorf("int %q: %v", in, err)
		}
	}
	if PathText(request("a b"), "v") != "a b" {
		t.Error("text")
	}
}
