package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	api "goauthentik.io/api/v3"
)

// run is what all tests of one run share: the binary, and the judge of its answers.
// It is set once, before the first test.
var run struct {
	binary string
	judge  *official
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "acceptance")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	covered := &coverage{calls: map[string]map[int]int{}}
	if run.judge, err = loadOfficial(covered); err != nil {
		return failed(err)
	}
	if run.judge.own, err = loadOwn(); err != nil {
		return failed(err)
	}
	run.binary = filepath.Join(dir, "belfry")
	if err := build(run.binary); err != nil {
		return failed(err)
	}
	code := m.Run()
	report(os.Stdout, covered)
	if missing := covered.missing(); code == 0 && flag.Lookup("test.run").Value.String() == "" && len(missing) > 0 {
		return failed(fmt.Errorf("not exercised: %s", strings.Join(missing, ", ")))
	}
	return code
}

func failed(err error) int {
	fmt.Println("FAIL:", err)
	return 1
}

// build makes the binary the way it is released, out of the module above this one.
func build(binary string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return nil
}

func report(w io.Writer, covered *coverage) {
	fmt.Fprintln(w, "\namendments to the official description:")
	for _, a := range amendments {
		fmt.Fprintln(w, " -", a.what)
	}
	fmt.Fprintln(w, "how it is read besides:")
	for _, reading := range readings {
		fmt.Fprintln(w, " -", reading)
	}
	covered.print(w)
}

// adminToken is the bootstrap token of every server of the run: 40 characters.
const adminToken = "acceptance-token-of-akadmin-0123456789ab"

// server is one process on a database of its own.
type server struct {
	url      string
	database string
	process  *exec.Cmd
	logs     *lockedBuffer
	drained  chan struct{} // closed when the process has closed its stdout
}

// start makes a database and serves it until the test ends.
func start(t *testing.T) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "belfry") // t.TempDir is too long for a socket beside the database
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{database: filepath.Join(dir, "belfry.db")}
	t.Cleanup(func() { s.stop(t) })
	s.launch(t, "BELFRY_BOOTSTRAP_TOKEN="+adminToken, "BELFRY_OUTBOUND_ALLOW=loopback") // webhooks stay on this machine
	return s
}

var bannerURL = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// launch starts the process and waits until it is ready.
func (s *server) launch(t *testing.T, env ...string) {
	t.Helper()
	s.process = exec.Command(run.binary, "serve", "--listen", "127.0.0.1:0", "--database", s.database)
	s.process.Dir = filepath.Dir(s.database)
	s.process.Env = append(env, "PATH="+os.Getenv("PATH"))
	s.logs, s.drained = &lockedBuffer{}, make(chan struct{})
	s.process.Stderr = s.logs
	stdout, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	go s.readBanner(stdout, found)
	select {
	case s.url = <-found:
	case <-s.drained:
		t.Fatalf("the server ended before it said where it listens:\n%s", s.logs)
	case <-time.After(20 * time.Second):
		t.Fatalf("the server did not say where it listens:\n%s", s.logs)
	}
	s.awaitReady(t)
}

// readBanner sends the first address that the banner names and reads on to the end.
func (s *server) readBanner(stdout io.Reader, found chan<- string) {
	defer close(s.drained)
	lines, named := bufio.NewScanner(stdout), false
	for lines.Scan() {
		if url := bannerURL.FindString(lines.Text()); url != "" && !named {
			named = true
			found <- url
		}
	}
}

func (s *server) awaitReady(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		answer, err := http.Get(s.url + "/-/health/ready/")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusNoContent {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready (%v):\n%s", err, s.logs)
		}
		time.Sleep(10 * time.Millisecond) // another process offers nothing to wait on
	}
}

// stop ends the process politely; it must end well, and have logged no error and no panic.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if s.process.Process == nil || s.process.ProcessState != nil {
		return // it never started, or was waited for
	}
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	kill := time.AfterFunc(10*time.Second, func() { s.process.Process.Kill() })
	defer kill.Stop()
	<-s.drained
	if err := s.process.Wait(); err != nil {
		t.Errorf("the server did not end well: %v", err)
	}
	logs := s.logs.String()
	if strings.Contains(logs, `"level":"ERROR"`) || strings.Contains(logs, "panic") {
		t.Errorf("the server logged an error:\n%s", logs)
	}
	if t.Failed() {
		t.Logf("log of the server:\n%s", logs)
	}
}

// kill ends the process as a power cut would: without a chance to tidy up.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.drained
	var exit *exec.ExitError
	if err := s.process.Wait(); !errors.As(err, &exit) {
		t.Fatalf("a killed process ended with %v", err)
	}
}

// client is the official client, signed in with a token; every call of it is judged.
func (s *server) client(token string) *api.APIClient {
	c := api.NewConfiguration()
	c.Servers = api.ServerConfigurations{{URL: s.url + "/api/v3"}}
	c.HTTPClient = &http.Client{Transport: run.judge}
	c.AddDefaultHeader("Authorization", "Bearer "+token)
	return api.NewAPIClient(c)
}

func (s *server) admin() *api.APIClient { return s.client(adminToken) }

// answer is what a raw call got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends what the official client cannot or would not send, through its own HTTP
// client. Path and query follow /api/v3. A body that is text is sent as it is, nil sends none.
func call(t *testing.T, ctx context.Context, c *api.APIClient, method, path string, body any) answer {
	t.Helper()
	var sent io.Reader
	if body != nil {
		text, ok := body.(string)
		if !ok {
			text = encode(t, body)
		}
		sent = strings.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.GetConfig().Servers[0].URL+path, sent)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range c.GetConfig().DefaultHeader {
		r.Header.Set(key, value)
	}
	if sent != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	got, err := c.GetConfig().HTTPClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	read, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, read}
}

// lockedBuffer collects a process's output while others read it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
