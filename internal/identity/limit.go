package identity

import (
	"container/list"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"belfry/internal/drf"
)

// How guessing is limited. Only failures count, so that a source is never slowed down for being busy.
const (
	guessBurst    = 20              // failures that a source has at once
	guessInterval = 3 * time.Second // and then one more every so often
	trustFor      = time.Hour       // how long a credential that succeeded passes a limited source
	maxSources    = 10_000          // sources that are remembered
	maxTrusted    = 256             // credentials remembered for a source
)

// limiter limits how often a source may show credentials that turn out to be wrong. What the source has used
// successfully in the last hour passes always: whoever guesses from a shared address locks nobody out who works there.
type limiter struct {
	mu      sync.Mutex
	sources map[netip.Prefix]*list.Element // of *source
	recent  *list.List                     // most recently used first
}

// source is one address, or one /64 of IPv6 addresses, because that is what one customer is given.
type source struct {
	prefix  netip.Prefix
	failed  *rate.Limiter
	trusted map[string]time.Time // by hash of the credential: when it last succeeded
	trying  map[string]int       // credentials that are being looked up now
	changed chan struct{}        // closed when one of them is settled
}

func newLimiter() *limiter {
	return &limiter{sources: map[netip.Prefix]*list.Element{}, recent: list.New()}
}

// outcome is what became of an attempt.
type outcome int

const (
	undecided outcome = iota // the storage failed, or the request was given up
	succeeded
	refused
)

// attempt is one look-up of a credential, to be settled exactly once.
type attempt struct {
	limiter *limiter
	source  *source
	hash    string
}

// begin allows one look-up, or answers the 429 that says when to come again. Look-ups in flight are counted as if
// they were failures: where too many run at once it waits for their outcome, so that guessing in parallel gains nothing.
func (l *limiter) begin(ctx context.Context, from netip.Prefix, hash string) (attempt, error) {
	for {
		a, wait, changed := l.try(from, hash)
		switch {
		case wait > 0:
			return attempt{}, drf.Throttled(wait)
		case changed == nil:
			return a, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return attempt{}, fmt.Errorf("waiting for other look-ups of the same source: %w", ctx.Err())
		}
	}
}

// try answers an attempt; or how long the source is refused; or a channel that is closed when to try again.
func (l *limiter) try(from netip.Prefix, hash string) (a attempt, wait time.Duration, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	s := l.source(from)
	last, known := s.trusted[hash]
	if tokens := s.failed.TokensAt(now); !known || now.Sub(last) > trustFor {
		if tokens < 1 {
			return a, time.Duration((1 - tokens) * float64(guessInterval)), nil
		}
		if s.trying[hash] == 0 && float64(len(s.trying)+1) > tokens {
			return a, 0, s.changed
		}
	}
	s.trying[hash]++
	return attempt{limiter: l, source: s, hash: hash}, 0, nil
}

// source is what is known of a source; the one that was not seen for longest makes room for a new one.
func (l *limiter) source(prefix netip.Prefix) *source {
	if e, ok := l.sources[prefix]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*source)
	}
	if l.recent.Len() >= maxSources {
		oldest := l.recent.Remove(l.recent.Back()).(*source)
		delete(l.sources, oldest.prefix)
	}
	s := &source{
		prefix:  prefix,
		failed:  rate.NewLimiter(rate.Every(guessInterval), guessBurst),
		trusted: map[string]time.Time{},
		trying:  map[string]int{},
		changed: make(chan struct{}),
	}
	l.sources[prefix] = l.recent.PushFront(s)
	return s
}

// passes reports whether a source has shown a credential successfully in the last hour, and counts that as once more.
func (l *limiter) passes(from netip.Prefix, hash string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.sources[from]
	if !ok {
		return false
	}
	l.recent.MoveToFront(e)
	s, now := e.Value.(*source), time.Now()
	last, known := s.trusted[hash]
	if !known || now.Sub(last) > trustFor {
		return false
	}
	if now.Sub(last) > trustFor/60 { // to note each time takes as long as to look
		s.trusted[hash] = now
	}
	return true
}

// settle says how the attempt ended.
func (a attempt) settle(o outcome) {
	a.limiter.mu.Lock()
	defer a.limiter.mu.Unlock()
	s, now := a.source, time.Now()
	switch o {
	case succeeded:
		s.trust(a.hash, now)
	case refused:
		delete(s.trusted, a.hash)
		s.failed.AllowN(now, 1)
	}
	if s.trying[a.hash]--; s.trying[a.hash] == 0 {
		delete(s.trying, a.hash)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// trust remembers a credential; the one that was used longest ago makes room.
func (s *source) trust(hash string, now time.Time) {
	if _, known := s.trusted[hash]; !known && len(s.trusted) >= maxTrusted {
		oldest := ""
		for h, at := range s.trusted {
			if oldest == "" || at.Before(s.trusted[oldest]) {
				oldest = h
			}
		}
		delete(s.trusted, oldest)
	}
	s.trusted[hash] = now
}
