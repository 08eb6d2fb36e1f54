package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// streamer answers streams and takes events; tell is what every reader is told of an event, by its number.
func streamer(t *testing.T, tell func(event int) string) string {
	var mu sync.Mutex
	var readers []chan string
	events := 0
	mux := http.NewServeMux()
	mux.HandleFunc(livePath, func(w http.ResponseWriter, r *http.Request) {
		mine := make(chan string, 1000)
		mu.Lock()
		readers = append(readers, mine)
		mu.Unlock()
		fmt.Fprint(w, "retry: 2000\nevent: hello\ndata: {}\n\n")
		for {
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case text := <-mine:
				fmt.Fprint(w, text)
			}
		}
	})
	mux.HandleFunc(eventsPath, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		events++
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"pk":"event-%d"}`, events)
		if text := tell(events); text != "" {
			for _, reader := range readers {
				reader <- text
			}
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func hintOf(event int) string {
	return fmt.Sprintf("retry: 2000\nevent: change\ndata: [{\"kind\":\"event\",\"id\":\"event-%d\"}]\n\n", event)
}

func TestEveryReaderMustGetEveryEvent(t *testing.T) {
	for name, test := range map[string]struct {
		tell  func(event int) string
		wrong string
	}{
		"all of them": {hintOf, ""},
		"twice":       {func(n int) string { return hintOf(n) + hintOf(n) }, ""},
		"others'":     {func(n int) string { return hintOf(n + 1000) }, "nobody has posted the event event-1001"},
		"the end":     {func(int) string { return "event: bye\ndata: {\"reason\":\"ended\"}\n\n" }, `the stream ended: {"reason":"ended"}`},
		"by two lines": {func(n int) string {
			return "data: [{\"kind\":\"event\",\"id\":\"event-" + fmt.Sprint(n) + "\"}]\n" + "event: change\n\n"
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := audience{Address: streamer(t, test.tell), Tokens: []string{"one", "two"}, Readers: 3}
			readers, answer := a.listen(t.Context())
			for _, r := range readers {
				defer r.Close()
			}
			if answer != (admitted{Readers: 3}) {
				t.Fatalf("%+v", answer)
			}
			s, err := a.measure(t.Context(), readers, 50*time.Millisecond)
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("%+v %v", s, err)
				}
				return
			}
			// Five events in 50 ms, to three readers.
			if err != nil || s.Rate != 300 || s.P50 <= 0 || s.P99 < s.P50 {
				t.Errorf("%+v %v", s, err)
			}
		})
	}
}

func TestAMissingEventIsNoticed(t *testing.T) {
	now := time.Now()
	r := &reader{arrivals: []arrival{{now, []byte(`[{"kind":"event","id":"a"},{"kind":"rule","id":"b"}]`)}}}
	posted := map[string]time.Time{"a": now.Add(-time.Second)}
	if lags, err := r.lags(posted); err != nil || len(lags) != 1 || lags[0] != time.Second {
		t.Errorf("%v %v", lags, err)
	}
	posted["b"] = now
	if lags, err := r.lags(posted); err == nil {
		t.Errorf("%v", lags)
	}
}

func TestAFullServerIsSaidToBeFull(t *testing.T) {
	left := 2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left--; left < 0 {
			http.Error(w, "full", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "event: hello\ndata: {}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	a := audience{Address: server.Listener.Addr().String(), Tokens: []string{"one"}, Readers: 3}
	readers, answer := a.listen(t.Context())
	for _, r := range readers {
		r.Close()
	}
	server.Close()
	if answer != (admitted{Readers: 2, Full: true}) {
		t.Errorf("%+v", answer)
	}
}
