package main

import (
	"fmt"
	"hash/crc32"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"belfry/internal/sqldb"
)

const eventsPath = "/api/v3/events/events/"

func TestEventListFilters(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, body := range []string{
			`{"action":"login","app":"one","user":{"pk":1,"username":"alice"},"client_ip":"10.0.0.1"}`,
			`{"action":"login_failed","app":"two","context":{"username":"alice","note":"50%_off\\"},"client_ip":"2001:0DB8::0001"}`,
			`{"action":"model_updated","app":"three","context":{"model":{"app":"authentik_core","model_name":"user","pk":42}}}`,
			`{"action":"model_created","app":"four","context":{"model":{"app":"authentik_core","model_name":"group","pk":"0189aabb"}}}`,
			`{"action":"authorize_application","app":"five","context":{"authorized_application":{"pk":"abc","name":"Grafana"}}}`,
			`{"action":"custom_x","app":"six","brand":{"name":"Acme"},"user":"text","context":["list"]}`,
		} {
			f.must(201, "POST", eventsPath, body)
		}
		for _, c := range []struct{ name, query, want string }{
			{"no filter, newest first", "", "six five four three two one"},
			{"action is a part of the name", "action=login", "two one"},
			{"action ignores case", "action=LOGIN_F", "two"},
			{"action takes no wildcard", "action=%25", ""},
			{"actions are whole names", "actions=login&actions=custom_x", "six one"},
			{"username of user or context", "username=alice", "two one"},
			{"username is exact", "username=Alice", ""},
			{"address", "client_ip=10.0.0.1", "one"},
			{"address in another spelling", "client_ip=2001:db8:0::1", "two"},
			{"invalid address", "client_ip=nonsense", ""},
			{"model app", "context_model_app=authentik_core", "four three"},
			{"model name", "context_model_name=user", "three"},
			{"model key, an integer", "context_model_pk=42", "three"},
			{"model key with dashes", "context_model_pk=01-89aabb", "four"},
			{"authorized application", "context_authorized_app=abc", "five"},
			{"brand", "brand_name=Acme", "six"},
			{"app is the whole name", "app=five", "five"},
			{"a part of an app", "app=fiv", ""},
			{"search in keys and values", "search=grafana", "five"},
			{"search for every term", "search=alice,login", "two one"},
			{"search takes no wildcard", "search=50%25_off", "two"},
			{"search for what is no wildcard either", "search=5_%25", ""},
			{"ordering", "ordering=app", "five four one six three two"},
			{"ordering, descending", "ordering=-app", "two three six one four five"},
			{"two orderings", "ordering=client_ip,-app", "three six four five one two"},
			{"unknown ordering falls back", "ordering=brand_name,user", "six five four three two one"},
			{"unknown parameters and blank values", "zzz=1&action=&username=", "six five four three two one"},
			{"before time began", "created__lt=2000-01-01T00:00:00Z", ""},
			{"since time began", "created__gte=2000-01-01T00:00:00Z", "six five four three two one"},
		} {
			list := f.must(200, "GET", eventsPath+"?"+c.query, "")
			var got []string
			results, _ := list.get("results").([]any)
			for i := range results {
				got = append(got, list.str("results", i, "app"))
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%s (%s): %s", c.name, c.query, diff)
			}
			if count := list.get("pagination", "count"); count != float64(len(got)) {
				t.Errorf("%s (%s): the count is %v", c.name, c.query, count)
			}
		}
	})
}

func TestEventsKeepWhatWasPosted(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, body := range []string{
			`{"z":1,"a":{"y":1.50,"b":[1e2,-0,12345678901234567890.123]},"t":"é \" \\ \n <&> \u2028"}`,
			`[]`, `"text"`, `0`, `false`, `{"":{"":""}}`,
		} {
			made := f.must(201, "POST", eventsPath, `{"action":"login","app":"x","user":`+body+`,"context":`+body+`,"brand":`+body+`}`)
			want := strings.NewReplacer(`\u2028`, "\u2028").Replace(body)
			for _, field := range []string{"user", "context", "brand"} {
				if !strings.Contains(made.text, `"`+field+`":`+want) {
					t.Errorf("%s was changed: %s", field, made.text)
				}
			}
			if read := f.must(200, "GET", eventsPath+made.str("pk")+"/", ""); read.text != made.text {
				t.Errorf("read back: %s", cmp.Diff(made.text, read.text))
			}
		}
	})
}

// TestCountersAgreeWithRows changes events in every way and compares the counters with the rows after each.
func TestCountersAgreeWithRows(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var keys []string
		actions := []string{"login", "logout", "custom_a", "custom_ab"}
		rapid.Check(t, func(rt *rapid.T) {
			action := rapid.SampledFrom(actions).Draw(rt, "action")
			switch step := rapid.IntRange(0, 3).Draw(rt, "step"); {
			case step < 2 || len(keys) == 0:
				keys = append(keys, f.must(201, "POST", eventsPath, `{"action":"`+action+`","app":"x"}`).str("pk"))
			case step == 2:
				f.must(200, "PATCH", eventsPath+rapid.SampledFrom(keys).Draw(rt, "key")+"/", `{"action":"`+action+`"}`)
			default:
				i := rapid.IntRange(0, len(keys)-1).Draw(rt, "key")
				f.must(204, "DELETE", eventsPath+keys[i]+"/", "")
				keys = slices.Delete(keys, i, i+1)
			}
			counted, rows := countsOf(t, f)
			if diff := cmp.Diff(rows, counted); diff != "" {
				rt.Fatalf("counters and rows differ: %s", diff)
			}
		})
	})
}

// countsOf reads how many events of each action the counters and the rows say there are.
func countsOf(t *testing.T, f *fixture) (counted, rows map[string]int64) {
	read := func(query string) map[string]int64 {
		counts := map[string]int64{}
		err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
			list, err := sqldb.All(tx, func(row sqldb.Scanner) (c actionCount, err error) {
				err = row.Scan(&c.Action, &c.Count)
				return c, err
			}, query)
			for _, c := range list {
				counts[c.Action] = c.Count
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(counts, func(_ string, n int64) bool { return n == 0 })
		return counts
	}
	return read("SELECT action, SUM(count) FROM event_hour GROUP BY action"), read("SELECT action, COUNT(*) FROM event GROUP BY action")
}

// insertMany writes n events of one action, spread over time, without going through the API.
func insertMany(t *testing.T, f *fixture, n int, action string, created func(i int) int64) {
	t.Helper()
	err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		counts := tally{}
		for i := range n {
			at := created(i)
			e := Event{PK: fmt.Sprintf("%08x-0000-7000-8000-%012d", crc32.ChecksumIEEE([]byte(action)), i), Action: action, App: "x", User: "{}", Context: "{}", Brand: "{}", Origin: OriginAPI}
			c := columnsOf(&e)
			if err := insertEvent(tx, &e, &c, counts); err != nil {
				return err
			}
			if _, err := tx.Exec("UPDATE event SET created = $2 WHERE pk = $1", e.PK, at); err != nil {
				return err
			}
			counts.add(&e, -1)
			e.Created = at
			counts.add(&e, 1)
		}
		return counts.Write(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCountIsExactFromCountersAndBoundedOtherwise(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const many = countedMatches + 250
		insertMany(t, f, many, "login", func(i int) int64 { return int64(i) * secondMicros })
		for _, c := range []struct {
			name, query     string
			count, next, at float64
		}{
			{"no filter", "page_size=1", many, 2, 1},
			{"by action", "page_size=1&action=log", many, 2, 1},
			{"otherwise a bound", "page_size=1000&search=login", countedMatches, 2, 1},
			{"which exceeds the page while there is a next one", "page_size=1000&search=login&page=10", countedMatches + 1, 11, 9001},
			{"and is exact on the last", "page_size=1000&search=login&page=11", many, 0, 10001},
			{"as by name", "page_size=1000&search=login&page=last", many, 0, 10001},
		} {
			list := f.must(200, "GET", eventsPath+"?"+c.query, "")
			got := []any{list.get("pagination", "count"), list.get("pagination", "next"), list.get("pagination", "start_index")}
			if diff := cmp.Diff([]any{c.count, c.next, c.at}, got); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
		if r := f.call(adminKey, "GET", eventsPath+"?page_size=1000&search=login&page=12", ""); r.status != 404 || r.text != `{"detail":"Invalid page."}` {
			t.Errorf("behind the end: %d %s", r.status, r.text)
		}
	})
}

func TestPagesInOrderOfCreationMissNothingWhileOthersWrite(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		seen := map[string]int{}
		for page := 1; page <= 20; page++ {
			for range 3 {
				f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`)
			}
			list := f.must(200, "GET", fmt.Sprintf("%s?ordering=created&page_size=2&page=%d", eventsPath, page), "")
			for i := range 2 {
				seen[list.str("results", i, "pk")]++
			}
		}
		list := f.must(200, "GET", eventsPath+"?ordering=created&page_size=40", "")
		for i := range 40 {
			if pk := list.str("results", i, "pk"); seen[pk] != 1 {
				t.Errorf("the event at %d was seen %d times", i, seen[pk])
			}
		}
	})
}

func TestVolumeCountsEveryEventOnceInItsBin(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		now := f.now(t)
		ages := []int64{0, 1, 7, 9, 30, 100, 167} // hours
		insertMany(t, f, len(ages), "login", func(i int) int64 { return now - ages[i]*hourMicros })
		insertMany(t, f, 1, "custom_old", func(int) int64 { return now - 200*hourMicros })
		for _, query := range []string{"", "?search=login", "?action=login"} { // from the counters, and from the rows
			volume := f.must(200, "GET", eventsPath+"volume/"+query, "")
			points, _ := volume.get().([]any)
			if len(points) != volumeBins || volume.get(0, "y_cord") != float64(0) {
				t.Fatalf("want %d points, the first of them empty: %s", volumeBins, volume.text)
			}
			sum := 0.0
			for i := range points {
				y, _ := volume.get(i, "y_cord").(float64)
				sum += y
				x, _ := volume.get(i, "x_cord").(float64)
				inBin := 0.0
				for _, age := range ages {
					if at := float64(now-age*hourMicros) / 1000; at < x && at >= x-float64(volumeStep/1000) {
						inBin++
					}
				}
				if y != inBin {
					t.Errorf("%q: the bin that ends at %v has %v events, want %v", query, x, y, inBin)
				}
			}
			if sum != float64(len(ages)) {
				t.Errorf("%q: %v events in all, want %d", query, sum, len(ages))
			}
		}
		later := f.must(200, "GET", eventsPath+"volume/?history_days=60", "")
		total := 0.0
		rows, _ := later.get().([]any)
		for i := range rows {
			n, _ := later.get(i, "count").(float64)
			total += n
			if at := later.str(i, "time"); !slices.Contains([]string{"00", "06", "12", "18"}, at[11:13]) || !strings.HasSuffix(at, ":00:00Z") {
				t.Errorf("a bin begins at %s", at)
			}
		}
		if total != float64(len(ages)+1) {
			t.Errorf("history_days: %v events, want %d: %s", total, len(ages)+1, later.text)
		}
	})
}

// now is the database's idea of now, in microseconds.
func (f *fixture) now(t *testing.T) (now int64) {
	err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error { now = tx.Now(); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func TestStatisticsRefuseOddParametersUnderTheirName(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.must(201, "POST", eventsPath, `{"action":"login","app":"x","user":{"pk":5},"context":{"authorized_application":{"name":"foo"}}}`)
		f.must(201, "POST", eventsPath, `{"action":"login","app":"x","context":{"authorized_application":{"name":"foo"}}}`)
		f.must(201, "POST", eventsPath, `{"action":"login","app":"x","context":{"authorized_application":"text"}}`)
		for _, c := range []struct {
			path   string
			status int
			want   string
		}{
			{"top_per_user/", 200, `[{"application":{"name":"foo"},"counted_events":2,"unique_users":1}]`},
			{"top_per_user/?top_n=0", 200, `[]`},
			{"top_per_user/?top_n=x", 400, `{"top_n":["A valid integer is required."]}`},
			{"top_per_user/?top_n=-1", 400, `{"top_n":["A valid integer is required."]}`},
			{"top_per_user/?action=logout", 200, `[]`},
			{"volume/?history_days=x", 400, `{"history_days":["A valid integer is required."]}`},
			{"per_month/?query=x", 400, `{"query":["Value must be valid JSON: an object of fields and their values."]}`},
			{"per_month/?query=" + url.QueryEscape(`{"zz":1}`), 400, `{"query":["Cannot resolve the field 'zz'."]}`},
			{"volume/?actions=zz", 400, `{"actions":["Select a valid choice. zz is not one of the available choices."]}`},
		} {
			if r := f.call(adminKey, "GET", eventsPath+c.path, ""); r.status != c.status || r.text != c.want {
				t.Errorf("%s: want %d %s, got %d %s", c.path, c.status, c.want, r.status, r.text)
			}
		}
		month := f.must(200, "GET", eventsPath+"per_month/?query="+url.QueryEscape(`{"user__pk":5}`), "")
		if points, _ := month.get().([]any); len(points) != monthBins || month.get(1, "y_cord") != float64(1) {
			t.Errorf("per_month: %s", month.text)
		}
	})
}

func TestDeletedEventLeavesTrailAndItsNotificationsWithoutEvent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, event := f.notified("full")
		f.must(204, "DELETE", eventsPath+event+"/", "")
		f.must(404, "GET", eventsPath+event+"/", "")
		f.must(404, "DELETE", eventsPath+event+"/", "")
		if r := f.must(200, "GET", notificationsPath+notification+"/", ""); r.get("event") != nil || r.str("body") != "full" {
			t.Errorf("the notification: %s", r.text)
		}
		trail := f.must(200, "GET", eventsPath+"?action=model_deleted&context_model_pk="+event, "")
		if trail.get("pagination", "count") != float64(1) || trail.str("results", 0, "user", "username") != "akadmin" {
			t.Errorf("the trail: %s", trail.text)
		}
	})
}
