package main

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"belfry/internal/sqldb"
)

func TestRuleMadeAfterPreparingStillFires(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.notified("full") // the snapshot is loaded
		prepared, err := f.server.recorder.prepare(t.Context(), Event{Action: "custom_late", App: "x", User: "{}", Context: "{}", Brand: "{}", Origin: OriginAPI})
		if err != nil || len(prepared.outcome.notifications) != 0 {
			t.Fatalf("%d notifications, %v", len(prepared.outcome.notifications), err)
		}
		alice, key := f.user("alice", "inbox")
		f.notifyUser(alice, "late") // a rule for custom_late, made meanwhile
		err = f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := f.server.recorder.commit(t.Context(), tx, prepared, tally{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if r := f.call(key, "GET", notificationsPath, ""); r.get("pagination", "count") != float64(2) {
			t.Errorf("the rule did not fire: %s", r.text)
		}
	})
}

func TestChangeOfAnEventThatChangedMeanwhileIsPreparedAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, pk := f.notified("full")
		var e Event
		err := f.db.Read(t.Context(), func(tx *sqldb.Tx) (err error) { e, err = getEvent(tx, pk); return err })
		if err != nil {
			t.Fatal(err)
		}
		c := &change{before: &e, after: e}
		f.must(200, "PATCH", eventsPath+pk+"/", `{"app":"meanwhile"}`)
		err = f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
			now, err := lockEvent(tx, pk)
			if err != nil {
				return err
			}
			_, err = f.server.recorder.commitChange(t.Context(), tx, &now, c)
			return err
		})
		if !errors.Is(err, errStale) {
			t.Errorf("want %v, got %v", errStale, err)
		}
	})
}

func TestRecipientsTransportsAndSendOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, _ := f.user("alice")
		bob, _ := f.user("bob")
		carol, _ := f.user("carol")
		group := f.must(201, "POST", "/api/v3/core/groups/", fmt.Sprintf(`{"name":"all","users":[%d,%d,%d]}`, alice, bob, carol)).str("pk")
		f.must(200, "PATCH", fmt.Sprintf("/api/v3/core/users/%d/", carol), `{"is_active":false}`)
		transport := func(name, body string) string {
			return f.must(201, "POST", "/api/v3/events/transports/", `{"name":"`+name+`",`+body+`}`).str("pk")
		}
		local := transport("a", `"mode":"local"`)
		other := transport("b", `"mode":"local"`)
		once := transport("c", `"mode":"local","send_once":true`)
		hook := transport("d", `"mode":"webhook","webhook_url":"http://example.com/"`)
		policy := f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"m","action":"login"}`).str("pk")
		for _, c := range []struct {
			name, transports string
			want             map[int64]int
		}{
			{"no transport fills the inbox", ``, map[int64]int{alice: 1, bob: 1}},
			{"a local transport reaches every active member", `"` + local + `"`, map[int64]int{alice: 1, bob: 1}},
			{"two local transports make two", `"` + local + `","` + other + `"`, map[int64]int{alice: 2, bob: 2}},
			{"send_once reaches the lowest key", `"` + once + `"`, map[int64]int{alice: 1}},
			{"a webhook alone fills no inbox", `"` + hook + `"`, map[int64]int{}},
		} {
			rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"r","group":"`+group+`","transports":[`+c.transports+`]}`).str("pk")
			f.must(201, "POST", "/api/v3/policies/bindings/", `{"policy":"`+policy+`","target":"`+rule+`","order":0}`)
			event := f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`).str("pk")
			for _, user := range []int64{1, alice, bob, carol} {
				list := f.must(200, "GET", fmt.Sprintf("%s?event=%s&user=%d", notificationsPath, event, user), "")
				if got := list.get("pagination", "count"); got != float64(c.want[user]) {
					t.Errorf("%s: user %d has %v, want %d", c.name, user, got, c.want[user])
				}
			}
			f.must(204, "DELETE", "/api/v3/events/rules/"+rule+"/", "")
			f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`)
		}
	})
}

func TestTrailOfAnEditRunsThroughTheRulesAndTheEditDoesNot(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, key := f.user("alice", "inbox")
		_, event := f.notifyUser(alice, "first")
		admins := f.must(200, "GET", "/api/v3/core/groups/?is_superuser=true", "").str("results", 0, "pk")
		rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"trail","group":"`+admins+`","transports":[]}`).str("pk")
		policy := f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"trail","action":"model_updated"}`).str("pk")
		f.must(201, "POST", "/api/v3/policies/bindings/", `{"policy":"`+policy+`","target":"`+rule+`","order":0}`)
		f.must(200, "PATCH", eventsPath+event+"/", `{"app":"edited"}`)
		if r := f.must(200, "GET", notificationsPath+"?user=1", ""); r.get("pagination", "count") != float64(1) ||
			r.str("results", 0, "body") != `akadmin changed the event “First in first”` {
			t.Errorf("the trail's notification: %s", r.text)
		}
		if r := f.call(key, "GET", notificationsPath, ""); r.get("pagination", "count") != float64(1) {
			t.Errorf("the rule ran again for the edited event: %s", r.text)
		}
	})
}

// TestPatchesDeletionsAndRetentionNeverWaitInACircle hammers the same events through different notifications.
func TestPatchesDeletionsAndRetentionNeverWaitInACircle(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, _ := f.user("alice")
		admins := f.must(200, "GET", "/api/v3/core/groups/?is_superuser=true", "").str("results", 0, "pk")
		f.must(204, "POST", "/api/v3/core/groups/"+admins+"/add_user/", fmt.Sprintf(`{"pk":%d}`, alice))
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for i := range 6 {
					event := f.call(adminKey, "POST", eventsPath, `{"action":"configuration_error","app":"x"}`).str("pk")
					list := f.call(adminKey, "GET", notificationsPath+"?event="+event, "")
					var each sync.WaitGroup
					for n := range 2 {
						body := fmt.Sprintf(`{"seen":true,"event":{"action":"%s","app":"y"}}`, []string{"login", "logout"}[(i+n)%2])
						each.Go(func() {
							if r := f.call(adminKey, "PATCH", notificationsPath+list.str("results", n, "pk")+"/", body); r.status != 200 {
								t.Errorf("PATCH: %d %s", r.status, r.text)
							}
						})
					}
					each.Go(func() {
						if r := f.call(adminKey, "DELETE", eventsPath+event+"/", ""); r.status != 204 {
							t.Errorf("DELETE: %d %s", r.status, r.text)
						}
					})
					each.Wait()
				}
			})
		}
		all.Wait()
		if counted, rows := countsOf(t, f); fmt.Sprint(counted) != fmt.Sprint(rows) {
			t.Errorf("counters %v, rows %v", counted, rows)
		}
		err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
			if !tx.Postgres() {
				return nil
			}
			var deadlocks int
			err := tx.Row("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", nil, &deadlocks)
			if deadlocks > 0 {
				t.Errorf("%d deadlocks", deadlocks)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
