package main

import (
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// parsed reads a query as the list does.
func parsed(t *testing.T, spec *drf.ListSpec, query string) *drf.Query {
	t.Helper()
	q, err := spec.Parse(httptest.NewRequest("GET", "/?"+query, nil))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// noSuchPage is err, but nil where a page lies behind the end of a list.
func noSuchPage(err error) error {
	if answer, ok := errors.AsType[*drf.Error](err); ok && answer.Status == 404 {
		return nil
	}
	return err
}

// filtersOfEvents are values for each filter of the list, and the index that finds the events. Those of one brand are read
// in the order of time, with all others.
var filtersOfEvents = map[string][2]string{
	"action": {"log", "event_action"}, "actions": {"login", "event_action"}, "username": {"amber", "event_username"},
	"client_ip": {"10.0.0.1", "event_client_ip"}, "context_model_pk": {"007", "event_model_pk"}, "context_authorized_app": {"a1", "event_application_pk"},
	"created__gte": {"2020-01-01", "event_created"}, "created__lt": {"2120-01-01", "event_created"}, "brand_name": {"one", "event_created"},
}

// searchedFilters are those that go by the index of search.
var searchedFilters = []string{"app", "context_model_app", "context_model_name"}

// TestEveryFilterOfEventsGoesByAnIndex asks SQLite how it reads pages by each filter, in both orders of time, near and deep. A filter
// that comes to the list comes here.
func TestEveryFilterOfEventsGoesByAnIndex(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		listedEvents(t, f)
		for _, filter := range eventList.Filters {
			with, ok := filtersOfEvents[filter.Name]
			if slices.Contains(searchedFilters, filter.Name) {
				continue // see TestFiltersWithoutAnIndexGoByThatOfSearch
			}
			if !ok {
				t.Errorf("%s is not tried", filter.Name)
			}
			for _, page := range []string{"", "&page_size=5&page=2", "&page_size=1&page=last", "&ordering=created", "&ordering=created&page_size=5&page=2"} {
				query := filter.Name + "=" + with[0] + page
				sqldbtest.WalksIndexes(t, f.db, query, with[1], func(tx *sqldb.Tx) error {
					_, err := listEvents(tx, parsed(t, eventList, query))
					return noSuchPage(err)
				})
			}
		}
	})
}

// TestTheRarerThingFindsTheEvents where several are asked for.
func TestTheRarerThingFindsTheEvents(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		listedEvents(t, f)
		f.must(201, "POST", eventsPath, `{"action":"custom_rare","app":"x","client_ip":"10.0.0.7","user":{"username":"amber"},"context":{"username":"carol"}}`)
		for query, want := range map[string]string{
			"username=amber&client_ip=10.0.0.7": "event_client_ip", "username=carol&client_ip=10.0.0.1": "event_username event_context_username",
			"username=amber&actions=custom_rare": "event_action", "client_ip=10.0.0.7&action=o": "event_client_ip", "context_model_pk=nothing&client_ip=10.0.0.7": "event_model_pk",
		} {
			var indexes []string
			err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
				s, err := selectEvents(tx, parsed(t, eventList, query))
				for _, path := range s.Paths {
					indexes = append(indexes, path.Index)
				}
				return err
			})
			if got := strings.Join(indexes, " "); err != nil || got != want {
				t.Errorf("%s goes by %s, %v", query, got, err)
			}
		}
	})
}

// TestOrdersOfEventsGoByAnIndex but for those that sort all that passes: there are no indexes for them, and they keep no more than
// the keys of what comes before the page.
func TestOrdersOfEventsGoByAnIndex(t *testing.T) {
	sorted := []string{"action", "app", "client_ip"}
	indexes := map[string]string{"created": "event_created", "expires": "event_expires", "pk": "sqlite_autoindex_event_1"}
	sqlite(t, func(t *testing.T, f *fixture) {
		listedEvents(t, f)
		for _, name := range eventList.Orderings {
			if slices.Contains(sorted, name) {
				continue
			}
			for _, query := range []string{"ordering=" + name, "ordering=-" + name, "ordering=-" + name + "&page_size=1&page=300", "ordering=" + name + "&page=last"} {
				sqldbtest.WalksIndexes(t, f.db, query, indexes[name], func(tx *sqldb.Tx) error {
					_, err := listEvents(tx, parsed(t, eventList, query))
					return err
				})
			}
		}
	})
}

// TestInboxesGoByAnIndex, one's own and everybody's.
func TestInboxesGoByAnIndex(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		other, _ := f.user("other")
		listedEvents(t, f)
		fillInboxes(t, f, 1, other)
		for _, own := range []bool{true, false} {
			for query, index := range map[string]string{
				"":                   map[bool]string{true: "notification_user", false: "notification_created"}[own],
				"seen=false":         "notification_user_seen",
				"seen=true&page=1":   "notification_user_seen",
				"user=1":             "notification_user",
				"user=1&seen=false":  "notification_user_seen",
				"severity=alert":     "",
				"body=one":           "",
				"created=2026-01-01": "", "created__gte=2020-01-01": "", "created__lt=2120-01-01": "",
			} {
				for _, page := range []string{"", "&ordering=created", "&page_size=3&page=5", "&page_size=1&page=last"} {
					sqldbtest.WalksIndexes(t, f.db, query+page, index, func(tx *sqldb.Tx) error {
						_, err := listNotifications(tx, owner{userPK: 1, all: !own}, parsed(t, notificationList, query+page))
						return noSuchPage(err)
					})
				}
			}
		}
	})
}

// TestChartsGoByAnIndex but for the people of stats, of whom there is no index.
func TestChartsGoByAnIndex(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		listedEvents(t, f)
		for filter, with := range filtersOfEvents {
			for _, query := range []string{"", filter + "=" + with[0]} {
				sqldbtest.WalksIndexes(t, f.db, query, "", func(tx *sqldb.Tx) error {
					s, err := selectMatches(tx, parsed(t, volumeList, query), 0)
					if err != nil {
						return err
					}
					return countBins(tx, s, newPoints(tx.Now(), volumeBins, volumeStep), volumeStep)
				})
			}
		}
	})
}

// TestWhatRunsByItselfGoesByAnIndex looks at what is asked every few seconds or minutes, whoever uses Belfry.
func TestWhatRunsByItselfGoesByAnIndex(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		listedEvents(t, f)
		fillInboxes(t, f, 1)
		f.exec(t, "UPDATE event SET expires = created WHERE action = 'logout'")
		now := time.Now().UnixMicro()
		for name, run := range map[string]func(tx *sqldb.Tx) error{
			"events that have expired": func(tx *sqldb.Tx) error { _, err := deleteExpired(tx, now); return err },
			"notifications that are seen": func(tx *sqldb.Tx) error {
				_, err := deleteAll(tx, []string{sqldb.NewID()}, now)
				return err
			},
			"deliveries that are settled": func(tx *sqldb.Tx) error { _, err := delivery.DeleteSettled(tx, now, sweepBatch); return err },
			"counters of nothing":         func(tx *sqldb.Tx) error { _, err := deleteEmptyCounters(tx, now); return err },
			"counters of the past":        func(tx *sqldb.Tx) error { _, err := addUp(tx); return err },
			"the newest time":             func(tx *sqldb.Tx) error { _, err := newestTime(tx); return err },
			"all seen":                    func(tx *sqldb.Tx) error { _, err := markSeen(tx, 1, seenBatch); return err },
			"the state of the server":     func(tx *sqldb.Tx) error { return new(system).read(tx) },
		} {
			t.Run(name, func(t *testing.T) { sqldbtest.WalksIndexes(t, f.db, name, "", run) })
		}
		// Its last column alone says which ones are due: of the notifications themselves none is read that stays.
		sqldbtest.WalksIndexes(t, f.db, "which notifications are due", "notification_user_seen", func(tx *sqldb.Tx) error {
			_, err := (&seenPass{before: now, size: 20}).find(tx)
			return err
		})
	})
}
