package rules

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/script"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
	"belfry/internal/trail"

	"github.com/gorilla/mux"
)

// client speaks to the API of rules, matchers and bindings over HTTP. The database holds the people of addPeople.
type client struct {
	t   *testing.T
	db  *sqldb.DB
	url string
}

type handler = func(http.ResponseWriter, *http.Request) error

// each runs test with a client on a fresh database of either kind.
func each(t *testing.T, test func(c *client)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := db.Write(t.Context(), addPeople); err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		a := &API{DB: db, MissingTransport: func(tx *sqldb.Tx, pks []string) (string, error) {
			for _, pk := range pks {
				if there, err := exists(tx, `SELECT 1 FROM transport WHERE pk = $1`, pk); err != nil || !there {
					return pk, err
				}
			}
			return "", nil
		}, Subject: eventAction, Trail: func(*sqldb.Tx, *http.Request, trail.Change) error { return nil }, Runner: script.NewRunner()}
		router := mux.NewRouter()
		route := func(path string, methods map[string]handler) {
			router.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				if err := methods[r.Method](w, r); err != nil {
					drf.Fail(w, r, log, err)
				}
			})
		}
		crud := func(path, variable string, list, create, get, update, remove, usedBy handler) {
			route(path, map[string]handler{"GET": list, "POST": create})
			route(path+"{"+variable+"}/", map[string]handler{"GET": get, "PUT": update, "PATCH": update, "DELETE": remove})
			route(path+"{"+variable+"}/used_by/", map[string]handler{"GET": usedBy})
		}
		crud("/rules/", "pbm_uuid", a.ListRules, a.CreateRule, a.GetRule, a.UpdateRule, a.DeleteRule, a.RuleUsedBy)
		crud("/matchers/", "policy_uuid", a.ListMatchers, a.CreateMatcher, a.GetMatcher, a.UpdateMatcher, a.DeleteMatcher, a.MatcherUsedBy)
		crud("/bindings/", "policy_binding_uuid", a.ListBindings, a.CreateBinding, a.GetBinding, a.UpdateBinding, a.DeleteBinding, a.BindingUsedBy)
		crud("/expressions/", "policy_uuid", a.ListExpressions, a.CreateExpression, a.GetExpression, a.UpdateExpression, a.DeleteExpression, a.ExpressionUsedBy)
		route("/policies/", map[string]handler{"GET": a.ListPolicies})
		route("/policies/types/", map[string]handler{"GET": a.PolicyTypes})
		route("/policies/cache_info/", map[string]handler{"GET": a.PolicyCacheInfo})
		route("/policies/cache_clear/", map[string]handler{"POST": a.ClearPolicyCache})
		route("/policies/{policy_uuid}/", map[string]handler{"GET": a.GetPolicy, "DELETE": a.DeletePolicy})
		route("/policies/{policy_uuid}/test/", map[string]handler{"POST": a.TestPolicy})
		route("/policies/{policy_uuid}/used_by/", map[string]handler{"GET": a.PolicyUsedBy})
		server := httptest.NewServer(router)
		t.Cleanup(server.Close)
		test(&client{t: t, db: db, url: server.URL})
	})
}

// eventAction stands for the root's reading of events: of the action alone, which is never "refused".
func eventAction(event drf.JSON) (Subject, *drf.Errors) {
	var e struct{ Action string }
	errs := drf.NewErrors()
	if err := json.Unmarshal([]byte(event), &e); err != nil || e.Action == "refused" {
		errs.Add("action", "No.")
	}
	return Subject{Action: e.Action, Input: script.Input{Event: &script.Event{Action: e.Action}}}, errs
}

// The people of the tests: ann and ben are operators, cat has left, dan is in no group; leads are operators too.
const (
	ann = int64(iota + 1)
	ben
	cat
	dan
	eve
)

const (
	operators = "00000000-0000-7000-8000-00000000000a"
	leads     = "00000000-0000-7000-8000-00000000000b" // below operators
	inbox     = "00000000-0000-7000-8000-00000000000c" // a transport
	mail      = "00000000-0000-7000-8000-00000000000d" // another
	nobody    = "00000000-0000-4000-8000-000000000000" // nothing has this pk
)

func addPeople(tx *sqldb.Tx) error {
	for pk, name := range map[int64]string{ann: "ann", ben: "ben", cat: "cat", dan: "dan", eve: "eve"} {
		if _, err := tx.Exec(`INSERT INTO app_user (pk, uuid, username, name, email, path, type, is_active,
			attributes, password, date_joined, last_updated, password_change_date)
			VALUES ($1, $2, $3, '', '', 'users', 'internal', $4, '{}', '', 1, 1, 1)`,
			pk, sqldb.NewID(), name, pk != cat); err != nil {
			return err
		}
	}
	for _, row := range [][]any{
		{`INSERT INTO user_group (pk, num_pk, name, is_superuser, attributes) VALUES ($1, 1, 'operators', FALSE, '{}')`, operators},
		{`INSERT INTO user_group (pk, num_pk, name, is_superuser, attributes, parent_pk) VALUES ($1, 2, 'leads', FALSE, '{}', $2)`, leads, operators},
		{`INSERT INTO transport (pk, name, mode, webhook_url, send_once, email_subject_prefix, email_template)
			VALUES ($1, 'inbox', 'local', '', FALSE, '', ''), ($2, 'mail', 'email', '', FALSE, '', '')`, inbox, mail},
		{`INSERT INTO membership (group_pk, user_pk) VALUES ($1, $2), ($1, $3), ($1, $4), ($5, $2), ($5, $6)`, operators, ben, ann, cat, leads, eve},
	} {
		if _, err := tx.Exec(row[0].(string), row[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// call sends a request and answers its status and body. It may be called by any goroutine.
func (c *client) call(method, path, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return 0, ""
	}
	r.Header.Set("Content-Type", "application/json")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Error(err)
		return 0, ""
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Error(err)
		return 0, ""
	}
	return w.StatusCode, string(answer)
}

// want sends a request and compares status and body.
func (c *client) want(method, path, body string, status int, answer string) {
	c.t.Helper()
	gotStatus, got := c.call(method, path, body)
	if gotStatus != status || got != answer {
		c.t.Errorf("%s %s %s\n got %d %s\nwant %d %s", method, path, body, gotStatus, got, status, answer)
	}
}

// create makes an object and answers its pk.
func (c *client) create(path, body string) string {
	c.t.Helper()
	status, answer := c.call("POST", path, body)
	if status != http.StatusCreated {
		c.t.Fatalf("POST %s %s: %d %s", path, body, status, answer)
	}
	return strings.TrimPrefix(answer, `{"pk":"`)[:36]
}

// get reads an object; numbers are float64.
func (c *client) get(path string) map[string]any {
	c.t.Helper()
	status, answer := c.call("GET", path, "")
	var object map[string]any
	if err := json.Unmarshal([]byte(answer), &object); err != nil || status != http.StatusOK {
		c.t.Fatalf("GET %s: %d %s", path, status, answer)
	}
	return object
}

// list answers one field of each object of a list.
func (c *client) list(path, field string) string {
	c.t.Helper()
	results, _ := c.get(path)["results"].([]any)
	var values []string
	for _, result := range results {
		value, _ := json.Marshal(result.(map[string]any)[field])
		values = append(values, strings.Trim(string(value), `"`))
	}
	return strings.Join(values, " ")
}

func (c *client) generation() (n int64) {
	c.t.Helper()
	err := c.db.Read(c.t.Context(), func(tx *sqldb.Tx) (err error) {
		n, err = identity.Generation(tx)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func noSuch(field, pk string) string {
	return `{"` + field + `":["Invalid pk \"` + pk + `\" - object does not exist."]}`
}

func TestUnknownObjectIsSaidBeforeAnythingAboutTheBody(t *testing.T) {
	each(t, func(c *client) {
		for _, path := range []string{"/rules/", "/matchers/", "/expressions/", "/bindings/"} {
			for _, pk := range []string{nobody, "zz"} {
				for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
					c.want(method, path+pk+"/", `{`, 404, `{"detail":"Not found."}`)
				}
				c.want("GET", path+pk+"/used_by/", "", 404, `{"detail":"Not found."}`)
			}
		}
	})
}

func TestEveryChangeRaisesTheGeneration(t *testing.T) {
	each(t, func(c *client) {
		target := c.create("/rules/", `{"name":"target"}`)
		for path, bodies := range map[string][3]string{
			"/rules/":       {`{"name":"a"}`, `{"name":"b"}`, `{"severity":"alert"}`},
			"/matchers/":    {`{"name":"a"}`, `{"name":"b"}`, `{"app":"authentik.core"}`},
			"/expressions/": {`{"name":"a","expression":"return 1"}`, `{"name":"b","expression":"return 2"}`, `{"expression":"return 3"}`},
			"/bindings/":    {`{"target":"` + target + `","group":"` + operators + `","order":0}`, `{"target":"` + target + `","order":1}`, `{"enabled":false}`},
		} {
			last := c.generation()
			raised := func(step string) {
				now := c.generation()
				if now <= last {
					t.Errorf("%s %s: generation %d after %d", step, path, now, last)
				}
				last = now
			}
			object := path + c.create(path, bodies[0]) + "/"
			raised("POST")
			for _, step := range []struct{ method, body string }{{"PUT", bodies[1]}, {"PATCH", bodies[2]}, {"DELETE", ""}} {
				if status, answer := c.call(step.method, object, step.body); status >= 300 {
					t.Errorf("%s %s: %d %s", step.method, path, status, answer)
				}
				raised(step.method)
			}
			c.want("GET", object, "", 404, `{"detail":"Not found."}`)
		}
	})
}
