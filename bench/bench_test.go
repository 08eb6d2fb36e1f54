package main

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test's binary play the roles in which the program starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (roles[os.Args[1]] != nil || os.Args[1] == "-fill") {
		main()
		return
	}
	m.Run()
}

func TestAnswersAreReadToTheirEnd(t *testing.T) {
	in := bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\ncontent-length:  5\r\nX: y\r\n\r\nhello" +
		"HTTP/1.1 204 No Content\r\nAllow: GET\r\n\r\n" +
		"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}" +
		"HTTP/1.1 201\r\nContent-Length: 0\r\n\r\n"))
	buf := make([]byte, 1)
	for _, want := range []struct {
		status int
		body   string
	}{{200, "hello"}, {204, ""}, {404, "{}"}, {201, ""}} {
		status, body, err := readAnswer(in, buf)
		if err != nil || status != want.status || string(body) != want.body {
			t.Fatalf("want %v, got %d %q %v", want, status, body, err)
		}
		buf = body
	}
	if _, _, err := readAnswer(in, buf); err == nil {
		t.Error("an answer was read where there is none")
	}
}

func TestAnswersThatAreNotUnderstoodAreErrors(t *testing.T) {
	for name, text := range map[string]string{
		"another protocol":    "SSH-2.0-x\r\n\r\n",
		"HTTP/1.0":            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no number":           "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
		"a long number":       "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"no length":           "HTTP/1.1 200 OK\r\n\r\nhello",
		"a negative length":   "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"a length in letters": "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
		"chunks":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"the last one":        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"a broken header":     "HTTP/1.1 200 OK\r\nContent-Length 0\r\n\r\n",
		"a cut header":        "HTTP/1.1 200 OK\r\nContent-Le",
		"a cut body":          "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
	} {
		if status, body, err := readAnswer(bufio.NewReader(strings.NewReader(text)), nil); err == nil {
			t.Errorf("%s: read as %d %q", name, status, body)
		}
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, test := range []struct {
		of   []time.Duration
		p    float64
		want time.Duration
	}{
		{nil, 50, 0}, {[]time.Duration{7}, 0, 7}, {[]time.Duration{7}, 99, 7}, {[]time.Duration{1, 2}, 50, 1}, {[]time.Duration{1, 2}, 51, 2},
		{[]time.Duration{1, 2, 3}, 50, 2}, {hundred, 50, 50}, {hundred, 99, 99}, {hundred, 99.5, 100}, {hundred, 100, 100},
	} {
		if got := percentile(test.of, test.p); got != test.want {
			t.Errorf("percentile %v of %d times: want %d, got %d", test.p, len(test.of), test.want, got)
		}
	}
}

func TestTheTableShowsMedians(t *testing.T) {
	got := median([]sample{{Rate: 30, P50: 1, P95: 6, P99: 9}, {Rate: 10, P50: 3, P95: 2, P99: 5}, {Rate: 20, P50: 2, P95: 4, P99: 7}, {Rate: 40, P50: 4, P95: 6, P99: 7}})
	if want := (sample{Rate: 25, P50: 2, P95: 5, P99: 7}); got != want {
		t.Errorf("want %v, got %v", want, got)
	}
}

// TestARatioIsThatOfTheSameRun has a machine that is three times as fast in the second run, and a row that fails in the third.
func TestARatioIsThatOfTheSameRun(t *testing.T) {
	rates := func(of ...float64) *row {
		r := &row{}
		for _, rate := range of {
			r.samples = append(r.samples, sample{Rate: rate})
		}
		return r
	}
	for _, test := range []struct {
		row, other *row
		want       float64
		ok         bool
	}{
		{rates(40, 150, 60), rates(100, 300, 100), 0.5, true},
		{rates(40, 150), rates(100, 300, 100), 0.45, true},
		{rates(), rates(100), 0, false},
		{rates(40), rates(), 0, false},
		{rates(40), nil, 0, false},
		{nil, rates(100), 0, false},
	} {
		if got, ok := ratio(test.row, test.other, rateOf); got != test.want || ok != test.ok {
			t.Errorf("%v against %v: want %v, %v, got %v, %v", test.row, test.other, test.want, test.ok, got, ok)
		}
	}
}

// generate runs a load generator against a handler that answers each request's body.
func generate(t *testing.T, w workload, orders ...order) (samples []sample, bodies *bytes.Buffer) {
	t.Helper()
	bodies = &bytes.Buffer{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, r.ContentLength)
		r.Body.Read(buf)
		bodies.Write(buf) // the connection is one, so requests come one by one
		w.Write(buf)
	}))
	defer server.Close()
	w.Status = http.StatusOK
	g := &generator{workload: w, turns: make([]int, len(w.Targets))}
	for _, o := range orders {
		o.Address = server.Listener.Addr().String()
		s, err := g.run(context.Background(), o)
		if err != nil {
			s.Wrong = err.Error()
		}
		samples = append(samples, s)
	}
	return samples, bodies
}

func TestTargetsGoOnWithTheirNextTurnInTheNextMeasurement(t *testing.T) {
	w := workload{Targets: []target{{[]exchange{
		{buildRequest("PATCH", "/", token, "on."), "on."}, {buildRequest("PATCH", "/", token, "off."), "off."},
	}}}}
	one := order{Connections: 1, Time: 20 * time.Millisecond}
	samples, bodies := generate(t, w, one, one, one)
	for _, s := range samples {
		if s.Wrong != "" || s.Rate <= 0 || s.P50 <= 0 || s.P99 < s.P50 {
			t.Errorf("a sample is %+v", s)
		}
	}
	if !regexp.MustCompile(`^(on\.off\.)+(on\.)?$`).Match(bodies.Bytes()) {
		t.Errorf("two requests in a row were the same: %.200s", bodies)
	}
}

func TestAWrongAnswerEndsTheMeasurement(t *testing.T) {
	w := workload{Targets: []target{{[]exchange{{buildRequest("PATCH", "/", token, "on"), "off"}}}}}
	samples, _ := generate(t, w, order{Connections: 1, Time: time.Minute})
	if !strings.Contains(samples[0].Wrong, "wrong answer: want 200 with off, got 200 on") {
		t.Errorf("the sample is %+v", samples[0])
	}
}

func TestAnAnswerThatTakesLongerThanTheMeasurementIsMeasured(t *testing.T) {
	w := workload{Targets: []target{{[]exchange{{buildRequest("PATCH", "/", token, "on"), "on"}}}}}
	samples, bodies := generate(t, w, order{Connections: 1, Time: time.Nanosecond})
	if s := samples[0]; s.Wrong != "" || s.Answers != 1 || s.Rate <= 0 || s.P50 <= 0 || s.P99 != s.P50 || bodies.String() != "on" {
		t.Errorf("%+v after %q", s, bodies)
	}
}

func TestAServerThatIsNotThereIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	g := &generator{workload: workload{Targets: []target{{[]exchange{{}}}}}}
	if s, err := g.run(context.Background(), order{Address: listener.Addr().String(), Connections: 1, Time: time.Second}); err == nil {
		t.Errorf("the sample is %+v", s)
	}
}

func TestTheCeilingReadsAsStrictlyAsBelfry(t *testing.T) {
	for body, want := range map[string]string{
		`{"seen":true}`: "true", ` {"seen" : false} `: "false", `{"other":{"seen":1},"seen":true}`: "true", `{}`: "false",
		`{"seen":true,"seen":true}`: "", `{"seen":1}`: "", `{"seen":null}`: "", `{"seen":true}x`: "", `{"seen":true} {}`: "",
		`{"seen":tru`: "", `{"seen":true`: "", `[]`: "", ``: "", "{\"se\xffen\":true}": "", `{"seen":true,}`: "",
	} {
		seen, err := decodeSeen([]byte(body))
		if got := map[bool]string{true: "true", false: "false"}[seen]; err == nil && got != want || (err == nil) != (want != "") {
			t.Errorf("%s: want %q, got %v %v", body, want, seen, err)
		}
	}
}

func TestTheCeilingReadsEventsAsStrictlyAsBelfry(t *testing.T) {
	const event = `{"user":{},"action":"login","app":"portal","context":{},"client_ip":null`
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	for body, want := range map[string]string{
		`{"action":"login","app":"portal"}`:                                                          event,
		`{"app":"portal","other":[1],"action":"login","expires":"2026-01-01T00:00:00Z"}`:             event,
		`{"action":"custom_x","app":"p","client_ip":"2001:DB8::1","user":[1],"context":"\\\\u0000"}`: `{"user":[1],"action":"custom_x","app":"p","context":"\\\\u0000","client_ip":"2001:db8::1"`,
		`{"action":"login","app":"portal","brand":` + nested(63) + `}`:                               event,
		`{"action":"login","app":"portal","brand":` + nested(64) + `}`:                               "",
		`{"action":"login","app":"portal","brand":1e308}`:                                            event,
		`{"action":"login","app":"portal","brand":1e309}`:                                            "",
		`{"action":"login","app":"portal","brand":` + strings.Repeat("1", 100) + `}`:                 event,
		`{"action":"login","app":"portal","brand":` + strings.Repeat("1", 101) + `}`:                 "",
		`{"action":"login","app":"portal","brand":"\u0000"}`:                                         "",
		`{"action":"login","app":"portal","brand":null}`:                                             "",
		`{"action":"login","app":"portal","user":null}`:                                              "",
		`{"action":"login","app":"portal","user":{"a":1,"a":2}}`:                                     "",
		`{"action":"login","app":"portal","client_ip":"1.2.3"}`:                                      "",
		`{"action":"login","app":"portal","expires":"soon"}`:                                         "",
		`{"action":"sign_in","app":"portal"}`:                                                        "",
		`{"action":1,"app":"portal"}`:                                                                "",
		`{"action":"login","app":" "}`:                                                               "",
		`{"action":"login"}`:                                                                         "",
		`{"app":"portal"}`:                                                                           "",
		`{"action":"login","app":"portal"}x`:                                                         "",
	} {
		got, err := appendEvent([]byte("{"), []byte(body))
		if text := strings.Replace(string(got), ",", "", 1); text != want || (err == nil) != (want != "") {
			t.Errorf("%s: want %q, got %q %v", body, want, text, err)
		}
	}
}

func TestOnlyTakesWhatTheRowsAreComparedWith(t *testing.T) {
	var rows []*row
	for _, n := range []int{1, 64} {
		rows = append(rows, &row{name: seenCeiling, connections: n, ceiling: seenCeiling}, &row{name: eventCeiling, connections: n, ceiling: eventCeiling},
			&row{name: "PATCH seen", connections: n, ceiling: seenCeiling}, &row{name: "POST event", connections: n, ceiling: eventCeiling})
	}
	rows = append(rows, &row{name: syncCeiling, connections: 1, ceiling: seenCeiling})
	for only, want := range map[string]string{
		"^PATCH seen, 64": seenCeiling + ", 64 connections; PATCH seen, 64 connections; ",
		"^PATCH seen, 1 ": seenCeiling + ", 1 connection; PATCH seen, 1 connection; " + syncCeiling + ", 1 connection; ",
		"POST.*64":        eventCeiling + ", 64 connections; POST event, 64 connections; ",
		"nothing of it":   "",
	} {
		got := ""
		for _, r := range chosen(rows, regexp.MustCompile(only)) {
			got += r.title() + "; "
		}
		if got != want {
			t.Errorf("%s: want %s got %s", only, want, got)
		}
	}
}

// TestAllIsMeasured runs the whole program, but for what takes long.
func TestAllIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves it out: it builds belfry and measures for some seconds")
	}
	dir := t.TempDir()
	args := []string{"-quick", "-time", "30ms", "-events", "10000", "-dir", dir, "-data", dir,
		"-only", `^(Disk|SQLite|Ceiling|PATCH|POST|GET|Batch|Live: 1 r|Deliveries: 8|Binary)|new database$|` +
			`(first page|a user|letters in one of 3|ready|for each event); 10 thousand events(, 1 connection)?$`}
	var out, errs strings.Builder
	if status := run(t.Context(), args, strings.NewReader(""), &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	number, time := ` +\| +\d+`, ` \| +\d+\.\d\d`
	for _, row := range []string{
		`- Binary, stripped: \d+\.\d MB`, `- Start to ready; new database: [\d.]+ ms`, `- RSS when idle; new database: [\d.]+ MB`,
		`\| Disk: 4 KiB write \+ fsync +\| ` + number + time + time + time, `\| SQLite: events inserted, 1,000 a commit +\| ` + number + time + time + time,
		`\| PATCH seen +\| +64 \| +\d+` + time + time + time + ` \| +\d+\.\d % \| +\d+ \| `, `\| POST event, ten rules notify +\| +1 \| +\d+`,
		`\| Live: 1 reader +\| ` + number + time + time + time, `\| Deliveries: 8 receivers +\| ` + number,
		`\| PATCH seen, 64 connections, of the ceiling: p99 +\| +≤ 3\.0 × \| +\d+\.\d × \| `,
	} {
		if !regexp.MustCompile(row).MatchString(out.String()) {
			t.Errorf("no %s in:\n%s", row, out.String())
		}
	}
	o, err := parse(args, &errs)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range chosen(newBench(t.Context(), o, dir).rows(), o.only) {
		if !strings.Contains(out.String(), r.name) {
			t.Errorf("nothing is said of %s", r.title())
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}
