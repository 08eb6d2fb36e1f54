package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

const (
	eventsPath        = "/api/v3/events/events/"
	notificationsPath = "/api/v3/events/notifications/"

	// matched is an event that a rule of the first start makes a notification of, and a mail; one rule matches onefold
	// and ten match tenfold, for the inbox; nothing matches unmatched.
	matched   = `{"action":"configuration_error","app":"backup","context":{"message":"The disk is 91 % full"},"client_ip":"192.0.2.7"}`
	onefold   = `{"action":"custom_onefold","app":"backup","context":{"message":"The disk is 91 % full"},"client_ip":"192.0.2.7"}`
	tenfold   = `{"action":"custom_tenfold","app":"backup","context":{"message":"The disk is 91 % full"},"client_ip":"192.0.2.7"}`
	unmatched = `{"action":"login","app":"portal","user":{"pk":7,"username":"alice"},"context":{"auth_method":"password"},"client_ip":"192.0.2.7"}`
)

// The rows that others are compared with.
const (
	seenCeiling  = "Ceiling: PATCH seen, nothing stored"
	eventCeiling = "Ceiling: POST event, nothing stored"
	syncCeiling  = "Ceiling: PATCH seen, an fsync each"
)

// The rows that the aims are about.
const (
	seenRow      = "PATCH seen"
	grownRow     = "PATCH seen in a log that grows"
	unmatchedRow = "POST event, no rule matches"
	matchedRow   = "POST event, a rule notifies"
)

// writeRows are the single requests that change something, their ceilings, and the reading of what they change.
func (b *bench) writeRows() (rows []*row) {
	nested := b.on("main", "PATCH seen and event", seenCeiling, func(ctx context.Context, server *belfry) (workload, error) {
		keys, err := server.inbox(ctx, 2*b.items)
		return nestedWorkload(keys[min(b.items, len(keys)):]), err
	})
	posts := []scene{
		b.on("main", unmatchedRow, eventCeiling, posting(unmatched, `"action":"login"`)),
		b.on("one", matchedRow, eventCeiling, func(ctx context.Context, server *belfry) (workload, error) {
			return again("POST", eventsPath, onefold, http.StatusCreated, `"action":"custom_onefold"`), server.matchFor(ctx, "custom_onefold", 1)
		}),
		b.on("ten", "POST event, ten rules notify", eventCeiling, func(ctx context.Context, server *belfry) (workload, error) {
			return again("POST", eventsPath, tenfold, http.StatusCreated, `"action":"custom_tenfold"`), server.matchFor(ctx, "custom_tenfold", 10)
		}),
		b.on("main", "POST event, a rule notifies, and mails", eventCeiling, posting(matched, `"action":"configuration_error"`)),
	}
	nested.adds = 1 // its trail
	for i := range posts {
		posts[i].adds = 1
	}
	get := b.on("main", "GET notification", "", func(ctx context.Context, server *belfry) (workload, error) {
		keys, err := server.inbox(ctx, 2*b.items)
		w := workload{Status: http.StatusOK}
		for _, key := range keys {
			w.Targets = append(w.Targets, target{[]exchange{{buildRequest("GET", notificationsPath+key+"/", token, ""), key}}})
		}
		return w, err
	})
	get.traced = nil
	// The other rows leave behind what they post, more with each run: the main job has a database of its own, and is measured in
	// theirs too.
	grown := b.on("main", grownRow, seenCeiling, b.seenScene)
	grown.traced = nil // it syncs as the row before does
	scenes := append(b.ceilingScenes(), b.on("seen", seenRow, seenCeiling, b.seenScene), grown, nested)
	for _, s := range append(append(scenes, posts...), get) {
		rows = append(rows, b.sceneRows(s)...)
	}
	return rows
}

// ceilingScenes are what is asked of the ceilings: of one that stores nothing, and of one that syncs before it answers,
// by which one client at a time is measured.
func (b *bench) ceilingScenes() []scene {
	seen := func(ctx context.Context) (workload, error) {
		server, err := b.server(ctx, "main")
		if err != nil {
			return workload{}, err
		}
		return b.seenScene(ctx, server)
	}
	post := func(ctx context.Context) (workload, error) { return posting(unmatched, `"action":"login"`)(ctx, nil) }
	bare := func(context.Context) (host, error) { return b.bare() }
	return []scene{
		{name: seenCeiling, ceiling: seenCeiling, host: bare, prepare: seen},
		{name: eventCeiling, ceiling: eventCeiling, host: bare, prepare: post},
		{name: syncCeiling, ceiling: seenCeiling, connections: []int{1}, prepare: seen,
			host: func(context.Context) (host, error) { return b.syncing() }},
	}
}

// cutAnswers cuts answers of Belfry's for the ceilings.
func (b *bench) cutAnswers(ctx context.Context) (answers plainAnswers, err error) {
	server, err := b.server(ctx, "main")
	if err != nil {
		return answers, err
	}
	keys, err := server.inbox(ctx, 2*b.items)
	if err != nil {
		return answers, err
	}
	notification, err1 := server.call(ctx, http.MethodGet, notificationsPath+keys[0]+"/", "", http.StatusOK)
	event, err2 := server.call(ctx, http.MethodPost, eventsPath, unmatched, http.StatusCreated)
	if err := errors.Join(err1, err2); err != nil {
		return answers, err
	}
	answers.Notification, err1 = cutNotification(notification)
	answers.Event, err2 = cutEvent(event)
	return answers, errors.Join(err1, err2)
}

// startCeiling starts a ceiling; it syncs a file before each answer where one is named. It must answer as much as Belfry.
func (b *bench) startCeiling(ctx context.Context, syncFile string) (h host, err error) {
	answers, err := b.plain()
	if err != nil {
		return h, err
	}
	answers.SyncFile = syncFile
	c, err := b.child(ctx, "ceiling", answers)
	if err != nil {
		return h, err
	}
	h.pid = c.process.Process.Pid
	if err := c.hear(&h.address); err != nil {
		return h, err
	}
	return h, sameSize(ctx, h.address, b.servers["main"].address)
}

// sameSize posts the same event to all addresses: they must answer as much.
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

// seenScene marks notifications as seen.
func (b *bench) seenScene(ctx context.Context, server *belfry) (workload, error) {
	keys, err := server.inbox(ctx, 2*b.items)
	return seenWorkload(keys[:min(b.items, len(keys))]), err
}

// posting posts the same event all the time.
func posting(body, contains string) func(context.Context, *belfry) (workload, error) {
	return func(context.Context, *belfry) (workload, error) {
		return again("POST", eventsPath, body, http.StatusCreated, contains), nil
	}
}

// again asks the same all the time.
func again(method, path, body string, status int, contains string) workload {
	return workload{Status: status, Targets: []target{{[]exchange{{buildRequest(method, path, token, body), contains}}}}}
}

// seenWorkload marks notifications as seen, and as not seen the next time, so that every request changes its row.
func seenWorkload(keys []string) workload {
	w := workload{Status: http.StatusOK}
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
func nestedWorkload(keys []string) workload {
	w := workload{Status: http.StatusOK}
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

// matchFor makes rules that match an action, each with a notification of akadmin's in the inbox.
func (b *belfry) matchFor(ctx context.Context, action string, rules int) error {
	groups, err := b.list(ctx, "/api/v3/core/groups/")
	if err != nil {
		return err
	}
	policy, err := b.make(ctx, "/api/v3/policies/event_matcher/", map[string]any{"name": action, "action": action})
	if err != nil {
		return err
	}
	for i := range rules {
		rule, err := b.make(ctx, "/api/v3/events/rules/", map[string]any{"name": fmt.Sprint(action, " ", i), "group": groups[0]})
		if err != nil {
			return err
		}
		if _, err := b.make(ctx, "/api/v3/policies/bindings/", map[string]any{"policy": policy, "target": rule, "order": 0}); err != nil {
			return err
		}
	}
	event, err := b.make(ctx, eventsPath, map[string]any{"action": action, "app": "bench"})
	if err != nil {
		return err
	}
	told, err := b.list(ctx, notificationsPath+"?event="+event)
	if err == nil && len(told) != rules {
		err = fmt.Errorf("%d rules made %d notifications", rules, len(told))
	}
	return err
}
