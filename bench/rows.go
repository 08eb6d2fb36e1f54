package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	eventsPath        = "/api/v3/events/events/"
	notificationsPath = "/api/v3/events/notifications/"

	// matched is an event that a rule of the first start makes a notification of; nothing matches unmatched.
	matched   = `{"action":"configuration_error","app":"backup","context":{"message":"The disk is 91 % full"},"client_ip":"192.0.2.7"}`
	unmatched = `{"action":"login","app":"portal","user":{"pk":7,"username":"alice"},"context":{"auth_method":"password"},"client_ip":"192.0.2.7"}`
)

// row is a line of the table and how it is measured.
type row struct {
	name        string
	connections int    // 0 where there are none
	ceiling     string // the name of the row that it is compared with, at the same number of connections; "" for none
	measure     func(ctx context.Context) (sample, error)
	samples     []sample
}

func (r *row) title() string {
	if r.connections == 0 {
		return r.name
	}
	return fmt.Sprintf("%s, %d connections", r.name, r.connections)
}

// The rows that others are compared with.
const (
	seenCeiling  = "Ceiling: PATCH seen, nothing stored"
	eventCeiling = "Ceiling: POST event, nothing stored"
	syncCeiling  = "Ceiling: PATCH seen, an fsync each"
)

// chosen are the rows whose title matches, and those that they are compared with.
func chosen(rows []*row, only *regexp.Regexp) []*row {
	if only == nil {
		return rows
	}
	wanted := map[*row]bool{}
	for _, r := range rows {
		if !only.MatchString(r.title()) {
			continue
		}
		wanted[r] = true
		for _, other := range rows {
			compared := other.name == r.ceiling || other.name == syncCeiling && r.ceiling == seenCeiling
			if compared && other.connections == r.connections {
				wanted[other] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return !wanted[r] })
}

// scene is what a load generator asks of a server.
type scene struct {
	name, ceiling string
	connections   []int // nil for all that are asked for
	workload
}

// rows prepares all that is measured, in the order of the table.
func (b *bench) rows(ctx context.Context) ([]*row, error) {
	rows := []*row{
		{name: "Disk: 4 KiB write + fsync", measure: func(ctx context.Context) (sample, error) { return measureSync(ctx, b.dir, b.time) }},
		{name: "SQLite: rows updated, 64 a commit", measure: func(ctx context.Context) (sample, error) { return b.sqlite.measure(ctx, b.time) }},
	}
	keys, err := b.belfry.makeNotifications(ctx, 2*b.items)
	if err != nil {
		return nil, fmt.Errorf("make notifications: %w", err)
	}
	bare, err := b.ceilings(ctx, keys[:b.items])
	if err != nil {
		return nil, err
	}
	for _, s := range append(bare, b.belfry.scenes(keys[:b.items], keys[b.items:])...) {
		load := sync.OnceValues(func() (*child, error) { return b.child(ctx, "load", s.workload) })
		for _, n := range b.connections {
			if s.connections != nil && !slices.Contains(s.connections, n) {
				continue
			}
			rows = append(rows, &row{name: s.name, connections: n, ceiling: s.ceiling, measure: func(context.Context) (sample, error) {
				child, err := load()
				if err != nil {
					return sample{}, err
				}
				return child.measure(order{Connections: n, Warm: b.time / 10, Time: b.time})
			}})
		}
	}
	return chosen(rows, b.only), nil
}

// ceilings starts the ceilings, with Belfry's own answers to cut up, and answers what is asked of them: of one that stores
// nothing, and of one that syncs before it answers, by which one client at a time is measured.
func (b *bench) ceilings(ctx context.Context, keys []string) ([]scene, error) {
	notification, err := b.belfry.call(ctx, http.MethodGet, notificationsPath+keys[0]+"/", "", http.StatusOK)
	if err != nil {
		return nil, err
	}
	event, err := b.belfry.call(ctx, http.MethodPost, eventsPath, unmatched, http.StatusCreated)
	if err != nil {
		return nil, err
	}
	var answers plainAnswers
	var err1, err2 error
	answers.Notification, err1 = cutNotification(notification)
	answers.Event, err2 = cutEvent(event)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	bare, err := b.startCeiling(ctx, answers)
	if err != nil {
		return nil, err
	}
	if err := sameSize(ctx, bare, b.belfry.address); err != nil {
		return nil, err
	}
	answers.SyncFile = filepath.Join(b.dir, "sync-each")
	syncing, err := b.startCeiling(ctx, answers)
	if err != nil {
		return nil, err
	}
	return []scene{
		{name: seenCeiling, ceiling: seenCeiling, workload: seenWorkload(bare, keys)},
		{name: eventCeiling, ceiling: eventCeiling, workload: unmatchedWorkload(bare)},
		{name: syncCeiling, ceiling: seenCeiling, connections: []int{1}, workload: seenWorkload(syncing, keys)},
	}, nil
}

// sameSize posts the same event to the ceiling and to Belfry: both must answer as much.
func sameSize(ctx context.Context, addresses ...string) error {
	var sizes []int
	for _, address := range addresses {
		c, err := dial(ctx, address)
		if err != nil {
			return err
		}
		defer c.Close()
		status, body, err := c.send(buildRequest(http.MethodPost, eventsPath, token, unmatched))
		if err != nil {
			return err
		}
		if sizes = append(sizes, len(body)); status != http.StatusCreated || len(body) != sizes[0] {
			return fmt.Errorf("the ceiling answers a POST with %d bytes, belfry with %d %s", sizes[0], status, body)
		}
	}
	return nil
}

// startCeiling starts a ceiling with answers of Belfry's, and answers its address.
func (b *bench) startCeiling(ctx context.Context, answers plainAnswers) (address string, err error) {
	c, err := b.child(ctx, "ceiling", answers)
	if err != nil {
		return "", err
	}
	err = c.hear(&address)
	return address, err
}

// scenes are what is measured of Belfry. Two of them change notifications, each its own.
func (b *belfry) scenes(seen, nested []string) []scene {
	read := workload{Address: b.address, Status: http.StatusOK}
	for _, key := range seen {
		read.Targets = append(read.Targets, target{[]exchange{{buildRequest("GET", notificationsPath+key+"/", token, ""), key}}})
	}
	list := func(name, path, contains string) scene {
		return scene{name: name, workload: again(b.address, "GET", path, "", http.StatusOK, contains)}
	}
	return []scene{
		{name: "PATCH seen", ceiling: seenCeiling, workload: seenWorkload(b.address, seen)},
		{name: "PATCH seen and event", ceiling: seenCeiling, workload: nestedWorkload(b.address, nested)},
		{name: "POST event, no rule matches", ceiling: eventCeiling, workload: unmatchedWorkload(b.address)},
		{name: "POST event, a rule notifies", ceiling: eventCeiling, workload: again(b.address, "POST", eventsPath, matched, http.StatusCreated, `"action":"configuration_error"`)},
		{name: "GET notification", workload: read},
		list("GET notifications, first 100", notificationsPath, `"end_index":100}`),
		list("Search events, a word of many", eventsPath+"?search=portal", `"end_index":100}`),
		list("Search events, three letters", eventsPath+"?search=ssw", `"end_index":100}`),
		list("Search events, no hit", eventsPath+"?search=zzyzx", `"end_index":0}`),
	}
}

// unmatchedWorkload posts an event that no rule matches.
func unmatchedWorkload(address string) workload {
	return again(address, http.MethodPost, eventsPath, unmatched, http.StatusCreated, `"action":"login"`)
}

// again asks the same all the time.
func again(address, method, path, body string, status int, contains string) workload {
	return workload{Address: address, Status: status,
		Targets: []target{{[]exchange{{buildRequest(method, path, token, body), contains}}}}}
}

// seenWorkload marks notifications as seen, and as not seen the next time, so that every request changes its row.
func seenWorkload(address string, keys []string) workload {
	w := workload{Address: address, Status: http.StatusOK}
	for _, key := range keys {
		var t target
		for _, seen := range []string{`"seen":true`, `"seen":false`} {
			t.Exchanges = append(t.Exchanges, exchange{buildRequest("PATCH", notificationsPath+key+"/", token, "{"+seen+"}"), seen})
		}
		w.Targets = append(w.Targets, t)
	}
	return w
}

// nestedWorkload changes notifications and their events; each request leaves a trail.
func nestedWorkload(address string, keys []string) workload {
	w := workload{Address: address, Status: http.StatusOK}
	for _, key := range keys {
		var t target
		for _, change := range []struct{ seen, message string }{{"true", "The disk was 91 % full"}, {"false", "The disk is 92 % full"}} {
			body := fmt.Sprintf(`{"seen":%s,"event":{"context":{"message":"%s"}}}`, change.seen, change.message)
			t.Exchanges = append(t.Exchanges, exchange{buildRequest("PATCH", notificationsPath+key+"/", token, body), change.message})
		}
		w.Targets = append(w.Targets, t)
	}
	return w
}

// list is an answer with many objects.
type list struct {
	Results []struct {
		PK string `json:"pk"`
	} `json:"results"`
}

func (b *belfry) list(ctx context.Context, path string) (keys []string, err error) {
	text, err := b.call(ctx, http.MethodGet, path, "", http.StatusOK)
	if err != nil {
		return nil, err
	}
	var l list
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, one := range l.Results {
		keys = append(keys, one.PK)
	}
	return keys, nil
}

// makeNotifications posts events until akadmin has so many notifications, and answers their keys.
func (b *belfry) makeNotifications(ctx context.Context, count int) (keys []string, err error) {
	const atOnce = 16
	failed := make(chan error, atOnce)
	for i := range atOnce {
		go func() {
			var err error
			for n := i; n < count && err == nil; n += atOnce {
				_, err = b.call(ctx, http.MethodPost, eventsPath, matched, http.StatusCreated)
			}
			failed <- err
		}()
	}
	for range atOnce {
		err = errors.Join(err, <-failed)
	}
	for page := 1; err == nil && len(keys) < count; page++ {
		var more []string
		if more, err = b.list(ctx, fmt.Sprintf("%s?ordering=created&page_size=1000&page=%d", notificationsPath, page)); err == nil {
			keys = append(keys, more...)
		}
	}
	return keys, err
}

// verify looks behind the answers: the newest event that a rule matches has its one notification, and nothing was logged
// as failed.
func (b *belfry) verify(ctx context.Context) error {
	events, err := b.list(ctx, eventsPath+"?action=configuration_error&page_size=1")
	if err != nil || len(events) == 0 {
		return errors.Join(errors.New("no event was kept"), err)
	}
	notifications, err := b.list(ctx, notificationsPath+"?event="+events[0])
	if err != nil || len(notifications) != 1 {
		return errors.Join(fmt.Errorf("the newest event has %d notifications", len(notifications)), err)
	}
	if log := b.log.String(); strings.Contains(log, `"level":"ERROR"`) {
		return fmt.Errorf("belfry logged an error:\n%s", log)
	}
	return nil
}
