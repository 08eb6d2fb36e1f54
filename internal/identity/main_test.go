package identity

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/mux"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
	"belfry/internal/trail"
)

// rootKey is the key of the first token in every test.
const rootKey = "the-key-of-the-first-token-0123456789"

// server is the package's API on a fresh, seeded database, behind real HTTP and Authenticate. What the
// project's route table checks (superuser or not, scopes) is not checked here.
type server struct {
	t   *testing.T
	db  *sqldb.DB
	api *API
	url string
	// admins is the pk of the group authentik Admins.
	admins string
}

// onEach runs test on a fresh server for each database.
func onEach(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, serve(t, db)) })
}

func serve(t *testing.T, db *sqldb.DB) *server {
	t.Helper()
	untold := func(*sqldb.Tx, *http.Request, trail.Change) error { return nil }
	s := &server{t: t, db: db, api: New(db, slog.New(slog.NewTextHandler(t.Output(), nil)), untold)}
	s.write(func(tx *sqldb.Tx) (err error) {
		s.admins, err = Seed(tx, HashKey(rootKey))
		return err
	})
	web := httptest.NewServer(s.routes())
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

type handler func(http.ResponseWriter, *http.Request) error

func (s *server) routes() http.Handler {
	a := s.api
	table := map[string]map[string]handler{
		"/users/":                           {"GET": a.ListUsers, "POST": a.CreateUser},
		"/users/me/":                        {"GET": a.Me},
		"/users/{id}/":                      {"GET": a.GetUser, "PUT": a.UpdateUser, "PATCH": a.UpdateUser, "DELETE": a.DeleteUser},
		"/users/{id}/set_password/":         {"POST": a.SetPassword},
		"/users/{id}/used_by/":              {"GET": a.UserUsedBy},
		"/groups/":                          {"GET": a.ListGroups, "POST": a.CreateGroup},
		"/groups/{group_uuid}/":             {"GET": a.GetGroup, "PUT": a.UpdateGroup, "PATCH": a.UpdateGroup, "DELETE": a.DeleteGroup},
		"/groups/{group_uuid}/add_user/":    {"POST": a.AddUser},
		"/groups/{group_uuid}/remove_user/": {"POST": a.RemoveUser},
		"/groups/{group_uuid}/used_by/":     {"GET": a.GroupUsedBy},
		"/tokens/":                          {"GET": a.ListTokens, "POST": a.CreateToken},
		"/tokens/{identifier}/":             {"GET": a.GetToken, "PUT": a.UpdateToken, "PATCH": a.UpdateToken, "DELETE": a.DeleteToken},
		"/tokens/{identifier}/set_key/":     {"POST": a.SetKey},
		"/tokens/{identifier}/view_key/":    {"GET": a.ViewKey},
		"/tokens/{identifier}/used_by/":     {"GET": a.TokenUsedBy},
	}
	router := mux.NewRouter()
	// users/me/ is matched before users/{id}/.
	for _, path := range []string{"/users/me/"} {
		router.Handle(path, s.adapt(table[path]))
	}
	for path, methods := range table {
		router.Handle(path, s.adapt(methods))
	}
	return router
}

func (s *server) adapt(methods map[string]handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.api.Authenticate(r)
		if r.Header.Get("Test-Host") != "" {
			caller, err = Caller{Host: true, Superuser: true, Scopes: ScopeAdmin}, nil
		}
		if err == nil {
			err = methods[r.Method](w, r.WithContext(WithCaller(r.Context(), caller)))
		}
		if err != nil {
			drf.Fail(w, r, s.api.Log, err)
		}
	})
}

func (s *server) read(fn func(tx *sqldb.Tx) error) {
	s.t.Helper()
	if err := s.db.Read(context.Background(), fn); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) write(fn func(tx *sqldb.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(context.Background(), fn); err != nil {
		s.t.Fatal(err)
	}
}

// exec changes the database behind the API's back.
func (s *server) exec(statement string, args ...any) {
	s.t.Helper()
	s.write(func(tx *sqldb.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	})
}

// as is a client that shows a key; "" shows none.
func (s *server) as(key string) client {
	return client{s, http.Header{"Authorization": {"Bearer " + key}}}
}

// root is the first token's client, host the command line's.
func (s *server) root() client { return s.as(rootKey) }
func (s *server) host() client { return client{s, http.Header{"Test-Host": {"1"}}} }

type client struct {
	*server
	header http.Header
}

// answer is what came back.
type answer struct {
	t      *testing.T
	asked  string
	status int
	header http.Header
	body   string
}

func (c client) do(method, path, body string) answer {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header = c.header.Clone()
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if strings.Contains(string(text), "argon2id") {
		c.t.Errorf("%s %s answered a password's hash: %s", method, path, text)
	}
	return answer{c.t, method + " " + path + " " + body, response.StatusCode, response.Header, string(text)}
}

func (c client) get(path string) answer         { c.t.Helper(); return c.do("GET", path, "") }
func (c client) post(path, body string) answer  { c.t.Helper(); return c.do("POST", path, body) }
func (c client) patch(path, body string) answer { c.t.Helper(); return c.do("PATCH", path, body) }
func (c client) put(path, body string) answer   { c.t.Helper(); return c.do("PUT", path, body) }
func (c client) delete(path string) answer      { c.t.Helper(); return c.do("DELETE", path, "") }

// is fails the test unless the answer has the status.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s\nanswered %d %s\nwant %d", a.asked, a.status, a.body, status)
	}
	return a
}

// says fails the test unless the answer has the status and exactly this body.
func (a answer) says(status int, body string) {
	a.t.Helper()
	if a.is(status); a.body != body {
		a.t.Errorf("%s\nanswered %s\nwant     %s", a.asked, a.body, body)
	}
}

// has fails the test unless the answer holds all the texts.
func (a answer) has(texts ...string) answer {
	a.t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			a.t.Errorf("%s\nanswered %s\nwithout  %s", a.asked, a.body, text)
		}
	}
	return a
}

// lacks fails the test if the answer holds one of the texts.
func (a answer) lacks(texts ...string) answer {
	a.t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			a.t.Errorf("%s\nanswered %s\nwith     %s", a.asked, a.body, text)
		}
	}
	return a
}

// text is a member of the answer, as text.
func (a answer) text(name string) string {
	a.t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &object); err != nil {
		a.t.Fatalf("%s\nanswered %s: %v", a.asked, a.body, err)
	}
	return strings.Trim(string(object[name]), `"`)
}

// column is one member of every result of a list, joined by spaces.
func (a answer) column(name string) string {
	a.t.Helper()
	var list struct{ Results []map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(a.is(200).body), &list); err != nil {
		a.t.Fatalf("%s\nanswered %s: %v", a.asked, a.body, err)
	}
	var values []string
	for _, row := range list.Results {
		values = append(values, strings.Trim(string(row[name]), `"`))
	}
	return strings.Join(values, " ")
}

// keys are the names of the answer's members, in order.
func (a answer) keys() string {
	a.t.Helper()
	d := json.NewDecoder(strings.NewReader(a.body))
	var names []string
	depth := 0
	name := true
	for {
		token, err := d.Token()
		if err == io.EOF {
			return strings.Join(names, " ")
		}
		if err != nil {
			a.t.Fatal(err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			continue
		case json.Delim('}'), json.Delim(']'):
			if depth--; depth == 1 {
				name = true
			}
			continue
		}
		if depth == 1 {
			if name {
				names = append(names, token.(string))
			}
			name = !name
		}
	}
}

// user makes a user with the given groups and answers its pk.
func (s *server) user(username string, groups ...string) string {
	s.t.Helper()
	list, _ := json.Marshal(append([]string{}, groups...))
	return s.host().post("/users/", `{"username":"`+username+`","name":"","groups":`+string(list)+`}`).is(201).text("pk")
}

// group makes a group and answers its pk.
func (s *server) group(body string) string {
	s.t.Helper()
	return s.host().post("/groups/", body).is(201).text("pk")
}

// token makes a token for a user and answers its key.
func (s *server) token(identifier, user, scopes string) string {
	s.t.Helper()
	return s.host().post("/tokens/", `{"identifier":"`+identifier+`","user":`+user+`,"scopes":[`+scopes+`]}`).is(201).text("key")
}
