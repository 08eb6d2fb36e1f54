package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belfry/internal/drf"
	"belfry/internal/outbound"
	"belfry/internal/sqldb"
)

const (
	batchPath = "/api/belfry/events/"
	asLines   = "application/x-ndjson"
	asArray   = "application/json"
)

// upload posts a body as akadmin.
func (f *fixture) upload(contentType string, body io.Reader) reply {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), "POST", f.url+batchPath, body)
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Bearer "+adminKey)
	return f.send(request)
}

// uploaded is what an upload is answered.
type uploaded struct {
	Created, Existing, Refused int
	PKs                        []*string
	Errors                     []struct {
		Line   int
		Errors json.RawMessage
	}
}

// uploads posts lines and wants 200.
func (f *fixture) uploads(lines ...string) (answer uploaded) {
	f.t.Helper()
	r := f.upload(asLines, strings.NewReader(strings.Join(lines, "\n")))
	if r.status != 200 {
		f.t.Fatalf("the upload was answered %d %s", r.status, r.text)
	}
	if err := json.Unmarshal([]byte(r.text), &answer); err != nil {
		f.t.Fatal(err)
	}
	return answer
}

// dial connects to the server.
func (f *fixture) dial() net.Conn {
	f.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	return conn
}

// keyOf is a key for the n-th event of a test; they are in no order.
func keyOf(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n)*2654435761, n) }

// keyed are n lines that bring their keys, of an action.
func keyed(n int, action string) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"pk":"%s","action":"%s","app":"app %d"}`, keyOf(i), action, i)
	}
	return lines
}

// number reads one number.
func (f *fixture) number(query string, args ...any) (n int) {
	f.t.Helper()
	if err := f.db.Read(f.t.Context(), func(tx *sqldb.Tx) error { return tx.Row(query, args, &n) }); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// until waits for a number to be large enough.
func (f *fixture) until(least int, query string, args ...any) {
	f.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); f.number(query, args...) < least; {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: %d never came", query, least)
		}
	}
}

// spoiltLines are lines of which most are refused.
var spoiltLines = []string{
	`{"action":"login","app":"right"}`,
	`{"action":"login","app":"right too","user":{"pk":1,"username":"akadmin"},"context":["é",1.50],"client_ip":"2001:DB8::1","expires":"2030-01-01T00:00:00Z","brand":"x","created":"1999-01-01","unknown":1}`,
	`{}`, `{"action":"login"}`, `{"action":"no such","app":""}`, `{"action":1,"app":[],"user":null,"client_ip":"x","expires":"never"}`,
	`{"action":"login","app":"x","context":"\u0000"}`, `null`, `[]`, `"text"`, `1.5`, `true`,
	`{"action":"login","app":"x"`, `{"action":"login","app":"x"}}`, `{"action":"login",}`, `x`, "{\"action\":\"login\",\"app\":\"\xff\"}", "\ufeff{}",
	`{"action":"login","app":"x","app":"y"}`, `{"action":"login","app":"\ud800"}`, `{"action":"login","app":"x","context":1e400}`,
	`{"action":"login","app":"x","context":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`,
	`{"action":"login","app":"x","context":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
	`  {"action":"login", "app" :"space"}	` + "\r",
}

// TestABatchRefusesALineAsASinglePostWould posts lines one by one and together, as lines and as an array.
func TestABatchRefusesALineAsASinglePostWould(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		lines := append([]string{`{"action":"login","app":"large","context":"` + strings.Repeat("x", 1<<20) + `"}`}, spoiltLines...)
		var body, array []string
		var want, wantOfArray []refusedLine
		for _, line := range lines {
			body = append(body, "", line)
			single := f.call(adminKey, "POST", eventsPath, line)
			if single.status != 201 {
				want = append(want, refusedLine{int64(len(body)), drf.JSON(single.text)})
			}
			if strings.Contains(single.text, "JSON parse error") {
				continue
			}
			if array = append(array, line); single.status != 201 {
				wantOfArray = append(wantOfArray, refusedLine{int64(len(array)), drf.JSON(single.text)})
			}
		}
		f.checkRefused(f.upload(asLines, strings.NewReader(strings.Join(body, "\n"))), len(lines), want)
		f.checkRefused(f.upload(asArray, strings.NewReader("["+strings.Join(array, ",")+"]")), len(array), wantOfArray)
	})
}

// checkRefused wants those lines of n to be refused, and the others to be stored in their order.
func (f *fixture) checkRefused(r reply, n int, want []refusedLine) {
	f.t.Helper()
	var answer uploaded
	if err := json.Unmarshal([]byte(r.text), &answer); err != nil || r.status != 200 {
		f.t.Fatalf("%v: %d %.500s", err, r.status, r.text)
	}
	if len(answer.PKs) != n || answer.Created != n-len(want) || answer.Existing != 0 || answer.Refused != len(want) || len(answer.Errors) != len(want) {
		f.t.Fatalf("of %d lines %d are to be refused: %.1000s", n, len(want), r.text)
	}
	for i, refused := range answer.Errors {
		if int64(refused.Line) != want[i].line || string(refused.Errors) != string(want[i].errors) {
			f.t.Errorf("line %d: %s, want line %d: %s", refused.Line, refused.Errors, want[i].line, want[i].errors)
		}
	}
	nulls := 0
	for _, pk := range answer.PKs {
		if pk == nil {
			nulls++
		} else if n := f.number("SELECT COUNT(*) FROM event WHERE pk = $1", *pk); n != 1 {
			f.t.Errorf("%d events are stored under %s", n, *pk)
		}
	}
	if nulls != len(want) || answer.PKs[0] != nil && n > 20 && len(want) > 15 {
		f.t.Errorf("%d keys of %d are null", nulls, n)
	}
}

// TestABatchWritesWhatSinglePostsWrite makes rules of every kind, posts events one by one and together, and compares the rows.
func TestABatchWritesWhatSinglePostsWrite(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ann, _ := f.user("ann")
		group := f.must(201, "POST", "/api/v3/core/groups/", fmt.Sprintf(`{"name":"g","users":[1,%d]}`, ann)).str("pk")
		mapping := f.must(201, "POST", "/api/v3/propertymappings/notification/", `{"name":"m","expression":"return {'text': notification.body}"}`).str("pk")
		failing := f.must(201, "POST", "/api/v3/propertymappings/notification/", `{"name":"f","expression":"return 1 / 0"}`).str("pk")
		hook := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"hook","mode":"webhook","webhook_url":"http://127.0.0.1:9/","webhook_mapping":"`+mapping+`"}`).str("pk")
		broken := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"broken","mode":"webhook","webhook_url":"http://127.0.0.1:9/","webhook_mapping":"`+failing+`","send_once":true}`).str("pk")
		policy := f.must(201, "POST", "/api/v3/policies/expression/", `{"name":"p","expression":"return event.app == 'b'","execution_logging":true}`).str("pk")
		for i, c := range []struct{ transports, binding string }{{"", `"policy":"` + policy + `"`}, {`"` + hook + `","` + broken + `"`, `"user":1`}} {
			rule := f.must(201, "POST", "/api/v3/events/rules/", fmt.Sprintf(`{"name":"r%d","group":"%s","transports":[%s]}`, i, group, c.transports)).str("pk")
			f.must(201, "POST", "/api/v3/policies/bindings/", `{"target":"`+rule+`","order":0,`+c.binding+`}`)
		}
		lines := []string{
			`{"action":"login","app":"a"}`, `{"action":"login","app":"b"}`, `{"action":"login","app":"b","user":{"pk":1}}`,
			`{"action":"custom_x","app":"c","user":{"pk":1,"username":"akadmin"},"context":{"username":"x","model":{"app":"a","model_name":"m","pk":7},"authorized_application":{"pk":"p","name":"N"}}}`,
			`{"action":"logout","app":"d","user":"x","context":[1],"brand":{"name":"Acme"},"client_ip":"10.0.0.1","expires":"2030-01-01T00:00Z"}`,
			`{"action":"configuration_error","app":"é","context":{"message":"É\u0041\n\\"}}`,
		}
		f.forget()
		for _, line := range lines {
			f.must(201, "POST", eventsPath, line)
		}
		want := f.written()
		f.forget()
		for _, table := range []string{"notification", "delivery"} {
			if err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec("DELETE FROM " + table); return err }); err != nil {
				t.Fatal(err)
			}
		}
		if answer := f.uploads(lines...); answer.Created != len(lines) {
			t.Fatalf("%+v", answer)
		}
		if diff := cmp.Diff(want, f.written()); diff != "" {
			t.Errorf("single posts and a batch differ: %s", diff)
		}
		for _, needle := range []string{"policy_execution", "property_mapping_exception", "pending", "dead", "notice"} {
			if !strings.Contains(strings.Join(want, "\n"), needle) {
				t.Errorf("nothing was %s: this proves too little:\n%s", needle, strings.Join(want, "\n"))
			}
		}
	})
}

// written are the rows of events and of all that follows from them, without what no two of them share: keys and times.
func (f *fixture) written() (rows []string) {
	f.t.Helper()
	for _, query := range []string{
		`SELECT 'event', action, app, client_ip, origin, user_json, CASE WHEN origin = 'api' THEN context END, brand, user_pk, username, context_username, model_app, model_name,
			CASE WHEN origin = 'api' THEN model_pk END, application_pk, application, brand_name, CASE WHEN origin = 'api' THEN substr(folded, 38) END,
			CASE WHEN expires - created = 31536000000000 THEN -1 ELSE expires END FROM event`,
		`SELECT 'notification', n.user_pk, r.name, n.transport_pk, n.severity, n.body, n.folded, n.seen, e.app FROM notification n JOIN rule r ON r.pk = n.rule_pk JOIN event e ON e.pk = n.event_pk`,
		`SELECT 'delivery', d.user_pk, d.rule_name, d.transport_name, d.mode, d.state, d.reason, d.severity, d.summary, d.body, e.app, d.attempts, d.due FROM delivery d JOIN event e ON e.pk = d.event_pk`,
		`SELECT 'hour', action, SUM(count) FROM event_hour GROUP BY action`,
		`SELECT 'unmatched', COUNT(*) FROM unmatched`,
	} {
		err := f.db.Read(f.t.Context(), func(tx *sqldb.Tx) error {
			all, err := tx.Query(query)
			if err != nil {
				return err
			}
			defer all.Close()
			columns, err := all.Columns()
			if err != nil {
				return err
			}
			for all.Next() {
				values, into := make([]any, len(columns)), make([]any, len(columns))
				for i := range values {
					into[i] = &values[i]
				}
				if err := all.Scan(into...); err != nil {
					return err
				}
				rows = append(rows, fmt.Sprint(values...))
			}
			return all.Err()
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	slices.Sort(rows)
	return rows
}

// TestALineWithAKeyIsStoredOnce sends keys that are there, in every spelling, with the same content and with another.
func TestALineWithAKeyIsStoredOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const pk = "0189aabb-ccdd-4eef-8012-3456789abcde"
		const line = `{"pk":"` + pk + `","action":"login","app":"x","user":{"pk":1},"context":{"a":[1.0,"é"]},"client_ip":"2001:db8::1","brand":{"name":"b"}}`
		const dated = `{"pk":"0189aabb-ccdd-4eef-8012-3456789abcdf","action":"login","app":"x","expires":"2030-01-01T00:00:00Z"}`
		if first := f.uploads(line, dated); first.Created != 2 || *first.PKs[0] != pk {
			t.Fatalf("%+v", first)
		}
		stored := f.must(200, "GET", eventsPath+pk+"/", "").text
		change := func(old, new string) string {
			if !strings.Contains(line, old) {
				t.Fatal(old)
			}
			return strings.Replace(line, old, new, 1)
		}
		const existing, taken, invalid = "existing", `{"pk":["An event with this pk is stored already, with another content."]}`, `{"pk":["Must be a valid UUID."]}`
		for _, c := range []struct{ promise, line, want string }{
			{"the same", line, existing},
			{"the same in another spelling", `{"client_ip":"2001:0DB8:0::1", "app":" x ", "brand":{"name" :"b"},"context":{"\u0061":[1.0,"\u00e9"]}, "user":{"pk":1}, "action":"login","pk":"{0189AABBCCDD4EEF80123456789ABCDE}"}`, existing},
			{"with a time of its own, which does not count", change(`"action"`, `"created":"1999-01-01","action"`), existing},
			{"urn:uuid:", change(pk, "urn:uuid:"+pk), existing},
			{"another action", change("login", "logout"), taken}, {"another app", change(`"x"`, `"X"`), taken},
			{"another user", change(`{"pk":1}`, `{"pk":2}`), taken}, {"no user", change(`"user":{"pk":1},`, ""), taken},
			{"another context", change("1.0", "1"), taken}, {"another brand", change(`"b"`, `"c"`), taken}, {"no brand", change(`,"brand":{"name":"b"}`, ""), taken},
			{"another address", change("::1", "::2"), taken}, {"no address", change(`"2001:db8::1"`, "null"), taken},
			{"the default expiry, given", change(`"action"`, `"expires":"2030-01-01T00:00Z","action"`), taken},
			{"the same expiry", strings.Replace(dated, "00:00Z", "00:00.000+00:00", 1), existing},
			{"another expiry", strings.Replace(dated, "2030", "2031", 1), taken},
			{"no expiry, where one was given", strings.Replace(dated, `,"expires":"2030-01-01T00:00:00Z"`, "", 1), existing},
			{"no uuid", change(pk, "x"), invalid}, {"an integer", change(`"`+pk+`"`, "1"), invalid}, {"an object", change(`"`+pk+`"`, "{}"), invalid}, {"an empty text", change(pk, ""), invalid},
			{"null", change(`"`+pk+`"`, "null"), `{"pk":["This field may not be null."]}`},
			{"a wrong key and a wrong app", `{"pk":"x","action":"login","app":""}`, `{"pk":["Must be a valid UUID."],"app":["This field may not be blank."]}`},
		} {
			answer := f.uploads(c.line)
			switch {
			case answer.Created != 0, len(answer.PKs) != 1:
				t.Errorf("%s: %+v", c.promise, answer)
			case c.want == existing:
				if answer.Existing != 1 || answer.PKs[0] == nil || !strings.HasPrefix(*answer.PKs[0], pk[:35]) {
					t.Errorf("%s: %+v", c.promise, answer)
				}
			case answer.Refused != 1 || answer.PKs[0] != nil || answer.Errors[0].Line != 1 || string(answer.Errors[0].Errors) != c.want:
				t.Errorf("%s: %+v", c.promise, answer)
			}
		}
		const other = `{"pk":"00000000-0000-0000-0000-000000000000","action":"login","app":"`
		twice := f.uploads(other+`one"}`, `{}`, other+`two"}`, other+`one"}`, `{"action":"login","app":"no key"}`, other+`two"}`)
		if twice.Created != 2 || twice.Existing != 1 || twice.Refused != 3 || twice.PKs[1] != nil || twice.PKs[2] != nil || twice.PKs[0] == nil || *twice.PKs[0] != *twice.PKs[3] ||
			twice.Errors[0].Line != 2 || twice.Errors[1].Line != 3 || string(twice.Errors[1].Errors) != taken {
			t.Errorf("the same key twice in one upload: %+v", twice)
		}
		if now := f.must(200, "GET", eventsPath+pk+"/", "").text; now != stored {
			t.Errorf("the event has changed: %s", cmp.Diff(stored, now))
		}
		if n := f.number("SELECT COUNT(*) FROM event WHERE origin = 'api'"); n != 4 {
			t.Errorf("%d events are stored", n)
		}
		if counted, rows := countsOf(t, f); fmt.Sprint(counted) != fmt.Sprint(rows) {
			t.Errorf("counters %v, rows %v", counted, rows)
		}
	})
}

// TestWhatFollowsFromAnEventOfABatchHappensOnce sends an upload twice, with a rule that matches all of it.
func TestWhatFollowsFromAnEventOfABatchHappensOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		hook := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"hook","mode":"webhook","webhook_url":"http://127.0.0.1:9/"}`).str("pk")
		rule := f.rule("hooks", f.admins(), `"user":1,"negate":true`)
		f.must(200, "PATCH", "/api/v3/events/rules/"+rule+"/", `{"transports":["`+hook+`"]}`)
		lines := keyed(700, "configuration_error") // which a rule of the first start matches
		f.forget()
		if answer := f.uploads(lines...); answer.Created != 700 {
			t.Fatalf("%d were created", answer.Created)
		}
		want := f.written()
		if answer := f.uploads(lines...); answer.Existing != 700 || answer.Created != 0 {
			t.Fatalf("%d exist, %d were created", answer.Existing, answer.Created)
		}
		if diff := cmp.Diff(want, f.written()); diff != "" {
			t.Errorf("the second time left something: %s", diff)
		}
		for _, query := range []string{"SELECT COUNT(*) FROM notification", "SELECT COUNT(*) FROM delivery WHERE state = 'pending'"} {
			if n := f.number(query); n != 700 {
				t.Errorf("%s: %d", query, n)
			}
		}
	})
}

// TestAnArrayThatIsNoJSONKeepsWhatStandsBefore wants the place of what is wrong, and the elements before it.
func TestAnArrayThatIsNoJSONKeepsWhatStandsBefore(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := f.upload(asArray, strings.NewReader("[{\"action\":\"login\",\"app\":\"é\"},\n {\"action\":\"login\",\"app\":\"x\"} x]"))
		if r.status != 400 || r.text != `{"detail":"JSON parse error - unexpected character: line 2 column 31 (char 61)"}` {
			t.Errorf("%d %s", r.status, r.text)
		}
		if n := f.number("SELECT COUNT(*) FROM event"); n != 2 {
			t.Errorf("%d events are stored, want the two before", n)
		}
	})
}

// TestWhoeverStillSendsCanReadTheAnswer sends far more than the buffers on the way hold behind what is wrong.
func TestWhoeverStillSendsCanReadTheAnswer(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		conn := f.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n[,", batchPath, adminKey, asArray, 2+(40<<20))
		if _, err := io.WriteString(conn, strings.Repeat("x", 40<<20)); err != nil {
			t.Errorf("the rest of the body: %v", err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || answer.StatusCode != 400 {
			t.Errorf("%v: %v", err, answer)
		}
	})
}

// TestABatchIsReadByItsType asks for types that are taken and for others.
func TestABatchIsReadByItsType(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const line = `{"action":"login","app":"x"}`
		for _, c := range []struct {
			contentType, body string
			status, created   int
		}{
			{"application/x-ndjson", line + "\n\n" + line, 200, 2}, {"application/jsonl", line, 200, 1}, {"application/ndjson;charset=utf-8", line, 200, 1},
			{"application/json", "[" + line + "," + line + "]", 200, 2}, {"application/json", line, 400, 0}, {"application/x-ndjson", "[" + line + "]", 200, 0},
			{"text/plain", line, 415, 0}, {"", line, 415, 0}, {"application/x-ndjson;charset=latin-1", line, 415, 0},
			{"application/x-ndjson", "", 200, 0}, {"application/json", "", 200, 0}, {"", "", 200, 0}, {"application/json", "[]", 200, 0},
		} {
			before := f.number("SELECT COUNT(*) FROM event")
			r := f.upload(c.contentType, strings.NewReader(c.body))
			if r.status != c.status || r.status == 200 && r.get("created") != float64(c.created) || f.number("SELECT COUNT(*) FROM event") != before+c.created {
				t.Errorf("%q %q: %d %s", c.contentType, c.body, r.status, r.text)
			}
		}
		if r := f.upload("", strings.NewReader("")); r.text != `{"created":0,"existing":0,"refused":0,"pks":[],"errors":[]}` {
			t.Errorf("nothing is answered %s", r.text)
		}
	})
}

// TestWhatIsWrongWithABatchIsSaidWithinABound refuses more lines than can be told of.
func TestWhatIsWrongWithABatchIsSaidWithinABound(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		wrong := `{"action":"` + strings.Repeat("x", 1000) + `","app":"x"}` + "\n"
		r := f.upload(asLines, strings.NewReader(`{"action":"login","app":"right"}`+"\n"+strings.Repeat(wrong, 5000)))
		if r.status != 400 || !strings.HasPrefix(r.str("detail"), "Too much is wrong to say it all: up to line 40") {
			t.Errorf("%d %.300s", r.status, r.text)
		}
		if n := f.number("SELECT COUNT(*) FROM event"); n != 1 {
			t.Errorf("%d events are stored, want the one before", n)
		}
	})
}

// TestKeysThatAreTakenAreToldOfWithinABound adds one to as many as can be told of.
func TestKeysThatAreTakenAreToldOfWithinABound(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pk := *f.uploads(`{"action":"login","app":"first"}`).PKs[0]
		p, err := f.server.recorder.prepare(t.Context(), Event{PK: pk, Action: "login", App: "second", User: "{}", Context: "{}", Brand: "{}", Origin: OriginAPI})
		if err != nil {
			t.Fatal(err)
		}
		u := &upload{server: f.server, caller: hostCaller(), taken: make([]place, refusalBytes/len(keyTaken)-1)}
		for i := range 2 {
			err := u.write(t.Context(), &chunk{lines: []*batchLine{{plan: p, place: place{number: 7}}}})
			if (err != nil) != (i == 1) || err != nil && !strings.Contains(err.Error(), "Too much is wrong to say it all: up to line 7 ") {
				t.Errorf("%d more than can be told of: %v", i, err)
			}
		}
	})
}

// TestABatchIsWrittenInChunks wants no write to be larger than it may be, whatever follows from the lines.
func TestABatchIsWrittenInChunks(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		uploads := f.server.uploads
		uploads.rows.Store(1_000_000) // as if the last ones had taken no time
		uploads.note(fewestRows, 0)
		if n := uploads.rows.Load(); n != chunkRows {
			t.Fatalf("chunks of %d rows", n)
		}
		largest := func() int {
			return f.number("SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM event WHERE app LIKE 'app %' GROUP BY created) AS chunks")
		}
		if answer := f.uploads(keyed(2500, "login")...); answer.Created != 2500 {
			t.Fatalf("%+v", answer.Created)
		}
		if n := largest(); n > chunkRows || n < fewestRows {
			t.Errorf("%d events were written at once", n)
		}
		if !f.db.Postgres() { // whose rows have no numbers
			if n := f.number("SELECT COUNT(*) FROM event a JOIN event b ON b.rowid = a.rowid + 1 WHERE (b.created, b.pk) < (a.created, a.pk)"); n > 0 {
				t.Errorf("%d rows are not in the order of lists", n)
			}
		}
		f.forget()
		ann, _ := f.user("ann")
		bob, _ := f.user("bob")
		group := f.must(201, "POST", "/api/v3/core/groups/", fmt.Sprintf(`{"name":"three","users":[1,%d,%d]}`, ann, bob)).str("pk")
		f.rule("three", group, `"user":1,"negate":true`)
		uploads.rows.Store(chunkRows)
		f.uploads(keyed(600, "logout")...)
		if n := largest(); n > chunkRows/4+1 {
			t.Errorf("%d events with three notifications each were written at once", n)
		}
		f.forget()
		large := strings.Repeat("x", 400<<10)
		lines := keyed(20, "custom_large")
		for i := range lines {
			lines[i] = strings.Replace(lines[i], `}`, `,"context":"`+large+`"}`, 1)
		}
		uploads.rows.Store(chunkRows)
		f.uploads(lines...)
		if n := largest(); n > 4 {
			t.Errorf("%d events of 400 KiB were written at once", n)
		}
		if counted, rows := countsOf(t, f); fmt.Sprint(counted) != fmt.Sprint(rows) {
			t.Errorf("counters %v, rows %v", counted, rows)
		}
	})
}

// TestSlowWritesMakeChunksSmaller sets the size by the time that chunks take.
func TestSlowWritesMakeChunksSmaller(t *testing.T) {
	u := newUploads()
	for range 20 {
		u.note(int(u.rows.Load()), time.Second)
	}
	if n := u.rows.Load(); n != fewestRows {
		t.Errorf("%d rows where a chunk takes a second", n)
	}
	for range 20 {
		u.note(int(u.rows.Load()), time.Duration(u.rows.Load())*50*time.Microsecond)
	}
	u.note(1, time.Second) // which says little
	if n := time.Duration(u.rows.Load()); n*50*time.Microsecond < chunkTime*9/10 || n*50*time.Microsecond > chunkTime*11/10 {
		t.Errorf("%d rows, of which each takes 50 µs, do not make %v", n, chunkTime)
	}
}

// TestABatchIsStoredWhileItComes sends the second half of an upload once the first is there.
func TestABatchIsStoredWhileItComes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		lines := keyed(4000, "login")
		in, out := io.Pipe()
		go func() {
			_, err := io.WriteString(out, strings.Join(lines[:3000], "\n")+"\n")
			if err == nil {
				f.until(1500, "SELECT COUNT(*) FROM event")
				_, err = io.WriteString(out, strings.Join(lines[3000:], "\n"))
			}
			out.CloseWithError(err)
		}()
		if r := f.upload(asLines, in); r.status != 200 || r.get("created") != float64(4000) {
			t.Errorf("%d %.200s", r.status, r.text)
		}
	})
}

// TestEventsOfOurOwnWebhooksRunNoRulesInABatch sends what a webhook of this Belfry would.
func TestEventsOfOurOwnWebhooksRunNoRulesInABatch(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.server.origin = "us"
		for origin, want := range map[string]int{"us": 0, "them": 1} {
			request, err := http.NewRequestWithContext(t.Context(), "POST", f.url+batchPath, strings.NewReader(`{"action":"configuration_error","app":"`+origin+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{"Content-Type": {asLines}, "Authorization": {"Bearer " + adminKey}, outbound.HeaderOrigin: {origin}}
			if r := f.send(request); r.status != 200 {
				t.Fatalf("%d %s", r.status, r.text)
			}
			if n := f.number("SELECT COUNT(*) FROM notification n JOIN event e ON e.pk = n.event_pk WHERE e.app = $1", origin); n != want {
				t.Errorf("%d notifications of an event from %s", n, origin)
			}
		}
	})
}

// TestAnUploadThatBreaksOffIsSentAgain cuts the connection in the middle, and sends it all again.
func TestAnUploadThatBreaksOffIsSentAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		lines := keyed(3000, "configuration_error")
		conn := f.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", batchPath, adminKey, asLines, 10<<20)
		if _, err := io.WriteString(conn, strings.Join(lines[:2000], "\n")); err != nil {
			t.Fatal(err)
		}
		f.until(500, "SELECT COUNT(*) FROM event")
		conn.Close()
		answer := f.uploads(lines...)
		if answer.Created+answer.Existing != 3000 || answer.Existing < 500 || answer.Created < 1000 || answer.Refused != 0 {
			t.Errorf("%d created, %d existing, %d refused", answer.Created, answer.Existing, answer.Refused)
		}
		if events, notified := f.number("SELECT COUNT(*) FROM event"), f.number("SELECT COUNT(DISTINCT event_pk) FROM notification"); events != 3000 || notified != 3000 || f.number("SELECT COUNT(*) FROM notification") != 3000 {
			t.Errorf("%d events, %d of them notified, %d notifications", events, notified, f.number("SELECT COUNT(*) FROM notification"))
		}
		for i, pk := range answer.PKs {
			if pk == nil || *pk != keyOf(i) {
				t.Fatalf("line %d has the key %v", i+1, pk)
			}
		}
	})
}

// TestHalfALineAtACutIsNotStored sends a line that would be JSON where it is cut.
func TestHalfALineAtACutIsNotStored(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		conn := f.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", batchPath, adminKey, asLines)
		part := `{"action":"login","app":"whole"}` + "\n" + `{"action":"login","app":"cut"}`
		fmt.Fprintf(conn, "%x\r\n%s\r\nzz\r\n", len(part), part) // no chunk
		if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && answer.StatusCode == 200 {
			t.Error("it was taken")
		}
		if n := f.number("SELECT COUNT(*) FROM event WHERE app = 'cut'"); n != 0 {
			t.Errorf("%d events", n)
		}
	})
}

// TestRightsAreLookedAtInTheMiddleOfAnUpload takes them away while an upload goes on.
func TestRightsAreLookedAtInTheMiddleOfAnUpload(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		boss, _ := f.user("boss")
		group := f.must(201, "POST", "/api/v3/core/groups/", fmt.Sprintf(`{"name":"bosses","is_superuser":true,"users":[%d]}`, boss)).str("pk")
		key := f.token(boss, "shipper", "ingest")
		for i, c := range []struct {
			promise, method, path, body, text string
			status                            int
		}{
			{"no superuser any more", "PATCH", "/api/v3/core/groups/" + group + "/", `{"users":[]}`, "permission", 200},
			{"the token is gone", "DELETE", "/api/v3/core/tokens/shipper/", "", "Token invalid/expired", 204},
		} {
			in, out := io.Pipe()
			request, err := http.NewRequestWithContext(t.Context(), "POST", f.url+batchPath, in)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{"Content-Type": {asLines}, "Authorization": {"Bearer " + key}}
			go func() {
				lines := strings.ReplaceAll(strings.Join(keyed(3000, "custom_long"), "\n"), "-4000-8000-", fmt.Sprintf("-4000-800%d-", i))
				_, err := io.WriteString(out, lines+"\n")
				if err == nil {
					f.until(1000*(i+1), "SELECT COUNT(*) FROM event WHERE action = 'custom_long'")
					f.must(c.status, c.method, c.path, c.body)
					_, err = io.WriteString(out, strings.ReplaceAll(lines, "-4000-8", "-4000-9"))
				}
				out.CloseWithError(err)
			}()
			if r := f.send(request); r.status != 403 || !strings.Contains(r.text, c.text) {
				t.Errorf("%s: %d %.200s", c.promise, r.status, r.text)
			}
			f.must(200, "PATCH", "/api/v3/core/groups/"+group+"/", fmt.Sprintf(`{"users":[%d]}`, boss))
		}
		if n := f.number("SELECT COUNT(*) FROM event WHERE action = 'custom_long'"); n < 2000 || n > 11_000 {
			t.Errorf("%d events are stored", n)
		}
	})
}
