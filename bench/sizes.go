package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// The words to search for in a database that -fill has made, and the letters of them that nothing else holds.
const (
	oftenWord, oftenLetters   = "gateway", "tew" // in one of 3 events
	seldomWord, seldomLetters = "quokka", "okk"  // in one of 1,000
	noWord                    = "zzyzx"
)

// The reads whose cost must not grow with the log, and those that have a bound of their own at a million.
const (
	firstPage    = "Events, first page"
	deepPage     = "Events, deep page"
	byAction     = "Events of an action"
	byUser       = "Events of a user"
	byAddress    = "Events of an address"
	byTime       = "Events of a day"
	countRow     = "Events, how many"
	volumeRow    = "Volume"
	volumeDays   = "Volume by action, 7 days"
	monthRow     = "Per month"
	topRow       = "Top per user"
	oftenSearch  = "Search: a word in one of 3"
	seldomSearch = "Search: a word in one of 1,000"
	oftenThree   = "Search: three letters in one of 3"
	seldomThree  = "Search: three letters in one of 1,000"
	emptySearch  = "Search: no hit"
)

// sizedName is the name of a row on a database with so many events.
func sizedName(name string, events int) string { return name + "; " + thousands(events) + " events" }

// thousands is a number as it is read.
func thousands(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprint(n/1_000_000, " million")
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprint(n/1000, " thousand")
	}
	return fmt.Sprint(n)
}

// sizedServer is the server on a database with so many events.
func sizedServer(events int) string { return fmt.Sprint("events-", events) }

// sized answers the server on a database with so many events.
func (b *bench) sized(ctx context.Context, events int) (*belfry, error) {
	if server := b.servers[sizedServer(events)]; server != nil {
		return server, nil
	}
	path, err := b.filled(events)
	if err != nil {
		return nil, err
	}
	return b.start(ctx, sizedServer(events), path)
}

// read is what is asked of a filled database: paths, and what their answers hold.
type read struct {
	name  string
	paths func(s *surroundings) []asked
}

type asked struct{ path, contains string }

// reads are what is asked of every filled database.
var reads = []read{
	{firstPage, one(eventsPath, `"end_index":100}`)},
	{deepPage, func(s *surroundings) []asked {
		return []asked{{fmt.Sprintf("%s?page=%d&page_size=100", eventsPath, s.deep), fmt.Sprintf(`"end_index":%d}`, s.deep*100)}}
	}},
	{byAction, one(eventsPath+"?action=logout", `"action":"logout"`)},
	{byUser, func(s *surroundings) []asked { return s.each("username", s.users) }},
	{byAddress, func(s *surroundings) []asked { return s.each("client_ip", s.addresses) }},
	{byTime, func(s *surroundings) []asked {
		day := url.Values{"created__gte": {s.day.Format(time.RFC3339)}, "created__lt": {s.day.Add(24 * time.Hour).Format(time.RFC3339)}}
		return []asked{{eventsPath + "?" + day.Encode(), `"created":"` + s.day.Add(24*time.Hour-time.Second).Format("2006-01-02T15")}}
	}},
	{countRow, func(s *surroundings) []asked {
		return []asked{{eventsPath + "?page_size=1", fmt.Sprintf(`"count":%d,`, s.count)}}
	}},
	{"Notifications, first page", one(notificationsPath, `"end_index":100}`)},
	{oftenSearch, one(eventsPath+"?search="+oftenWord, oftenWord)},
	{seldomSearch, one(eventsPath+"?search="+seldomWord, seldomWord)},
	{oftenThree, one(eventsPath+"?search="+oftenLetters, oftenLetters)},
	{seldomThree, one(eventsPath+"?search="+seldomLetters, seldomLetters)},
	{emptySearch, one(eventsPath+"?search="+noWord, `"end_index":0}`)},
	{volumeRow, one(eventsPath+"volume/", `"x_cord":`)},
	{volumeDays, one(eventsPath+"volume/?history_days=7", `"action":"logout"`)},
	{monthRow, one(eventsPath+"per_month/?action=logout", `"x_cord":`)},
	{topRow, one(eventsPath+"top_per_user/?action=authorize_application&top_n=15", `"unique_users":`)},
}

// one asks the same of every database.
func one(path, contains string) func(*surroundings) []asked {
	return func(*surroundings) []asked { return []asked{{path, contains}} }
}

// surroundings are what is known of a filled database before it is read.
type surroundings struct {
	count            int // of events
	deep             int // the number of a page of 100 far behind
	day              time.Time
	users, addresses []string // the most frequent ones
}

// each asks for each of some values of a filter.
func (s *surroundings) each(filter string, values []string) (all []asked) {
	for _, value := range values {
		all = append(all, asked{eventsPath + "?" + url.Values{filter: {value}}.Encode(), `"` + value + `"`})
	}
	return all
}

// look reads what the other requests are made of.
func (b *belfry) look(ctx context.Context, events int) (*surroundings, error) {
	var page struct {
		Pagination struct{ Count int }
		Results    []struct {
			User     struct{ Username string }
			ClientIP string `json:"client_ip"`
			Created  time.Time
		}
	}
	if err := b.read(ctx, eventsPath+"?page_size=1000", &page); err != nil {
		return nil, err
	}
	if page.Pagination.Count < events || len(page.Results) < 1000 {
		return nil, fmt.Errorf("there are %d events and not %d", page.Pagination.Count, events)
	}
	users, addresses := map[string]int{}, map[string]int{}
	for _, e := range page.Results {
		users[e.User.Username]++
		addresses[e.ClientIP]++
	}
	return &surroundings{count: page.Pagination.Count, deep: min(1000, page.Pagination.Count/100),
		day:   page.Results[0].Created.UTC().Truncate(24 * time.Hour).Add(-10 * 24 * time.Hour),
		users: mostFrequent(users), addresses: mostFrequent(addresses)}, nil
}

// mostFrequent are four of the values, without the empty one.
func mostFrequent(counts map[string]int) []string {
	delete(counts, "")
	values := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	return values[:min(4, len(values))]
}

// sizeRows are the reads of a database with so many events. On the smallest many clients ask at the same time, too.
func (b *bench) sizeRows(events int, smallest bool) (rows []*row) {
	connections := []int{1}
	if smallest {
		connections = []int{1, 64}
	}
	for _, read := range reads {
		s := scene{name: sizedName(read.name, events), connections: connections,
			host: func(ctx context.Context) (host, error) {
				server, err := b.sized(ctx, events)
				if err != nil {
					return host{}, err
				}
				return server.host(), nil
			},
			prepare: func(ctx context.Context) (w workload, err error) {
				server, err := b.sized(ctx, events)
				if err != nil {
					return w, err
				}
				s, err := server.look(ctx, events)
				if err != nil {
					return w, err
				}
				w.Status = http.StatusOK
				for _, a := range read.paths(s) {
					w.Targets = append(w.Targets, target{[]exchange{{buildRequest(http.MethodGet, a.path, token, ""), a.contains}}})
				}
				return w, nil
			}}
		rows = append(rows, b.sceneRows(s)...)
	}
	return rows
}

// fileSize is what a database has on disk, with its log.
func fileSize(database string) (size int64, err error) {
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(database + suffix)
		if err == nil {
			size += info.Size()
		} else if suffix == "" {
			return 0, err
		}
	}
	return size, nil
}
