package identity

import (
	"strings"
	"testing"
	"time"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

func TestTokenHasItsFieldsInOrderAndItsKeyOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		fields := "pk managed identifier intent user user_obj description expires expiring scopes"
		before := time.Now()
		made := s.root().post("/tokens/", `{"identifier":"ci","key":"mine-is-ignored"}`).is(201)
		if got := made.keys(); got != fields+" key" {
			t.Errorf("fields when made %s", got)
		}
		made.has(`"managed":null,"identifier":"ci","intent":"api","user":1,"user_obj":{"pk":1,"username":"akadmin"`,
			`"description":"","expires":"`, `"expiring":true,"scopes":["admin"],"key":"blf_`).lacks("mine-is-ignored")
		expires, err := time.Parse(time.RFC3339, made.text("expires"))
		if err != nil || expires.Before(before.Add(365*24*time.Hour-time.Minute)) || expires.After(time.Now().Add(365*24*time.Hour+time.Minute)) {
			t.Errorf("expires %v, %v", expires, err)
		}
		key := made.text("key")
		s.as(key).get("/users/me/").is(200).has(`"username":"akadmin"`)
		for _, a := range []answer{
			s.root().get("/tokens/ci/"), s.root().get("/tokens/"), s.root().patch("/tokens/ci/", `{"description":"d"}`),
			s.root().put("/tokens/ci/", `{"identifier":"ci"}`), s.root().get("/tokens/ci/used_by/"), s.root().get("/users/1/used_by/"),
			s.root().get("/tokens/ci/view_key/"), s.root().get("/tokens/?search=" + key), s.root().get("/tokens/?ordering=key_hash"),
		} {
			a.lacks(key, HashKey(key), rootKey, HashKey(rootKey), `"key"`)
		}
		if got := s.root().get("/tokens/ci/").keys(); got != fields {
			t.Errorf("fields %s", got)
		}
		s.root().get("/tokens/?search=" + HashKey(key)).has(`"results":[]`)
	})
}

func TestTokenIsChangedAndDeleted(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.user("ann")
		root := s.root()
		key := root.post("/tokens/", `{"identifier":"ci","user":2,"intent":"api","description":" d ","expires":"2999-01-02T03:04:05Z",
			"expiring":false,"scopes":["inbox","read","read"],"managed":"x"}`).is(201).
			has(`"managed":null`, `"user":2,"user_obj":{"pk":2`, `"description":"d","expires":"2999-01-02T03:04:05Z","expiring":false,"scopes":["read","inbox"]`).text("key")
		root.put("/tokens/ci/", `{"identifier":"ci"}`).is(200).
			has(`"user":2`, `"description":"d"`, `"expires":"2999-01-02T03:04:05Z","expiring":false,"scopes":["read","inbox"]`)
		root.patch("/tokens/ci/", `{"identifier":"ci2","scopes":["ingest"],"user":1,"expires":null}`).is(200).
			has(`"identifier":"ci2"`, `"user":1,"user_obj":{"pk":1`, `"scopes":["ingest"]`).lacks("2999")
		s.as(key).get("/users/me/").is(200)
		root.patch("/tokens/ci2/", `{"intent":"app_password"}`).is(200)
		s.as(key).get("/users/me/").says(403, `{"detail":"Token invalid/expired"}`)
		root.delete("/tokens/ci2/").says(204, "")
		root.get("/tokens/ci2/").says(404, `{"detail":"Not found."}`)
	})
}

func TestTokenErrorsAreDRFs(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		const taken = `{"identifier":["Token with this identifier already exists."]}`
		root := s.root()
		root.post("/tokens/", `{"identifier":"ci"}`).is(201)
		for _, c := range []struct{ method, path, body, want string }{
			{"POST", "/tokens/", `{}`, `{"identifier":["This field is required."]}`},
			{"POST", "/tokens/", `{"identifier":"a b"}`,
				`{"identifier":["Enter a valid \"slug\" consisting of letters, numbers, underscores or hyphens."]}`},
			{"POST", "/tokens/", `{"identifier":"ci"}`, taken},
			{"PATCH", "/tokens/ci/", `{"identifier":"belfry-first-start"}`, taken},
			{"POST", "/tokens/", `{"identifier":"x","user":99,"expires":"2001-01-01T00:00:00Z","intent":"zzz"}`,
				`{"intent":["\"zzz\" is not a valid choice."],"user":["Invalid pk \"99\" - object does not exist."],"expires":["The time must lie in the future."]}`},
			{"PATCH", "/tokens/ci/", `{"expires":"soon"}`, `{"expires":["Datetime has wrong format. Use one of these formats instead: ` +
				`YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."]}`},
			{"PATCH", "/tokens/ci/", `{"scopes":["root"]}`, `{"scopes":{"0":["\"root\" is not a valid choice."]}}`},
			{"PATCH", "/tokens/ci/", `{"user":"ann"}`, `{"user":["Incorrect type. Expected pk value, received str."]}`},
			{"POST", "/tokens/ci/set_key/", `{}`, `{"key":["This field is required."]}`},
			{"POST", "/tokens/ci/set_key/", `{"key":"short"}`, `{"key":["A token key needs 32 or more characters."]}`},
			{"POST", "/tokens/ci/set_key/", `{"key":"` + strings.Repeat("ä", 32) + `"}`, `{"key":["A token key may hold printable ASCII characters only."]}`},
			{"POST", "/tokens/ci/set_key/", `{"key":" ` + strings.Repeat("a", 32) + `"}`, `{"key":["A token key may not begin or end with a space."]}`},
			{"POST", "/tokens/ci/set_key/", `{"key":"` + rootKey + `"}`, `{"key":["This key cannot be used."]}`},
		} {
			root.do(c.method, c.path, c.body).lacks(rootKey).says(400, c.want)
		}
		s.host().post("/tokens/", `{"identifier":"x"}`).says(400, `{"user":["This field is required."]}`)
		for _, path := range []string{"/tokens/none/", "/tokens/a%20b/"} {
			root.put(path, `{`).says(404, `{"detail":"Not found."}`)
			root.get(path).is(404)
			root.delete(path).is(404)
			root.post(path+"set_key/", `{`).is(404)
			root.get(path + "view_key/").is(404)
			root.get(path + "used_by/").is(404)
		}
	})
}

func TestKeyCanBeSetAndNeverSeen(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.user("ann")
		old := s.token("ci", "2", `"admin"`)
		fresh := "a key of 32 or more characters, with spaces"
		s.root().post("/tokens/ci/set_key/", `{"key":"`+fresh+`"}`).says(204, "")
		s.as(fresh).get("/users/me/").is(200).has(`"username":"ann"`)
		s.as(old).get("/users/me/").says(403, `{"detail":"Token invalid/expired"}`)
		s.root().get("/tokens/ci/view_key/").is(403).has(`{"detail":"Keys are stored as hashes`).lacks(fresh)
	})
}

func TestOthersTokensLookUnknownToPlainUsers(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.user("ann")
		s.user("bob")
		ann := s.as(s.token("ann", "2", `"admin"`))
		s.token("bob", "3", `"inbox"`)
		for _, identifier := range []string{"bob", "belfry-first-start", "none"} {
			path := "/tokens/" + identifier + "/"
			for _, a := range []answer{
				ann.get(path), ann.put(path, `{"identifier":"x"}`), ann.patch(path, `{"user":2}`), ann.delete(path),
				ann.post(path+"set_key/", `{"key":"`+strings.Repeat("k", 32)+`"}`), ann.get(path + "view_key/"), ann.get(path + "used_by/"),
			} {
				a.says(404, `{"detail":"Not found."}`)
			}
		}
		if got := ann.get("/tokens/").column("identifier"); got != "ann" {
			t.Errorf("ann sees %q", got)
		}
		if got := ann.get("/tokens/?search=b").column("identifier"); strings.Contains(got, "b") {
			t.Errorf("ann finds %q", got)
		}
		for _, user := range []string{"1", "3", "99"} {
			ann.post("/tokens/", `{"identifier":"x","user":`+user+`}`).says(403, `{"detail":"You do not have permission to perform this action."}`)
			ann.patch("/tokens/ann/", `{"user":`+user+`}`).is(403)
		}
		ann.post("/tokens/", `{"identifier":"own","user":2}`).is(201).has(`"user":2`, `"scopes":["admin"]`)
		ann.get("/tokens/own/used_by/").says(200, `[]`)
		ann.delete("/tokens/own/").is(204)
	})
}

func TestTokenNeverMakesOrEditsAStrongerOne(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.token("strong", "1", `"admin"`)
		weak := s.as(s.token("weak", "1", `"read","inbox"`))
		weak.post("/tokens/", `{"identifier":"same"}`).is(201).has(`"scopes":["read","inbox"]`)
		weak.post("/tokens/", `{"identifier":"less","scopes":["inbox"]}`).is(201)
		const lacking = `{"scopes":["The request itself lacks the scope \"admin\".","The request itself lacks the scope \"ingest\"."]}`
		weak.post("/tokens/", `{"identifier":"more","scopes":["ingest","read","admin"]}`).says(400, lacking)
		weak.patch("/tokens/weak/", `{"scopes":["admin","ingest"]}`).says(400, lacking)
		weak.patch("/tokens/strong/", `{"description":"d"}`).is(403)
		weak.patch("/tokens/strong/", `{"scopes":["inbox"]}`).is(403)
		weak.post("/tokens/strong/set_key/", `{"key":"`+strings.Repeat("k", 32)+`"}`).is(403)
		weak.patch("/tokens/less/", `{"scopes":["read"]}`).is(200).has(`"scopes":["read"]`)
	})
}

func TestTokenListFiltersSearchesAndOrders(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.user("ann")
		root := s.root()
		root.post("/tokens/", `{"identifier":"b-token","user":2,"description":"Night Shift","intent":"recovery","expires":"2999-01-01T00:00:00Z"}`).is(201)
		root.post("/tokens/", `{"identifier":"A-token","expires":"2998-01-01T00:00:00Z"}`).is(201)
		for query, want := range map[string]string{
			"":                                 "A-token b-token belfry-first-start",
			"ordering=-identifier":             "belfry-first-start b-token A-token",
			"ordering=-expires":                "b-token A-token belfry-first-start",
			"ordering=user__username,-expires": "A-token belfry-first-start b-token",
			"ordering=-user":                   "b-token A-token belfry-first-start",
			"identifier=a-token":               "",
			"identifier=A-token":               "A-token",
			"user__username=ann":               "b-token",
			"intent=recovery":                  "b-token",
			"description=Night+Shift":          "b-token",
			"expires=2998-01-01T00:00:00Z":     "A-token",
			"expiring=false":                   "belfry-first-start",
			"managed=x":                        "",
			"managed=":                         "A-token b-token belfry-first-start",
			"search=night":                     "b-token",
			"search=TOKEN,ann":                 "b-token",
			"search=recovery":                  "b-token",
		} {
			got := root.get("/tokens/?" + query).column("identifier")
			if query == "ordering=-user" {
				got, want = strings.Fields(got)[0], "b-token"
			}
			if got != want {
				t.Errorf("?%s answered %q, want %q", query, got, want)
			}
		}
		root.get("/tokens/?intent=zzz").says(400, `{"intent":["Select a valid choice. zzz is not one of the available choices."]}`)
		root.get("/tokens/?expires=zz").says(400, `{"expires":["Enter a valid date/time."]}`)
	})
}

func TestSeedMakesOneAdminWithoutAPassword(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.root().get("/tokens/belfry-first-start/").is(200).has(`"intent":"api","user":1`, `"expiring":false,"scopes":["admin"]`)
		var users, passwords int64
		s.read(func(tx *sqldb.Tx) error {
			return tx.Row(`SELECT COUNT(*), COUNT(CASE WHEN password <> '' THEN 1 END) FROM app_user`, nil, &users, &passwords)
		})
		if users != 1 || passwords != 0 {
			t.Errorf("%d users, %d passwords", users, passwords)
		}
	})
}

func TestScopesCoverEachOther(t *testing.T) {
	for _, c := range []struct {
		have, want Scopes
		has        bool
	}{
		{ScopeAdmin, ScopeIngest | ScopeInbox, true},
		{ScopeRead | ScopeInbox, ScopeRead, true},
		{ScopeRead | ScopeInbox, ScopeRead | ScopeIngest, false},
		{ScopeRead, ScopeAdmin, false},
		{0, ScopeInbox, false},
		{0, 0, true},
	} {
		if c.have.Has(c.want) != c.has {
			t.Errorf("%q.Has(%q) = %v", c.have, c.want, !c.has)
		}
	}
	if got := scopesOf(strings.Fields("inbox admin nonsense")).String(); got != "admin inbox" {
		t.Errorf("stored as %q", got)
	}
}

func TestUsedByNameOfATokenSaysWhenItExpires(t *testing.T) {
	token := Token{Identifier: "ci", Expiring: true, Expires: 1_717_243_200_000_000}
	if got := token.usedByName(); got != "ci (expires=2024-06-01 12:00:00+00:00)" {
		t.Error(got, drf.FormatTime(token.Expires))
	}
}
