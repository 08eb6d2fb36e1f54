package main

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belfry/internal/drf"
	"belfry/internal/rules"
	"belfry/internal/sqldb"
)

// column reads one column of integers.
func column(t *testing.T, db *sqldb.DB, query string, args ...any) (list []int64) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *sqldb.Tx) (err error) {
		list, err = sqldb.All(tx, func(row sqldb.Scanner) (n int64, err error) { return n, row.Scan(&n) }, query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDemonstrationIsConsistent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		filled, err := fillDemo(t.Context(), f.db)
		if err != nil {
			t.Fatal(err)
		}
		// What it says of itself is what is there.
		for _, c := range []struct {
			name, query string
			want        int
		}{
			{"events", "SELECT COUNT(*) FROM event", filled.events},
			{"users", "SELECT COUNT(*) FROM app_user WHERE pk <> 1", filled.users},
			{"groups", "SELECT COUNT(*) FROM user_group WHERE NOT is_superuser", filled.groups},
			{"rules", "SELECT COUNT(*) FROM rule WHERE name NOT IN ('default-notify-configuration-error', 'default-notify-update', 'default-notify-exception')", filled.rules},
			{"notifications", "SELECT COUNT(*) FROM notification", filled.notifications},
			{"unseen ones", "SELECT COUNT(*) FROM notification WHERE NOT seen", filled.unseen},
			{"bindings of every rule", "SELECT COUNT(DISTINCT target_pk) FROM binding", filled.rules + 3},
			{"passwords", "SELECT COUNT(*) FROM app_user WHERE password <> ''", 0},
			{"tokens", "SELECT COUNT(*) FROM token WHERE user_pk <> 1", 0},
			{"seen ones without a moment", "SELECT COUNT(*) FROM notification WHERE seen <> (seen_at IS NOT NULL)", 0},
			{"notifications before their event", "SELECT COUNT(*) FROM notification n LEFT JOIN event e ON e.pk = n.event_pk WHERE e.pk IS NULL OR e.created <> n.created OR n.seen_at < n.created", 0},
		} {
			if got := column(t, f.db, c.query); got[0] != int64(c.want) {
				t.Errorf("%s: want %d, got %d", c.name, c.want, got[0])
			}
		}
		if filled.events < 400 || filled.notifications < 50 || filled.unseen < 10 || filled.unseen == filled.notifications {
			t.Errorf("a poor demonstration: %s", filled)
		}
		now := f.now(t)
		created := column(t, f.db, "SELECT created FROM event ORDER BY created")
		if first, last := created[0], created[len(created)-1]; first < now-demoDays*dayMicros || first > now-(demoDays-3)*dayMicros || last > now {
			t.Errorf("the events are from %s to %s", drf.FormatTime(first), drf.FormatTime(last))
		}
		// The counters agree with the rows, hour by hour and action by action.
		rows := column(t, f.db, "SELECT COUNT(*) FROM event GROUP BY created / $1, action ORDER BY created / $1, action", hourMicros)
		hours := column(t, f.db, "SELECT SUM(count) FROM event_hour GROUP BY hour, action ORDER BY hour, action")
		if diff := cmp.Diff(rows, hours); diff != "" {
			t.Errorf("the counters differ from the rows: %s", diff)
		}
		// Time goes on from now, and retention finds nothing to do.
		event := f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`)
		if list := f.must(200, "GET", eventsPath+"?page_size=1", ""); list.str("results", 0, "pk") != event.str("pk") {
			t.Errorf("the newest event is %s", list.text)
		}
		due := column(t, f.db, "SELECT COUNT(*) FROM notification WHERE seen_at < $1 UNION ALL SELECT COUNT(*) FROM event WHERE expires < $2", now-keepSeen, now)
		if due[0] != 0 || due[1] != 0 {
			t.Errorf("retention would delete %v", due)
		}
		if _, err := fillDemo(t.Context(), f.db); !errors.Is(err, errNotNew) {
			t.Errorf("filled a second time: %v", err)
		}
	})
}

func TestDemonstrationIsTheSameEveryTime(t *testing.T) {
	past := func(now int64) []Event {
		events := demoPast(rand.New(rand.NewPCG(demoSeed, demoSeed)), slices.Clone(demoPeople), now)
		for i := range events {
			events[i].Created -= now
		}
		return events
	}
	const now = 1_700_000_000 * secondMicros
	first := past(now)
	if diff := cmp.Diff(first, past(now+dayMicros+12345), cmp.AllowUnexported(Event{})); diff != "" {
		t.Errorf("another time, another past: %s", diff)
	}
	known := rules.EventActions.Values[:slices.Index(rules.EventActions.Values, "user_offboarded")]
	for _, e := range first {
		if !slices.Contains(known, e.Action) {
			t.Errorf("clients of 2024.6 do not know the action %s", e.Action)
		}
	}
}
