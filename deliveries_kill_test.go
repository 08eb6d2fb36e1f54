package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// flaky is a receiver that fails three of ten deliveries when they come for the first time: a second failure of one
// would wait for minutes.
type flaky struct {
	mu       sync.Mutex
	requests int
	failed   map[string]bool     // by id
	taken    map[string]int      // how often an id was answered 200
	bodies   map[string]string   // by id
	ids      map[string]string   // the id by receiver and event
	wrong    map[string]struct{} // what must not happen
}

// label is how the test's events are named in what is sent.
var label = regexp.MustCompile(`crash-\d+-\d+`)

// ServeHTTP is the receiver.
func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	id := r.Header.Get("Webhook-Id")
	key := r.URL.Path + label.FindString(string(body))
	if first, ok := f.ids[key]; ok && first != id {
		f.wrong["one event and transport have two ids"] = struct{}{}
	}
	if first, ok := f.bodies[id]; ok && first != string(body) {
		f.wrong["one id has two bodies"] = struct{}{}
	}
	if err != nil || id == "" {
		f.wrong["a request without a body or an id"] = struct{}{}
	}
	f.ids[key], f.bodies[id] = id, string(body)
	f.requests++
	if n := f.requests % 10; (n == 2 || n == 5 || n == 8) && !f.failed[id] && f.taken[id] == 0 {
		f.failed[id] = true
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	f.taken[id]++
}

// crashRules makes two transports to the receiver, and a rule that sends them what the test posts.
func (p *program) crashRules(receiver string) {
	p.t.Helper()
	must := func(path, body string) string {
		p.t.Helper()
		status, reply, err := p.call("POST", path, body)
		if err != nil || status != http.StatusCreated {
			p.t.Fatalf("POST %s: %d %v %v", path, status, reply, err)
		}
		return reply["pk"].(string)
	}
	transport := func(name string) string {
		return must("/api/v3/events/transports/", fmt.Sprintf(`{"name":%q,"mode":"webhook","webhook_url":"%s/%s/"}`, name, receiver, name))
	}
	_, groups, err := p.call("GET", "/api/v3/core/groups/", "")
	if err != nil {
		p.t.Fatal(err)
	}
	group := groups["results"].([]any)[0].(map[string]any)["pk"].(string)
	rule := must("/api/v3/events/rules/", fmt.Sprintf(`{"name":"crash","group":%q,"transports":[%q,%q]}`, group, transport("one"), transport("two")))
	policy := must("/api/v3/policies/event_matcher/", `{"name":"crash","action":"custom_crash"}`)
	must("/api/v3/policies/bindings/", fmt.Sprintf(`{"policy":%q,"target":%q,"order":0}`, policy, rule))
}

// TestMatchedEventsAreDeliveredAcrossKills posts events, each of which a rule sends by two webhooks, while the server is killed
// every two seconds, and asks the receiver for all that was acknowledged.
func TestMatchedEventsAreDeliveredAcrossKills(t *testing.T) {
	events, pause := int64(2000), 30*time.Millisecond // 8 clients, so that posting takes some kills
	if testing.Short() {
		events, pause = 400, 100*time.Millisecond
	}
	f := &flaky{failed: map[string]bool{}, taken: map[string]int{}, bodies: map[string]string{}, ids: map[string]string{}, wrong: map[string]struct{}{}}
	receiver := httptest.NewServer(f)
	defer receiver.Close()
	p := &program{t: t, database: filepath.Join(t.TempDir(), "data", "belfry.db"), env: []string{"BELFRY_OUTBOUND_ALLOW=loopback"}}
	p.start()
	p.crashRules(receiver.URL)
	var mu sync.Mutex
	var acknowledged []string
	var count atomic.Int64
	kills := 0
	for round := 0; ; round++ {
		var all sync.WaitGroup
		gone := make(chan struct{})
		for c := range 8 {
			all.Go(func() {
				for i := 0; count.Load() < events; i++ {
					name := fmt.Sprintf("crash-%d-%d", round, c*100_000+i)
					status, _, err := p.call("POST", eventsPath, `{"action":"custom_crash","app":"crash","context":{"message":"`+name+`"}}`)
					if err != nil || status != http.StatusCreated {
						return // killed: what was not acknowledged may be there or not
					}
					mu.Lock()
					acknowledged = append(acknowledged, name)
					mu.Unlock()
					count.Add(1)
					select {
					case <-gone:
					case <-time.After(pause):
					}
				}
			})
		}
		<-time.After(2 * time.Second)
		done := count.Load() >= events
		p.kill()
		kills++
		close(gone)
		all.Wait()
		p.start()
		if done {
			break
		}
	}
	defer p.kill()
	missing := func() (n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, name := range acknowledged {
			for _, path := range []string{"/one/", "/two/"} {
				if f.taken[f.ids[path+name]] == 0 {
					n++
				}
			}
		}
		return n
	}
	for deadline := time.Now().Add(30 * time.Second); missing() > 0 && time.Now().Before(deadline); {
		<-time.After(100 * time.Millisecond)
	}
	lost := missing()
	if lost > 0 {
		t.Errorf("%d of %d deliveries are missing", lost, 2*len(acknowledged))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	duplicates := 0
	for _, n := range f.taken {
		duplicates += n - 1
	}
	for what := range f.wrong {
		t.Error(what)
	}
	if len(f.failed) < len(f.ids)/5 || kills < 2 {
		t.Errorf("too little went wrong: %d failures of %d deliveries, %d kills", len(f.failed), len(f.ids), kills)
	}
	if limit := len(f.ids) / 50; duplicates > limit {
		t.Errorf("%d duplicates of %d deliveries, want %d at most", duplicates, len(f.ids), limit)
	}
	t.Logf("%d events acknowledged, %d deliveries, %d failed first, %d kills: missing %d, duplicates %d",
		len(acknowledged), len(f.ids), len(f.failed), kills, lost, duplicates)
}
