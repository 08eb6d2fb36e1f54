package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"belfry/internal/drf"
)

// generated is one request, and what is known of it beforehand.
type generated struct {
	method, path, query, body string
	header                    http.Header
	route                     *route // that path is made of; nil where it names none any more
	kind                      kind
	key                       string   // of the object that the path names; "" for none
	wrong                     bool     // the credentials are those of nobody
	hangsUp                   bool     // the server may do so before it has read it all
	elements                  []string // of a batch
	lines                     bool     // each on a line
}

// changes reports whether the request may change something.
func (r *generated) changes() bool {
	return !r.kind.asks && !slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, r.method)
}

// curl writes the request as a command line.
func (r *generated) curl() string {
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	var b strings.Builder
	plain := strings.IndexFunc(r.body, func(c rune) bool { return c < ' ' || c > '~' }) < 0
	if !plain {
		fmt.Fprintf(&b, "echo %s | base64 -d | ", base64.StdEncoding.EncodeToString([]byte(r.body)))
	}
	fmt.Fprintf(&b, "curl -i --path-as-is -X %s", r.method)
	for name, values := range r.header {
		for _, value := range values {
			fmt.Fprintf(&b, " -H %s", quoted(name+": "+value))
		}
	}
	switch {
	case !plain:
		b.WriteString(" --data-binary @-")
	case r.body != "":
		fmt.Fprintf(&b, " --data-binary %s", quoted(r.body))
	}
	target := r.path
	if r.query != "" {
		target += "?" + r.query
	}
	fmt.Fprintf(&b, " %s", quoted("http://127.0.0.1:9000"+target))
	return b.String()
}

// target is a route to ask, and how often.
type target struct {
	route route
	kind  kind
}

// request makes the next request.
func (g *generator) request(targets []target, keys map[string]string, spared spared) *generated {
	t := targets[g.IntN(len(targets))]
	r := &generated{route: &t.route, kind: t.kind, header: http.Header{}}
	r.method = t.route.verbs[g.IntN(len(t.route.verbs))].method
	if g.chance(4) {
		r.method = oneOf(g, "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE", "get", "M-SEARCH")
	}
	r.path = g.fill(r, t)
	r.query = g.queryOf(t.kind)
	if r.method != "GET" && r.method != "DELETE" && r.method != "HEAD" || g.chance(3) {
		r.body = g.body(t.kind.reads(), r.method)
		if t.kind.batch && g.chance(90) {
			g.batch(r)
		}
	}
	if g.chance(7) {
		g.distort(r)
	}
	if g.chance(1) {
		r.route = nil
		r.path = oneOf(g, "/", "/api/v3/", "/api/", "/api/v3/nothing/", "//", "/-/", "/%00", "/%ff/", "/.git/config", "/api/v3/events/../events/events/", "/api/v3/schema", "/"+strings.Repeat("a/", 500))
	}
	g.headers(r, keys)
	spared.keep(g, r)
	if _, err := url.ParseRequestURI(r.path + "?" + r.query); err != nil || len(r.body) > 200_000 {
		r.hangsUp = true
	}
	return r
}

// fill puts the key of an object into the route's path, at times in another form.
func (g *generator) fill(r *generated, t target) string {
	start, end := strings.IndexByte(t.route.path, '{'), strings.IndexByte(t.route.path, '}')
	if start < 0 {
		return t.route.path
	}
	r.key = g.stored(t.kind.table)
	inPath := url.PathEscape(r.key)
	if g.chance(8) {
		odd := g.oddUUID(r.key)
		if t.kind.table == "app_user" || t.kind.table == "token" || g.chance(40) {
			odd = oneOf(g, "0", "-1", "+2", "02", "2.0", "９", "99999999999999999999", "x", "é", "\xff", "a\x00", "null", "%", " ", "..", "a/b", "Me", strings.Repeat("x", 3000), "used_by", g.uuid(), "'", "%2f")
		}
		r.key, inPath = "", url.PathEscape(odd)
		if id, ok := drf.ParseUUID(odd); ok && t.kind.table != "app_user" && t.kind.table != "token" {
			r.key = id
		}
		if n, err := strconv.ParseUint(odd, 10, 63); err == nil && t.kind.table == "app_user" {
			r.key = strconv.FormatUint(n, 10)
		}
	}
	return t.route.path[:start] + inPath + t.route.path[end+1:]
}

// distort spoils the path, or writes it in a way that means the same.
func (g *generator) distort(r *generated) {
	segments := strings.Split(strings.Trim(r.path, "/"), "/")
	at := g.IntN(len(segments))
	switch g.IntN(9) {
	case 0:
		r.path = strings.TrimSuffix(r.path, "/")
		return
	case 1:
		r.path = strings.Replace(r.path, "/", "//", 1+g.IntN(3))
		return // means the same
	case 2:
		r.path += oneOf(g, "x", "x/", "/", "%2f", "%00", "%ff", "%", "%zz", ";a=b", "..", "./", ".json", "%20")
	case 3:
		segments[at] = strings.ToUpper(segments[at])
	case 4:
		segments[at] = oneOf(g, ".", "..", "%2e%2e", "%2f", "%5c", "", "*", "{uuid}", "%c0%af", "%e2%82")
	case 5:
		segments = slices.Insert(segments, at, oneOf(g, ".", "..", "x", "%2e"))
	case 6:
		segments[at] = "%" + strconv.FormatInt(int64(segments[at][0]), 16) + segments[at][1:]
	case 7:
		segments = segments[:at]
	case 8:
		segments = slices.Insert(segments, at, strings.Repeat("a", g.IntN(20_000)))
	}
	if g.chance(90) {
		r.path = "/" + strings.Join(segments, "/") + "/"
	}
	r.route = nil
}

// queryOf makes a query string for a route.
func (g *generator) queryOf(k kind) string {
	if k.list == nil && k.params == nil && !g.chance(5) {
		return ""
	}
	var pairs []string
	add := func(name, value string) {
		if g.chance(3) {
			value = oneOf(g, "%", "%zz", "%ff", "%00", "+", "%ed%a0%80", "a%00b", "%25", "\xff", "", "%0a", "%F0%9F%98%80") // as it stands
		} else {
			value = url.QueryEscape(value)
		}
		pairs = append(pairs, url.QueryEscape(name)+"="+value)
	}
	if k.list != nil {
		for range g.IntN(4) {
			g.addFilter(k.list, add)
		}
		if g.chance(30) {
			add("ordering", g.ordering(k.list))
		}
		if g.chance(30) {
			add("search", g.terms())
		}
	}
	if g.chance(20) {
		add("page", oneOf(g, "1", "2", "last", "0", "-1", "x", "1e3", "１", " 1 ", "9223372036854775807", "99999999999999999999", "1.0", "", "None"))
	}
	if g.chance(40) {
		add("page_size", oneOf(g, "1", "2", "3", "10", "1000", "100000", "0", "-1", "x", "1_0", "", "9223372036854775808"))
	}
	for _, name := range k.params {
		if g.chance(30) {
			add(name, g.param(name))
		}
	}
	if g.chance(6) {
		add(oneOf(g, "format", "unknown", "", "page", "username", "a[b]"), oneOf(g, "json", "xml", "", "1", g.word()))
	}
	joined := strings.Join(pairs, "&")
	if g.chance(3) {
		joined += oneOf(g, "&", "&&=", ";a=b", "&=&", "&a", "?", "&a=b=c")
	}
	return joined
}

// addFilter adds one filter of a list, and at times it a few times more.
func (g *generator) addFilter(spec *drf.ListSpec, add func(name, value string)) {
	if len(spec.Filters) == 0 {
		return
	}
	f := spec.Filters[g.IntN(len(spec.Filters))]
	name, times := f.Name, 1
	if f.Alias != "" && g.chance(40) {
		name = f.Alias
	}
	if g.chance(8) {
		times = oneOf(g, 2, 3, 20)
	}
	for range times {
		add(name, g.filterValue(f))
	}
	if g.chance(1) {
		for i := range 1100 {
			add(name, strconv.Itoa(i))
		}
	}
}

func (g *generator) filterValue(f drf.Filter) string {
	if g.chance(12) {
		return strings.Trim(oddities[g.IntN(len(oddities))], `"`)
	}
	switch f.Kind {
	case drf.FilterChoice, drf.FilterChoices:
		return f.Choices.Values[g.IntN(len(f.Choices.Values))]
	case drf.FilterBool:
		return oneOf(g, "true", "false", "True", "0", "1", "TRUE")
	case drf.FilterInt:
		return strconv.Itoa(g.IntN(60))
	case drf.FilterUUID, drf.FilterUUIDs, drf.FilterIntRef:
		id := g.stored(references[f.Name])
		if g.chance(10) {
			id = g.oddUUID(id)
		}
		return id
	case drf.FilterTime:
		return oneOf(g, "2020-01-01", "2020-01-01T00:00:00Z", "2099-12-31T23:59:59.999999+00:00", "2026-01-01 00:00", "0001-01-01", "9999-12-31")
	}
	if table := references[f.Name]; table != "" {
		return g.stored(table)
	}
	switch f.Name {
	case "client_ip":
		return oneOf(g, "192.0.2.7", "2001:db8::1", "::ffff:1.2.3.4", "127.0.0.1")
	case "action":
		return oneOf(g, "login", "model_", "custom_", "_", "%")
	case "identifier":
		return g.stored("token")
	case "name", "username":
		return "g" + strconv.Itoa(1+g.IntN(g.names+1))
	}
	return g.word()
}

func (g *generator) ordering(spec *drf.ListSpec) string {
	var names []string
	for range 1 + g.IntN(3) {
		name := spec.Orderings[g.IntN(len(spec.Orderings))]
		if g.chance(10) {
			name = oneOf(g, "user", "context", "brand", "", "x", "pk;", "created desc", "-", "folded", "\x00", "key_hash", "password")
		}
		names = append(names, oneOf(g, "", "-", "", "-", "--", " ")+name)
	}
	return strings.Join(names, oneOf(g, ",", ",", ", ", ",,"))
}

func (g *generator) terms() string {
	switch {
	case g.chance(2):
		return strings.Repeat("a b ", 40)
	case g.chance(2):
		text := ""
		for i := range 60 {
			text += strconv.Itoa(i) + ","
		}
		return text
	}
	return g.word() + oneOf(g, "", "", " ", ",") + oneOf(g, "", "", g.word(), "g", "a", "\x00")
}

// param is the value of a parameter that is no list's.
func (g *generator) param(name string) string {
	switch name {
	case "top_n", "history_days":
		return oneOf(g, "1", "7", "60", "0", "-1", "x", "1e2", "2147483648", "99999999999999999999", "", "1.0")
	case "action":
		return oneOf(g, "login", "authorize_application", "custom_a", "model_updated", "x", "", "\x00")
	case "query":
		return oneOf(g, `{"app":"x"}`, `{"user__pk":1}`, `{"user__pk":"1"}`, `{"context__model__pk":12}`, `{"client_ip":null}`, `{"a":1}`, `{`, `[]`, `null`, `{"app":"a","app":"b"}`,
			`{"app":"\u0000"}`, `{"app":"\ud800"}`, `{"user__pk":1e400}`, `{"user__pk":99999999999999999999}`, `{"brand__name":"`+strings.Repeat("x", 9000)+`"}`, "{\"app\":\"\xff\"}", `{"user__username":"g1","app":"x"}`, g.json(3))
	}
	return oneOf(g, "true", "false", "False", "0", "x", "")
}

// headers puts on what a client might send, most of it right.
func (g *generator) headers(r *generated, keys map[string]string) {
	role := "admin"
	if g.chance(20) {
		role = oneOf(g, "read", "ingest", "inbox", "plain", "expired", "disabled", "none", "nonsense")
	}
	switch role {
	case "none":
		if g.chance(50) {
			r.header.Set("Authorization", oneOf(g, "", "Bearer", "Basic YTpi", "Token x", " ", "bearer", "Bearer\t"+adminKey))
		}
	case "nonsense":
		r.header.Set("Authorization", "Bearer "+oneOf(g, "x", "é", "\xff", strings.Repeat("k", 5000), adminKey+"x", adminKey+",", "' OR 1=1 --", "null", ""))
	default:
		r.header.Set("Authorization", oneOf(g, "Bearer ", "Bearer ", "bearer ", "BEARER ")+keys[role])
	}
	r.wrong = role != "admin" || r.kind.guesses
	if r.body != "" {
		r.header.Set("Content-Type", "application/json")
		if r.lines {
			r.header.Set("Content-Type", oneOf(g, drf.LineTypes...))
		}
		if g.chance(6) {
			r.header.Set("Content-Type", oneOf(g, "application/json; charset=utf-8", "application/json;charset=UTF8", `application/json; charset="utf-8"`, "application/json; charset=latin-1", "APPLICATION/JSON",
				"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/json;", "application/json; charset", "application/vnd.api+json", "é", ";;;"))
		}
	}
	if g.chance(7) {
		r.header.Set("Accept", oneOf(g, "application/json", "*/*", "application/*", "text/html", "application/json;q=0", "text/html,*/*;q=0.1", "*", "", ",", "a/b;q=x", "application/json; indent=4", "é", strings.Repeat("a/b,", 3000)))
	}
	if g.chance(5) {
		name := oneOf(g, "If-None-Match", "If-Match", "If-Modified-Since", "Range", "X-HTTP-Method-Override", "Content-Encoding", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Cookie", "Origin", "Referer",
			"Idempotency-Key", "Accept-Language", "Accept-Charset", "X-Authentik-Prevent-Basic", "Upgrade", "X-CSRFToken")
		r.header.Set(name, oneOf(g, "*", `"a"`, "1", "gzip", "DELETE", "bytes=0-1", "127.0.0.1", "evil", "\xff\xfe", "", strings.Repeat("h", 20_000), "a, b"))
	}
	if g.chance(1) {
		r.header.Set("X-Huge", strings.Repeat("h", 100_000))
		r.hangsUp = true
	}
}

// spared are the keys of what akadmin's access hangs on.
type spared struct{ user, group, token string }

// keep takes out of a request what the server would rightly do and what would end the test: shutting akadmin out.
func (s spared) keep(g *generator, r *generated) {
	if !r.changes() || r.key == "" {
		return
	}
	harmless := map[string][]string{
		"app_user": {"name", "email", "attributes", "path", "last_login"}, "user_group": {"name", "attributes"}, "token": {"description"},
	}[r.kind.table]
	if mine := map[string]string{"app_user": s.user, "user_group": s.group, "token": s.token}[r.kind.table]; r.key != mine || harmless == nil {
		return
	}
	if r.method != "PATCH" || r.kind.object == nil {
		r.method, r.body = "GET", ""
		return
	}
	few := &drf.Shape{}
	for _, f := range r.kind.object.Fields {
		if slices.Contains(harmless, f.Name) {
			few.Fields = append(few.Fields, f)
		}
	}
	r.body = g.object(few, 50, 50)
}
