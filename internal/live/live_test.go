package live

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

const gather = 100 * time.Millisecond

// newHub makes a hub that gathers hints for a while, and tells them in short.
func newHub(gather time.Duration) *Hub {
	return NewHub(gather, func(hints []Hint) string {
		var all []string
		for _, h := range hints {
			all = append(all, h.Kind+" "+h.ID)
		}
		return "[" + strings.Join(all, ",") + "]"
	})
}

// Audiences of the tests.
var (
	all    = NewAudience(func(string) bool { return true })
	public = NewAudience(func(kind string) bool { return kind != "secret" })
	nobody = NewAudience(func(string) bool { return false })
)

// subscribe lets a reader in.
func subscribe(t *testing.T, h *Hub, user int64, audience *Audience) *Reader {
	t.Helper()
	r, err := h.Subscribe(user, audience)
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

// took is what waits for a reader, and why there will be no more.
func took(r *Reader) string {
	hints, reason := r.Take()
	return hints + string(reason)
}

// gathered lets the time pass in which hints are gathered.
func gathered() {
	time.Sleep(gather)
	synctest.Wait()
}

func TestAReaderGetsEachHintThatIsForItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(gather)
		everything, most, own := subscribe(t, h, 1, all), subscribe(t, h, 3, public), subscribe(t, h, 2, nobody)
		if woken(everything) || took(everything) != "" {
			t.Error("there is something before anything was published")
		}
		h.Publish(Hint{Kind: "event", ID: "a"}, Hint{Kind: "inbox", ID: "b", Owner: 2}, Hint{Kind: "secret", ID: "s"})
		h.Publish(Hint{Kind: "event", ID: "a"}, Hint{Kind: "event", ID: "c"}, Hint{Kind: "inbox", ID: "b", Owner: 2}, Hint{Kind: "inbox", ID: "d", Owner: 9})
		if woken(everything) || took(everything) != "" {
			t.Error("what belongs together is told one by one")
		}
		gathered()
		if !woken(everything) || woken(everything) {
			t.Error("one signal is enough, and needed")
		}
		if !woken(most) || !woken(own) {
			t.Error("nobody woke the others")
		}
		for want, r := range map[string]*Reader{"[event a,event c,secret s]": everything, "[event a,event c]": most, "[inbox b]": own} {
			if got := took(r); got != want {
				t.Errorf("want %s, got %s", want, got)
			}
			if got := took(r); got != "" {
				t.Errorf("what was taken comes again: %s", got)
			}
		}
		h.Publish(Hint{Kind: "secret", ID: "s"}, Hint{Kind: "inbox", ID: "b", Owner: 3}, Hint{Kind: "event", ID: "a"})
		gathered()
		if woken(own) || took(own) != "" {
			t.Error("it was woken for what is for others")
		}
		if got := took(most); got != "[event a,inbox b]" {
			t.Error(got)
		}
	})
}

func TestAReaderIsToldNothingOfTheTimeBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(gather)
		h.Publish(Hint{Kind: "event", ID: "for nobody"})
		first := subscribe(t, h, 1, all)
		h.Publish(Hint{Kind: "event", ID: "a"})
		late := subscribe(t, h, 1, all)
		h.Publish(Hint{Kind: "event", ID: "b"}, Hint{Kind: "event", ID: "a"})
		time.Sleep(gather - time.Nanosecond)
		if woken(first) || woken(late) {
			t.Error("told before the time is over")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := took(first); !woken(first) || got != "[event a,event b]" {
			t.Error(got)
		}
		if got := took(late); !woken(late) || got != "[event b,event a]" {
			t.Error(got)
		}
	})
}

func TestHintsAreEncodedOnceForAllWhoMaySeeTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(gather)
		var texts []string
		readers := []*Reader{subscribe(t, h, 1, all), subscribe(t, h, 2, all), subscribe(t, h, 3, public)}
		h.Publish(Hint{Kind: "event", ID: "a"}, Hint{Kind: "secret", ID: "b"})
		gathered()
		for _, r := range readers {
			text, _ := r.Take()
			texts = append(texts, text)
		}
		if unsafe.StringData(texts[0]) != unsafe.StringData(texts[1]) || texts[0] == texts[2] {
			t.Errorf("%q", texts)
		}
	})
}

func TestWhatWaitsForASlowReaderIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(gather)
		slow, own := subscribe(t, h, 1, public), subscribe(t, h, 2, nobody)
		for i := range 100_000 {
			h.Publish(Hint{Kind: "event", ID: fmt.Sprint(i)}, Hint{Kind: "secret", ID: fmt.Sprint(i)}, Hint{Kind: "inbox", ID: fmt.Sprint(i), Owner: 2})
			if i%1000 == 0 {
				gathered()
			}
			if len(slow.waiting) > maxBatches || len(own.waiting) > maxBatches {
				t.Fatalf("%d and %d batches wait", len(slow.waiting), len(own.waiting))
			}
		}
		h.Publish(Hint{Kind: "rule", ID: "r"}, Hint{Kind: "user", ID: "u"}, Hint{Kind: "user"}, Hint{Kind: "user", ID: "v"})
		gathered()
		if got := took(slow); got != "[event ,rule r,user ]" {
			t.Error(got)
		}
		if got := took(own); got != "[inbox ]" {
			t.Error(got)
		}
	})
}

// TestWhatWaitsLongIsStillWhole lets more batches wait than are kept as they are.
func TestWhatWaitsLongIsStillWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(gather)
		r := subscribe(t, h, 7, public)
		var want []string
		for i := range maxIDs {
			h.Publish(Hint{Kind: "event", ID: fmt.Sprint(i)}, Hint{Kind: "secret", ID: fmt.Sprint(i)}, Hint{Kind: "inbox", ID: "one", Owner: 7})
			want = append(want, fmt.Sprint("event ", i))
			gathered()
		}
		if got, want := took(r), "["+strings.Join(want, ",")+",inbox one]"; got != want {
			t.Errorf("want %s\n got %s", want, got)
		}
	})
}

func TestReadersAreBounded(t *testing.T) {
	h := newHub(gather)
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
	if h.users[1] != maxOwned-1 {
		t.Errorf("the user has %d readers", h.users[1])
	}
}

func TestClosingEndsAllReadersAndLetsNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(gather)
		r := subscribe(t, h, 1, all)
		h.Publish(Hint{Kind: "event"})
		h.Close()
		if hints, reason := r.Take(); reason != Stopping || hints != "" || !woken(r) || h.Len() != 0 {
			t.Errorf("%q %q, %d readers", hints, reason, h.Len())
		}
		if _, err := h.Subscribe(1, all); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		r.Close()
		h.Publish(Hint{Kind: "event"})
		h.Close()
		gathered()
	})
}

func TestReadersComeAndGoWhileHintsArePublished(t *testing.T) {
	h := newHub(time.Microsecond)
	var working sync.WaitGroup
	for i := range 8 {
		working.Go(func() {
			for range 500 {
				r, err := h.Subscribe(int64(i), all)
				if err != nil {
					t.Error(err)
					return
				}
				h.Publish(Hint{Kind: "event", ID: "x"}, Hint{Kind: "inbox", ID: "y", Owner: int64(i)})
				h.Wake()
				var hints string
				for hints == "" {
					<-r.Changed()
					hints, _ = r.Take()
				}
				r.Close()
			}
		})
	}
	working.Wait()
	if h.Len() != 0 || len(h.users) != 0 {
		t.Errorf("%d readers of %d users are left", h.Len(), len(h.users))
	}
}
