package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// program is Belfry as a process of its own.
type program struct {
	t        *testing.T
	database string
	address  string // where it listens; any free one if empty
	url      string
	env      []string // settings beside the usual ones
	command  *exec.Cmd
	log      bytes.Buffer
}

// start runs the program and waits until it is ready.
func (p *program) start() {
	p.t.Helper()
	address := p.address
	if address == "" {
		var err error
		if address, err = freeAddress(); err != nil {
			p.t.Fatal(err)
		}
	}
	p.url = "http://" + address
	p.command = exec.Command(os.Args[0], "--listen", address, "--database", p.database)
	p.command.Env = append(os.Environ(), asProgram+"=1", "BELFRY_BOOTSTRAP_TOKEN="+adminKey)
	p.command.Env = append(p.command.Env, p.env...)
	p.command.Stderr = &p.log
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if answer, err := http.Get(p.url + "/-/health/ready/"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusNoContent {
				return
			}
		}
	}
	p.t.Fatalf("the program is not ready: %s", p.log.String())
}

// kill ends the process as a power button would, and reports whether it was running until then.
func (p *program) kill() {
	p.t.Helper()
	if err := p.command.Process.Kill(); err != nil {
		p.t.Fatalf("the program was not running any more: %v: %s", err, p.log.String())
	}
	if err := p.command.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		p.t.Fatalf("the program was not killed: %v", err)
	}
}

// call makes a request; an error is what a killed server leaves.
func (p *program) call(method, path, body string) (status int, reply map[string]any, err error) {
	request, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, err
	}
	return answer.StatusCode, reply, json.Unmarshal(text, &reply)
}

// acknowledged is what a client was told is stored.
type acknowledged struct {
	sync.Mutex
	events map[string]string // app by key
	seen   map[string]string // the event's last label by notification
}

// client posts events, finds their notifications and patches them, until the server is gone.
func (p *program) client(name string, known *acknowledged, done *atomic.Int64) {
	for i := 0; ; i++ {
		label := fmt.Sprintf("%s-%d", name, i)
		status, event, err := p.call("POST", eventsPath, `{"action":"configuration_error","app":"`+label+`"}`)
		if err != nil || status != http.StatusCreated {
			return
		}
		key, _ := event["pk"].(string)
		known.Lock()
		known.events[key] = label
		known.Unlock()
		_, list, err := p.call("GET", notificationsPath+"?event="+key, "")
		results, _ := list["results"].([]any)
		if err != nil || len(results) != 1 {
			return
		}
		first, _ := results[0].(map[string]any)
		notification, _ := first["pk"].(string)
		status, _, err = p.call("PATCH", notificationsPath+notification+"/", `{"seen":true,"event":{"app":"`+label+`-patched"}}`)
		if err != nil || status != http.StatusOK {
			return
		}
		known.Lock()
		known.seen[notification] = label + "-patched"
		known.events[key] = label + "-patched"
		known.Unlock()
		done.Add(1)
	}
}

// TestAcknowledgedWritesSurviveKill kills the server five times under load and asks for everything it said was stored.
func TestAcknowledgedWritesSurviveKill(t *testing.T) {
	known := &acknowledged{events: map[string]string{}, seen: map[string]string{}}
	p := &program{t: t, database: filepath.Join(t.TempDir(), "data", "belfry.db")}
	const kills, clients, rounds = 5, 8, 40
	for kill := range kills {
		p.start()
		var all sync.WaitGroup
		var done atomic.Int64
		for c := range clients {
			all.Go(func() { p.client(fmt.Sprintf("k%d-c%d", kill, c), known, &done) })
		}
		for deadline := time.Now().Add(30 * time.Second); done.Load() < rounds; {
			if time.Now().After(deadline) {
				t.Fatalf("the clients came to %d rounds only", done.Load())
			}
		}
		p.kill()
		all.Wait()
	}
	p.start()
	defer p.kill()
	if len(known.seen) < kills*rounds {
		t.Fatalf("too little was written: %d", len(known.seen))
	}
	for key, app := range known.events {
		// A PATCH that was cut off may have been stored without having been acknowledged.
		status, event, err := p.call("GET", eventsPath+key+"/", "")
		if got, _ := event["app"].(string); err != nil || status != http.StatusOK || got != app && got != app+"-patched" {
			t.Errorf("the event %s of %s is lost: %d %v %v", key, app, status, event, err)
		}
	}
	for key, app := range known.seen {
		status, n, err := p.call("GET", notificationsPath+key+"/", "")
		event, _ := n["event"].(map[string]any)
		if err != nil || status != http.StatusOK || n["seen"] != true || event["app"] != app {
			t.Errorf("the PATCH of %s is lost: %d %v %v", key, status, n, err)
		}
	}
	t.Logf("%d events and %d PATCHes were acknowledged, %d kills, all are there", len(known.events), len(known.seen), kills)
}

// TestStopUnderLoadFinishesWhatWasBegun sends SIGTERM to a busy server.
func TestStopUnderLoadFinishesWhatWasBegun(t *testing.T) {
	known := &acknowledged{events: map[string]string{}, seen: map[string]string{}}
	p := &program{t: t, database: filepath.Join(t.TempDir(), "data", "belfry.db")}
	p.start()
	var all sync.WaitGroup
	var done atomic.Int64
	for c := range 8 {
		all.Go(func() { p.client(fmt.Sprintf("c%d", c), known, &done) })
	}
	for deadline := time.Now().Add(30 * time.Second); done.Load() < 40 && time.Now().Before(deadline); {
	}
	begun := time.Now()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil {
		t.Errorf("the exit status: %v: %s", err, p.log.String())
	}
	t.Logf("stopped in %v", time.Since(begun))
	all.Wait()
	p.start()
	defer p.kill()
	for key := range known.events {
		if status, _, err := p.call("GET", eventsPath+key+"/", ""); err != nil || status != http.StatusOK {
			t.Errorf("the event %s is lost: %d %v", key, status, err)
		}
	}
}

// TestAnUploadOverKillsIsStoredOnce kills the server three times in the middle of an upload, sends it again each time, and
// wants every event and every notification once.
func TestAnUploadOverKillsIsStoredOnce(t *testing.T) {
	p := &program{t: t, database: filepath.Join(t.TempDir(), "data", "belfry.db")}
	const count = 20_000
	lines := strings.Join(keyed(count, "configuration_error"), "\n")
	upload := func() (answer uploaded, err error) {
		request, err := http.NewRequest("POST", p.url+batchPath, strings.NewReader(lines))
		if err != nil {
			return answer, err
		}
		request.Header = http.Header{"Content-Type": {asLines}, "Authorization": {"Bearer " + adminKey}}
		reply, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			return answer, err
		}
		defer reply.Body.Close()
		return answer, json.NewDecoder(reply.Body).Decode(&answer)
	}
	stored := func() float64 {
		_, list, _ := p.call("GET", eventsPath+"?page_size=1&action=configuration_error", "")
		pagination, _ := list["pagination"].(map[string]any)
		n, _ := pagination["count"].(float64)
		return n
	}
	before := 0.0
	for range 3 {
		p.start()
		cut := make(chan error)
		go func() {
			_, err := upload()
			cut <- err
		}()
		for deadline := time.Now().Add(30 * time.Second); stored() < before+2000; {
			if time.Now().After(deadline) {
				t.Fatalf("the upload came to %v events only", stored())
			}
		}
		p.kill()
		if err := <-cut; err == nil {
			t.Fatal("the upload was answered before the kill")
		}
		p.start()
		before = stored()
		p.kill()
	}
	p.start()
	answer, err := upload()
	p.kill()
	if err != nil || answer.Created+answer.Existing != count || answer.Existing < int(before) || answer.Existing == count || answer.Refused != 0 {
		t.Errorf("%v: %d created, %d existing, %d refused, and %v before", err, answer.Created, answer.Existing, answer.Refused, before)
	}
	for i, pk := range answer.PKs {
		if pk == nil || *pk != keyOf(i) {
			t.Fatalf("line %d has the key %v", i+1, pk)
		}
	}
	db, err := openStore(t.Context(), p.database, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f := &fixture{t: t, db: db}
	for _, query := range []string{"SELECT COUNT(*) FROM event WHERE action = 'configuration_error'", "SELECT SUM(count) FROM event_hour WHERE action = 'configuration_error'",
		"SELECT COUNT(*) FROM notification", "SELECT COUNT(DISTINCT event_pk) FROM notification"} {
		if n := f.number(query); n != count {
			t.Errorf("%s: %d", query, n)
		}
	}
}
