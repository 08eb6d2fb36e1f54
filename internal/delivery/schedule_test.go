package delivery

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belfry/internal/sqldb"
)

func TestLongerRetryAfterReplacesTheNextWait(t *testing.T) {
	for _, test := range []struct {
		name, retryAfter string
		low, high        time.Duration
	}{
		{"longer", "3600", time.Hour, time.Hour + time.Second},
		{"shorter", "2", 4500 * time.Millisecond, 6 * time.Second},
		{"at most a day", "31536000", 24 * time.Hour, 24*time.Hour + time.Second},
		{"no number", "soon", 4500 * time.Millisecond, 6 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				in := r.transport("ops", nil)
				in.answer = func(n int) *http.Response {
					if n == 0 {
						return status(429, "Retry-After", test.retryAfter)
					}
					return status(200)
				}
				id := r.deliver(1, "ops")[0]
				r.start()
				after(48 * time.Hour)
				r.want(id, StateDelivered, 2)
				got := in.requests()
				if len(got) != 2 {
					t.Fatalf("%d requests, want 2", len(got))
				}
				if wait := got[1].at.Sub(got[0].at); wait < test.low || wait > test.high {
					t.Errorf("the wait was %v, want %v to %v", wait, test.low, test.high)
				}
			})
		})
	}
}

func TestOnly2xxIsSuccess(t *testing.T) {
	for _, code := range []int{200, 201, 202, 204, 299} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.transport("ops", nil).answer = always(code)
				id := r.deliver(1, "ops")[0]
				r.start()
				after(time.Second)
				r.want(id, StateDelivered, 1)
			})
		})
	}
	for _, code := range []int{300, 301, 302, 304, 307, 308, 400, 404, 500, 599} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				in := r.transport("ops", nil)
				in.answer = func(int) *http.Response { return status(code, "Location", "http://other/") }
				other := r.transport("other", nil)
				id := r.deliver(1, "ops")[0]
				r.start()
				after(time.Second)
				if d := r.want(id, StatePending, 1); !strings.Contains(d.Reason, fmt.Sprint(code)) {
					t.Errorf("the reason %q does not name the status", d.Reason)
				}
				if n := len(other.requests()); n > 0 {
					t.Error("a redirect was followed")
				}
			})
		})
	}
}

func TestGoneDisablesTheTransportAndEnablingSendsWhatWaitedInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("ops", nil)
		in.answer = func(n int) *http.Response {
			if n == 0 {
				return status(410)
			}
			return status(200)
		}
		in.delay = moment
		first := r.deliver(1, "ops")[0]
		r.start()
		after(time.Second)
		later := r.deliver(5, "ops")
		after(200 * time.Hour)
		r.want(first, StatePending, 1)
		for _, id := range later {
			r.want(id, StatePending, 0)
		}
		if n := len(in.requests()); n != 1 {
			t.Errorf("%d requests to a transport that is disabled, want the first alone", n)
		}
		if len(r.told()) != 1 || !strings.Contains(r.told()[0], `"ops" was disabled`) {
			t.Errorf("the notices are %q, want one of the disabling", r.told())
		}
		r.exec(`UPDATE transport SET disabled_at = NULL`)
		r.exec(`UPDATE generation SET value = value + 1`)
		r.worker.Wake()
		after(time.Second)
		r.want(first, StateDelivered, 2)
		var began []string
		for _, q := range in.requests()[1:] {
			began = append(began, q.id)
		}
		for i, id := range later {
			r.want(id, StateDelivered, 1)
			if began[i] != id && began[max(0, i-1)] != id && began[i+1] != id { // two are under way at once
				t.Errorf("the deliveries began in the order %v, want %v", began, later)
				break
			}
		}
	})
}

func TestClockJumpsLoseNothingAndStartNoBurst(t *testing.T) {
	for _, jump := range []time.Duration{-30 * 365 * 24 * time.Hour, 3 * time.Hour, 30 * 365 * 24 * time.Hour} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v restart %v", jump, restart), func(t *testing.T) {
				bubble(t, func(t *testing.T, r *rig) {
					var offset atomic.Int64
					r.options.Clock = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
					in := r.transport("ops", nil)
					in.answer = always(503)
					id := r.deliver(1, "ops")[0]
					r.start()
					after(10 * time.Minute) // two waits are over, the third of half an hour has begun
					r.want(id, StatePending, 3)
					offset.Store(int64(jump))
					after(time.Minute)
					if restart {
						r.stop()
						r.start()
					}
					after(10 * time.Minute)
					r.want(id, StatePending, 3)
					after(30 * time.Minute)
					r.want(id, StatePending, 4)
					after(100 * time.Hour)
					r.want(id, StateDead, 10)
				})
			})
		}
	}
}

// TestClockSetWhileBelfryDidNotRun has only the machine's clock to go by: what is due may be early or late by what that is
// wrong, and no more is lost by it.
func TestClockSetWhileBelfryDidNotRun(t *testing.T) {
	for _, jump := range []time.Duration{-30 * 365 * 24 * time.Hour, 30 * 365 * 24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				var offset atomic.Int64
				r.options.Clock = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
				in := r.transport("ops", nil)
				in.answer = always(503)
				id := r.deliver(1, "ops")[0]
				r.start()
				after(10 * time.Minute)
				r.stop()
				offset.Store(int64(jump))
				r.start()
				after(time.Minute)
				if n := len(in.requests()); n > 4 {
					t.Errorf("%d attempts after the clock was set, want at most the one that was due next", n)
				}
				after(100 * time.Hour)
				r.want(id, StateDead, 10)
			})
		})
	}
}

func TestSettledDeliveriesGoAfterTheirTime(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		const day = int64(24 * time.Hour / time.Microsecond)
		now := 1000 * day
		for _, d := range []struct {
			state string
			age   int64 // days since it was settled
			kept  bool
		}{
			{StateDelivered, 29, true}, {StateDelivered, 31, false}, {StateCancelled, 29, true}, {StateCancelled, 31, false},
			{StateDead, 31, true}, {StateDead, 89, true}, {StateDead, 91, false}, {StatePending, 500, true},
		} {
			id := r.deliver(1, "ops")[0]
			if d.state != StatePending {
				r.exec(`UPDATE delivery SET state = $2, due = NULL, settled = $3 WHERE pk = $1`, id, d.state, now-d.age*day)
			}
			r.exec(`INSERT INTO delivery_attempt (`+attemptColumns+`) VALUES ($1, 1, 0, 0, 200, '', '', '{}')`, id)
			want := 0
			if d.kept {
				want = 1
			}
			var deliveries, attempts int
			write(t, r.db, func(tx *sqldb.Tx) error { _, err := DeleteSettled(tx, now, 100); return err })
			read(t, r.db, func(tx *sqldb.Tx) error {
				if err := tx.Row(`SELECT COUNT(*) FROM delivery WHERE pk = $1`, []any{id}, &deliveries); err != nil {
					return err
				}
				return tx.Row(`SELECT COUNT(*) FROM delivery_attempt WHERE delivery_pk = $1`, []any{id}, &attempts)
			})
			if deliveries != want || attempts != want {
				t.Errorf("%s for %d days: %d deliveries and %d attempts are left, want %d", d.state, d.age, deliveries, attempts, want)
			}
		}
	})
}

// TestALookKeepsTheRetryOfAnAttemptThatIsNotSettledYet has an attempt that ended, and of which the database says that it is
// under way, as all transports are looked at.
func TestALookKeepsTheRetryOfAnAttemptThatIsNotSettledYet(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.transport("ops", nil)
		id := r.deliver(1, "ops")[0]
		w := NewWorker(r.options)
		write(t, r.db, func(tx *sqldb.Tx) error { return hold(tx, id, w.lease(), w.clock.now()) })
		if err := w.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		due := w.clock.now() + waits[0].Microseconds()
		w.lane("ops").inFlight++
		w.took(&attempt{worker: w, transport: w.snapshot.transports["ops"], delivery: r.get(id), settlement: settlement{state: StatePending, due: due}})
		w.Wake()
		if err := w.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.lane("ops").next; got != due {
			t.Errorf("the transport is looked at %d µs from now, want %d", got-w.clock.now(), due-w.clock.now())
		}
	})
}
