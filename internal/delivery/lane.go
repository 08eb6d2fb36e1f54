package delivery

import (
	"math"
	"time"
)

const (
	// leaseTime is how long a claimed delivery is its worker's: longer than an attempt (attemptTime) with the settling.
	leaseTime   = 16 * time.Second
	attemptTime = 15 * time.Second

	// maxInFlight is how many attempts are under way at most; laneInFlight how many of them by one transport.
	maxInFlight  = 64
	laneInFlight = 2
	// goodReserve is how many of maxInFlight serve only transports whose last attempt succeeded or that had none, so
	// that those that fail, by a time-out most of all, cannot take all the room.
	goodReserve = 16

	// breakerFailures in a row open a transport's breaker for breakerTime. Then one attempt probes: a
	// success closes the breaker, a failure opens it again. It is short beside all waits but the first, which only
	// the first failures of a run have.
	breakerFailures = 5
	breakerTime     = 30 * time.Second
)

// never is a time that does not come.
const never int64 = math.MaxInt64

// lane is what a worker knows of one transport's attempts. Times are of the worker's clock. It is lost with the process: then
// every transport is one that had no attempt.
type lane struct {
	inFlight  int
	slow      bool  // an attempt timed out, and none succeeded since
	failures  int   // in a row
	openUntil int64 // of the breaker
	next      int64 // nothing is due before
	turn      int64 // when it was last served, in turns: who waited longest comes first
}

// good reports whether the last attempt succeeded, or there was none.
func (l *lane) good() bool { return l.failures == 0 }

// limit is how many attempts may be under way at now.
func (l *lane) limit(now int64) int {
	switch {
	case now < l.openUntil:
		return 0
	case l.slow || l.failures >= breakerFailures: // half open: one probes
		return 1
	}
	return laneInFlight
}

// room is how many more attempts may begin at now.
func (l *lane) room(now int64) int { return max(0, l.limit(now)-l.inFlight) }

// wakeAt is when the lane is to be looked at again: never while all its room is taken, because then the end of an attempt does it.
func (l *lane) wakeAt(now int64) int64 {
	at := max(l.next, l.openUntil)
	if l.room(max(now, l.openUntil)) == 0 || l.next == never {
		return never
	}
	return at
}

// ended takes note of an attempt's end at now.
func (l *lane) ended(success, timeout bool, now int64) {
	if success {
		l.slow, l.failures, l.openUntil = false, 0, 0
		return
	}
	l.slow = l.slow || timeout
	if l.failures++; l.failures >= breakerFailures {
		l.openUntil = now + breakerTime.Microseconds()
	}
}

// traffic is how many attempts are under way in all.
type traffic struct{ all, failing int }

// room is how many more attempts of a lane may begin.
func (t traffic) room(l *lane) int {
	free := maxInFlight - t.all
	if !l.good() {
		free = min(free, maxInFlight-goodReserve-t.failing)
	}
	return max(0, free)
}

func (t *traffic) add(l *lane, n int) {
	if t.all += n; !l.good() {
		t.failing += n
	}
}
