package delivery

import (
	"math/rand/v2"
	"time"
)

// waits are those between the attempts of a delivery, each from the end of the one before: ten attempts in 75.6 hours.
var waits = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const (
	// jitter is the part of a wait by which it may be shorter or longer, so that what failed together does not come back together.
	jitter = 0.1
	// longestRetryAfter bounds what a receiver may ask for.
	longestRetryAfter = 24 * time.Hour

	// noticePause is how long people are not told again that a transport fails.
	noticePause = 24 * time.Hour

	// Settled deliveries are kept for a while, dead ones longer, because they can be sent again.
	keepSettled = 30 * 24 * time.Hour
	keepDead    = 90 * 24 * time.Hour
)

// wait is that after the attempt of the given number, from 1, of a schedule; false when it was the last. A
// longer Retry-After replaces it.
func wait(attempt int64, retryAfter time.Duration) (time.Duration, bool) {
	if attempt > int64(len(waits)) {
		return 0, false
	}
	plain := waits[attempt-1]
	varied := time.Duration(float64(plain) * (1 + jitter*(2*rand.Float64()-1)))
	return max(varied, min(retryAfter, longestRetryAfter)), true
}
