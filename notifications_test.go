package main

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

const notificationsPath = "/api/v3/events/notifications/"

func TestPatchSeenChangesNothingElse(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, _ := f.notified("full")
		before := f.must(200, "GET", notificationsPath+notification+"/", "")
		after := f.must(200, "PATCH", notificationsPath+notification+"/", `{"seen":true,"body":"x","severity":"notice","pk":"1","user":7}`)
		if want := strings.Replace(before.text, `"seen":false`, `"seen":true`, 1); after.text != want {
			t.Errorf("the answer: %s", cmp.Diff(want, after.text))
		}
		if stored := f.must(200, "GET", notificationsPath+notification+"/", ""); stored.text != after.text {
			t.Errorf("what is stored differs from the answer: %s", cmp.Diff(after.text, stored.text))
		}
	})
}

func TestPatchChangesEventInPlaceWithCountersSearchAndTrail(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, event := f.notified("full")
		f.must(200, "PATCH", notificationsPath+notification+"/",
			`{"seen":true,"event":{"action":"login","app":"other","user":{"pk":7,"username":"alice"},"context":{"geo":"Ünique"},"client_ip":"10.1.2.3"}}`)
		for _, search := range []struct {
			name, query string
			want        int
		}{
			{"the new action's counter", "action=login", 1},
			{"the old action's counter", "action=configuration_error", 0},
			{"the username's column", "username=alice", 1},
			{"the address's column", "client_ip=10.1.2.3", 1},
			{"the search entry has the new text", "search=%C3%BCNIQUE&action=login", 1},
			{"the search entry has lost the old text", "search=full+configuration_error&action=login", 0},
		} {
			list := f.must(200, "GET", "/api/v3/events/events/?"+search.query, "")
			if got := list.get("pagination", "count"); got != float64(search.want) {
				t.Errorf("%s: want %d, got %v", search.name, search.want, got)
			}
		}
		trail := f.must(200, "GET", "/api/v3/events/events/?action=model_updated", "")
		if got := trail.get("pagination", "count"); got != float64(1) {
			t.Fatalf("want one trail event, got %v", got)
		}
		if got, want := trail.str("results", 0, "context", "model", "pk"), strings.ReplaceAll(event, "-", ""); got != want {
			t.Errorf("the trail is about %s, want %s", got, want)
		}
		if got := trail.str("results", 0, "context", "diff", "action", "previous_value"); got != "configuration_error" {
			t.Errorf("the trail's previous action: %q", got)
		}
		if got := trail.str("results", 0, "user", "username"); got != "akadmin" {
			t.Errorf("the trail's actor: %q", got)
		}
		if got := f.must(200, "GET", notificationsPath+notification+"/", "").str("body"); got != "full" {
			t.Errorf("the notification's body was changed to %q", got)
		}
	})
}

func TestPatchWithEventKeepsKeyTimeAndLeavesNoTrailWithoutChange(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, event := f.notified("full")
		before := f.must(200, "GET", "/api/v3/events/events/"+event+"/", "")
		for _, body := range []string{
			`{"event":{}}`,
			`{"event":{"pk":"0","created":"2001-01-01T00:00:00Z","unknown":1}}`,
			`{"event":{"action":"configuration_error","app":"backup"}}`,
		} {
			f.must(200, "PATCH", notificationsPath+notification+"/", body)
		}
		if after := f.must(200, "GET", "/api/v3/events/events/"+event+"/", ""); after.text != before.text {
			t.Errorf("the event changed: %s", cmp.Diff(before.text, after.text))
		}
		if trail := f.must(200, "GET", "/api/v3/events/events/?action=model_updated", ""); trail.get("pagination", "count") != float64(0) {
			t.Errorf("a trail without a change: %s", trail.text)
		}
	})
}

func TestRefusedPatchChangesNothingAndNamesItsField(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, event := f.notified("full")
		_, plain := f.user("alice", "admin")
		for _, c := range []struct {
			name, key, method, body string
			status                  int
			want                    string
		}{
			{"sample of the API reference", adminKey, "PATCH", `{"event":{"user":{},"action":"login","app":"string","context":{},"client_ip":"string","expires":"2019-08-24T14:15:22Z","brand":{}},"seen":true}`,
				400, `{"event":{"client_ip":["Enter a valid IPv4 or IPv6 address."]}}`},
			{"errors of both stand side by side", adminKey, "PATCH", `{"seen":"maybe","event":{"action":"zz","client_ip":null}}`,
				400, `{"event":{"action":["\"zz\" is not a valid choice."]},"seen":["Must be a valid boolean."]}`},
			{"null event", adminKey, "PATCH", `{"seen":true,"event":null}`, 400, `{"event":["This field may not be null."]}`},
			{"event is text", adminKey, "PATCH", `{"seen":true,"event":"x"}`, 400, `{"event":{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}}`},
			{"PUT needs action and app", adminKey, "PUT", `{"seen":true,"event":{}}`, 400, `{"event":{"action":["This field is required."],"app":["This field is required."]}}`},
			{"only client_ip may be null", adminKey, "PATCH", `{"event":{"user":null,"context":null,"brand":null,"expires":null}}`,
				400, `{"event":{"user":["This field may not be null."],"context":["This field may not be null."],"expires":["This field may not be null."],"brand":["This field may not be null."]}}`},
			{"unreadable", adminKey, "PATCH", `{"seen":true`, 400, ""},
		} {
			before := f.must(200, "GET", notificationsPath+notification+"/", "").text
			r := f.call(c.key, c.method, notificationsPath+notification+"/", c.body)
			if r.status != c.status || c.want != "" && r.text != c.want {
				t.Errorf("%s: want %d %s, got %d %s", c.name, c.status, c.want, r.status, r.text)
			}
			if after := f.must(200, "GET", notificationsPath+notification+"/", "").text; after != before {
				t.Errorf("%s: something changed: %s", c.name, cmp.Diff(before, after))
			}
		}
		if r := f.call(plain, "PATCH", notificationsPath+notification+"/", `{"event":{}}`); r.status != 404 {
			t.Errorf("somebody else's notification: want 404 before 403, got %d", r.status)
		}
		if r := f.must(200, "GET", "/api/v3/events/events/"+event+"/", ""); r.str("action") != "configuration_error" {
			t.Errorf("the event changed: %s", r.text)
		}
	})
}

func TestPublishedSampleWithAddressWorksOnBothPaths(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, prefix := range []string{"/api/v3/events/notifications/", "/api/v3//events/notifications/"} {
			notification, _ := f.notified("full")
			r := f.must(200, "PATCH", prefix+notification+"/",
				`{"event":{"user":{},"action":"login","app":"string","context":{},"client_ip":"10.0.0.1","expires":"2019-08-24T14:15:22Z","brand":{}},"seen":true}`)
			if r.str("event", "client_ip") != "10.0.0.1" || r.str("event", "expires") != "2019-08-24T14:15:22Z" || r.get("seen") != true {
				t.Errorf("%s: %s", prefix, r.text)
			}
		}
	})
}

func TestOwnerMayNotChangeTheEvent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, key := f.user("alice", "admin")
		notification, event := f.notifyUser(alice, "mine")
		before := f.must(200, "GET", "/api/v3/events/events/"+event+"/", "").text
		for _, body := range []string{`{"seen":true,"event":{}}`, `{"seen":true,"event":null}`, `{"seen":true,"event":{"app":"x"}}`, `{"seen":"maybe","event":{"action":"zz"}}`} {
			for _, method := range []string{"PATCH", "PUT"} {
				r := f.call(key, method, notificationsPath+notification+"/", body)
				if r.status != 403 || r.text != `{"detail":"You do not have permission to perform this action."}` {
					t.Errorf("%s %s: %d %s", method, body, r.status, r.text)
				}
			}
		}
		if r := f.call(key, "GET", notificationsPath+notification+"/", ""); r.get("seen") != false {
			t.Errorf("a refused PATCH marked it as seen: %s", r.text)
		}
		if after := f.must(200, "GET", "/api/v3/events/events/"+event+"/", "").text; after != before {
			t.Errorf("a refused PATCH changed the event: %s", cmp.Diff(before, after))
		}
		if r := f.call(key, "PATCH", notificationsPath+notification+"/", `{"seen":true,"hyperlink":"/x","hyperlink_label":"X"}`); r.status != 200 || r.get("seen") != true || r.str("hyperlink") != "/x" {
			t.Errorf("the owner's own fields: %d %s", r.status, r.text)
		}
	})
}

func TestForeignNotificationIsUnknownOnEveryVerb(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, _ := f.user("alice")
		notification, event := f.notifyUser(alice, "mine")
		bob, key := f.user("bob", "admin")
		inbox := f.token(1, "akadmin-inbox", "inbox")
		unknown := "01890000-0000-7000-8000-000000000000"
		for _, key := range []string{key, f.token(bob, "bob-inbox", "inbox"), inbox} {
			for _, verb := range []struct{ method, suffix string }{
				{"GET", "/"}, {"HEAD", "/"}, {"PUT", "/"}, {"PATCH", "/"}, {"DELETE", "/"}, {"GET", "/used_by/"},
			} {
				body := ""
				if verb.method == "PUT" || verb.method == "PATCH" {
					body = `{"seen":true,"event":{}}`
				}
				foreign := f.call(key, verb.method, notificationsPath+notification+verb.suffix, body)
				missing := f.call(key, verb.method, notificationsPath+unknown+verb.suffix, body)
				if foreign.status != 404 || foreign.text != missing.text || missing.status != 404 {
					t.Errorf("%s: foreign %d %s, unknown %d %s", verb.method, foreign.status, foreign.text, missing.status, missing.text)
				}
			}
			foreign := f.call(key, "GET", notificationsPath+"?event="+event, "")
			missing := f.call(key, "GET", notificationsPath+"?event="+unknown, "")
			if foreign.status != 400 || foreign.text != missing.text {
				t.Errorf("a filter tells of a foreign event: %d %s, unknown %d %s", foreign.status, foreign.text, missing.status, missing.text)
			}
		}
		if r := f.must(200, "GET", notificationsPath+notification+"/", ""); r.get("seen") != false {
			t.Errorf("something was changed: %s", r.text)
		}
	})
}

func TestNotificationWithoutEventGetsOneFromPatch(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, event := f.notified("full")
		f.must(204, "DELETE", "/api/v3/events/events/"+event+"/", "")
		r := f.must(200, "GET", notificationsPath+notification+"/", "")
		if r.get("event") != nil {
			t.Fatalf("deleting an event leaves its notifications without one: %s", r.text)
		}
		r = f.call(adminKey, "PATCH", notificationsPath+notification+"/", `{"seen":true,"event":{}}`)
		if want := `{"event":{"action":["This field is required."],"app":["This field is required."]}}`; r.status != 400 || r.text != want {
			t.Errorf("want %s, got %d %s", want, r.status, r.text)
		}
		r = f.must(200, "PATCH", notificationsPath+notification+"/", `{"seen":true,"event":{"action":"configuration_error","app":"new"}}`)
		made := r.str("event", "pk")
		if made == "" || made == event || r.get("seen") != true {
			t.Fatalf("the event was not made: %s", r.text)
		}
		f.must(200, "GET", "/api/v3/events/events/"+made+"/", "")
		if list := f.must(200, "GET", notificationsPath+"?event="+made, ""); list.get("pagination", "count") != float64(1) {
			t.Errorf("a rule ran for it: %s", list.text)
		}
	})
}

func TestMarkAllSeenMarksTheCallersOwnInBatches(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, key := f.user("alice", "inbox")
		foreign, _ := f.notified("full")
		const many = 2*seenBatch + 5
		err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
			for i := range many {
				pk := fmt.Sprintf("00000000-0000-7000-8000-%012d", i)
				_, err := tx.Exec(`INSERT INTO notification (pk, user_pk, severity, body, folded, created, seen) VALUES ($1, $2, 'notice', '', '', $3, $4)`, pk, alice, tx.Now(), false)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r := f.call(key, "POST", notificationsPath+"mark_all_seen/", ""); r.status != 204 || r.text != "" {
			t.Errorf("want 204, got %d %s", r.status, r.text)
		}
		if r := f.call(key, "GET", notificationsPath+"?seen=false&page_size=1", ""); r.get("pagination", "count") != float64(0) {
			t.Errorf("some are unseen: %s", r.text)
		}
		if r := f.must(200, "GET", notificationsPath+foreign+"/", ""); r.get("seen") != false {
			t.Error("somebody else's was marked")
		}
	})
}

func TestSeenTimeIsKeptWhileSeen(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, _ := f.notified("full")
		seenAt := func() (at *int64) {
			err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
				return tx.Row("SELECT seen_at FROM notification WHERE pk = $1", []any{notification}, &at)
			})
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				t.Fatal(err)
			}
			return at
		}
		f.must(200, "PATCH", notificationsPath+notification+"/", `{"seen":true}`)
		first := seenAt()
		f.must(200, "PATCH", notificationsPath+notification+"/", `{"seen":true}`)
		if second := seenAt(); first == nil || second == nil || *first != *second {
			t.Errorf("seen again moved the time: %v, then %v", first, second)
		}
		f.must(200, "PATCH", notificationsPath+notification+"/", `{"seen":false}`)
		if at := seenAt(); at != nil {
			t.Errorf("unseen has a time: %v", *at)
		}
	})
}

func TestConcurrentPatchesOfDifferentFieldsLoseNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, event := f.notified("full")
		changes := []string{
			`{"seen":true}`, `{"hyperlink":"/somewhere"}`, `{"hyperlink_label":"Here"}`, `{"event":{"action":"login"}}`, `{"event":{"app":"other"}}`,
			`{"event":{"user":{"username":"alice"}}}`, `{"event":{"client_ip":"10.0.0.9"}}`, `{"event":{"context":{"a":1}}}`,
		}
		var all sync.WaitGroup
		for _, body := range changes {
			all.Go(func() {
				if r := f.call(adminKey, "PATCH", notificationsPath+notification+"/", body); r.status != 200 {
					t.Errorf("%s: %d %s", body, r.status, r.text)
				}
			})
		}
		all.Wait()
		r := f.must(200, "GET", notificationsPath+notification+"/", "")
		got := []any{r.get("seen"), r.get("hyperlink"), r.get("hyperlink_label"), r.get("event", "action"), r.get("event", "app"),
			r.get("event", "user", "username"), r.get("event", "client_ip"), r.get("event", "context", "a"), r.get("event", "pk")}
		want := []any{true, "/somewhere", "Here", "login", "other", "alice", "10.0.0.9", float64(1), event}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("a change was lost: %s", diff)
		}
		if trail := f.must(200, "GET", "/api/v3/events/events/?action=model_updated", ""); trail.get("pagination", "count") != float64(5) {
			t.Errorf("want a trail event for each of the five edits: %v", trail.get("pagination", "count"))
		}
	})
}

func TestHyperlinkLeadsToAPageOnly(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, _ := f.notified("full")
		for link, status := range map[string]int{
			`http://example.com/a?b#c`: 200, `https://[::1]:8/`: 200, `/path`: 200, ``: 200, `HTTPS://EXAMPLE.COM`: 200,
			`//example.com/`: 400, `javascript:alert(1)`: 400, `JaVaScript:alert(1)`: 400, `data:text/html,x`: 400, `path`: 400,
			`/\\\\example.com`: 400, `http:`: 400, `https:///x`: 400, `java\nscript:alert(1)`: 400, `/\t/example.com`: 400, `ftp://example.com/`: 400,
		} {
			for _, event := range []string{"", `,"event":{}`} {
				r := f.call(adminKey, "PATCH", notificationsPath+notification+"/", `{"hyperlink":"`+link+`"`+event+`}`)
				if r.status != status || status == 400 && r.text != `{"hyperlink":["Enter an http or https URL, or a path that begins with one slash."]}` {
					t.Errorf("%s: want %d, got %d %s", link, status, r.status, r.text)
				}
			}
		}
		if r := f.must(200, "PATCH", notificationsPath+notification+"/", `{"hyperlink":null}`); r.get("hyperlink") != nil {
			t.Errorf("null: %s", r.text)
		}
	})
}

func TestLongMessageIsCutInTheInbox(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		long := strings.Repeat("é", 2*longestBody)
		notification, event := f.notified(long)
		if body := f.must(200, "GET", notificationsPath+notification+"/", "").str("body"); body != strings.Repeat("é", longestBody-1)+"…" {
			t.Errorf("the body has %d bytes", len(body))
		}
		if message := f.must(200, "GET", eventsPath+event+"/", "").str("context", "message"); message != long {
			t.Errorf("the event's message has %d bytes", len(message))
		}
	})
}

func TestSecretsAreStarsInTheTrail(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, event := f.notified("full")
		secrets := `{"password":"canary1","api_token":"canary2","passing_token":"canary6","deep":[{"Secret":{"plain":"shown","key":"canary3"},"keys":["canary4",{"x":"shown"}]}],"passing":"shown","order":1}`
		f.must(200, "PATCH", notificationsPath+notification+"/?token=canary5", `{"event":{"context":`+secrets+`,"user":{"username":"shown","signature":7}}}`)
		f.must(200, "PATCH", eventsPath+event+"/", `{"context":{},"user":{}}`)
		trail := f.must(200, "GET", eventsPath+"?action=model_updated", "")
		if trail.get("pagination", "count") != float64(2) || strings.Contains(trail.text, "canary") {
			t.Errorf("the trail: %s", trail.text)
		}
		if got := strings.Count(trail.text, `"shown"`); got != 8 {
			t.Errorf("%d of 8 values that are no secrets are left: %s", got, trail.text)
		}
		if strings.Count(trail.text, drf.Stars) != 13 {
			t.Errorf("%d stars: %s", strings.Count(trail.text, drf.Stars), trail.text)
		}
	})
}

func TestTrailNeverRepeatsAKey(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.must(201, "POST", "/api/v3/core/groups/?a%00=1&a%EF%BF%BD=2&a%ff=3", `{"name":"odd"}`)
		pk := f.must(200, "GET", eventsPath+"?action=model_created&search=odd", "").str("results", 0, "pk")
		event := f.must(200, "GET", eventsPath+pk+"/", "").text
		f.must(200, "PUT", eventsPath+pk+"/", event) // reads as strictly as it does of anybody
	})
}
