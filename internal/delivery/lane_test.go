package delivery

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// moment is what an answer takes where the order counts in which deliveries begin: that time passes only when all that began has
// arrived, so that no third one overtakes two that are under way.
func moment(int) time.Duration { return time.Millisecond }

// hangs is a receiver that never answers.
func hangs(int) time.Duration { return forever }

func TestAtMostTwoAttemptsOfATransportAreUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("ops", nil)
		in.delay = func(int) time.Duration { return time.Second }
		r.deliver(20, "ops")
		r.start()
		after(10*time.Second + time.Millisecond)
		_, most := in.busy(false)
		if n := len(in.ids()); n != 20 || most != 2 {
			t.Errorf("%d deliveries arrived in 10 s, at most %d at a time, want 20 and 2", n, most)
		}
	})
}

func TestAfterATimeoutOneAttemptIsUnderWayUntilASuccess(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("ops", nil)
		var healed atomic.Bool
		in.delay = func(int) time.Duration {
			if healed.Load() {
				return time.Second
			}
			return forever
		}
		r.deliver(20, "ops")
		r.start()
		after(16 * time.Second) // the first two timed out
		in.busy(true)
		after(60 * time.Second)
		if _, most := in.busy(true); most != 1 {
			t.Errorf("%d attempts at a time after a time-out, want 1", most)
		}
		healed.Store(true)
		after(60 * time.Second)
		if _, most := in.busy(false); most != 2 || len(in.ids()) != 20 {
			t.Errorf("%d attempts at a time after a success, %d deliveries arrived; want 2 and 20", most, len(in.ids()))
		}
	})
}

func TestFirstAttemptsOfATransportBeginInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("ops", nil)
		in.answer = func(n int) *http.Response { // some fail: their retries do not hold up what follows
			if n%3 == 0 {
				return status(503)
			}
			return status(200)
		}
		in.delay = moment
		ids := r.deliver(30, "ops")
		r.start()
		after(4 * time.Second)
		var began []string
		for _, q := range in.requests() {
			if !slices.Contains(began, q.id) {
				began = append(began, q.id)
			}
		}
		for i, id := range began {
			// Two that begin together may arrive in either order.
			if place := slices.Index(ids, id); place < i-1 || place > i+1 {
				t.Fatalf("the first attempts began as %v, want %v", began, ids)
			}
		}
		if len(began) != 30 {
			t.Errorf("%d deliveries began, want 30", len(began))
		}
	})
}

func TestBreakerOpensAfterFailuresInARowAndProbes(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("ops", nil)
		var healed atomic.Bool
		in.answer = func(int) *http.Response {
			if healed.Load() {
				return status(200)
			}
			return status(503)
		}
		in.delay = func(int) time.Duration { return time.Millisecond }
		r.deliver(100, "ops")
		r.start()
		after(time.Second)
		if n := len(in.requests()); n < breakerFailures || n > breakerFailures+1 { // one more was under way
			t.Errorf("%d attempts before the breaker opened, want %d", n, breakerFailures)
		}
		opened := len(in.requests())
		after(5 * breakerTime)
		if n := len(in.requests()) - opened; n != 5 {
			t.Errorf("%d probes in five times the breaker's time, want 5", n)
		}
		healed.Store(true)
		after(breakerTime + 2*time.Second)
		if n := len(in.ids()); n != 100 {
			t.Errorf("%d deliveries arrived after the receiver had healed, want 100", n)
		}
	})
}

func TestHangingReceiversDelayNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var others []string
		for i := range 20 {
			name := fmt.Sprintf("hangs-%d", i)
			r.transport(name, nil).delay = hangs
			r.deliver(10, name)
		}
		for i := range 5 {
			name := fmt.Sprintf("good-%d", i)
			r.transport(name, nil)
			others = append(others, name)
		}
		r.start()
		var waits []time.Duration
		for range 60 { // ten minutes, so that the hanging ones time out, rest and come back
			begin := time.Now()
			r.deliver(1, others...)
			for {
				time.Sleep(10 * time.Millisecond)
				arrived := 0
				for _, name := range others {
					arrived += len(r.receivers[name].requests())
				}
				if arrived == len(others)*(len(waits)+1) {
					break
				}
				if time.Since(begin) > time.Minute {
					t.Fatal("the others' deliveries do not arrive")
				}
			}
			waits = append(waits, time.Since(begin))
			time.Sleep(10 * time.Second)
		}
		slices.Sort(waits)
		if p99 := waits[len(waits)*99/100]; p99 > 2*time.Second {
			t.Errorf("the p99 of the others' deliveries is %v beside 20 hanging receivers, want 2 s at most", p99)
		}
		for i := range 20 {
			if n := len(r.receivers[fmt.Sprintf("hangs-%d", i)].requests()); n < 5 {
				t.Errorf("receiver %d got %d requests only: it did not hang for long", i, n)
			}
		}
	})
}

func TestFailingTransportsLeaveRoomForThoseThatWork(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for i := range 100 {
			name := fmt.Sprintf("hangs-%d", i)
			r.transport(name, nil).delay = hangs
			r.deliver(3, name)
		}
		good := r.transport("good", nil)
		r.start()
		after(80 * time.Second) // by now all of them have timed out
		for range 100 {
			under := 0
			for _, in := range r.receivers {
				open, _ := in.busy(false)
				under += open
			}
			if under > maxInFlight-goodReserve {
				t.Fatalf("%d attempts by failing transports are under way, want %d at most", under, maxInFlight-goodReserve)
			}
			before := len(good.requests())
			r.deliver(1, "good")
			after(time.Second)
			if len(good.requests()) != before+1 {
				t.Fatal("a delivery by the good transport waits for failing ones")
			}
		}
	})
}

func TestAttemptsAreLimitedInAll(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for i := range 100 {
			name := fmt.Sprintf("hangs-%d", i)
			r.transport(name, nil).delay = hangs
			r.deliver(2, name)
		}
		r.start()
		after(10 * time.Second)
		under := 0
		for _, in := range r.receivers {
			open, _ := in.busy(false)
			under += open
		}
		if under != maxInFlight {
			t.Errorf("%d attempts are under way, want %d", under, maxInFlight)
		}
	})
}
