package live

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

func all(Hint) bool { return true }

// subscribe lets a reader in.
func subscribe(t *testing.T, h *Hub, user int64, wants func(Hint) bool) *Reader {
	t.Helper()
	r, err := h.Subscribe(user, wants)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// woken reports whether there is something to take.
func woken(r *Reader) bool {
	select {
	case <-r.Changed():
		return true
	default:
		return false
	}
}

// took is what waits for a reader.
func took(r *Reader) string {
	hints, reason := r.Take()
	return fmt.Sprint(hints, reason)
}

func TestAReaderGetsEachHintThatItWantsOnce(t *testing.T) {
	h := NewHub()
	everything := subscribe(t, h, 1, all)
	own := subscribe(t, h, 2, func(h Hint) bool { return h.Owner == 2 })
	if woken(everything) || took(everything) != "[]" {
		t.Error("there is something before anything was published")
	}
	h.Publish(Hint{Kind: "event", ID: "a"}, Hint{Kind: "notification", ID: "b", Owner: 2})
	h.Publish(Hint{Kind: "event", ID: "a"}, Hint{Kind: "event", ID: "c"})
	if !woken(everything) || woken(everything) {
		t.Error("one signal is enough, and needed")
	}
	if got := took(everything); got != "[{event a 0} {event c 0} {notification b 0}]" {
		t.Error(got)
	}
	if got := took(own); !woken(own) || got != "[{notification b 0}]" {
		t.Error(got)
	}
	if took(own) != "[]" || took(everything) != "[]" {
		t.Error("what was taken comes again")
	}
}

func TestWhatWaitsForASlowReaderIsBounded(t *testing.T) {
	h := NewHub()
	slow := subscribe(t, h, 1, all)
	for i := range 100_000 {
		h.Publish(Hint{Kind: "event", ID: fmt.Sprint(i)})
	}
	h.Publish(Hint{Kind: "rule", ID: "r"}, Hint{Kind: "user", ID: "u"}, Hint{Kind: "user"}, Hint{Kind: "user", ID: "v"})
	if got := took(slow); got != "[{event  0} {rule r 0} {user  0}]" {
		t.Error(got)
	}
	for i := range maxIDs {
		h.Publish(Hint{Kind: "event", ID: fmt.Sprint(i)})
	}
	if hints, _ := slow.Take(); len(hints) != maxIDs || slices.Contains(hints, Hint{Kind: "event"}) {
		t.Errorf("%d hints are too coarse", len(hints))
	}
}

func TestReadersAreBounded(t *testing.T) {
	h := NewHub()
	var mine []*Reader
	for range maxOwned + 1 {
		mine = append(mine, subscribe(t, h, 1, all))
	}
	if _, reason := mine[0].Take(); reason != Replaced || !woken(mine[0]) {
		t.Errorf("the oldest goes on: %q", reason)
	}
	if _, reason := mine[1].Take(); reason != "" || h.Len() != maxOwned {
		t.Errorf("%q, %d readers", reason, h.Len())
	}
	for i := h.Len(); i < maxReaders; i++ {
		subscribe(t, h, int64(i), all)
	}
	if _, err := h.Subscribe(maxReaders, all); !errors.Is(err, ErrFull) {
		t.Errorf("one more was let in: %v", err)
	}
	again := subscribe(t, h, 1, all) // in place of one of its own
	again.Close()
	again.Close()
	if h.Len() != maxReaders-1 {
		t.Errorf("%d readers", h.Len())
	}
	subscribe(t, h, maxReaders, all)
}

func TestClosingEndsAllReadersAndLetsNobodyIn(t *testing.T) {
	h := NewHub()
	r := subscribe(t, h, 1, all)
	h.Close()
	if _, reason := r.Take(); reason != Stopping || !woken(r) {
		t.Errorf("%q", reason)
	}
	if _, err := h.Subscribe(1, all); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	r.Close()
	h.Publish(Hint{Kind: "event"})
	h.Close()
}

func TestReadersComeAndGoWhileHintsArePublished(t *testing.T) {
	h := NewHub()
	var working sync.WaitGroup
	for i := range 8 {
		working.Go(func() {
			for range 500 {
				r, err := h.Subscribe(int64(i), all)
				if err != nil {
					t.Error(err)
					return
				}
				h.Publish(Hint{Kind: "event", ID: "x"})
				h.Wake()
				<-r.Changed()
				if hints, _ := r.Take(); len(hints) == 0 {
					t.Error("nothing came")
				}
				r.Close()
			}
		})
	}
	working.Wait()
	if h.Len() != 0 {
		t.Errorf("%d readers are left", h.Len())
	}
}
