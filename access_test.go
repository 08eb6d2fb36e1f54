package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belfry/internal/sqldb"
)

var update = flag.Bool("update", false, "write the golden files in testdata anew")

// unknownKeys puts keys that nothing has into a route's path.
var unknownKeys = strings.NewReplacer(
	"{event_uuid}", "01890000-0000-7000-8000-000000000000", "{uuid}", "01890000-0000-7000-8000-000000000000",
	"{pbm_uuid}", "01890000-0000-7000-8000-000000000000", "{policy_uuid}", "01890000-0000-7000-8000-000000000000",
	"{policy_binding_uuid}", "01890000-0000-7000-8000-000000000000", "{group_uuid}", "01890000-0000-7000-8000-000000000000",
	"{pm_uuid}", "01890000-0000-7000-8000-000000000000", "{id}", "999999", "{identifier}", "unknown",
)

// role is a caller of the matrix: a name for its column, and the key or the cookie that it shows.
type role struct{ name, key, cookie string }

// rolesOf makes a caller for every column: people who may nothing, and each scope for a plain user, whose pk is
// answered too, and a superuser.
func rolesOf(t *testing.T, f *fixture) (roles []role, plain int64) {
	t.Helper()
	disabled, disabledKey := f.user("disabled", "admin")
	f.must(200, "PATCH", "/api/v3/core/groups/"+f.admins()+"/", fmt.Sprintf(`{"users":[1,%d]}`, disabled))
	f.must(200, "PATCH", fmt.Sprintf("/api/v3/core/users/%d/", disabled), `{"is_active":false}`)
	expired := f.token(1, "expired", "admin")
	err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE token SET expires = $1 WHERE identifier = 'expired'", tx.Now()-1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	roles = []role{{name: "none"}, {name: "disabled", key: disabledKey}, {name: "expired", key: expired}}
	plain, _ = f.user("plain", "admin")
	for _, user := range []struct {
		name string
		pk   int64
	}{{"plain", plain}, {"super", 1}} {
		for _, scope := range []string{"admin", "read", "ingest", "inbox"} {
			name := user.name + ":" + scope
			roles = append(roles, role{name: name, key: f.token(user.pk, strings.ReplaceAll(name, ":", "_"), scope)})
		}
	}
	return roles, plain
}

// admins is the pk of the group of superusers.
func (f *fixture) admins() string {
	f.t.Helper()
	return f.must(200, "GET", "/api/v3/core/groups/?name=authentik+Admins", "").str("results", 0, "pk")
}

// asker asks a handler, each time from another address, so that wrong tokens are refused and never throttled.
type asker struct {
	handler http.Handler
	asked   int
}

// oneMessage is a client that hangs up once a stream has sent it something.
type oneMessage struct {
	*httptest.ResponseRecorder
	hangUp func()
}

// Flush is called after each message.
func (m oneMessage) Flush() { m.hangUp() }

// ask makes a request without a body and answers its outcome: "-" where nobody is known, 403 where somebody is and
// may not, 405, or ok where the handler was reached, whether it found anything or not.
func (a *asker) ask(t *testing.T, who role, method, path string) string {
	t.Helper()
	a.asked++
	request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	request.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", a.asked>>16&255, a.asked>>8&255, a.asked&255)
	if who.key != "" {
		request.Header.Set("Authorization", "Bearer "+who.key)
	}
	if who.cookie != "" {
		request.Header.Set("Cookie", who.cookie)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	request = request.WithContext(ctx)
	answer := httptest.NewRecorder()
	a.handler.ServeHTTP(oneMessage{answer, hangUp}, request)
	text := answer.Body.String()
	switch answer.Code {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusBadRequest, http.StatusNotFound:
		return "ok"
	case http.StatusMethodNotAllowed:
		return "405"
	case http.StatusForbidden:
		if strings.Contains(text, "Authentication credentials were not provided.") || strings.Contains(text, "Token invalid/expired") {
			return "-"
		}
		if text == `{"detail":"You do not have permission to perform this action."}` {
			return "403"
		}
	}
	t.Errorf("%s %s as %s: %d %s", method, path, who.name, answer.Code, text)
	return "?"
}

// TestAccess asks every verb of every route as every role, and compares what came of it with testdata/access.txt. A new
// route fails it until -update has written its line and somebody has read that.
func TestAccess(t *testing.T) {
	golden := filepath.Join("testdata", "access.txt")
	each(t, func(t *testing.T, f *fixture) {
		roles, plain := rolesOf(t, f)
		asking := &asker{handler: f.server.handler()}
		var table strings.Builder
		line := func(verb, path string, cells []string) {
			row := fmt.Sprintf("%-6s %-60s", verb, path)
			for i, cell := range cells {
				row += fmt.Sprintf(" %-*s", len(roles[i].name), cell)
			}
			table.WriteString(strings.TrimRight(row, " ") + "\n")
		}
		var names []string
		for _, who := range roles {
			names = append(names, who.name)
		}
		line("verb", "route", names)
		for _, rt := range f.server.routes() {
			path := strings.Replace(rt.path, "{id}/set_password", fmt.Sprintf("%d/set_password", plain), 1) // one's own
			path = unknownKeys.Replace(path)
			if strings.Contains(path, "{") {
				t.Fatalf("no key for %s", path)
			}
			reached := make([]string, len(roles)) // by any verb
			for _, v := range rt.verbs {
				cells := make([]string, len(roles))
				for i, who := range roles {
					cells[i] = asking.ask(t, who, v.method, path)
					if reached[i] != "ok" {
						reached[i] = cells[i]
					}
					if v.method == http.MethodGet {
						if head := asking.ask(t, who, http.MethodHead, path); head != cells[i] {
							t.Errorf("HEAD %s as %s: %s, but GET: %s", path, who.name, head, cells[i])
						}
					}
				}
				line(v.method, rt.path, cells)
			}
			checkOtherMethods(t, asking, roles, path, reached)
		}
		if *update {
			if err := os.WriteFile(golden, []byte(table.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), table.String()); diff != "" {
			t.Errorf("who may do what has changed; go test -run TestAccess -update writes it, then read it: %s", diff)
		}
	})
}

// checkOtherMethods wants that whoever may do nothing at a path is not told which methods it has.
func checkOtherMethods(t *testing.T, asking *asker, roles []role, path string, reached []string) {
	t.Helper()
	for i, who := range roles {
		want := reached[i]
		if options := asking.ask(t, who, http.MethodOptions, path); options != want {
			t.Errorf("OPTIONS %s as %s: want %s, got %s", path, who.name, want, options)
		}
		if want == "ok" {
			want = "405"
		}
		if other := asking.ask(t, who, "PROPFIND", path); other != want {
			t.Errorf("PROPFIND %s as %s: want %s, got %s", path, who.name, want, other)
		}
	}
}
