package main

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

func TestRetentionDeletesOnlyWhatIsDue(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		kept, event := f.notified("kept")
		expired, old := f.notified("its event expires")
		seen, _ := f.notified("seen long ago")
		recent, _ := f.notified("seen lately")
		f.must(200, "PATCH", eventsPath+old+"/", `{"expires":"2001-01-01T00:00:00Z"}`)
		for _, n := range []string{seen, recent} {
			f.must(200, "PATCH", notificationsPath+n+"/", `{"seen":true}`)
		}
		f.age(t, seen, keepSeen+hourMicros)
		f.age(t, recent, keepSeen-hourMicros)
		insertMany(t, f, 2*sweepBatch+7, "custom_many", func(i int) int64 { return int64(i+1) * secondMicros })
		f.exec(t, "UPDATE event SET expires = created WHERE action = 'custom_many'")

		r := &retention{db: f.db, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		r.sweep(t.Context(), time.Now())

		f.must(200, "GET", eventsPath+event+"/", "")
		f.must(404, "GET", eventsPath+old+"/", "")
		f.must(404, "GET", notificationsPath+seen+"/", "")
		f.must(200, "GET", notificationsPath+recent+"/", "")
		f.must(200, "GET", notificationsPath+kept+"/", "")
		if n := f.must(200, "GET", notificationsPath+expired+"/", ""); n.get("event") != nil {
			t.Errorf("the notification of an expired event: %s", n.text)
		}
		if list := f.must(200, "GET", eventsPath+"?action=custom_many", ""); list.get("pagination", "count") != float64(0) {
			t.Errorf("expired events are left: %v", list.get("pagination", "count"))
		}
		counted, rows := countsOf(t, f)
		if fmt.Sprint(counted) != fmt.Sprint(rows) {
			t.Errorf("counters %v, rows %v", counted, rows)
		}
	})
}

// TestSeenNotificationsOfEverybodyGo although a batch ends amid one person's, and whatever part of them is looked at by one question.
func TestSeenNotificationsOfEverybodyGo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		now := time.Now().UnixMicro()
		one, _ := f.user("one")
		f.user("none")
		two, _ := f.user("two")
		for _, size := range []int{1, 7, 100, seenPart} {
			due := map[int64]int{1: 0, one: 40 + size%11, two: 30}
			if size == seenPart {
				due[one], due[two] = sweepBatch+3, 2*sweepBatch-3
			}
			err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
				for user, old := range due {
					for i := range old + 4 {
						n := Notification{PK: sqldb.NewID(), UserPK: user, Severity: "notice", Body: "x", Created: now - int64(i*i%50/3)}
						if n.Seen = i >= 2; n.Seen { // the first two are not seen, the next two lately
							at := now - int64(i/4)*2*keepSeen
							n.SeenAt = &at
						}
						if err := putNotification(tx, &n); err != nil {
							return err
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			r := &retention{db: f.db, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
			n, err := r.deleteSeen(t.Context(), seenPass{before: now - keepSeen, size: size})
			if want := due[one] + due[two]; err != nil || n != want {
				t.Errorf("in parts of %d: %d notifications were deleted, want %d: %v", size, n, want, err)
			}
			if left := column(t, f.db, "SELECT COUNT(*) FROM notification GROUP BY user_pk ORDER BY user_pk"); fmt.Sprint(left) != "[4 4 4]" {
				t.Errorf("in parts of %d: left are %v", size, left)
			}
			f.exec(t, "DELETE FROM notification")
		}
	})
}

// age moves the moment at which a notification was seen into the past.
func (f *fixture) age(t *testing.T, notification string, by int64) {
	f.exec(t, fmt.Sprintf("UPDATE notification SET seen_at = seen_at - %d WHERE pk = '%s'", by, notification))
}

// exec changes the database behind the API's back.
func (f *fixture) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestClockThatLeapsAheadDeletesNothingForADay(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const hour, year = time.Hour, 365 * 24 * time.Hour
	type look struct {
		wall    time.Duration // after start
		elapsed time.Duration // since the last look
		trusts  bool
	}
	for _, c := range []struct {
		name   string
		newest time.Time
		looks  []look
	}{
		{"an empty database has nothing to lose", time.Time{}, []look{{0, 0, true}}},
		{"an ordinary restart", start, []look{{hour, 0, true}, {2 * hour, hour, true}}},
		{"a leap while stopped", start, []look{{year, 0, false}, {year + hour, hour, false}, {year + 24*hour, 23 * hour, true}, {year + 25*hour, hour, true}}},
		{"a leap while running", start, []look{{0, 0, true}, {year, hour, false}, {year + 22*hour, 22 * hour, false}, {year + 23*hour, hour, true}}},
		{"restarts do not end the doubt", start, []look{{year, 0, false}, {year + hour, 0, false}, {year + 2*hour, 0, false}}},
		{"nor begin it anew", start, []look{{year, 0, false}, {year + 23*hour, 23 * hour, false}, {year + 24*hour, 0, false}, {year + 25*hour, hour, true}}},
		{"quiet weeks with short runs are no leap", start, []look{{3 * 24 * hour, 0, true}, {6 * 24 * hour, 0, true}, {9 * 24 * hour, 0, true}}},
		{"a clock that is set right again", start, []look{{year, 0, false}, {hour, hour, true}}},
		{"a step back", start, []look{{-year, 0, true}, {-year + hour, hour, true}}},
		{"back and ahead again is doubted", start, []look{{0, 0, true}, {-year, hour, true}, {2 * hour, hour, false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var guard clockGuard
			if !c.newest.IsZero() {
				guard.wall = c.newest.UnixMicro()
			}
			for i, l := range c.looks {
				if got := guard.trusts(start.Add(l.wall).UnixMicro(), l.elapsed.Microseconds()); got != l.trusts {
					t.Errorf("look %d: got %v, want %v", i, got, l.trusts)
				}
			}
		})
	}
}

func TestGuardRemembersAcrossRestarts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.notified("new")
		ahead := time.Now().Add(365 * 24 * time.Hour)
		for range 3 { // each look is that of a process that has just started
			r := &retention{db: f.db, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
			if trusted, err := r.look(t.Context(), ahead, 0); err != nil || trusted {
				t.Fatalf("the clock is trusted: %v, %v", trusted, err)
			}
			f.notified("written while the clock is wrong")
		}
		r := &retention{db: f.db, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		if trusted, err := r.look(t.Context(), time.Now(), 0); err != nil || !trusted {
			t.Errorf("the clock is right again: %v, %v", trusted, err)
		}
	})
}

// TestEntryOfAFutureThatNeverCameDeletesNothing: the time of transactions is ahead of the clock from then on.
func TestEntryOfAFutureThatNeverCameDeletesNothing(t *testing.T) {
	database := filepath.Join(t.TempDir(), "belfry.db")
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	open := func() *fixture {
		db, err := openStore(t.Context(), database, identity.HashKey(adminKey), log)
		if err != nil {
			t.Fatal(err)
		}
		s := newServer(db, log, outside{})
		web := httptest.NewServer(s.handler())
		t.Cleanup(web.Close)
		return &fixture{t: t, db: db, server: s, url: web.URL}
	}
	f := open()
	notification, event := f.notified("young")
	f.must(200, "PATCH", notificationsPath+notification+"/", `{"seen":true}`)
	insertMany(t, f, 1, "custom_future", func(int) int64 { return f.now(t) + 2*365*dayMicros })
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	f = open()
	defer f.db.Close()
	if ahead := f.now(t); ahead < time.Now().Add(365*24*time.Hour).UnixMicro() {
		t.Fatalf("transactions are not ahead of the clock: %d", ahead)
	}
	(&retention{db: f.db, log: log}).sweep(t.Context(), time.Now())
	f.must(200, "GET", eventsPath+event+"/", "")
	f.must(200, "GET", notificationsPath+notification+"/", "")
	if key := f.token(1, "made-then", "admin"); f.call(key, "GET", "/api/v3/core/users/me/", "").status != 200 {
		t.Error("a new token is not valid")
	}
	late, _ := f.notified("seen with transactions ahead of the clock")
	f.must(200, "PATCH", notificationsPath+late+"/", `{"seen":true}`)
	(&retention{db: f.db, log: log}).sweep(t.Context(), time.Now().Add(31*24*time.Hour))
	f.must(404, "GET", notificationsPath+late+"/", "")
}

func TestCountersThatCountNothingAreDeleted(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		insertMany(t, f, 30, "custom_gone", func(i int) int64 { return int64(i) * hourMicros })
		insertMany(t, f, 3, "custom_here", func(i int) int64 { return int64(i) * hourMicros })
		f.exec(t, "UPDATE event SET expires = created WHERE action = 'custom_gone'")
		(&retention{db: f.db, log: slog.New(slog.NewTextHandler(t.Output(), nil))}).sweep(t.Context(), time.Now())
		var gone, here int
		err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
			if err := tx.Row("SELECT COUNT(*) FROM event_hour WHERE action = 'custom_gone'", nil, &gone); err != nil {
				return err
			}
			return tx.Row("SELECT COUNT(DISTINCT hour) FROM event_hour WHERE action = 'custom_here'", nil, &here)
		})
		if err != nil || gone != 0 || here != 3 {
			t.Errorf("%d empty counters and %d full ones are left: %v", gone, here, err)
		}
	})
}
