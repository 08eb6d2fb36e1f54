package main

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// anyOf is one of some values that depends on i and looks like chance.
func anyOf[T any](i, salt int, values ...T) T {
	return values[crc32.ChecksumIEEE(fmt.Append(nil, i, "/", salt))%uint32(len(values))]
}

// listedEvents fills the log with events of some days, many of one moment, and of the parts that filters look at.
func listedEvents(t *testing.T, f *fixture) {
	t.Helper()
	f.past(500, func(i int, now int64) Event {
		now = floorTo(now, hourMicros)
		at := now - int64(anyOf(i, 1, 0, 1, 2, 3, 25, 26, 50, 74, 75, 100))*hourMicros - int64(anyOf(i, 2, 0, 0, 1, 2, 999))*secondMicros
		e := Event{PK: fmt.Sprintf("%08x-0000-7000-8000-%012d", (i*2654435761)%(1<<32), i), Created: at, Expires: at + int64(anyOf(i, 3, 1, 5, 5, 9))*dayMicros*100,
			Action: anyOf(i, 4, "login", "login", "login_failed", "logout", "model_updated", "custom_a", "custom_ab"), App: anyOf(i, 5, "x", "y", "x"),
			User:    anyOf[drf.JSON](i, 6, `{"pk":1,"username":"amber"}`, `{"pk":2,"username":"bob"}`, `{"username":"amber"}`, `{}`),
			Context: anyOf[drf.JSON](i, 7, `{}`, `{"username":"amber"}`, `{"username":"bob"}`, `{"model":{"app":"core","model_name":"user","pk":7}}`, `{"model":{"pk":"007"}}`, `{"authorized_application":{"pk":"a1","name":"Wiki"}}`, `{"authorized_application":{"pk":"b2"}}`),
			Brand:   anyOf[drf.JSON](i, 8, `{"name":"one"}`, `{}`), Origin: OriginAPI}
		if ip := anyOf(i, 9, "10.0.0.1", "10.0.0.2", ""); ip != "" {
			e.ClientIP = &ip
		}
		return e
	})
}

// logged is an event with what filters look at.
type logged struct {
	Event
	columns
}

// allEvents reads the log.
func allEvents(t *testing.T, f *fixture) (all []logged) {
	t.Helper()
	err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
		events, err := sqldb.All(tx, scanEvent, "SELECT "+eventColumns+" FROM event e")
		for _, e := range events {
			all = append(all, logged{e, columnsOf(&e)})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// is reports whether a text that may be missing is s.
func is(text *string, s string) bool { return text != nil && *text == s }

// eventMatches says for each filter, apart from time, whether an event passes, written down anew.
var eventMatches = map[string]func(e logged, value string) bool{
	"action": func(e logged, value string) bool { return strings.Contains(e.Action, strings.ToLower(value)) },
	"actions": func(e logged, value string) bool {
		return slices.Contains(strings.Split(value, ","), e.Action)
	},
	"app":       func(e logged, value string) bool { return e.App == value },
	"client_ip": func(e logged, value string) bool { return is(e.ClientIP, value) },
	"username":  func(e logged, value string) bool { return is(e.username, value) || is(e.contextUsername, value) },
	"context_model_pk": func(e logged, value string) bool {
		return is(e.modelPK, value) || value == "007" && is(e.modelPK, "7")
	},
	"context_model_app":      func(e logged, value string) bool { return is(e.modelApp, value) },
	"context_model_name":     func(e logged, value string) bool { return is(e.modelName, value) },
	"context_authorized_app": func(e logged, value string) bool { return is(e.applicationPK, value) },
	"brand_name":             func(e logged, value string) bool { return is(e.brandName, value) },
	"search":                 func(e logged, value string) bool { return strings.Contains(e.folded, value) },
}

// eventValues are what the filters are asked for.
var eventValues = map[string][]string{
	"action": {"log", "login", "custom_", "a", "zzz", "LOGIN_F"}, "actions": {"login", "login,logout", "custom_a,update_available", "export_ready"},
	"app": {"x", "z"}, "client_ip": {"10.0.0.1", "10.9.9.9"}, "username": {"amber", "bob", "nobody"}, "context_model_pk": {"7", "007", "8"},
	"context_model_app": {"core"}, "context_model_name": {"user", "group"}, "context_authorized_app": {"a1", "c3"}, "brand_name": {"one", "two"},
	"search": {"wiki", "amber", "zzyzx"},
}

// compareEvents is how events are ordered by each name.
var compareEvents = map[string]func(a, b logged) int{
	"pk":      func(a, b logged) int { return cmp.Compare(a.PK, b.PK) },
	"action":  func(a, b logged) int { return cmp.Compare(a.Action, b.Action) },
	"app":     func(a, b logged) int { return cmp.Compare(a.App, b.App) },
	"created": func(a, b logged) int { return cmp.Compare(a.Created, b.Created) },
	"expires": func(a, b logged) int { return cmp.Compare(a.Expires, b.Expires) },
	"client_ip": func(a, b logged) int {
		return cmp.Compare(*cmp.Or(a.ClientIP, new("")), *cmp.Or(b.ClientIP, new("")))
	},
}

// drawEvents makes up filters, and answers the query and which events pass.
func drawEvents(rt *rapid.T, all []logged) (query url.Values, found []logged) {
	query, found = url.Values{}, slices.Clone(all)
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(eventValues))), 0, 3, rapid.ID[string]).Draw(rt, "filters")
	for _, name := range names {
		value := rapid.SampledFrom(eventValues[name]).Draw(rt, name)
		query[name] = []string{value}
		if name == "actions" {
			query[name] = strings.Split(value, ",")
		}
		found = slices.DeleteFunc(found, func(e logged) bool { return !eventMatches[name](e, value) })
	}
	for i, name := range []string{"created__gte", "created__lt"} {
		early := i == 0
		if len(all) == 0 || rapid.IntRange(0, 3).Draw(rt, name) > 0 {
			continue
		}
		at := rapid.SampledFrom(all).Draw(rt, name).Created
		query.Set(name, time.UnixMicro(at).UTC().Format("2006-01-02T15:04:05.000000Z"))
		found = slices.DeleteFunc(found, func(e logged) bool { return (e.Created < at) == early })
	}
	return query, found
}

// drawPage makes up an order and a page, and answers which keys of a list it has, and its pagination.
func drawPage[T any](rt *rapid.T, query url.Values, found []T, orders map[string]func(a, b T) int, key func(T) string) (keys []string, pages map[string]any) {
	terms := rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(orders))), 0, 2, rapid.ID[string]).Draw(rt, "orders")
	if len(terms) == 0 || rapid.Bool().Draw(rt, "by time") {
		terms = []string{"created"}
	}
	signs := make([]int, len(terms))
	var text []string
	for i, term := range terms {
		signs[i] = rapid.SampledFrom([]int{1, -1}).Draw(rt, "sign")
		text = append(text, map[int]string{1: "", -1: "-"}[signs[i]]+term)
	}
	query.Set("ordering", strings.Join(text, ","))
	slices.SortFunc(found, func(a, b T) int {
		for i, term := range terms {
			if c := orders[term](a, b); c != 0 {
				return c * signs[i]
			}
		}
		return cmp.Compare(key(a), key(b)) * signs[len(signs)-1]
	})
	size := rapid.SampledFrom([]int{1, 4, 30, 1000}).Draw(rt, "size")
	total := max(1, (len(found)+size-1)/size)
	number := rapid.IntRange(1, total).Draw(rt, "page")
	query.Set("page_size", fmt.Sprint(size))
	if query.Set("page", fmt.Sprint(number)); number == total && rapid.Bool().Draw(rt, "last") {
		query.Set("page", "last")
	}
	start, end := (number-1)*size, min(number*size, len(found))
	keys = []string{}
	for _, one := range found[start:end] {
		keys = append(keys, key(one))
	}
	pages = map[string]any{"count": float64(len(found)), "next": 0.0, "previous": float64(number - 1), "current": float64(number), "total_pages": float64(total),
		"start_index": float64(min(start+1, end)), "end_index": float64(end)}
	if end < len(found) {
		pages["next"] = float64(number + 1)
	}
	return keys, pages
}

// samePage compares a page with what it should be.
func samePage(rt *rapid.T, f *fixture, path string, query url.Values, keys []string, pages map[string]any) {
	answer := f.must(200, "GET", path+"?"+query.Encode(), "")
	got := []string{}
	for i := 0; answer.get("results", i) != nil; i++ {
		got = append(got, answer.str("results", i, "pk"))
	}
	if diff := gocmp.Diff(keys, got); diff != "" {
		rt.Fatalf("%s: %s", query.Encode(), diff)
	}
	if diff := gocmp.Diff(any(pages), answer.get("pagination")); diff != "" {
		rt.Fatalf("%s: %s", query.Encode(), diff)
	}
}

// TestListsOfEventsAreWhatPassesTheFilters reads pages with filters, orders and sizes by chance, while events are changed and
// deleted and counters added up, and compares them with a plain reading of all events.
func TestListsOfEventsAreWhatPassesTheFilters(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.forget()
		listedEvents(t, f)
		rapid.Check(t, func(rt *rapid.T) {
			all := allEvents(t, f)
			switch one := rapid.SampledFrom(all).Draw(rt, "event"); rapid.IntRange(0, 19).Draw(rt, "step") {
			case 0:
				f.must(204, "DELETE", eventsPath+one.PK+"/", "")
				all = allEvents(t, f)
			case 1:
				f.must(200, "PATCH", eventsPath+one.PK+"/", `{"action":"custom_ab","context":{"authorized_application":{"pk":"a1"}},"user":{"pk":3,"username":"bob"}}`)
				all = allEvents(t, f)
			case 2:
				f.addUp(t)
			}
			query, found := drawEvents(rt, all)
			keys, pages := drawPage(rt, query, found, compareEvents, func(e logged) string { return e.PK })
			samePage(rt, f, eventsPath, query, keys, pages)
		})
	})
}

// addUp adds up the counters of past hours, as a sweep does.
func (f *fixture) addUp(t *testing.T) {
	t.Helper()
	for more := true; more; {
		err := f.db.Write(t.Context(), func(tx *sqldb.Tx) (err error) {
			more, err = addUp(tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestChartsCountWhatPassesTheFilters compares the statistics with a plain reading of all events.
func TestChartsCountWhatPassesTheFilters(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.forget()
		listedEvents(t, f)
		all := allEvents(t, f)
		rapid.Check(t, func(rt *rapid.T) {
			if rapid.IntRange(0, 50).Draw(rt, "add up") == 50 { // soon enough, and not at once
				f.addUp(t)
			}
			query, found := drawEvents(rt, all)
			volume := f.must(200, "GET", eventsPath+"volume/?"+query.Encode(), "")
			for i := 0; volume.get(i) != nil; i++ {
				end := int64(volume.get(i, "x_cord").(float64)) * 1000
				want := count(found, func(e logged) bool { return i > 0 && end-volumeStep <= e.Created && e.Created < end })
				if got := volume.get(i, "y_cord"); got != want {
					rt.Fatalf("%s: %v events until %d and not %v", query.Encode(), got, end, want)
				}
			}
			bins, days := map[string]float64{}, rapid.SampledFrom([]int64{1, 2, 3, 60}).Draw(rt, "days")
			first := floorTo(time.Now().UnixMicro(), hourMicros) - days*dayMicros
			for _, e := range found {
				if e.Created < first {
					continue
				}
				bins[time.UnixMicro(floorTo(e.Created, volumeBin)).UTC().Format("2006-01-02T15:04:05Z ")+e.Action]++
			}
			byAction := f.must(200, "GET", fmt.Sprintf("%svolume/?history_days=%d&%s", eventsPath, days, query.Encode()), "")
			got := map[string]float64{}
			for i := 0; byAction.get(i) != nil; i++ {
				got[byAction.str(i, "time")+" "+byAction.str(i, "action")] = byAction.get(i, "count").(float64)
			}
			sameHour := first == floorTo(time.Now().UnixMicro(), hourMicros)-days*dayMicros
			if diff := gocmp.Diff(bins, got); diff != "" && sameHour {
				rt.Fatalf("%s: %s", query.Encode(), diff)
			}
			people := map[int64]bool{}
			for _, e := range found {
				if e.userPK != nil {
					people[*e.userPK] = true
				}
			}
			now := time.Now().UnixMicro() // some minutes after or before any event, seen from hours ago
			since := floorTo(now, hourMicros) - 2*hourMicros - 500*secondMicros
			seconds := (now - since) / secondMicros
			stats := f.must(200, "GET", fmt.Sprintf("%sstats/?count_steps=days%%3D50&count_steps=seconds%%3D%d&%s", eventsPath, seconds, query.Encode()), "")
			want := map[string]any{"unique_users": float64(len(people)), "count_step": map[string]any{"days50": float64(len(found)),
				fmt.Sprint("seconds", seconds): count(found, func(e logged) bool { return e.Created >= since })}}
			if diff := gocmp.Diff(any(want), stats.json); diff != "" {
				rt.Fatalf("%s: %s", query.Encode(), diff)
			}
		})
	})
}

// count counts what passes, as JSON does.
func count[T any](list []T, passes func(T) bool) float64 {
	n := 0
	for _, one := range list {
		if passes(one) {
			n++
		}
	}
	return float64(n)
}

// TestCountersCountWhatThereIs changes and deletes events of all ages, while counters are added up, and compares all counters
// with the rows.
func TestCountersCountWhatThereIs(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.forget()
		listedEvents(t, f)
		f.mustAgree(t)
		for i, e := range allEvents(t, f) {
			switch i % 5 {
			case 0:
				f.must(204, "DELETE", eventsPath+e.PK+"/", "")
			case 1:
				f.must(200, "PATCH", eventsPath+e.PK+"/", `{"action":"custom_ab"}`)
			case 2:
				f.must(200, "PATCH", eventsPath+e.PK+"/", `{"context":{"authorized_application":{"pk":"c3"}},"user":{"pk":9}}`)
			}
			if i == 200 {
				f.addUp(t)
				f.mustAgree(t)
			}
		}
		f.mustAgree(t)
		f.exec(t, "UPDATE event SET expires = created")
		(&retention{db: f.db, log: f.server.log}).sweep(t.Context(), time.Now())
		f.mustAgree(t)
		if left := f.must(200, "GET", eventsPath, "").get("pagination", "count"); left != 0.0 {
			t.Errorf("%v events are left", left)
		}
	})
}

func TestASweepAddsUpTheCountersOfPastHours(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		listedEvents(t, f)
		(&retention{db: f.db, log: f.server.log}).sweep(t.Context(), time.Now())
		f.mustAgree(t)
		if end := f.tallied(t, "SELECT 0, '', '', '', hour FROM event_past_end")["0"]; end < time.Now().UnixMicro()-26*hourMicros {
			t.Errorf("they are added up until %d", end)
		}
	})
}

// mustAgree compares the counters with what they count.
func (f *fixture) mustAgree(t *testing.T) {
	t.Helper()
	for counter, rows := range map[string]string{
		"SELECT hour, action, '', '', SUM(count) FROM event_hour GROUP BY 1, 2 HAVING SUM(count) <> 0": "SELECT created / 3600000000 * 3600000000, action, '', '', COUNT(*) FROM event GROUP BY 1, 2",
		"SELECT start, action, 'by action', '', count FROM event_past WHERE span = 0":                  "SELECT 0, action, 'by action', '', COUNT(*) FROM event WHERE created < (SELECT hour FROM event_past_end) GROUP BY action",
		"SELECT start, action, 'by bin', '', count FROM event_past WHERE span = 1":                     "SELECT created / 21600000000 * 21600000000, action, 'by bin', '', COUNT(*) FROM event WHERE created < (SELECT hour FROM event_past_end) GROUP BY 1, 2",
		"SELECT start, action, 'by hour', '', count FROM event_past WHERE span = 2":                    "SELECT created / 3600000000 * 3600000000, '', 'by hour', '', COUNT(*) FROM event WHERE created < (SELECT hour FROM event_past_end) GROUP BY 1",
		"SELECT 0, action, application, user_pk, count FROM event_application":                         "SELECT 0, action, application, COALESCE(CAST(user_pk AS TEXT), ''), COUNT(*) FROM event WHERE application IS NOT NULL GROUP BY 2, 3, 4",
	} {
		if diff := gocmp.Diff(f.tallied(t, rows), f.tallied(t, counter)); diff != "" {
			t.Errorf("%s: %s", counter, diff)
		}
	}
}

// tallied reads counters, or what they count.
func (f *fixture) tallied(t *testing.T, query string) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
		_, err := sqldb.All(tx, func(row sqldb.Scanner) (_ struct{}, err error) {
			var hour, n int64
			var action, application, user string
			err = row.Scan(&hour, &action, &application, &user, &n)
			all[strings.TrimSpace(fmt.Sprintln(hour, action, application, user))] = n
			return struct{}{}, err
		}, query)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// inboxRow is a notification as lists look at it.
type inboxRow struct {
	pk, severity, body, event string
	user, created             int64
	seen                      bool
}

// fillInboxes fills inboxes, and answers what is in them.
func fillInboxes(t *testing.T, f *fixture, users ...int64) (all []inboxRow) {
	t.Helper()
	events := allEvents(t, f)
	err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		now := floorTo(tx.Now(), hourMicros)
		for i := range 300 {
			n := Notification{PK: fmt.Sprintf("%08x-0000-7000-8000-%012d", (i*2654435761)%(1<<32), i), UserPK: anyOf(i, 1, users...),
				Severity: anyOf(i, 2, "notice", "alert"), Body: anyOf(i, 3, "one", "two", "three"), folded: "x",
				Created: now - int64(anyOf(i, 4, 0, 0, 1, 2, 3, 5, 90))*hourMicros, Seen: anyOf(i, 5, true, false, false)}
			if n.Seen {
				n.SeenAt = &n.Created
			}
			r := inboxRow{pk: n.PK, severity: n.Severity, body: n.Body, user: n.UserPK, created: n.Created, seen: n.Seen}
			if i%3 > 0 {
				n.Event = &events[i%5].Event
				r.event = n.Event.PK
			}
			if err := putNotification(tx, &n); err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// compareReceived is how notifications are ordered by each name.
var compareReceived = map[string]func(a, b inboxRow) int{
	"pk":       func(a, b inboxRow) int { return cmp.Compare(a.pk, b.pk) },
	"severity": func(a, b inboxRow) int { return cmp.Compare(a.severity, b.severity) },
	"body":     func(a, b inboxRow) int { return cmp.Compare(a.body, b.body) },
	"event":    func(a, b inboxRow) int { return cmp.Compare(a.event, b.event) },
	"created":  func(a, b inboxRow) int { return cmp.Compare(a.created, b.created) },
	"seen":     func(a, b inboxRow) int { return cmp.Compare(fmt.Sprint(a.seen), fmt.Sprint(b.seen)) },
}

// TestInboxesAreWhatPassesTheFilters is TestListsOfEventsAreWhatPassesTheFilters for notifications: one's own, and everybody's.
func TestInboxesAreWhatPassesTheFilters(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other, _ := f.user("other")
		f.forget()
		listedEvents(t, f)
		all := fillInboxes(t, f, 1, 1, 1, other)
		rapid.Check(t, func(rt *rapid.T) {
			query, found := url.Values{}, slices.Clone(all)
			one := rapid.SampledFrom(all).Draw(rt, "one")
			moment := time.UnixMicro(one.created).UTC().Format(time.RFC3339)
			for _, narrow := range []struct {
				name, value string
				passes      func(n inboxRow) bool
			}{
				{"seen", fmt.Sprint(one.seen), func(n inboxRow) bool { return n.seen == one.seen }},
				{"user", fmt.Sprint(one.user), func(n inboxRow) bool { return n.user == one.user }},
				{"severity", one.severity, func(n inboxRow) bool { return n.severity == one.severity }},
				{"body", one.body, func(n inboxRow) bool { return n.body == one.body }},
				{"event", one.event, func(n inboxRow) bool { return one.event == "" || n.event == one.event }},
				{"created__gte", moment, func(n inboxRow) bool { return n.created >= one.created }},
				{"created__lt", moment, func(n inboxRow) bool { return n.created < one.created }},
			} {
				if rapid.IntRange(0, 3).Draw(rt, narrow.name) == 0 {
					query.Set(narrow.name, narrow.value)
					found = slices.DeleteFunc(found, func(n inboxRow) bool { return !narrow.passes(n) })
				}
			}
			keys, pages := drawPage(rt, query, found, compareReceived, func(n inboxRow) string { return n.pk })
			samePage(rt, f, notificationsPath, query, keys, pages)
		})
	})
}

// TestFiltersWithoutAnIndexFindExactlyTheirEvents does random things to events and to the index of search, and asks for apps and
// models at every moment.
func TestFiltersWithoutAnIndexFindExactlyTheirEvents(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		m := &searchModel{f, rand.New(rand.NewPCG(seed, 0))}
		f.must(201, "POST", eventsPath, `{"action":"login","app":"first"}`)
		for range 150 {
			m.change()
			all := allEvents(t, f)
			one := all[m.r.IntN(len(all))]
			if m.r.IntN(3) == 0 {
				f.must(200, "PATCH", eventsPath+one.PK+"/", `{"context":{"model":{"app":`+m.text()+`,"pk":1,"model_name":`+m.text()+`}}}`)
				all = allEvents(t, f)
				one = all[slices.IndexFunc(all, func(e logged) bool { return e.PK == one.PK })]
			}
			query := url.Values{"app": {one.App}}
			if one.modelApp != nil {
				query = url.Values{"context_model_app": {*one.modelApp}, "context_model_name": {*one.modelName}}
			}
			if m.r.IntN(3) == 0 {
				query.Set("action", one.Action)
			}
			found := slices.DeleteFunc(all, func(e logged) bool {
				for name := range query {
					if !eventMatches[name](e, strings.TrimSpace(query.Get(name))) { // a query's white space is cut off
						return true
					}
				}
				return false
			})
			order := m.pick([]string{"created", "pk"})
			slices.SortFunc(found, func(a, b logged) int { return cmp.Or(compareEvents[order](a, b), cmp.Compare(a.PK, b.PK)) })
			var keys []string
			for _, e := range found {
				keys = append(keys, e.PK)
			}
			query.Set("ordering", order)
			query.Set("page_size", fmt.Sprint(1+m.r.IntN(9)))
			if diff := gocmp.Diff(keys, f.listed(query.Encode())); diff != "" {
				t.Errorf("%s: %s", query.Encode(), diff)
			}
		}
	})
}

// TestFiltersWithoutAnIndexGoByThatOfSearch makes sure of it by a zone that cannot be read.
func TestFiltersWithoutAnIndexGoByThatOfSearch(t *testing.T) {
	for _, path := range []string{eventsPath + "?app=app1", eventsPath + "?app=app1&action=login", eventsPath + "?app=app1&ordering=pk", eventsPath + "volume/?app=app1", eventsPath + "?context_model_name=x"} {
		sqlite(t, func(t *testing.T, f *fixture) {
			f.zones()
			f.exec(t, "INSERT INTO event_past (span, start, action, count) VALUES (0, 0, 'login', 10000)")
			f.exec(t, "UPDATE event_trigram SET data = zeroblob(100)")
			f.must(200, "GET", path, "")
			if n := f.row("SELECT count(*) FROM event_zone"); n == 3 {
				t.Errorf("%s did not read the index of search", path)
			}
		})
	}
}

// TestATimeOfManyEventsIsNotCounted has counters of more events than there are: to count would take as long as they are many.
func TestATimeOfManyEventsIsNotCounted(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		day := time.Now().UTC().Truncate(24 * time.Hour).Add(-48 * time.Hour)
		f.exec(t, fmt.Sprintf("INSERT INTO event_hour (hour, action, slot, count) VALUES (%d, 'login', 0, 20000)", day.Add(3*time.Hour).UnixMicro()))
		for _, test := range []struct {
			from, until time.Duration
			query       string
			want        int64
		}{
			{3 * time.Hour, 4 * time.Hour, "", countedMatches},
			{0, 24 * time.Hour, "&action=login", countedMatches},
			{0, 24 * time.Hour, "&action=logout", 0},
			{0, 24 * time.Hour, "&app=x", 0},
			{3*time.Hour + time.Minute, 5 * time.Hour, "", 0},
			{2 * time.Hour, 4*time.Hour - time.Minute, "", 0},
			{4 * time.Hour, 24 * time.Hour, "", 0},
		} {
			query := url.Values{"created__gte": {day.Add(test.from).Format(time.RFC3339)}, "created__lt": {day.Add(test.until).Format(time.RFC3339)}}
			err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
				q := parsed(t, eventList, query.Encode()+test.query)
				s, err := selectEvents(tx, q)
				if err != nil {
					return err
				}
				list := s.list(q)
				if n, exact, err := list.Counted(tx); err != nil || n != test.want || exact == (test.want > 0) {
					t.Errorf("%v%s: %d and not %d (exact: %v), %v", query, test.query, n, test.want, exact, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}
