package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"belfry/internal/sqldb"
)

// The variables that say how many requests are generated for each database, and from which seed.
const (
	generatedEnv     = "BELFRY_TEST_GENERATED"
	generatedSeedEnv = "BELFRY_TEST_GENERATED_SEED"
)

// TestGeneratedRequests asks for whatever the route table and the field tables allow and do not allow. No answer is
// a 5xx, all are of the right shape, what was refused has changed nothing, what was accepted is there and as it
// was answered, and in the end every list, filter and statistic still works.
func TestGeneratedRequests(t *testing.T) {
	requests := fromEnv(t, generatedEnv, 2000)
	seed := fromEnv(t, generatedSeedEnv, uint64(time.Now().UnixNano()))
	var other []string // the answers of the database before
	each(t, func(t *testing.T, f *fixture) {
		t.Logf("%s=%d %s=%d", generatedSeedEnv, seed, generatedEnv, requests)
		run := newRun(t, f, seed)
		for run.step = range requests {
			if run.step%250 == 0 {
				run.upkeep()
			}
			if run.step%5000 == 4999 {
				run.audit()
			}
			run.next()
			if run.failures == 5 {
				t.Fatal("that is enough")
			}
		}
		run.audit()
		run.enough(int(requests))
		run.alike(other)
		other = run.answers
	})
}

// fromEnv is a number from the environment.
func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// generatedRun is one run against one database.
type generatedRun struct {
	t        *testing.T
	f        *fixture
	g        *generator
	seed     uint64
	step     uint64
	failures int
	targets  []target
	keys     map[string]string // of the tokens, by role
	spared   spared
	tables   []string
	state    map[string]uint64 // digests of all tables as they are now; nil when that is not known
	statuses map[string]int    // how often each method was answered with each status
	answers  []string          // what the steps that change something were answered, with their requests
	batched  int               // events of batches that were taken
	sources  int
	hash     maphash.Seed
}

func newRun(t *testing.T, f *fixture, seed uint64) *generatedRun {
	run := &generatedRun{
		t: t, f: f, seed: seed, keys: map[string]string{"admin": adminKey}, statuses: map[string]int{}, hash: maphash.MakeSeed(),
		g: &generator{Rand: rand.New(rand.NewPCG(seed, 0)), keys: map[string][]string{}},
	}
	known := kinds()
	for _, rt := range f.server.routes() {
		k, ok := known[rt.path]
		if !ok {
			t.Fatalf("kinds of generated_routes_test.go has no entry for %s", rt.path)
		}
		delete(known, rt.path)
		if k.endless {
			continue
		}
		if k.weight == 0 {
			k.weight = 10
		}
		run.targets = append(run.targets, slices.Repeat([]target{{rt, k}}, k.weight)...)
	}
	if len(known) > 0 {
		t.Fatalf("kinds of generated_routes_test.go has entries for what is no route: %v", slices.Collect(maps.Keys(known)))
	}
	run.serve()
	run.look()
	run.spared = spared{user: "1", token: run.g.keys["token"][0], group: run.g.keys["user_group"][0]}
	return run
}

// serve serves with the limits of the program. A request may say from where it comes: the guessing of one must
// not slow down the others.
func (run *generatedRun) serve() {
	handler := run.f.server.handler()
	web := httptest.NewUnstartedServer(nil)
	web.Config = newHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if source := r.Header.Get("X-Test-Source"); source != "" {
			r.RemoteAddr = source
			r.Header.Del("X-Test-Source")
		}
		handler.ServeHTTP(w, r)
	}), run.f.server.log)
	web.Listener = connections{web.Listener}
	web.Start()
	run.t.Cleanup(web.Close)
	run.f.url = web.URL
}

// fail reports what is wrong with the answer to a request.
func (run *generatedRun) fail(r *generated, a reply, err error) {
	run.failures++
	run.t.Errorf("seed %d, step %d: %v\n%s\n%d %s", run.seed, run.step, err, short(r.curl(), 4000), a.status, short(a.text, 2000))
}

func short(s string, n int) string {
	if len(s) > n {
		return s[:n] + fmt.Sprintf("… (%d more)", len(s)-n)
	}
	return s
}

// next makes one request and checks all that follows from its answer.
func (run *generatedRun) next() {
	r := run.g.request(run.targets, run.keys, run.spared)
	if run.state == nil && r.changes() {
		run.look()
	}
	a, err := run.send(r)
	if err != nil {
		if !r.hangsUp {
			run.fail(r, a, err)
		}
		run.state = nil
		return
	}
	run.statuses[fmt.Sprintf("%s %d", r.method, a.status)]++
	if r.changes() && a.status != 503 {
		run.answers = append(run.answers, fmt.Sprintf("step %d, %d to %s", run.step, a.status, short(r.curl(), 1000)))
	}
	switch {
	case a.status == 503 && strings.Contains(a.text, "took too long"):
	case a.status >= 500, a.status == 429:
		run.fail(r, a, errors.New("a status that no request may bring about"))
	default:
		if err := checkReply(r, a); err != nil {
			run.fail(r, a, err)
		}
	}
	if r.changes() && (a.status < 300 || r.kind.leaves) {
		run.state = nil
		if err := run.checkAccepted(r, a); err != nil {
			run.fail(r, a, err)
		}
	} else if r.kind.guesses {
		run.state = nil
	} else if run.state != nil && (r.changes() || run.step%16 == 0) {
		if changed := run.changed(); len(changed) > 0 {
			run.fail(r, a, fmt.Errorf("the request was refused or only reads, and these tables have changed: %v", changed))
		}
	}
}

// send makes a request over HTTP.
func (run *generatedRun) send(r *generated) (reply, error) {
	request, err := http.NewRequestWithContext(run.t.Context(), r.method, run.f.url, strings.NewReader(r.body))
	if err != nil {
		return reply{}, err
	}
	request.URL.Opaque, request.URL.RawQuery = r.path, r.query
	if strings.HasPrefix(r.path, "//") {
		request.URL.Opaque = "//" + request.URL.Host + r.path
	}
	request.Header = r.header.Clone()
	if r.wrong {
		run.sources++
		request.Header.Set("X-Test-Source", fmt.Sprintf("10.%d.%d.%d:1000", run.sources>>16&255, run.sources>>8&255, run.sources&255))
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return reply{status: answer.StatusCode, header: answer.Header, text: string(text)}, err
}

// look reads all tables: their digests, and what can be named in requests.
func (run *generatedRun) look() {
	run.t.Helper()
	run.state, run.g.keys = map[string]uint64{}, map[string][]string{}
	err := run.f.db.Read(run.t.Context(), func(tx *sqldb.Tx) (err error) {
		if run.tables == nil {
			run.tables, err = tableNames(tx)
		}
		if err != nil {
			return err
		}
		if tx.Postgres() {
			return run.digestPostgres(tx)
		}
		for _, table := range run.tables {
			if err == nil {
				err = run.digest(tx, table)
			}
		}
		return err
	})
	if err != nil {
		run.t.Fatal(err)
	}
	for _, keys := range run.g.keys {
		slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	}
}

// tableNames are all tables but the one that retention keeps for itself.
func tableNames(tx *sqldb.Tx) ([]string, error) {
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
	if tx.Postgres() {
		query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
	}
	names, err := sqldb.All(tx, func(row sqldb.Scanner) (name string, err error) { return name, row.Scan(&name) }, query)
	return slices.DeleteFunc(names, func(name string) bool { return name == "sweep" }), err
}

// digest reads one table. Its digest does not depend on the order of the rows.
func (run *generatedRun) digest(tx *sqldb.Tx, table string) error {
	run.state[table] = 0
	rows, err := tx.Query("SELECT * FROM " + table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	at, sort := slices.Index(columns, kind{table: table}.key()), slices.Index(columns, "kind")
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	var row bytes.Buffer
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		row.Reset()
		for _, v := range values {
			fmt.Fprintf(&row, "%T %v\x00", v, v)
		}
		run.state[table] += maphash.Bytes(run.hash, row.Bytes())
		if at >= 0 {
			run.keep(table, fmt.Sprint(values[at]))
			if sort >= 0 {
				run.keep(table+"/"+fmt.Sprint(values[sort]), fmt.Sprint(values[at]))
			}
		}
	}
	return rows.Err()
}

// keep remembers the key of a row.
func (run *generatedRun) keep(table, key string) {
	run.g.keys[table] = append(run.g.keys[table], key)
}

// digestPostgres reads all tables at once, and leaves the digest of a row to the database: a query of each would
// cost more than the request that is looked at.
func (run *generatedRun) digestPostgres(tx *sqldb.Tx) error {
	var parts []string
	for _, table := range run.tables {
		run.state[table] = 0
		key := "NULL"
		if slices.ContainsFunc(run.targets, func(t target) bool { return t.kind.table == table }) {
			key = "t." + kind{table: table}.key() + "::text"
		}
		sort := "NULL"
		if table == "policy" {
			sort = "t.kind"
		}
		parts = append(parts, "SELECT '"+table+"', "+key+", "+sort+", hashtextextended(t::text, 0) FROM "+table+" t")
	}
	_, err := sqldb.All(tx, func(row sqldb.Scanner) (none struct{}, err error) {
		var table string
		var key, sort *string
		var sum int64
		err = row.Scan(&table, &key, &sort, &sum)
		run.state[table] += uint64(sum)
		if key != nil {
			run.keep(table, *key)
			if sort != nil {
				run.keep(table+"/"+*sort, *key)
			}
		}
		return none, err
	}, strings.Join(parts, " UNION ALL "))
	return err
}

// changed reads all tables again and answers those that differ from what was known.
func (run *generatedRun) changed() (changed []string) {
	before := run.state
	run.look()
	for table, sum := range run.state {
		if before[table] != sum {
			changed = append(changed, table)
		}
	}
	slices.Sort(changed)
	return changed
}

// checkAccepted wants what was accepted to be there, as it was answered; and what was deleted to be gone.
func (run *generatedRun) checkAccepted(r *generated, a reply) error {
	if r.route != nil && r.kind.batch && a.status == 200 {
		return run.checkBatch(r, a)
	}
	if r.route == nil || r.kind.acts || r.method != "DELETE" && (r.kind.object == nil || a.status == 204) {
		return nil
	}
	base, _, _ := strings.Cut(r.route.path, "{")
	if r.method == "DELETE" {
		if gone := run.f.call(adminKey, "GET", base+url.PathEscape(r.key)+"/", ""); r.key != "" && gone.status != 404 {
			return fmt.Errorf("it was deleted, and GET answers %d", gone.status)
		}
		return nil
	}
	object, _ := decoded(a.text).(map[string]any)
	key := fmt.Sprint(object[r.kind.key()])
	got := run.f.call(adminKey, "GET", base+url.PathEscape(key)+"/", "")
	if r.kind.created != nil && a.status == 201 {
		delete(object, "key")
	}
	if got.status != 200 || !reflect.DeepEqual(decoded(got.text), any(object)) {
		return fmt.Errorf("GET does not answer the same: %d %s", got.status, got.text)
	}
	return checkKept(r.body, a.text, r.kind.object)
}

// upkeep makes what requests need: tokens of every kind, and a rule that makes notifications. It keeps what is
// stored small, so that looking at all of it stays cheap.
func (run *generatedRun) upkeep() {
	run.prune()
	f, n := run.f, strconv.FormatUint(run.step, 10)
	run.keys["read"] = f.token(1, "read-"+n, "read")
	run.keys["ingest"] = f.token(1, "ingest-"+n, "ingest")
	plain, key := f.user("plain-"+n, "admin")
	run.keys["plain"], run.keys["inbox"] = key, f.token(plain, "inbox-"+n, "inbox")
	run.keys["expired"] = f.token(1, "expired-"+n, "admin")
	disabled, key := f.user("disabled-"+n, "admin")
	run.keys["disabled"] = key
	f.must(200, "PATCH", fmt.Sprintf("/api/v3/core/users/%d/", disabled), `{"is_active":false}`)
	f.notifyUser(plain, "upkeep_"+n)
	rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"all-`+n+`","group":"`+run.spared.group+`"}`).str("pk")
	f.must(201, "POST", "/api/v3/policies/bindings/", `{"user":1,"target":"`+rule+`","order":0,"negate":true}`)
	err := f.db.Write(run.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE token SET expires = $1 WHERE identifier = $2", int64(1), "expired-"+n)
		return err
	})
	if err != nil {
		run.t.Fatal(err)
	}
	run.state = nil
}

// prune deletes the oldest objects. Events go through the store: over the API each would leave another one.
func (run *generatedRun) prune() {
	const keepEvents, keepOthers = 60, 20
	err := run.f.db.Write(run.t.Context(), func(tx *sqldb.Tx) error {
		counts := tally{}
		pks, err := sqldb.All(tx, func(row sqldb.Scanner) (pk string, err error) { return pk, row.Scan(&pk) }, "SELECT pk FROM event ORDER BY created, pk")
		if err != nil {
			return err
		}
		for _, pk := range pks[:max(0, len(pks)-keepEvents)] {
			if err := deleteEvent(tx, pk, counts); err != nil {
				return err
			}
		}
		if err := counts.Write(tx); err != nil {
			return err
		}
		for _, table := range []string{"notification", "delivery"} {
			_, err := tx.Exec("DELETE FROM "+table+" WHERE pk NOT IN (SELECT pk FROM "+table+" ORDER BY created DESC, pk DESC LIMIT $1)", keepEvents)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		run.t.Fatal(err)
	}
	run.look()
	for _, noun := range run.nouns() {
		keys := run.g.keys[noun.kind.table]
		if slices.Contains([]string{"event", "notification", "delivery"}, noun.kind.table) {
			continue
		}
		for _, key := range keys[:max(0, len(keys)-keepOthers)] {
			if !slices.Contains([]string{run.spared.user, run.spared.group, run.spared.token}, key) {
				run.f.call(adminKey, "DELETE", noun.route.path+url.PathEscape(key)+"/", "") // what went with another is gone
			}
		}
	}
}

// nouns are the routes of the lists.
func (run *generatedRun) nouns() (lists []target) {
	for _, t := range run.targets {
		if t.kind.list == nil || t.kind.plain != nil || slices.ContainsFunc(lists, func(l target) bool { return l.route.path == t.route.path }) {
			continue
		}
		lists = append(lists, t)
	}
	return lists
}

// audit wants all that is stored to be reached in every way, whatever it is.
func (run *generatedRun) audit() {
	run.look()
	for _, noun := range run.nouns() {
		rows := run.pages(noun)
		if stored := len(run.g.keys[noun.kind.table]); len(rows) != stored {
			run.t.Errorf("%s has %d rows in its pages, and %d are stored", noun.route.path, len(rows), stored)
		}
		for _, key := range run.g.keys[noun.kind.table] {
			run.ask(noun.route.path+url.PathEscape(key)+"/", &generated{method: "GET", route: &noun.route, kind: kind{object: noun.kind.detailed()}})
			if noun.kind.table != "event" && noun.kind.table != "delivery" {
				run.ask(noun.route.path+url.PathEscape(key)+"/used_by/", &generated{method: "GET", route: &noun.route, kind: kind{plain: usedByShape}})
			}
		}
		run.queries(noun, rows)
	}
	run.statistics()
	run.counters()
}

// ask wants 200 and the right shape.
func (run *generatedRun) ask(path string, r *generated) reply {
	r.path, r.query, _ = strings.Cut(path, "?")
	r.header = http.Header{"Authorization": {"Bearer " + adminKey}}
	a, err := run.send(r)
	if err == nil && a.status != 200 {
		err = errors.New("something stored breaks this")
	}
	if err == nil {
		err = checkReply(r, a)
	}
	if err != nil {
		run.fail(r, a, err)
	}
	return a
}

// list asks for a list.
func (run *generatedRun) list(noun target, query string) reply {
	return run.ask(noun.route.path+"?"+query, &generated{method: "GET", route: &noun.route, kind: noun.kind})
}

// pages reads a list page by page.
func (run *generatedRun) pages(noun target) (rows []map[string]json.RawMessage) {
	for page := int64(1); page > 0; {
		var envelope struct {
			Pagination struct{ Next, Count int64 }
			Results    []map[string]json.RawMessage
		}
		a := run.list(noun, fmt.Sprintf("page_size=40&page=%d", page))
		if err := json.Unmarshal([]byte(a.text), &envelope); err != nil {
			run.t.Errorf("%s: %v", noun.route.path, err)
			return rows
		}
		rows = append(rows, envelope.Results...)
		page = envelope.Pagination.Next
	}
	return rows
}

// queries asks for every ordering, for every filter with values that are stored, and searches for texts that are.
func (run *generatedRun) queries(noun target, rows []map[string]json.RawMessage) {
	for _, name := range noun.kind.list.Orderings {
		run.list(noun, "page_size=1000&ordering="+name)
		run.list(noun, "page_size=1000&ordering=-"+name)
	}
	for _, row := range rows {
		for _, f := range noun.kind.list.Filters {
			if value, ok := decoded(string(row[f.Name])).(string); ok && value != "" && len(value) < 2000 {
				run.list(noun, f.Name+"="+url.QueryEscape(value))
			}
		}
		for _, name := range []string{"name", "username", "context", "identifier", "body", "description"} {
			if value, ok := row[name]; ok && noun.kind.list.Search && len(value) < 500 {
				run.list(noun, "search="+url.QueryEscape(strings.Trim(string(value), `"`)))
			}
		}
	}
}

// statistics asks for the charts, for every action that is stored.
func (run *generatedRun) statistics() {
	chart := func(path string) {
		run.ask(path, &generated{method: "GET", route: &route{}, kind: kind{plain: chartShape}})
	}
	chart("/api/v3/events/events/volume/")
	chart("/api/v3/events/events/volume/?search=a")
	chart("/api/v3/events/events/volume/?history_days=60")
	actions := []string{""}
	err := run.f.db.Read(run.t.Context(), func(tx *sqldb.Tx) error {
		more, err := sqldb.All(tx, func(row sqldb.Scanner) (a string, err error) { return a, row.Scan(&a) }, "SELECT DISTINCT action FROM event")
		actions = append(actions, more...)
		return err
	})
	if err != nil {
		run.t.Fatal(err)
	}
	top := kinds()["/api/v3/events/events/top_per_user/"]
	for _, action := range actions {
		chart("/api/v3/events/events/per_month/?action=" + action)
		run.ask("/api/v3/events/events/top_per_user/?top_n=1000&action="+action, &generated{method: "GET", route: &route{}, kind: top})
	}
}

// counters wants the hourly counters to say what the rows say.
func (run *generatedRun) counters() {
	counts := func(query string) map[string]int64 {
		all := map[string]int64{}
		err := run.f.db.Read(run.t.Context(), func(tx *sqldb.Tx) error {
			_, err := sqldb.All(tx, func(row sqldb.Scanner) (none struct{}, err error) {
				var hour, n int64
				var action string
				err = row.Scan(&hour, &action, &n)
				all[fmt.Sprint(hour, action)] = n
				return none, err
			}, query)
			return err
		})
		if err != nil {
			run.t.Fatal(err)
		}
		return all
	}
	counted := counts("SELECT hour / 3600000000, action, SUM(count) FROM event_hour GROUP BY 1, 2 HAVING SUM(count) <> 0")
	rows := counts("SELECT created / 3600000000, action, COUNT(*) FROM event GROUP BY 1, 2")
	if !maps.Equal(counted, rows) {
		run.t.Errorf("the hourly counters say %v, the rows %v", counted, rows)
	}
}

// enough wants the run to have been about something: a generator whose requests are all refused proves little.
func (run *generatedRun) enough(requests int) {
	run.t.Log(run.statuses, run.batched)
	if run.batched*100 < requests {
		run.t.Errorf("only %d events came in batches: too few to prove anything", run.batched)
	}
	for status, percent := range map[string]int{"GET 200": 15, "POST 201": 3, "PATCH 200": 2, "PUT 200": 1, "DELETE 204": 1, "POST 400": 2, "GET 404": 1} {
		if n := run.statuses[status]; n*100 < requests*percent {
			run.t.Errorf("only %d of %d requests were %s: too few to prove anything", n, requests, status)
		}
	}
}

// alike wants the databases to take and to refuse the same requests. Keys and times are not the same in them, so
// that the requests are compared by what was made of them only.
func (run *generatedRun) alike(other []string) {
	status := func(answer string) string { before, _, _ := strings.Cut(answer, " to "); return before }
	for i := range min(len(other), len(run.answers)) {
		if status(other[i]) != status(run.answers[i]) {
			run.t.Errorf("seed %d: the databases answer differently:\n%s\n%s", run.seed, other[i], run.answers[i])
			return
		}
	}
}
