package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"belfry/internal/script"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// claimed claims by the worker's clock.
func (r *rig) claimed(now int64, limit int, lease string) (ids []string) {
	r.t.Helper()
	write(r.t, r.db, func(tx *sqldb.Tx) error {
		ids = nil
		got, err := claim(tx, "ops", now, limit, lease)
		for _, d := range got {
			ids = append(ids, d.PK)
		}
		return err
	})
	slices.Sort(ids)
	return ids
}

func TestADeliveryIsClaimedOnceUntilItsLeaseRunsOut(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.transport("ops", nil)
		ids := r.deliver(3, "ops")
		const now = 1_000_000
		if got := r.claimed(now, 2, "a"); !slices.Equal(got, ids[:2]) {
			t.Errorf("the first claim got %v, want the two earliest of %v", got, ids)
		}
		if got := r.claimed(now, 1, "b"); !slices.Equal(got, ids[2:]) {
			t.Errorf("the second claim got %v, want what is left of %v", got, ids)
		}
		end := now + leaseTime.Microseconds()
		if got := r.claimed(end-1, 5, "c"); len(got) != 0 {
			t.Errorf("%v was claimed twice", got)
		}
		if got := r.claimed(end, 5, "d"); !slices.Equal(got, ids) {
			t.Errorf("after the lease %v could be claimed, want %v", got, ids)
		}
	})
}

func TestALateWorkerSettlesNothing(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.transport("ops", nil)
		id := r.deliver(1, "ops")[0]
		r.claimed(0, 1, "late")
		r.claimed(leaseTime.Microseconds(), 1, "new")
		settled := func(lease, state string, number int64) (counted bool) {
			write(t, r.db, func(tx *sqldb.Tx) (err error) {
				d := Delivery{PK: id}
				counted, err = settle(tx, &d, lease, &settlement{state: state, attempt: &Attempt{DeliveryPK: id, Number: number, Headers: "{}"}})
				return err
			})
			return counted
		}
		if settled("late", StateDead, 1) {
			t.Error("the late worker settled")
		}
		r.want(id, StateSending, 0)
		if !settled("new", StateDelivered, 1) {
			t.Error("the worker that has the lease did not settle")
		}
		r.want(id, StateDelivered, 1)
		if settled("late", StatePending, 2) || settled("new", StatePending, 2) {
			t.Error("a settled delivery was settled again")
		}
	})
}

func TestWorkersBesideEachOtherClaimEachDeliveryOnce(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		r.transport("ops", nil)
		const count = 120
		ids := r.deliver(count, "ops")
		var mu sync.Mutex
		times := map[string]int{}
		var all sync.WaitGroup
		for w := range 8 {
			all.Go(func() {
				for i := 0; ; i++ {
					var got []Delivery
					err := r.db.Write(context.Background(), func(tx *sqldb.Tx) (err error) {
						got, err = claim(tx, "ops", 1, 3, fmt.Sprint(w, "-", i))
						return err
					})
					mu.Lock()
					for _, d := range got {
						times[d.PK]++
					}
					left := count - len(times)
					mu.Unlock()
					if err != nil || left == 0 {
						if err != nil {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		all.Wait()
		for _, id := range ids {
			if times[id] != 1 {
				t.Errorf("a delivery was claimed %d times", times[id])
			}
		}
	})
}

// TestAClaimPassesOverWhatAnotherOneHolds claims while another claim is not committed yet.
func TestAClaimPassesOverWhatAnotherOneHolds(t *testing.T) {
	sqldbtest.OnPostgres(t, func(t *testing.T, db *sqldb.DB) {
		r := newRig(t, db)
		r.transport("ops", nil)
		ids := r.deliver(4, "ops")
		claiming, done := make(chan struct{}), make(chan struct{})
		var first sync.WaitGroup
		first.Go(func() {
			err := r.db.Write(context.Background(), func(tx *sqldb.Tx) error {
				_, err := claim(tx, "ops", 1, 2, "first")
				close(claiming)
				<-done
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		defer first.Wait()
		<-claiming
		free := time.AfterFunc(10*time.Second, func() {
			t.Error("the second claim waits for the first")
			close(done)
		})
		got := r.claimed(1, 2, "second")
		if free.Stop() {
			close(done)
		}
		if !slices.Equal(got, ids[2:]) {
			t.Errorf("the second claim got %v, want %v", got, ids[2:])
		}
	})
}

func TestWorkersOfSeveralProcessesSendEachDeliveryOnce(t *testing.T) {
	sqldbtest.OnPostgres(t, func(t *testing.T, db *sqldb.DB) {
		r := newRig(t, db)
		in := r.transport("ops", nil)
		ids := r.deliver(100, "ops")
		for range 3 {
			r.start()
		}
		for deadline := time.Now().Add(20 * time.Second); len(in.ids()) < len(ids) && time.Now().Before(deadline); {
			runtime.Gosched()
		}
		got := in.ids()
		for _, id := range ids {
			if got[id] != 1 {
				t.Errorf("a delivery arrived %d times, want once", got[id])
			}
		}
	})
}

func TestADeliveryIsUniquePerEventRuleTransportAndRecipient(t *testing.T) {
	eachRig(t, func(t *testing.T, r *rig) {
		id := r.deliver(1, "ops")[0]
		again := r.get(id)
		again.PK = sqldb.NewID()
		write(t, r.db, func(tx *sqldb.Tx) error { return Insert(tx, []Delivery{again}) })
		var n int
		count := func() int {
			read(t, r.db, func(tx *sqldb.Tx) error { return tx.Row(`SELECT COUNT(*) FROM delivery`, nil, &n) })
			return n
		}
		if count() != 1 {
			t.Errorf("%d deliveries, want 1", n)
		}
		again.UserPK = 2
		write(t, r.db, func(tx *sqldb.Tx) error { return Insert(tx, []Delivery{again}) })
		if count() != 2 {
			t.Errorf("%d deliveries, want one for each recipient", n)
		}
	})
}

func TestTheEndOfATransportOrRecipientCancelsWhatIsPending(t *testing.T) {
	for _, test := range []struct {
		name   string
		cancel func(tx *sqldb.Tx) error
		reason string
	}{
		{"transport", func(tx *sqldb.Tx) error { return CancelOfTransport(tx, "ops") }, "the transport was deleted"},
		{"recipient", func(tx *sqldb.Tx) error { return CancelOfUser(tx, 1) }, "the recipient was deleted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachRig(t, func(t *testing.T, r *rig) {
				ids := r.deliver(3, "ops")
				r.exec(`UPDATE delivery SET state = 'delivered', due = NULL, settled = 5 WHERE pk = $1`, ids[0])
				r.exec(`UPDATE delivery SET state = 'sending', lease = 'a', lease_until = 5 WHERE pk = $1`, ids[1])
				other := r.get(r.deliver(1, "other")[0])
				r.exec(`UPDATE delivery SET user_pk = 2 WHERE pk = $1`, other.PK)
				write(t, r.db, test.cancel)
				r.want(ids[0], StateDelivered, 0)
				for _, id := range ids[1:] {
					if d := r.want(id, StateCancelled, 0); d.Reason != test.reason || d.Due != nil || d.Settled == nil {
						t.Errorf("cancelled as %+v, want the reason %q", d, test.reason)
					}
				}
				r.want(other.PK, StatePending, 0)
				write(t, r.db, func(tx *sqldb.Tx) error {
					counted, err := settle(tx, &Delivery{PK: ids[1]}, "a", &settlement{state: StatePending})
					if counted {
						return errors.New("the attempt that was under way settled a cancelled delivery")
					}
					return err
				})
			})
		})
	}
}

func TestWhatWasUnderWayWhenTheProcessDiedIsSentAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("ops", nil)
		id := r.deliver(1, "ops")[0]
		r.exec(`UPDATE delivery SET state = 'sending', lease = 'dead', lease_until = $1`, time.Now().Add(time.Hour).UnixMicro())
		r.start()
		after(time.Second)
		r.want(id, StateDelivered, 1)
		if got := in.ids(); got[id] != 1 {
			t.Errorf("the receiver got %v, want %s once", got, id)
		}
	})
}

func TestStoppingLetsAttemptsEndAndCutsOffThoseThatDoNot(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.transport("slow", nil).delay = func(int) time.Duration { return 5 * time.Second }
		r.transport("hangs", nil).delay = hangs
		slow, hanging := r.deliver(3, "slow"), r.deliver(1, "hangs")[0]
		r.start()
		after(time.Second)
		begin := time.Now()
		r.stop()
		if took := time.Since(begin); took != drainTime {
			t.Errorf("the worker stopped after %v, want %v", took, drainTime)
		}
		r.want(slow[0], StateDelivered, 1)
		r.want(slow[1], StateDelivered, 1)
		r.want(slow[2], StatePending, 0)
		r.want(hanging, StatePending, 0)
	})
}

func TestABreakOfTheDatabaseDelaysAndLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("ops", nil)
		r.start()
		r.exec(`ALTER TABLE delivery_attempt RENAME TO away`) // settling fails
		id := r.deliver(1, "ops")[0]
		after(5 * time.Second)
		r.want(id, StateSending, 0)
		r.exec(`ALTER TABLE away RENAME TO delivery_attempt`)
		after(leaseTime)
		r.want(id, StateDelivered, 1)
		if got := in.ids(); len(got) != 1 || got[id] != 2 {
			t.Errorf("the receiver got %v, want %s twice: the first time was forgotten", got, id)
		}
	})
}

func TestOneSettlementThatCannotBeWrittenDoesNotHoldUpTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.transport("ops", nil)
		bad := r.deliver(1, "ops")[0]
		r.exec(`INSERT INTO delivery_attempt (`+attemptColumns+`) VALUES ($1, 1, 0, 0, 200, '', '', '{}')`, bad)
		r.start()
		after(time.Millisecond)
		r.want(bad, StateSending, 0)
		id := r.deliver(1, "ops")[0]
		after(2 * leaseTime)
		r.want(id, StateDelivered, 1)
	})
}

func TestAPanicStaysInItsAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.options.Log = slog.New(slog.DiscardHandler)
		mapping := r.mapping("h", "return {}")
		r.transport("bad", func(t *Transport) { t.HeadersMapping = mapping })
		r.transport("good", nil)
		r.options.Runner = nil // whoever needs it panics
		ids := r.deliver(1, "bad", "good")
		r.start()
		after(time.Second)
		r.want(ids[0], StatePending, 1)
		r.want(ids[1], StateDelivered, 1)
	})
}

func TestOneNoticeTellsOfAFailingTransport(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var code atomic.Int64
		code.Store(404)
		in := r.transport("ops", nil)
		in.answer = func(int) *http.Response { return status(int(code.Load())) }
		r.start()
		for range 20 {
			r.deliver(1, "ops")
			after(time.Minute)
		}
		if len(r.told()) != 1 {
			t.Fatalf("the notices are %q, want one", r.told())
		}
		r.stop()
		r.start()
		after(48 * time.Hour)
		if len(r.told()) != 1 {
			t.Errorf("a restart and a day later the notices are %q, want one: nothing succeeded meanwhile", r.told())
		}
		code.Store(200)
		r.deliver(1, "ops")
		after(30 * time.Hour)
		code.Store(404)
		r.deliver(1, "ops")
		after(time.Minute)
		if len(r.told()) != 2 {
			t.Errorf("after a success, the notices are %q, want two", r.told())
		}
	})
}

// TestAFailureIsToldOfLongAfterAnEarlyRecovery has its only success soon after the first notice.
func TestAFailureIsToldOfLongAfterAnEarlyRecovery(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var code atomic.Int64
		r.transport("ops", nil).answer = func(int) *http.Response { return status(int(code.Load())) }
		r.start()
		for i, step := range []struct {
			code  int64
			pause time.Duration
			told  int
		}{{404, time.Hour, 1}, {200, time.Hour, 1}, {404, time.Hour, 1}, {200, 7 * 24 * time.Hour, 1}, {404, time.Hour, 2}, {404, 48 * time.Hour, 2}} {
			code.Store(step.code)
			r.deliver(1, "ops")
			after(step.pause)
			if len(r.told()) != step.told {
				t.Errorf("step %d: the notices are %q, want %d", i, r.told(), step.told)
			}
		}
	})
}

func TestAnAnswerOfTheOldAddressDoesNotDisableTheNewOne(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		old := r.transport("ops", nil)
		old.answer, old.delay = always(410), func(int) time.Duration { return 5 * time.Second }
		r.transport("fresh", nil)
		id := r.deliver(1, "ops")[0]
		r.start()
		after(time.Second)
		r.exec(`UPDATE transport SET webhook_url = 'http://fresh/' WHERE pk = 'ops'`)
		r.exec(`UPDATE generation SET value = value + 1`)
		after(time.Minute)
		r.want(id, StateDelivered, 2)
		if len(r.told()) != 0 {
			t.Errorf("the notices are %q", r.told())
		}
	})
}

// occupy takes the runner, as an expression in the middle of a long step does, until it is given back.
func occupy(runner *script.Runner) (giveBack func()) {
	field := reflect.ValueOf(runner).Elem().FieldByName("slot")
	slot := *(*chan struct{})(field.Addr().UnsafePointer())
	slot <- struct{}{}
	return func() { <-slot }
}

func TestARunnerThatIsBusyPutsOffAndCostsNoAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("ops", func(t *Transport) { t.HeadersMapping = r.mapping("h", `return {"X-A": "b"}`) })
		bare := r.transport("bare", func(t *Transport) { t.BodyMapping = r.mapping("b", `return {"n": 1}`) })
		ids := r.deliver(1, "ops", "bare")
		r.exec(`UPDATE delivery SET body = '' WHERE transport_pk = 'bare'`)
		giveBack := occupy(r.options.Runner)
		r.start()
		after(time.Minute + time.Second) // every seven seconds both wait for two
		r.want(ids[0], StatePending, 0)
		r.want(ids[1], StatePending, 0)
		giveBack()
		after(15 * time.Second)
		r.want(ids[0], StateDelivered, 1)
		r.want(ids[1], StateDelivered, 1)
		if len(in.requests()) != 1 || len(bare.requests()) != 1 {
			t.Errorf("the receivers got %d and %d requests, want one each", len(in.requests()), len(bare.requests()))
		}
	})
}

func TestFailuresThatWaitingMendsMakeNoNotice(t *testing.T) {
	for _, code := range []int{408, 425, 429, 500, 502, 503} {
		bubble(t, func(t *testing.T, r *rig) {
			r.transport("ops", nil).answer = always(code)
			r.deliver(1, "ops")
			r.start()
			after(67 * time.Hour) // the ten attempts take between 68 and 84
			if len(r.told()) != 0 {
				t.Errorf("%d made the notices %q", code, r.told())
			}
			after(20 * time.Hour) // now it is dead
			if len(r.told()) != 1 {
				t.Errorf("%d for three days made the notices %q, want one", code, r.told())
			}
		})
	}
}

func TestTheAddressAndTheSecretsAreThoseOfTheMoment(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		old := r.transport("old", func(t *Transport) { t.PK, t.Name = "ops", "ops" })
		old.answer = always(503)
		fresh := r.transport("fresh", nil)
		id := r.deliver(1, "ops")[0]
		r.start()
		after(time.Second)
		r.exec(`UPDATE transport SET webhook_url = 'http://fresh/', secret = 'a-secret-of-24-characters', previous_secret = 'another-secret-of-24-chars' WHERE pk = 'ops'`)
		r.exec(`UPDATE generation SET value = value + 1`)
		after(10 * time.Second)
		r.want(id, StateDelivered, 2)
		got, first := fresh.requests(), old.requests()
		if len(got) != 1 || len(first) != 1 || got[0].id != id || got[0].body != first[0].body {
			t.Fatalf("the second attempt was %v, the first %v: want the same id and body", got, first)
		}
		if signature := got[0].header.Get("Webhook-Signature"); len(signature) < 90 {
			t.Errorf("the signature is %q, want two", signature)
		}
		if first[0].header.Get("Webhook-Signature") != "" {
			t.Error("the first attempt was signed, without a secret")
		}
	})
}

func TestTheLogHoldsNoValuesOfExtraHeaders(t *testing.T) {
	shown := string(shownHeaders(http.Header{"Authorization": {"Bearer hidden"}, "Content-Type": {"application/json"},
		"Webhook-Signature": {"v1,abc"}, "X-Api-Key": {"hidden"}}))
	want := `{"Authorization":null,"Content-Type":"application/json","Webhook-Signature":null,"X-Api-Key":null}`
	if shown != want {
		t.Errorf("the log shows %s, want %s", shown, want)
	}
}

func TestATestIsOneAttemptThatTheBreakerDoesNotLearnOf(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		in := r.transport("ops", nil)
		in.answer = func(n int) *http.Response {
			if n < 20 {
				return status(410)
			}
			return status(200)
		}
		r.start()
		for i := range 20 {
			d := Delivery{PK: sqldb.NewID(), EventPK: fmt.Sprint("test ", i), TransportPK: "ops", TransportName: "ops", Username: "ada", UserPK: 1,
				Mode: ModeWebhook, State: StatePending, Body: "{}", Due: new(int64)}
			got, attempt, err := r.worker.SendTest(t.Context(), d, func(*sqldb.Tx) error { return nil })
			if err != nil || got.State != StateDead || attempt.Status != 410 || attempt.Number != 1 {
				t.Fatalf("the test is %+v, %+v, %v; want dead after one attempt that was answered 410", got, attempt, err)
			}
			r.want(d.PK, StateDead, 1)
		}
		synctest.Wait()
		id := r.deliver(1, "ops")[0]
		after(time.Second)
		r.want(id, StateDelivered, 1)
		for range breakerFailures { // a test that is sent again goes the way of other deliveries
			in.answer = always(500)
			r.exec(`UPDATE delivery SET state = 'pending', due = 0, step = 0, settled = NULL WHERE event_pk = 'test 0'`)
			r.worker.Wake("ops")
			after(100 * time.Millisecond)
		}
		in.answer = nil
		id = r.deliver(1, "ops")[0]
		after(time.Second)
		r.want(id, StateDelivered, 1)
		if len(r.told()) != 0 {
			t.Errorf("tests made the notices %q", r.told())
		}
	})
}

func TestModesThatDoNotFitAnyMoreCancel(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.transport("ops", func(t *Transport) { t.Mode = ModeEmail })
		r.transport("inbox", func(t *Transport) { t.Mode = ModeLocal })
		r.transport("slack", func(t *Transport) { t.Mode = ModeSlack })
		ids := r.deliver(1, "ops", "inbox", "slack")
		r.start()
		after(time.Second)
		r.want(ids[0], StateCancelled, 0)
		r.want(ids[1], StateCancelled, 0)
		r.want(ids[2], StateDelivered, 1)
	})
}
