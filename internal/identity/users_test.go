package identity

import (
	"net/url"
	"strings"
	"testing"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

func TestUserHasTheFieldsOfBothReleasesInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		a := s.root().get("/users/1/").is(200)
		want := "pk username name is_active last_login is_superuser groups groups_obj email avatar attributes uid path type uuid " +
			"roles roles_obj date_joined last_updated password_change_date"
		if got := a.keys(); got != want {
			t.Errorf("fields %s\nwant   %s", got, want)
		}
		a.has(`{"pk":1,"username":"akadmin","name":"authentik Default Admin","is_active":true,"last_login":null,"is_superuser":true,`+
			`"groups":["`+s.admins+`"],"groups_obj":[{"pk":"`+s.admins+`","num_pk":1,"name":"authentik Admins","is_superuser":true,`+
			`"parent":null,"parent_name":null,"attributes":{}}],"email":"","avatar":"data:image/svg+xml;base64,`,
			`"attributes":{},"uid":"`, `"path":"users","type":"internal","uuid":"`, `"roles":[],"roles_obj":[]`)
		s.root().get("/users/1/?include_groups=false").is(200)
		s.root().get("/users/?include_groups=false").is(200).has(`"groups":["` + s.admins + `"],"groups_obj":null`)
	})
}

func TestUserIsMadeChangedAndDeleted(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		g := s.group(`{"name":"ops"}`)
		root := s.root()
		root.post("/users/", `{"username":" ann ","name":"","password":"ignored-by-the-schema"}`).is(201).
			has(`"pk":2,"username":"ann","name":"","is_active":true`, `"groups":[]`, `"type":"internal"`, `"attributes":{}`)
		root.put("/users/2/", `{"username":"ann","name":"Ann","email":"ann@example.com","groups":["`+g+`","`+g+`"],"path":"a/b",`+
			`"type":"external","attributes":{"z":1,"a":[1.50]},"last_login":"2024-06-01T12:00:00Z"}`).is(200).
			has(`"groups":["`+g+`"]`, `"attributes":{"z":1,"a":[1.50]}`, `"last_login":"2024-06-01T12:00:00Z"`)
		root.put("/users/2/", `{"username":"ann","name":"Ann B"}`).is(200).
			has(`"name":"Ann B"`, `"email":"ann@example.com"`, `"groups":["`+g+`"]`, `"path":"a/b"`, `"type":"external"`)
		root.patch("/users/2/", `{"is_active":false,"last_login":null,"pk":9,"uuid":"x","is_superuser":true}`).is(200).
			has(`"pk":2`, `"is_active":false,"last_login":null,"is_superuser":false`, `"name":"Ann B"`)
		root.patch("/users/2/", `{"groups":[]}`).is(200).has(`"groups":[],"groups_obj":[]`)
		root.delete("/users/2/").says(204, "")
		root.get("/users/2/").says(404, `{"detail":"Not found."}`)
		if pk := s.user("ben"); pk != "3" {
			t.Errorf("the pk of a deleted user was given out again: %s", pk)
		}
		var password string
		s.read(func(tx *sqldb.Tx) error {
			return tx.Row(`SELECT password FROM app_user WHERE pk = $1`, []any{3}, &password)
		})
		if password != "" {
			t.Error("a password was set over the users' API")
		}
	})
}

func TestUserErrorsAreDRFs(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		const unknown = "00000000-0000-4000-8000-000000000000"
		pk := s.user("ann")
		for _, c := range []struct{ method, path, body, want string }{
			{"POST", "/users/", `{}`, `{"username":["This field is required."],"name":["This field is required."]}`},
			{"POST", "/users/", `{"username":"","name":""}`, `{"username":["This field may not be blank."]}`},
			{"POST", "/users/", `{"username":"akadmin","name":"","groups":["` + unknown + `"],"path":"/a"}`,
				`{"username":["User with this username already exists."],` +
					`"groups":["Invalid pk \"` + unknown + `\" - object does not exist."],"path":["No leading or trailing slashes allowed."]}`},
			{"PATCH", "/users/" + pk + "/", `{"username":"akadmin"}`, `{"username":["User with this username already exists."]}`},
			{"PATCH", "/users/" + pk + "/", `{"groups":["zz"]}`, `{"groups":["“zz” is not a valid UUID."]}`},
			{"PATCH", "/users/" + pk + "/", `{"groups":null}`, `{"groups":["This field may not be null."]}`},
			{"PATCH", "/users/" + pk + "/", `{"path":"a//b"}`, `{"path":["No empty segments in user path allowed."]}`},
			{"PATCH", "/users/" + pk + "/", `{"path":""}`, `{"path":["This field may not be blank."]}`},
			{"PATCH", "/users/" + pk + "/", `{"type":"robot"}`, `{"type":["\"robot\" is not a valid choice."]}`},
			{"PATCH", "/users/" + pk + "/", `{"email":"ann"}`, `{"email":["Enter a valid email address."]}`},
			{"PATCH", "/users/" + pk + "/", `{"attributes":[]}`, `{"attributes":["Expected a dictionary of items but got type \"list\"."]}`},
			{"PATCH", "/users/" + pk + "/", `{"username":"` + strings.Repeat("a", 151) + `"}`,
				`{"username":["Ensure this field has no more than 150 characters."]}`},
			{"POST", "/users/" + pk + "/set_password/", `{}`, `{"password":["This field is required."]}`},
			{"POST", "/users/" + pk + "/set_password/", `{"password":"ninechars"}`, `{"password":["A password needs at least 10 characters."]}`},
			{"POST", "/users/" + pk + "/set_password/", `{"password":""}`, `{"password":["This field may not be blank."]}`},
		} {
			s.root().do(c.method, c.path, c.body).says(400, c.want)
		}
		s.root().patch("/users/"+pk+"/", `{"username":"ann"}`).is(200)
		for _, path := range []string{"/users/99/", "/users/zz/", "/users/-1/", "/users/99999999999999999999/"} {
			s.root().patch(path, `{"username":`).says(404, `{"detail":"Not found."}`)
			s.root().get(path).is(404)
			s.root().delete(path).is(404)
			s.root().get(path + "used_by/").is(404)
			s.root().post(path+"set_password/", `{`).is(404)
		}
	})
}

func TestUserListFiltersSearchesAndOrders(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		ops := s.group(`{"name":"ops","parent":"` + s.admins + `"}`)
		s.user("ann", ops)
		s.user("Bob")
		s.root().patch("/users/3/", `{"name":"Ötzi %_","email":"bob@example.com","path":"staff/night","type":"external",
			"is_active":false,"last_login":"2024-06-01T12:00:00Z"}`).is(200)
		uuid := s.root().get("/users/2/").text("uuid")
		for query, want := range map[string]string{
			"":                                            "Bob akadmin ann",
			"ordering=-username":                          "ann akadmin Bob",
			"ordering=pk":                                 "akadmin ann Bob",
			"ordering=last_login,username":                "Bob akadmin ann",
			"ordering=-last_login,username":               "akadmin ann Bob",
			"ordering=is_active,-pk":                      "Bob ann akadmin",
			"ordering=password":                           "Bob akadmin ann",
			"username=bob":                                "",
			"username=Bob":                                "Bob",
			"email=bob@example.com":                       "Bob",
			"name=authentik+Default+Admin":                "akadmin",
			"is_active=false":                             "Bob",
			"is_active=true":                              "akadmin ann",
			"is_active=maybe":                             "Bob akadmin ann",
			"is_superuser=true":                           "akadmin ann",
			"is_superuser=false":                          "Bob",
			"path=staff":                                  "",
			"path_startswith=staff":                       "Bob",
			"path_startswith=Staff":                       "",
			"type=external&type=service_account":          "Bob",
			"uuid=" + uuid:                                "ann",
			"uuid=" + strings.ToUpper(uuid):               "ann",
			"groups_by_pk=" + ops:                         "ann",
			"groups_by_name=ops":                          "ann",
			"groups_by_name=ops&groups_by_pk=" + s.admins: "",
			"groups_by_name=ops&groups_by_name=authentik+Admins": "akadmin ann",
			"search=%C3%B6TZI":               "Bob",
			"search=B,OB@EXAMPLE":            "Bob",
			"search=%25_":                    "Bob",
			"search=_k":                      "",
			"search=" + uuid:                 "ann",
			"search=a&page_size=1":           "Bob",
			"search=a&page_size=1&page=2":    "akadmin",
			"search=a&page_size=2&page=last": "ann",
			"search=zzz":                     "",
			"unknown=1":                      "Bob akadmin ann",
		} {
			if got := s.root().get("/users/?" + query).column("username"); got != want {
				t.Errorf("?%s answered %q, want %q", query, got, want)
			}
		}
		s.root().get("/users/?search=a&page_size=1&page=2").
			has(`{"pagination":{"next":3,"previous":1,"count":3,"current":2,"total_pages":3,"start_index":2,"end_index":2}`)
		s.root().get("/users/?page=2").says(404, `{"detail":"Invalid page."}`)
		s.root().get("/users/?search=a&page=2").says(404, `{"detail":"Invalid page."}`)
		s.root().get("/users/?groups_by_name=none").says(400, `{"groups_by_name":["Select a valid choice. none is not one of the available choices."]}`)
		s.root().get("/users/?type=robot").says(400, `{"type":["Select a valid choice. robot is not one of the available choices."]}`)
		s.root().get("/users/?uuid=zz").says(400, `{"uuid":["“zz” is not a valid UUID."]}`)
	})
}

// The cases are for users and for groups alike: both have attributes.
func TestAttributesFilterUsersAndGroups(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		for _, made := range [][2]string{
			{"xa", `{"n":1,"o":{"x":{"y":"deep"},"z":[1,2]},"null":null}`},
			{"xb", `{"n":1.0,"big":9007199254740993,"a__b":true}`},
			{"xc", `{"n":"1","big":9007199254740992}`},
		} {
			name, attributes := made[0], made[1]
			s.root().patch("/users/"+s.user(name)+"/", `{"attributes":`+attributes+`}`).is(200)
			s.group(`{"name":"` + name + `","attributes":` + attributes + `}`)
		}
		for _, c := range []struct{ attributes, more, want string }{
			{`{"n":1}`, "", "xa xb"},
			{` {"n":1e0} `, "", "xa xb"},
			{`{"n":"1"}`, "", "xc"},
			{`{"n":1,"null":null}`, "", "xa"},
			{`{"missing":null}`, "", ""},
			{`{"big":9007199254740993}`, "", "xb"},
			{`{"o":{"z":[1,2],"x":{"y":"deep"}}}`, "", "xa"},
			{`{"o":{"z":[1,2]}}`, "", ""},
			{`{"o__x__y":"deep"}`, "", "xa"},
			{`{"o__z":[2,1]}`, "", ""},
			{`{"n__x":1}`, "", ""},
			{`{"a__b":true}`, "", "xb"},
			{`{}`, "&search=XC", "xc"},
			{`{"n":1}`, "&search=XA", "xa"},
			{`{"n":1}`, "&page_size=1&page=2", "xb"},
			{`{"n":1}`, "&ordering=-pk", "xb xa"},
			{`{"n":1}`, "&is_superuser=true", ""},
			{"", "&search=xc", "xc"},
		} {
			query := "?attributes=" + url.QueryEscape(c.attributes) + c.more
			for path, name := range map[string]string{"/users/": "username", "/groups/": "name"} {
				if got := s.root().get(path + query).column(name); got != c.want {
					t.Errorf("%s%s answered %q, want %q", path, query, got, c.want)
				}
			}
		}
		for _, path := range []string{"/users/", "/groups/"} {
			s.root().get(path+"?attributes=zz").says(400, `{"attributes":["filter: failed to parse JSON"]}`)
			s.root().get(path+"?attributes={%22a%22:1,%22a%22:1}").says(400, `{"attributes":["filter: failed to parse JSON"]}`)
			s.root().get(path+"?attributes=[1]").says(400, `{"attributes":["filter: value must be key:value mapping"]}`)
			s.root().get(path+`?attributes={}&page=2`).says(404, `{"detail":"Invalid page."}`)
		}
	})
}

func TestMeIsTheCallerWithAllItsGroups(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		ops := s.group(`{"name":"ops","parent":"` + s.admins + `"}`)
		key := s.token("ann", s.user("ann", ops), `"inbox"`)
		a := s.as(key).get("/users/me/").is(200)
		if got := a.keys(); got != "user users" {
			t.Errorf("fields %s", got)
		}
		a.has(`{"user":{"pk":2,"username":"ann","name":"","is_active":true,"is_superuser":true,`+
			`"groups":[{"name":"authentik Admins","pk":"`+s.admins+`"},{"name":"ops","pk":"`+ops+`"}],"email":"","avatar":"data:`,
			`"settings":{},"type":"internal","system_permissions":[],"roles":[],"is_current":true},"users":[{"pk":2,"username":"ann",`,
			`"is_current":true}]}`)
		s.as("").get("/users/me/").says(403, `{"detail":"Authentication credentials were not provided."}`)
		s.host().get("/users/me/").is(404)
	})
}

func TestPasswordIsSetByOneselfOrASuperuser(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		ann := s.token("ann", s.user("ann"), `"admin"`)
		before := s.root().get("/users/2/").text("password_change_date")
		const body = `{"password":" pass word "}`
		for _, c := range []struct {
			as     client
			path   string
			status int
		}{
			{s.as(ann), "/users/2/", 204},
			{s.as(ann), "/users/1/", 403},
			{s.as(ann), "/users/99/", 403},
			{s.root(), "/users/2/", 204},
			{s.root(), "/users/99/", 404},
			{s.host(), "/users/1/", 204},
		} {
			c.as.post(c.path+"set_password/", body).is(c.status)
		}
		if after := s.root().get("/users/2/").lacks("pass word").text("password_change_date"); after <= before {
			t.Errorf("password_change_date went from %s to %s", before, after)
		}
		var stored string
		s.read(func(tx *sqldb.Tx) error {
			return tx.Row(`SELECT password FROM app_user WHERE pk = $1`, []any{2}, &stored)
		})
		if ok, err := s.api.Passwords.Verify(t.Context(), stored, " pass word "); !ok || err != nil {
			t.Errorf("the password is not the one that was set: %v, %v (%s)", ok, err, stored)
		}
	})
}

func TestUserUsedByListsGroupsTokensAndWhatOthersHold(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.user("ann")
		s.root().get("/users/2/used_by/").says(200, `[]`)
		asked := ""
		s.api.UsedBy = func(_ *sqldb.Tx, kind, pk string) ([]drf.UsedBy, error) {
			asked = kind + " " + pk
			return []drf.UsedBy{{App: "authentik_policies", ModelName: "policybinding", PK: "b", Name: "Binding", Action: "cascade"}}, nil
		}
		s.root().get("/users/1/used_by/").is(200).has(
			`[{"app":"authentik_core","model_name":"group","pk":"`+s.admins+`","name":"Group authentik Admins","action":"cascade_many"},`,
			`"model_name":"token"`, `"name":"belfry-first-start","action":"cascade"},`,
			`{"app":"authentik_policies","model_name":"policybinding","pk":"b","name":"Binding","action":"cascade"}]`)
		if asked != "user 1" {
			t.Errorf("asked others for %q", asked)
		}
		s.root().get("/groups/"+s.admins+"/used_by/").is(200).has(`"model_name":"user","pk":"1","name":"akadmin"`, `"pk":"b"`)
		if asked != "group "+s.admins {
			t.Errorf("asked others for %q", asked)
		}
	})
}

func TestDeletingAUserDeletesWhatIsItsOwn(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		ops := s.group(`{"name":"ops"}`)
		key := s.token("ann", s.user("ann", ops), `"admin"`)
		s.as(key).get("/users/me/").is(200)
		s.root().delete("/users/2/").is(204)
		s.as(key).get("/users/me/").says(403, `{"detail":"Token invalid/expired"}`)
		s.root().get("/groups/" + ops + "/").has(`"users":[],"users_obj":[]`)
		s.root().get("/tokens/ann/").is(404)
	})
}
