package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belfry/internal/delivery"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// trailless are the mutating verbs that leave no trail: they write events themselves, or one's own inbox, or nothing.
var trailless = []string{
	"POST /api/belfry/session/", // events of their own: TestSignInsAreInTheLog
	"DELETE /api/belfry/session/",
	"POST /api/v3/events/events/",
	"POST /api/belfry/events/",
	"POST /api/v3/events/notifications/mark_all_seen/",
	"POST /api/v3/events/system_tasks/{uuid}/run/",
	"POST /api/v3/events/transports/{uuid}/test/",
	"POST /api/v3/policies/all/cache_clear/",
	"POST /api/v3/policies/all/{policy_uuid}/test/",
	"POST /api/belfry/rules/{pbm_uuid}/dry_run/",
	"POST /api/belfry/mappings/preview/",
	"PUT /api/v3/events/notifications/{uuid}/",
	"PATCH /api/v3/events/notifications/{uuid}/",
	"DELETE /api/v3/events/notifications/{uuid}/",
}

// trailCase is a request that changes one object. In bodies and diffs <name> stands for what trailWorld.fill knows.
// Every secret in it contains the word canary.
type trailCase struct {
	route   string
	body    string
	refused string   // a body that is refused; "" where there is none, and an unknown key is refused instead
	idle    []string // bodies that change nothing
	about   string   // action, app and model
	name    string
	diff    []string // what the diff contains
}

const (
	canaryHook     = "https://hooks.example.com/canary-"
	canaryKey      = "canary-key-0123456789-0123456789-"
	canaryPassword = "canary-password"
	starsToStars   = `{"new_value":"********************","previous_value":"********************"}`
)

var trailCases = []trailCase{
	{route: "POST /api/v3/core/users/", about: "model_created authentik_core user", name: "new<n>",
		body:    `{"username":"new<n>","name":"","groups":["<group>"],"attributes":{"team":"blue","nested":[{"API_Key":"canary-1","pass":["canary-2"],"secrets":{"Key":"canary-3"}}]}}`,
		refused: `{"username":"akadmin","name":""}`,
		diff: []string{`"username":{"new_value":"new<n>","previous_value":null}`, `"groups":{"new_value":["<group>"],"previous_value":null}`,
			`{"nested":[{"API_Key":"********************","pass":["********************"],"secrets":{"Key":"********************"}}],"team":"blue"}`}},
	{route: "PUT /api/v3/core/users/{id}/", about: "model_updated authentik_core user", name: "user<n>",
		body: `{"username":"put<n>","name":"Put"}`, refused: `{}`, idle: []string{`{"username":"user<n>","name":""}`},
		diff: []string{`"username":{"new_value":"put<n>","previous_value":"user<n>"}`, `"name":{"new_value":"Put","previous_value":""}`}},
	{route: "PATCH /api/v3/core/users/{id}/", about: "model_updated authentik_core user", name: "user<n>",
		body: `{"groups":[]}`, refused: `{"username":"akadmin"}`, idle: []string{`{}`, `{"groups":["<group>"],"is_active":true}`},
		diff: []string{`"diff":{"groups":{"new_value":[],"previous_value":["<group>"]}}`}},
	{route: "DELETE /api/v3/core/users/{id}/", about: "model_deleted authentik_core user", name: "user<n>"},
	{route: "POST /api/v3/core/users/{id}/set_password/", about: "model_updated authentik_core user", name: "user<n>",
		body: `{"password":"` + canaryPassword + `"}`, refused: `{"password":"canary"}`, diff: []string{`"diff":{"password":` + starsToStars + `}`}},

	{route: "POST /api/v3/core/groups/", about: "model_created authentik_core group", name: "new<n>",
		body: `{"name":"new<n>","users":[<user>],"parent":"<group>"}`, refused: `{"name":"group<n>"}`,
		diff: []string{`"users":{"new_value":[<user>],"previous_value":null}`, `"parent":{"new_value":"<group>","previous_value":null}`}},
	{route: "PUT /api/v3/core/groups/{group_uuid}/", about: "model_updated authentik_core group", name: "group<n>",
		body: `{"name":"put<n>","parents":["<admins>"]}`, refused: `{"name":"authentik Admins"}`, idle: []string{`{"name":"group<n>"}`},
		diff: []string{`"diff":{"name":{"new_value":"put<n>","previous_value":"group<n>"},"parent":{"new_value":"<admins>","previous_value":null}}`}},
	{route: "PATCH /api/v3/core/groups/{group_uuid}/", about: "model_updated authentik_core group", name: "group<n>",
		body: `{"users":[1],"attributes":{"token":"canary"}}`, refused: `{"parent":"<group>"}`, idle: []string{`{}`, `{"users":[<user>]}`},
		diff: []string{`"users":{"new_value":[1],"previous_value":[<user>]}`, `"attributes":{"new_value":{"token":"********************"},"previous_value":{"secret":"********************"}}`}},
	{route: "DELETE /api/v3/core/groups/{group_uuid}/", about: "model_deleted authentik_core group", name: "group<n>"},
	{route: "POST /api/v3/core/groups/{group_uuid}/add_user/", about: "model_updated authentik_core group", name: "group<n>",
		body: `{"pk":1}`, refused: `{"pk":"x"}`, idle: []string{`{"pk":<user>}`},
		diff: []string{`"diff":{"users":{"new_value":[1,<user>],"previous_value":[<user>]}}`}},
	{route: "POST /api/v3/core/groups/{group_uuid}/remove_user/", about: "model_updated authentik_core group", name: "group<n>",
		body: `{"pk":<user>}`, refused: `{"pk":"x"}`, idle: []string{`{"pk":1}`},
		diff: []string{`"diff":{"users":{"new_value":[],"previous_value":[<user>]}}`}},

	{route: "POST /api/v3/core/tokens/", about: "model_created authentik_core token", name: "new<n>",
		body: `{"identifier":"new<n>","scopes":["inbox"]}`, refused: `{"identifier":"token<n>"}`,
		diff: []string{`"scopes":{"new_value":["inbox"],"previous_value":null}`}},
	{route: "PUT /api/v3/core/tokens/{identifier}/", about: "model_updated authentik_core token", name: "token<n>",
		body: `{"identifier":"put<n>","user":<user>}`, refused: `{"identifier":"belfry-first-start"}`, idle: []string{`{"identifier":"token<n>"}`},
		diff: []string{`"diff":{"identifier":{"new_value":"put<n>","previous_value":"token<n>"},"user":{"new_value":<user>,"previous_value":1}}`}},
	{route: "PATCH /api/v3/core/tokens/{identifier}/", about: "model_updated authentik_core token", name: "token<n>",
		body: `{"expiring":false}`, refused: `{"expires":"1999-01-01T00:00:00Z"}`, idle: []string{`{}`, `{"intent":"api"}`},
		diff: []string{`"diff":{"expiring":{"new_value":false,"previous_value":true}}`}},
	{route: "DELETE /api/v3/core/tokens/{identifier}/", about: "model_deleted authentik_core token", name: "token<n>"},
	{route: "POST /api/v3/core/tokens/{identifier}/set_key/", about: "model_updated authentik_core token", name: "token<n>",
		body: `{"key":"` + canaryKey + `<n>"}`, refused: `{"key":"canary"}`, diff: []string{`"diff":{"key":` + starsToStars + `}`}},

	{route: "POST /api/v3/events/rules/", about: "model_created authentik_events notificationrule", name: "new<n>",
		body: `{"name":"new<n>","group":"<group>","transports":["<transport>"]}`, refused: `{"name":"rule<n>"}`,
		diff: []string{`"transports":{"new_value":["<transport>"],"previous_value":null}`, `"group":{"new_value":"<group>","previous_value":null}`}},
	{route: "PUT /api/v3/events/rules/{pbm_uuid}/", about: "model_updated authentik_events notificationrule", name: "rule<n>",
		body: `{"name":"rule<n>","destination_group":"<admins>"}`, refused: `{}`, idle: []string{`{"name":"rule<n>","group":"<group>"}`},
		diff: []string{`"diff":{"group":{"new_value":"<admins>","previous_value":"<group>"}}`}},
	{route: "PATCH /api/v3/events/rules/{pbm_uuid}/", about: "model_updated authentik_events notificationrule", name: "rule<n>",
		body: `{"transports":[],"severity":"alert"}`, refused: `{"severity":"x"}`, idle: []string{`{}`, `{"transports":["<transport>"]}`},
		diff: []string{`"diff":{"transports":{"new_value":[],"previous_value":["<transport>"]},"severity":{"new_value":"alert","previous_value":"notice"}}`}},
	{route: "DELETE /api/v3/events/rules/{pbm_uuid}/", about: "model_deleted authentik_events notificationrule", name: "rule<n>"},

	{route: "POST /api/v3/events/transports/", about: "model_created authentik_events notificationtransport", name: "new<n>",
		body:    `{"name":"new<n>","mode":"webhook","webhook_url":"` + canaryHook + `new","secret":"` + canaryKey + `<n>"}`,
		refused: `{"name":"new<n>","mode":"webhook","secret":"canary"}`,
		diff:    []string{`"mode":{"new_value":"webhook","previous_value":null}`, `"secret":{"new_value":"********************","previous_value":null}`, `"webhook_url":{"new_value":"********************","previous_value":null}`}},
	{route: "PUT /api/v3/events/transports/{uuid}/", about: "model_updated authentik_events notificationtransport", name: "transport<n>",
		body:    `{"name":"put<n>","mode":"webhook","webhook_url":"` + canaryHook + `put"}`,
		refused: `{"name":"put<n>","webhook_url":"canary"}`, idle: []string{`{"name":"transport<n>"}`},
		diff: []string{`"diff":{"name":{"new_value":"put<n>","previous_value":"transport<n>"},"webhook_url":` + starsToStars + `}`}},
	{route: "PATCH /api/v3/events/transports/{uuid}/", about: "model_updated authentik_events notificationtransport", name: "transport<n>",
		body: `{"mode":"local","webhook_url":""}`, refused: `{"mode":"x"}`,
		idle: []string{`{}`, `{"webhook_url":"` + canaryHook + `old"}`, `{"disabled_at":null}`, `{"secret":""}`},
		diff: []string{`"diff":{"mode":{"new_value":"local","previous_value":"webhook"},"webhook_url":{"new_value":"","previous_value":"********************"}}`}},
	{route: "POST /api/belfry/deliveries/{uuid}/retry/", about: "model_updated belfry delivery", name: "transport<n> to akadmin",
		diff: []string{`"diff":{"state":{"new_value":"pending","previous_value":"dead"}}`}},
	{route: "POST /api/belfry/deliveries/{uuid}/cancel/", about: "model_updated belfry delivery", name: "transport<n> to akadmin",
		diff: []string{`"diff":{"state":{"new_value":"cancelled","previous_value":"pending"}}`}},
	{route: "POST /api/belfry/deliveries/retry/", about: "model_updated belfry delivery", name: "1 delivery",
		diff: []string{`"diff":{"state":{"new_value":"pending","previous_value":["dead"]}}`}},
	{route: "DELETE /api/v3/events/transports/{uuid}/", about: "model_deleted authentik_events notificationtransport", name: "transport<n>"},

	{route: "POST /api/v3/policies/event_matcher/", about: "model_created authentik_policies_event_matcher eventmatcherpolicy", name: "new<n>",
		body: `{"name":"new<n>","action":"login"}`, refused: `{"name":"matcher<n>"}`,
		diff: []string{`"diff":{"name":{"new_value":"new<n>","previous_value":null},"execution_logging":{"new_value":false,"previous_value":null},"action":{"new_value":"login","previous_value":null}}`}},
	{route: "PUT /api/v3/policies/event_matcher/{policy_uuid}/", about: "model_updated authentik_policies_event_matcher eventmatcherpolicy",
		name: "matcher<n>", body: `{"name":"put<n>"}`, refused: `{}`, idle: []string{`{"name":"matcher<n>"}`},
		diff: []string{`"diff":{"name":{"new_value":"put<n>","previous_value":"matcher<n>"}}`}},
	{route: "PATCH /api/v3/policies/event_matcher/{policy_uuid}/", about: "model_updated authentik_policies_event_matcher eventmatcherpolicy",
		name: "matcher<n>", body: `{"action":"login"}`, refused: `{"app":"x"}`, idle: []string{`{}`, `{"action":null}`},
		diff: []string{`"diff":{"action":{"new_value":"login","previous_value":null}}`}},
	{route: "DELETE /api/v3/policies/event_matcher/{policy_uuid}/", about: "model_deleted authentik_policies_event_matcher eventmatcherpolicy",
		name: "matcher<n>"},

	{route: "POST /api/v3/policies/expression/", about: "model_created authentik_policies_expression expressionpolicy", name: "new<n>",
		body: `{"name":"new<n>","expression":"return 'canary'"}`, refused: `{"name":"new<n>"}`,
		diff: []string{`"expression":{"new_value":"********************","previous_value":null}`}},
	{route: "PUT /api/v3/policies/expression/{policy_uuid}/", about: "model_updated authentik_policies_expression expressionpolicy",
		name: "expression<n>", body: `{"name":"expression<n>","expression":"return 'canary-put'"}`, refused: `{}`,
		idle: []string{`{"name":"expression<n>","expression":"return 'canary'"}`}, diff: []string{`"diff":{"expression":` + starsToStars + `}`}},
	{route: "PATCH /api/v3/policies/expression/{policy_uuid}/", about: "model_updated authentik_policies_expression expressionpolicy",
		name: "expression<n>", body: `{"name":"patch<n>"}`, refused: `{"expression":""}`, idle: []string{`{}`, `{"expression":"return 'canary'"}`},
		diff: []string{`"diff":{"name":{"new_value":"patch<n>","previous_value":"expression<n>"}}`}},
	{route: "DELETE /api/v3/policies/expression/{policy_uuid}/", about: "model_deleted authentik_policies_expression expressionpolicy",
		name: "expression<n>"},
	{route: "DELETE /api/v3/policies/all/{policy_uuid}/", about: "model_deleted authentik_policies_expression expressionpolicy",
		name: "expression<n>"},

	{route: "POST /api/v3/propertymappings/notification/", about: "model_created authentik_events notificationwebhookmapping", name: "new<n>",
		body: `{"name":"new<n>","expression":"return {'key': 'canary'}"}`, refused: `{"name":"mapping<n>","expression":"return 1"}`,
		diff: []string{`"expression":{"new_value":"********************","previous_value":null}`}},
	{route: "PUT /api/v3/propertymappings/notification/{pm_uuid}/", about: "model_updated authentik_events notificationwebhookmapping",
		name: "mapping<n>", body: `{"name":"mapping<n>","expression":"return {'key': 'canary-put'}"}`, refused: `{}`,
		idle: []string{`{"name":"mapping<n>","expression":"return {'key': 'canary'}"}`}, diff: []string{`"diff":{"expression":` + starsToStars + `}`}},
	{route: "PATCH /api/v3/propertymappings/notification/{pm_uuid}/", about: "model_updated authentik_events notificationwebhookmapping",
		name: "mapping<n>", body: `{"name":"patch<n>"}`, refused: `{"name":""}`, idle: []string{`{}`, `{"name":"mapping<n>"}`},
		diff: []string{`"diff":{"name":{"new_value":"patch<n>","previous_value":"mapping<n>"}}`}},
	{route: "DELETE /api/v3/propertymappings/notification/{pm_uuid}/", about: "model_deleted authentik_events notificationwebhookmapping",
		name: "mapping<n>"},

	{route: "POST /api/v3/policies/bindings/", about: "model_created authentik_policies policybinding", name: "rule<n> #7 to Group group<n>",
		body: `{"group":"<group>","target":"<rule>","order":7}`, refused: `{"target":"<rule>","order":7}`,
		diff: []string{`"group":{"new_value":"<group>","previous_value":null}`, `"target":{"new_value":"<rule>","previous_value":null}`}},
	{route: "PUT /api/v3/policies/bindings/{policy_binding_uuid}/", about: "model_updated authentik_policies policybinding",
		name: "rule<n> #0 to Policy matcher<n>", body: `{"policy":null,"user":<user>,"target":"<rule>","order":3}`, refused: `{}`,
		idle: []string{`{"target":"<rule>","order":0}`},
		diff: []string{`"policy":{"new_value":null,"previous_value":"<matcher>"}`, `"user":{"new_value":<user>,"previous_value":null}`,
			`"order":{"new_value":3,"previous_value":0}`}},
	{route: "PATCH /api/v3/policies/bindings/{policy_binding_uuid}/", about: "model_updated authentik_policies policybinding",
		name: "rule<n> #0 to Policy matcher<n>", body: `{"negate":true}`, refused: `{"policy":null}`, idle: []string{`{}`, `{"enabled":true}`},
		diff: []string{`"diff":{"negate":{"new_value":true,"previous_value":false}}`}},
	{route: "DELETE /api/v3/policies/bindings/{policy_binding_uuid}/", about: "model_deleted authentik_policies policybinding",
		name: "rule<n> #0 to Policy matcher<n>"},

	{route: "PUT /api/v3/events/events/{event_uuid}/", about: "model_updated authentik_events event", name: "Somebody logged in",
		body: `{"action":"logout","app":"put<n>"}`, refused: `{}`, idle: []string{`{"action":"login","app":"app<n>"}`},
		diff: []string{`"diff":{"action":{"new_value":"logout","previous_value":"login"},"app":{"new_value":"put<n>","previous_value":"app<n>"}}`}},
	{route: "PATCH /api/v3/events/events/{event_uuid}/", about: "model_updated authentik_events event", name: "Somebody logged in",
		body: `{"context":{"note":"x","client_secret":"canary"}}`, refused: `{"action":"x"}`, idle: []string{`{}`, `{"app":"app<n>"}`},
		diff: []string{`"diff":{"context":{"new_value":{"client_secret":"********************","note":"x"},"previous_value":{}}}`}},
	{route: "POST /api/belfry/me/password/", about: "model_updated authentik_core user", name: "akadmin",
		body:    `{"old_password":"` + canaryPassword + `","password":"` + canaryPassword + `"}`,
		refused: `{"old_password":"` + canaryPassword + `","password":"canary"}`, diff: []string{`"diff":{"password":` + starsToStars + `}`}},
	{route: "DELETE /api/belfry/me/sessions/{uuid}/", about: "model_deleted authentik_core authenticatedsession", name: "akadmin"},
	{route: "DELETE /api/belfry/sessions/{uuid}/", about: "model_deleted authentik_core authenticatedsession", name: "akadmin"},

	{route: "DELETE /api/v3/events/events/{event_uuid}/", about: "model_deleted authentik_events event", name: "Somebody logged in"},
}

// trailWorld makes one object of each kind for every case.
type trailWorld struct {
	*fixture
	n    int
	vars map[string]string
}

// renew makes objects that nobody has touched.
func (w *trailWorld) renew() {
	w.t.Helper()
	w.n++
	w.vars["n"] = strconv.Itoa(w.n)
	for _, made := range []struct{ kind, path, body string }{
		{"user", "core/users/", `{"username":"user<n>","name":""}`},
		{"group", "core/groups/", `{"name":"group<n>","users":[<user>],"attributes":{"secret":"canary"}}`},
		{"token", "core/tokens/", `{"identifier":"token<n>"}`},
		{"transport", "events/transports/", `{"name":"transport<n>","mode":"webhook","webhook_url":"` + canaryHook + `old"}`},
		{"rule", "events/rules/", `{"name":"rule<n>","group":"<group>","transports":["<transport>"]}`},
		{"matcher", "policies/event_matcher/", `{"name":"matcher<n>","client_ip":"192.0.2.1"}`}, // matches nothing
		{"expression", "policies/expression/", `{"name":"expression<n>","expression":"return 'canary'"}`},
		{"mapping", "propertymappings/notification/", `{"name":"mapping<n>","expression":"return {'key': 'canary'}"}`},
		{"binding", "policies/bindings/", `{"policy":"<matcher>","target":"<rule>","order":0,"enabled":true}`},
		{"event", "events/events/", `{"action":"login","app":"app<n>"}`},
	} {
		r := w.must(201, "POST", "/api/v3/"+made.path, w.fill(made.body))
		w.vars[made.kind] = fmt.Sprint(r.get("pk"))
	}
	w.vars["session"] = w.must(201, "POST", "/api/belfry/session/", `{"token":"`+adminKey+`"}`).str("session", "pk")
	w.renewDeliveries()
}

// renewDeliveries makes one delivery that waits and one that is dead, the only ones.
func (w *trailWorld) renewDeliveries() {
	w.t.Helper()
	due := int64(0)
	waiting := delivery.Delivery{PK: sqldb.NewID(), EventPK: w.vars["event"], TransportName: "transport" + w.vars["n"], Username: "akadmin",
		TransportPK: w.vars["transport"], UserPK: 1, Mode: delivery.ModeWebhook, State: delivery.StatePending, Body: "canary", Due: &due}
	dead := waiting
	dead.PK, dead.State, dead.Due = sqldb.NewID(), delivery.StateDead, nil
	w.vars["waiting"], w.vars["delivery"] = waiting.PK, dead.PK
	err := w.db.Write(w.t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec("DELETE FROM delivery"); err != nil {
			return err
		}
		return delivery.Insert(tx, []delivery.Delivery{waiting, dead})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// fill puts the keys of the objects into a text.
func (w *trailWorld) fill(text string) string {
	for name, value := range w.vars {
		text = strings.ReplaceAll(text, "<"+name+">", value)
	}
	return text
}

// kindOf is which of the objects a route is about.
func kindOf(route string) string {
	switch {
	case strings.HasSuffix(route, "/cancel/"):
		return "waiting"
	case strings.HasSuffix(route, "/me/password/"):
		return "me"
	case strings.HasSuffix(route, "/sessions/{uuid}/"):
		return "session"
	}
	for prefix, kind := range map[string]string{
		"core/users/": "user", "core/groups/": "group", "core/tokens/": "token", "events/rules/": "rule",
		"events/transports/": "transport", "policies/event_matcher/": "matcher", "policies/bindings/": "binding", "events/events/": "event",
		"policies/expression/": "expression", "policies/all/": "expression", "propertymappings/notification/": "mapping", "deliveries/": "delivery",
	} {
		if strings.Contains(route, "/api/v3/"+prefix) || strings.Contains(route, "/api/belfry/"+prefix) {
			return kind
		}
	}
	return ""
}

// target is a case's method and path, on the object of its kind, with a secret in the query.
func (w *trailWorld) target(c *trailCase) (method, path string) {
	method, path, _ = strings.Cut(c.route, " ")
	key := w.vars[kindOf(c.route)]
	if kindOf(c.route) == "token" {
		key = "token" + w.vars["n"]
	}
	if before, rest, ok := strings.Cut(path, "{"); ok {
		_, after, _ := strings.Cut(rest, "}")
		path = before + key + after
	}
	return method, path + "?token=canary-query&next=home"
}

// do makes a case's request with a body.
func (w *trailWorld) do(key string, c *trailCase, body string) reply {
	w.t.Helper()
	method, path := w.target(c)
	return w.call(key, method, path, w.fill(body))
}

// trails are the records of changes so far, oldest first.
func (w *trailWorld) trails() []Event {
	w.t.Helper()
	var all []Event
	err := w.db.Read(w.t.Context(), func(tx *sqldb.Tx) (err error) {
		all, err = sqldb.All(tx, scanEvent, "SELECT "+eventColumns+" FROM event e WHERE e.origin = 'trail' ORDER BY e.created")
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// dump is all that a request can change, as text.
func (w *trailWorld) dump() string {
	w.t.Helper()
	var out strings.Builder
	err := w.db.Read(w.t.Context(), func(tx *sqldb.Tx) error {
		for _, table := range []string{"serial", "generation", "app_user", "user_group", "membership", "token", "user_session", "transport", "rule",
			"rule_transport", "mapping", "policy", "binding", "event", "notification", "delivery"} {
			if err := dumpTable(tx, table, &out); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.String()
}

func dumpTable(tx *sqldb.Tx, table string, out *strings.Builder) error {
	rows, err := tx.Query("SELECT * FROM " + table)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	var lines []string
	for rows.Next() {
		row, dest := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%s %v\n", table, row))
	}
	slices.Sort(lines)
	out.WriteString(strings.Join(lines, ""))
	return rows.Err()
}

// eachTrailCase runs test for every mutating route, with objects of its own, and looks for secrets in the end. A route
// that has no case fails it.
func eachTrailCase(t *testing.T, test func(t *testing.T, w *trailWorld, c *trailCase)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		log := &lockedBuffer{}
		w := &trailWorld{fixture: newFixture(t, db, log), vars: map[string]string{}}
		w.vars["admins"], w.vars["me"] = w.admins(), "1"
		for _, rt := range w.server.routes() {
			for _, v := range rt.verbs {
				route := v.method + " " + rt.path
				if v.method == http.MethodGet || slices.Contains(trailless, route) {
					continue
				}
				i := slices.IndexFunc(trailCases, func(c trailCase) bool { return c.route == route })
				if i < 0 {
					t.Errorf("%s has no line in trailCases", route)
					continue
				}
				t.Run(route, func(t *testing.T) {
					outer := w.t
					defer func() { w.t = outer }()
					w.t = t
					w.renew()
					test(t, w, &trailCases[i])
				})
			}
		}
		checkCanaries(t, w, log.String())
	})
}

// lockedBuffer keeps what several goroutines write.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// checkCanaries looks for secrets in the whole trail and in its notifications, and in what was logged.
func checkCanaries(t *testing.T, w *trailWorld, log string) {
	t.Helper()
	var stored strings.Builder
	for _, e := range w.trails() {
		stored.Write(EventSerializer.Append(nil, &e))
		stored.WriteByte('\n')
	}
	if stored.Len() == 0 {
		t.Error("there is no trail to look for secrets in")
	}
	err := w.db.Read(t.Context(), func(tx *sqldb.Tx) error { return dumpTable(tx, "notification", &stored) })
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"canary", adminKey, "argon2id", "Bearer"} {
		for _, where := range []string{stored.String(), log} {
			for line := range strings.Lines(where) {
				if strings.Contains(line, secret) {
					t.Errorf("%s is in %s", secret, line)
				}
			}
		}
	}
}

func TestEveryChangeWritesOneTrailEvent(t *testing.T) {
	eachTrailCase(t, func(t *testing.T, w *trailWorld, c *trailCase) {
		before := len(w.trails())
		r := w.do(adminKey, c, c.body)
		if r.status >= 300 {
			t.Fatalf("%d %s", r.status, r.text)
		}
		events := w.trails()
		if len(events) != before+1 {
			t.Fatalf("want one trail event, got %d", len(events)-before)
		}
		e := &events[before]
		pk := w.vars[kindOf(c.route)]
		if strings.Contains(c.about, "model_created") {
			pk = fmt.Sprint(r.get("pk"))
		}
		pk = strings.ReplaceAll(pk, "-", "")
		if kind := kindOf(c.route); kind != "user" && kind != "me" {
			pk = quote(pk)
		}
		words := strings.Fields(c.about)
		method, path := w.target(c)
		path, _, _ = strings.Cut(path, "?")
		model := `{"model":{"pk":` + pk + `,`
		if c.name == "1 delivery" { // as many as match are changed, and no key names them
			model = ""
		}
		for _, want := range append(c.diff,
			model+`"app":"`+words[1]+`","name":`+quote(c.name)+`,"model_name":"`+words[2]+`"}`,
			`"http_request":{"args":{"next":"home","token":"********************"},"path":"`+path+`","method":"`+method+`"}`) {
			if want = w.fill(want); !strings.Contains(string(e.Context), want) {
				t.Errorf("want %s\nin   %s", want, e.Context)
			}
		}
		if strings.Contains(c.about, "model_deleted") == strings.Contains(string(e.Context), `"diff":`) {
			t.Errorf("a diff belongs to what was made or changed: %s", e.Context)
		}
		if e.Action != words[0] || e.App != trailApp || e.User != `{"pk":1,"email":"","username":"akadmin"}` || e.ClientIP == nil || *e.ClientIP != "127.0.0.1" {
			t.Errorf("the event is %+v", e)
		}
	})
}

func TestRefusedOrIdleRequestsLeaveNoTrail(t *testing.T) {
	eachTrailCase(t, func(t *testing.T, w *trailWorld, c *trailCase) {
		_, plain := w.user("plain"+w.vars["n"], "admin")
		before := w.dump()
		unchanged := func(r reply, wanted ...int) {
			t.Helper()
			if !slices.Contains(wanted, r.status) {
				t.Errorf("%d %s", r.status, r.text)
			}
			if after := w.dump(); after != before {
				t.Errorf("a refused request has changed: %s", cmp.Diff(before, after))
			}
		}
		own := kindOf(c.route) == "me" || kindOf(c.route) == "token" && !strings.Contains(c.route, "{") // anybody may
		if !own {
			unchanged(w.do(plain, c, c.body), 403, 404)
		}
		if c.refused != "" {
			unchanged(w.do(adminKey, c, c.refused), 400, 404)
		}
		if method, path, _ := strings.Cut(c.route, " "); strings.Contains(path, "{") {
			unchanged(w.call(adminKey, method, unknownKeys.Replace(path)+"?token=canary", w.fill(c.body)), 404)
		}
		trails := len(w.trails())
		for _, body := range c.idle {
			if r := w.do(adminKey, c, body); r.status >= 300 {
				t.Errorf("%s: %d %s", body, r.status, r.text)
			}
			if n := len(w.trails()) - trails; n != 0 {
				t.Errorf("%s changes nothing and leaves %d trail events", body, n)
			}
		}
	})
}

func TestChangeWhoseTrailCannotBeWrittenIsNotMade(t *testing.T) {
	eachTrailCase(t, func(t *testing.T, w *trailWorld, c *trailCase) {
		exec := func(statement string) {
			t.Helper()
			err := w.db.Write(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(statement); return err })
			if err != nil {
				t.Fatal(err)
			}
		}
		before := w.dump()
		// The record itself can still be written, its counter cannot: all that comes before has happened by then.
		exec("ALTER TABLE event_hour RENAME TO away")
		r := w.do(adminKey, c, c.body)
		exec("ALTER TABLE away RENAME TO event_hour")
		if r.status != 500 {
			t.Errorf("want 500, got %d %s", r.status, r.text)
		}
		if after := w.dump(); after != before {
			t.Errorf("half of the request was kept: %s", cmp.Diff(before, after))
		}
	})
}

func TestRulesNotifyOfTheTrail(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"watch","group":"`+f.admins()+`","transports":[]}`).str("pk")
		policy := f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"watch","action":"model_created"}`).str("pk")
		bodies := func() (all []string) {
			list := f.must(200, "GET", notificationsPath+"?ordering=created&user=1", "")
			for i := range list.get("results").([]any) {
				all = append(all, list.str("results", i, "body"))
			}
			return all
		}
		f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`) // the rules as they are now are known
		// The binding by which the rule begins to match is itself made by then.
		f.must(201, "POST", "/api/v3/policies/bindings/", `{"policy":"`+policy+`","target":"`+rule+`","order":0}`)
		f.must(201, "POST", "/api/v3/events/transports/", `{"name":"pager"}`)
		f.must(201, "POST", "/api/v3/events/rules/", `{"name":"second"}`)
		alice, key := f.user("alice", "admin")
		f.must(200, "PATCH", fmt.Sprintf("/api/v3/core/users/%d/", alice), `{"name":"Alice"}`) // no model_created
		if r := f.call(key, "POST", "/api/v3/core/tokens/", `{"identifier":"own"}`); r.status != 201 {
			t.Fatal(r.text)
		}
		want := []string{
			"akadmin created the binding “watch #0 to Policy watch”", "akadmin created the notification transport “pager”",
			"akadmin created the notification rule “second”", "akadmin created the user “alice”", "akadmin created the token “alice-admin”",
			"alice created the token “own”",
		}
		if diff := cmp.Diff(want, bodies()); diff != "" {
			t.Error(diff)
		}
		f.must(204, "DELETE", "/api/v3/events/rules/"+rule+"/", "")
		f.must(201, "POST", "/api/v3/events/transports/", `{"name":"unwatched"}`)
		if n := len(bodies()); n != len(want) {
			t.Errorf("a rule that is gone still fires: %d notifications", n)
		}
	})
}

func TestTrailOfTheCommandLineNamesNobody(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		socket := httptest.NewServer(asHost(f.server.handler()))
		t.Cleanup(socket.Close)
		host := &fixture{t: t, url: socket.URL}
		if r := host.call("", "POST", "/api/v3/core/users/", `{"username":"bob","name":""}`); r.status != 201 {
			t.Fatal(r.text)
		}
		r := f.must(200, "GET", eventsPath+"?action=model_created", "")
		if diff := cmp.Diff(map[string]any{"username": "command line"}, r.get("results", 0, "user")); diff != "" {
			t.Error(diff)
		}
		if r.get("results", 0, "client_ip") != nil {
			t.Error(r.text)
		}
	})
}
