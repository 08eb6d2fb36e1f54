package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
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
	connections int // 0 where there are none; such a row is not compared with the ceiling
	measure     func(ctx context.Context) (sample, error)
	samples     []sample
}

func (r *row) title() string {
	if r.connections == 0 {
		return r.name
	}
	return fmt.Sprintf("%s, %d connections", r.name, r.connections)
}

// ceilingName is the row that the others are compared with.
const ceilingName = "Ceiling: PATCH seen, nothing stored"

// scene is what a load generator asks of a server.
type scene struct {
	name string
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
	ceiling, err := b.startCeiling(ctx, keys[0])
	if err != nil {
		return nil, err
	}
	scenes := append([]scene{{ceilingName, seenWorkload(ceiling, keys[:b.items])}}, b.belfry.scenes(keys[:b.items], keys[b.items:])...)
	for _, s := range scenes {
		load, err := b.child(ctx, "load", s.workload)
		if err != nil {
			return nil, err
		}
		for _, n := range b.connections {
			rows = append(rows, &row{name: s.name, connections: n, measure: func(context.Context) (sample, error) {
				return load.measure(order{Connections: n, Warm: b.time / 10, Time: b.time})
			}})
		}
	}
	return rows, nil
}

// startCeiling starts the ceiling with a notification of Belfry's to answer, and answers its address.
func (b *bench) startCeiling(ctx context.Context, key string) (address string, err error) {
	text, err := b.belfry.call(ctx, http.MethodGet, notificationsPath+key+"/", "", http.StatusOK)
	if err != nil {
		return "", err
	}
	n, err := cutNotification(text)
	if err != nil {
		return "", err
	}
	c, err := b.child(ctx, "ceiling", n)
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
	return []scene{
		{"PATCH seen", seenWorkload(b.address, seen)},
		{"PATCH seen and event", nestedWorkload(b.address, nested)},
		{"POST event, no rule matches", b.repeat("POST", eventsPath, unmatched, http.StatusCreated, `"action":"login"`)},
		{"POST event, a rule notifies", b.repeat("POST", eventsPath, matched, http.StatusCreated, `"action":"configuration_error"`)},
		{"GET notification", read},
		{"GET notifications, first 100", b.repeat("GET", notificationsPath, "", http.StatusOK, `"end_index":100}`)},
		{"Search events, a word of many", b.repeat("GET", eventsPath+"?search=portal", "", http.StatusOK, `"end_index":100}`)},
		{"Search events, three letters", b.repeat("GET", eventsPath+"?search=ssw", "", http.StatusOK, `"end_index":100}`)},
		{"Search events, no hit", b.repeat("GET", eventsPath+"?search=zzyzx", "", http.StatusOK, `"end_index":0}`)},
	}
}

// repeat asks the same all the time.
func (b *belfry) repeat(method, path, body string, status int, contains string) workload {
	return workload{Address: b.address, Status: status,
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
