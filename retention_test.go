package main

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

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
		r.sweep(t.Context())

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

// age moves the moment at which a notification was seen into the past.
func (f *fixture) age(t *testing.T, notification string, by int64) {
	f.exec(t, fmt.Sprintf("UPDATE notification SET seen_at = seen_at - %d WHERE pk = '%s'", by, notification))
}

// exec changes the database behind the API's back.
func (f *fixture) exec(t *testing.T, statement string) {
	t.Helper()
	err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(statement)
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
		wall   time.Time
		uptime time.Duration
		trusts bool
	}
	for _, c := range []struct {
		name   string
		newest time.Time
		looks  []look
	}{
		{"an empty database has nothing to lose", time.Time{}, []look{{start, 0, true}}},
		{"an ordinary restart", start, []look{{start.Add(hour), 0, true}, {start.Add(2 * hour), hour, true}}},
		{"a leap while stopped", start, []look{{start.Add(year), 0, false}, {start.Add(year + hour), hour, false}, {start.Add(year + 24*hour), 24 * hour, true}}},
		{"a leap while running", start, []look{{start, 0, true}, {start.Add(year), hour, false}, {start.Add(year + 23*hour), 24 * hour, false}, {start.Add(year + 24*hour), 25 * hour, true}}},
		{"a step back", start, []look{{start.Add(-year), 0, true}, {start.Add(-year + hour), hour, true}}},
		{"back and ahead again is doubted", start, []look{{start, 0, true}, {start.Add(-year), hour, true}, {start.Add(2 * hour), 2 * hour, false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			guard := clockGuard{wall: c.newest}
			for i, l := range c.looks {
				if got := guard.trusts(l.wall, l.uptime); got != l.trusts {
					t.Errorf("look %d: got %v, want %v", i, got, l.trusts)
				}
			}
		})
	}
}
