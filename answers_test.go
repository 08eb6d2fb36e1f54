package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAnswers sends what stands in testdata/answers/*.json to a server and compares what comes back, byte for byte.
// A file is a list of cases, which run in order on one fresh server for each file and database. A case has
//
//	name       what it shows
//	as         admin (akadmin, as if not given), read, ingest (akadmin with a token of that scope), plain, inbox
//	           (alice, who is no superuser, with a token of all scopes or of that one), or none
//	method     GET if not given
//	path       and query, as they go over the wire; below /api/v3/ unless it begins with /
//	headers    to send besides; a Content-Type is sent with a body unless it is "" here
//	body       JSON, sent compact; or raw, text sent as it stands; or base64, bytes
//	each       runs the case once with each of these values, which ${each} stands for
//	status     200 if not given
//	pick       the part of the answer that is compared: "results.*.name" is the list of all names
//	answer     JSON that the answer, or what was picked, must equal with all its keys in their order
//	want       headers of the answer; "" for one that must not be there
//	without    texts that the answer must not contain
//	save       variables to keep, by their paths in the answer
//	unchanged  a path: what GET answers there must be the same before and after
//
// "${name}" stands for the JSON value of a variable, ${name} within a longer text for its text. alice, admins, local,
// email are keys of what a fresh server has; unknown is a uuid that nothing has; key is akadmin's. In an answer
// ${time}, ${uuid} and ${text} stand for any time, any uuid and any text without quotes in it.
func TestAnswers(t *testing.T) {
	files, err := filepath.Glob("testdata/answers/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			cases := readCases(t, file)
			each(t, func(t *testing.T, f *fixture) {
				run := newAnswers(f)
				for i := range cases {
					run.all(t, &cases[i])
				}
			})
		})
	}
}

// answerCase is one case of a file.
type answerCase struct {
	Name      string            `json:"name"`
	As        string            `json:"as"`
	Method    string            `json:"method"`
	Path      string            `json:"path"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	Raw       string            `json:"raw"`
	Base64    string            `json:"base64"`
	Each      []json.RawMessage `json:"each"`
	Status    int               `json:"status"`
	Pick      string            `json:"pick"`
	Answer    json.RawMessage   `json:"answer"`
	Want      map[string]string `json:"want"`
	Without   []string          `json:"without"`
	Save      map[string]string `json:"save"`
	Unchanged string            `json:"unchanged"`
}

// readCases reads a file, and refuses one with a misspelt key or two cases of one name.
func readCases(t *testing.T, file string) []answerCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []answerCase
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&cases); err != nil {
		t.Fatalf("%s, at byte %d: %v", file, decoder.InputOffset(), err)
	}
	known := map[string]bool{}
	for i := range cases {
		c := &cases[i]
		if c.Name == "" || known[c.Name] {
			t.Fatalf("%s: the name %q is empty or taken", file, c.Name)
		}
		known[c.Name] = true
		if c.Method == "" {
			c.Method = http.MethodGet
		}
		if c.Status == 0 {
			c.Status = http.StatusOK
		}
	}
	return cases
}

// answers runs cases on a fixture.
type answers struct {
	*fixture
	keys map[string]string // by what stands at as
	vars map[string]string // JSON values
}

// newAnswers makes alice, the tokens, and the variables that every file may use.
func newAnswers(f *fixture) *answers {
	alice, plain := f.user("alice", "admin")
	a := &answers{fixture: f, vars: map[string]string{}, keys: map[string]string{
		"": adminKey, "admin": adminKey, "none": "", "plain": plain,
		"inbox": f.token(alice, "alice-inbox", "inbox"), "read": f.token(1, "read", "read"), "ingest": f.token(1, "ingest", "ingest"),
	}}
	a.vars["alice"] = strconv.FormatInt(alice, 10)
	a.vars["unknown"] = `"01890000-0000-7000-8000-000000000000"`
	a.vars["key"] = quote(adminKey)
	for name, path := range map[string]string{
		"admins": "core/groups/?name=authentik+Admins",
		"local":  "events/transports/?name=default-local-transport",
		"email":  "events/transports/?name=default-email-transport",
	} {
		a.vars[name] = quote(f.must(200, "GET", "/api/v3/"+path, "").str("results", 0, "pk"))
	}
	f.forget()
	return a
}

// all runs a case, once with each of its values.
func (a *answers) all(t *testing.T, c *answerCase) {
	if c.Each == nil {
		t.Run(c.Name, func(t *testing.T) { a.one(t, c) })
		return
	}
	for _, value := range c.Each {
		a.vars["each"] = a.fill(t, string(value))
		t.Run(c.Name+"/"+string(value), func(t *testing.T) { a.one(t, c) })
	}
	delete(a.vars, "each")
}

// one runs a case with the variables as they are now.
func (a *answers) one(t *testing.T, c *answerCase) {
	before := a.look(t, c.Unchanged)
	r := a.send(a.request(t, c))
	if r.status != c.Status {
		t.Errorf("want %d, got %d %s", c.Status, r.status, r.text)
		return
	}
	checkManners(t, r)
	a.checkHeaders(t, c, r)
	if c.Answer != nil {
		got := compact(t, r.text)
		if c.Pick != "" {
			got = pick(t, got, c.Pick)
		}
		a.compare(t, string(c.Answer), got)
	}
	for _, text := range c.Without {
		if text = a.plain(t, text); strings.Contains(r.text, text) {
			t.Errorf("the answer contains %q: %s", text, r.text)
		}
	}
	for name, path := range c.Save {
		a.vars[name] = pick(t, r.text, path)
	}
	if after := a.look(t, c.Unchanged); after != before {
		t.Errorf("%s has changed: %s", c.Unchanged, cmp.Diff(before, after))
	}
}

// look is what GET answers at a path, "" for no path.
func (a *answers) look(t *testing.T, path string) string {
	if path == "" {
		return ""
	}
	r := a.call(adminKey, http.MethodGet, a.target(t, path), "")
	if r.status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, r.status, r.text)
	}
	return r.text
}

// target is a case's path with its variables filled in.
func (a *answers) target(t *testing.T, path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/api/v3/" + path
	}
	return a.plain(t, path)
}

// request is what a case sends.
func (a *answers) request(t *testing.T, c *answerCase) *http.Request {
	body := []byte(a.plain(t, c.Raw))
	switch {
	case c.Body != nil:
		body = []byte(a.fill(t, compact(t, string(c.Body))))
	case c.Base64 != "":
		var err error
		if body, err = base64.StdEncoding.DecodeString(c.Base64); err != nil {
			t.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), a.plain(t, c.Method), a.url+a.target(t, c.Path), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	key, known := a.keys[c.As]
	if !known {
		t.Fatalf("nobody is called %q", c.As)
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	for name, value := range c.Headers {
		value = a.plain(t, value)
		request.Header.Set(name, value)
		if value == "" {
			request.Header.Del(name)
		}
	}
	return request
}

// checkManners checks what is the same in all answers of the API.
func checkManners(t *testing.T, r reply) {
	if got := r.header.Get("Content-Type"); r.text != "" && got != "application/json" {
		t.Errorf("the Content-Type is %q", got)
	}
	if r.status == http.StatusNoContent && r.text != "" {
		t.Errorf("204 with a body: %s", r.text)
	}
	for _, name := range []string{"WWW-Authenticate", "Location", "Set-Cookie"} {
		if redirect := r.status == http.StatusMovedPermanently || r.status == http.StatusPermanentRedirect; redirect && name == "Location" {
			continue
		}
		if got := r.header.Get(name); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// checkHeaders checks the headers that a case wants.
func (a *answers) checkHeaders(t *testing.T, c *answerCase, r reply) {
	for name, value := range c.Want {
		if value = a.plain(t, value); r.header.Get(name) != value {
			t.Errorf("%s: want %q, got %q", name, value, r.header.Get(name))
		}
	}
}

// patterns are what stands for more than one text in an answer.
var patterns = map[string]string{
	"time": `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z`,
	"uuid": `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"text": `[^"]*`,
}

// compare wants got to be want, but for the patterns in it.
func (a *answers) compare(t *testing.T, want, got string) {
	for name := range patterns {
		a.vars[name] = quote("${" + name + "}") // kept as it is until the rest is quoted
	}
	want = compact(t, a.fill(t, want))
	expression := regexp.QuoteMeta(want)
	for name, pattern := range patterns {
		delete(a.vars, name)
		expression = strings.ReplaceAll(expression, regexp.QuoteMeta("${"+name+"}"), pattern)
	}
	if !regexp.MustCompile("^" + expression + "$").MatchString(got) {
		t.Errorf("the answer differs:\nwant %s\ngot  %s", want, got)
	}
}

// variable is a variable's place; in JSON with its quotes where it is all of a string.
var (
	variable     = regexp.MustCompile(`\$\{\w+\}`)
	jsonVariable = regexp.MustCompile(`"\$\{\w+\}"|\$\{\w+\}`)
)

// value is a variable's JSON value.
func (a *answers) value(t *testing.T, place string) string {
	t.Helper()
	value, known := a.vars[strings.Trim(place, `"${}`)]
	if !known {
		t.Fatalf("no variable %s", place)
	}
	return value
}

// fill puts the variables' values into a JSON text.
func (a *answers) fill(t *testing.T, text string) string {
	t.Helper()
	return jsonVariable.ReplaceAllStringFunc(text, func(place string) string {
		value := a.value(t, place)
		if place[0] == '"' {
			return value
		}
		return strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
	})
}

// plain puts the variables' texts into a text that is no JSON: a path, a header.
func (a *answers) plain(t *testing.T, text string) string {
	t.Helper()
	return variable.ReplaceAllStringFunc(text, func(place string) string {
		value := a.value(t, place)
		var decoded string
		if json.Unmarshal([]byte(value), &decoded) == nil {
			return decoded
		}
		return value
	})
}

// compact is a JSON text without white space; what is none is left as it is.
func compact(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if json.Compact(&out, []byte(text)) != nil {
		return text
	}
	return out.String()
}

// pick is the part of a JSON text at a path of keys and indexes; * is every member of a list, and answers a list.
func pick(t *testing.T, text, path string) string {
	t.Helper()
	part, err := pickRaw(json.RawMessage(text), strings.Split(path, "."))
	if err != nil {
		t.Fatalf("%s: %v in %s", path, err, text)
	}
	return string(part)
}

func pickRaw(value json.RawMessage, path []string) (json.RawMessage, error) {
	if len(path) == 0 || path[0] == "" {
		return value, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) == nil {
		member, known := object[path[0]]
		if !known {
			return nil, fmt.Errorf("there is no %q", path[0])
		}
		return pickRaw(member, path[1:])
	}
	var list []json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil {
		return nil, fmt.Errorf("%q is asked of neither object nor list", path[0])
	}
	if path[0] != "*" {
		at, err := strconv.Atoi(path[0])
		if err != nil || at >= len(list) {
			return nil, fmt.Errorf("there is no %q in a list of %d", path[0], len(list))
		}
		return pickRaw(list[at], path[1:])
	}
	parts := make([]string, len(list))
	for i := range list {
		part, err := pickRaw(list[i], path[1:])
		if err != nil {
			return nil, err
		}
		parts[i] = string(part)
	}
	return json.RawMessage("[" + strings.Join(parts, ",") + "]"), nil
}
