package identity

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"belfry/internal/sqldb"
)

func TestGroupHasTheFieldsOfBothReleasesInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		ops := s.group(`{"name":"ops","parent":"` + s.admins + `"}`)
		a := s.root().get("/groups/" + s.admins + "/").is(200)
		want := "pk num_pk name is_superuser parent parent_name users users_obj attributes roles roles_obj inherited_roles_obj " +
			"parents parents_obj children children_obj"
		if got := a.keys(); got != want {
			t.Errorf("fields %s\nwant   %s", got, want)
		}
		a.has(`{"pk":"`+s.admins+`","num_pk":1,"name":"authentik Admins","is_superuser":true,"parent":null,"parent_name":null,"users":[1],`+
			`"users_obj":[{"pk":1,"username":"akadmin","name":"authentik Default Admin","is_active":true,"last_login":null,"email":"","attributes":{},"uid":"`,
			`"attributes":{},"roles":[],"roles_obj":[],"inherited_roles_obj":[],"parents":[],"parents_obj":[],"children":["`+ops+`"],`+
				`"children_obj":[{"pk":"`+ops+`","name":"ops","is_superuser":false,"attributes":{},"group_uuid":"`+ops+`"}]}`)
		child := s.root().get("/groups/"+ops+"/?include_users=true").is(200).has(`"num_pk":2`,
			`"parent":"`+s.admins+`","parent_name":"authentik Admins","users":[],"users_obj":[]`,
			`"parents":["`+s.admins+`"],"parents_obj":[{"pk":"`+s.admins+`","name":"authentik Admins","is_superuser":true,"attributes":{},"group_uuid":"`)
		if got := child.keys(); got != want {
			t.Errorf("fields of a child %s", got)
		}
		s.root().get("/groups/" + s.admins + "/?include_users=false").is(200).has(`"users":[1],"users_obj":null`)
		s.root().get("/groups/?include_users=false").is(200).has(`"users":[1],"users_obj":null`)
	})
}

func TestGroupIsMadeChangedAndDeleted(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		root := s.root()
		s.user("ann")
		s.user("bob")
		pk := root.post("/groups/", `{"name":"ops","is_superuser":false,"parent":"","users":[3,2,3],"attributes":{}}`).is(201).
			has(`"num_pk":2,"name":"ops"`, `"parent":null`, `"users":[2,3]`).text("pk")
		root.put("/groups/"+pk+"/", `{"name":"ops","users":[3],"attributes":{"a":1},"parent":"`+s.admins+`"}`).is(200).
			has(`"users":[3]`, `"attributes":{"a":1}`, `"parent_name":"authentik Admins"`)
		root.put("/groups/"+pk+"/", `{"name":"ops"}`).is(200).has(`"users":[3]`, `"attributes":{"a":1}`, `"parent_name":"authentik Admins"`)
		root.patch("/groups/"+pk+"/", `{"parent":"`+s.admins+`","parents":[]}`).is(200).has(`"parent":null`, `"parents":[]`)
		root.patch("/groups/"+pk+"/", `{"parent":null,"parents":["`+s.admins+`"]}`).is(200).has(`"parent":"` + s.admins + `"`)
		root.patch("/groups/"+strings.ToUpper(strings.ReplaceAll(pk, "-", ""))+"/", `{"num_pk":77}`).is(200).has(`"num_pk":2`)
		root.post("/groups/"+pk+"/add_user/", `{"pk":2}`).says(204, "")
		root.post("/groups/"+pk+"/add_user/", `{"pk":2}`).says(204, "")
		root.get("/groups/" + pk + "/").has(`"users":[2,3]`)
		root.post("/groups/"+pk+"/remove_user/", `{"pk":3}`).says(204, "")
		root.post("/groups/"+pk+"/remove_user/", `{"pk":3}`).says(204, "")
		root.get("/groups/" + pk + "/").has(`"users":[2]`)
		root.post("/groups/"+pk+"/add_user/", `{"pk":99}`).says(404, `{"detail":"Not found."}`)
		root.post("/groups/"+pk+"/add_user/", `{}`).says(400, `{"pk":["This field is required."]}`)
		child := s.group(`{"name":"night","parent":"` + pk + `"}`)
		root.get("/groups/"+pk+"/used_by/").is(200).has(`"pk":"2","name":"ann","action":"cascade_many"`,
			`{"app":"authentik_core","model_name":"group","pk":"`+child+`","name":"Group night","action":"set_null"}`)
		root.delete("/groups/"+pk+"/").says(204, "")
		root.get("/groups/"+pk+"/").says(404, `{"detail":"Not found."}`)
		root.get("/groups/" + child + "/").has(`"parent":null`)
		root.get("/users/2/").has(`"groups":[]`)
		root.get("/groups/" + s.group(`{"name":"ops"}`) + "/").has(`"num_pk":4`)
	})
}

func TestGroupErrorsAreDRFs(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		const unknown = "00000000-0000-4000-8000-000000000000"
		a := s.group(`{"name":"a"}`)
		b := s.group(`{"name":"b","parent":"` + a + `"}`)
		c := s.group(`{"name":"c","parent":"` + b + `"}`)
		for _, x := range []struct{ method, path, body, want string }{
			{"POST", "/groups/", `{}`, `{"name":["This field is required."]}`},
			{"POST", "/groups/", `{"name":"a","parent":"` + unknown + `","users":[1,98,99]}`,
				`{"name":["Group with this name already exists."],"parent":["Invalid pk \"` + unknown +
					`\" - object does not exist."],"users":["Invalid pk \"98\" - object does not exist."]}`},
			{"POST", "/groups/", `{"name":"` + strings.Repeat("n", 81) + `","users":["x"]}`,
				`{"name":["Ensure this field has no more than 80 characters."],"users":["Incorrect type. Expected pk value, received str."]}`},
			{"PATCH", "/groups/" + a + "/", `{"parent":"zz"}`, `{"parent":["“zz” is not a valid UUID."]}`},
			{"PATCH", "/groups/" + a + "/", `{"parent":"` + a + `"}`, `{"parent":["Cannot set group as parent of itself."]}`},
			{"PATCH", "/groups/" + a + "/", `{"parent":"` + b + `"}`, `{"parent":["Cannot set a group below this one as its parent."]}`},
			{"PATCH", "/groups/" + a + "/", `{"parents":["` + c + `"]}`, `{"parents":["Cannot set a group below this one as its parent."]}`},
			{"PATCH", "/groups/" + a + "/", `{"parents":["` + s.admins + `","` + c + `"]}`, `{"parents":["A group has one parent at most."]}`},
			{"PATCH", "/groups/" + a + "/", `{"name":"b"}`, `{"name":["Group with this name already exists."]}`},
			{"PATCH", "/groups/" + a + "/", `{"users":{}}`, `{"users":["Expected a list of items but got type \"dict\"."]}`},
		} {
			s.root().do(x.method, x.path, x.body).says(400, x.want)
		}
		s.root().patch("/groups/"+c+"/", `{"parent":"`+a+`","name":"c"}`).is(200)
		for _, path := range []string{"/groups/" + unknown + "/", "/groups/zz/"} {
			s.root().put(path, `{`).says(404, `{"detail":"Not found."}`)
			s.root().get(path).is(404)
			s.root().delete(path).is(404)
			s.root().get(path + "used_by/").is(404)
			s.root().post(path+"add_user/", `{`).is(404)
			s.root().post(path+"remove_user/", `{`).is(404)
		}
	})
}

func TestGroupListFiltersSearchesAndOrders(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		ops := s.group(`{"name":"Ops"}`)
		s.user("ann", ops)
		s.group(`{"name":"ärzte","parent":"` + ops + `"}`)
		for query, want := range map[string]string{
			"ordering=-parent":                `ärzte Ops authentik Admins`,
			"ordering=parent__name,-name":     `authentik Admins Ops ärzte`,
			"":                                `Ops authentik Admins ärzte`,
			"ordering=-num_pk":                `ärzte Ops authentik Admins`,
			"ordering=-is_superuser,-name":    `authentik Admins ärzte Ops`,
			"name=ops":                        "",
			"name=Ops":                        "Ops",
			"is_superuser=true":               "authentik Admins",
			"is_superuser=0":                  "Ops ärzte",
			"members_by_pk=1":                 "authentik Admins",
			"members_by_pk=1&members_by_pk=2": "Ops authentik Admins",
			"members_by_username=ann":         "Ops",
			"members_by_username=ann&members_by_username=akadmin": "Ops authentik Admins",
			"search=%C3%84RZ":    "ärzte",
			"search=o,PS":        "Ops",
			"search=TRUE":        "authentik Admins",
			"page_size=1&page=2": "authentik Admins",
		} {
			if got := s.root().get("/groups/?" + query).column("name"); got != want {
				t.Errorf("?%s answered %q, want %q", query, got, want)
			}
		}
		s.root().get("/groups/?members_by_pk=9").says(400, `{"members_by_pk":["Select a valid choice. 9 is not one of the available choices."]}`)
		s.root().get("/groups/?members_by_pk=x").says(400, `{"members_by_pk":["“x” is not a valid value."]}`)
		s.root().get("/groups/?members_by_username=x").says(400, `{"members_by_username":["Select a valid choice. x is not one of the available choices."]}`)
	})
}

func TestLastActiveSuperuserCannotBeLost(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		// akadmin is a superuser by the parent of a group of its own, and by nothing else.
		ops := s.group(`{"name":"ops","parent":"` + s.admins + `","users":[1]}`)
		s.host().post("/groups/"+s.admins+"/remove_user/", `{"pk":1}`).is(204)
		s.user("ann")
		plain := s.group(`{"name":"plain"}`)
		admins, ops := "/groups/"+s.admins+"/", "/groups/"+ops+"/"
		losses := []struct{ method, path, body string }{
			{"DELETE", "/users/1/", ""},
			{"PATCH", "/users/1/", `{"is_active":false}`},
			{"PATCH", "/users/1/", `{"groups":[]}`},
			{"PATCH", "/users/1/", `{"groups":["` + plain + `"]}`},
			{"PUT", "/users/1/", `{"username":"akadmin","name":"","groups":[]}`},
			{"POST", ops + "remove_user/", `{"pk":1}`},
			{"PATCH", ops, `{"users":[]}`},
			{"PATCH", ops, `{"users":[2],"is_superuser":false,"parent":null}`},
			{"PATCH", ops, `{"parent":null}`},
			{"PATCH", ops, `{"parents":["` + plain + `"]}`},
			{"PUT", ops, `{"name":"ops","parent":""}`},
			{"DELETE", ops, ""},
			{"PATCH", admins, `{"is_superuser":false}`},
			{"DELETE", admins, ""},
		}
		const refusal = `{"non_field_errors":["The last active superuser cannot be deleted, disabled or removed from its group."]}`
		for _, c := range losses {
			for _, caller := range []client{s.root(), s.host()} {
				caller.do(c.method, c.path, c.body).says(400, refusal)
			}
		}
		s.root().get("/users/1/").has(`"is_active":true`, `"is_superuser":true`, `"groups":["`)

		// A second one that is not active does not count; one that is active does.
		s.root().post(admins+"add_user/", `{"pk":2}`).is(204)
		s.root().patch("/users/2/", `{"is_active":false}`).is(200)
		s.root().delete("/users/1/").says(400, refusal)
		s.root().patch("/users/2/", `{"is_active":true}`).is(200)
		s.root().delete("/users/1/").is(204)
		s.root().get("/users/me/").is(403)
		s.host().delete("/users/2/").says(400, refusal)
	})
}

func TestTwoSuperusersWhoDisableEachOtherAtOnceLeaveOne(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		for round := range 10 {
			s.exec(`UPDATE app_user SET is_active = $1`, true)
			if round == 0 {
				s.user("ann", s.admins)
			}
			var wg sync.WaitGroup
			statuses := make([]int, 2)
			for i := range statuses {
				wg.Go(func() {
					r, _ := http.NewRequest("PATCH", fmt.Sprintf("%s/users/%d/", s.url, i+1), strings.NewReader(`{"is_active":false}`))
					r.Header = http.Header{"Test-Host": {"1"}, "Content-Type": {"application/json"}}
					if response, err := http.DefaultClient.Do(r); err == nil {
						statuses[i] = response.StatusCode
						response.Body.Close()
					}
				})
			}
			wg.Wait()
			if statuses[0]+statuses[1] != 200+400 {
				t.Fatalf("answered %v, want one 200 and one 400", statuses)
			}
		}
	})
}

func TestEveryChangeOfPeopleRaisesTheGeneration(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		generation := func() (n int64) {
			s.read(func(tx *sqldb.Tx) (err error) { n, err = Generation(tx); return err })
			return n
		}
		s.user("ann")
		ops := s.group(`{"name":"ops"}`)
		for _, c := range []struct {
			method, path, body string
			raises             bool
		}{
			{"POST", "/users/", `{"username":"bob","name":""}`, true},
			{"PATCH", "/users/2/", `{"is_active":false}`, true},
			{"PATCH", "/users/2/", `{"groups":["` + ops + `"]}`, true},
			{"POST", "/groups/", `{"name":"b","users":[2]}`, true},
			{"PATCH", "/groups/" + ops + "/", `{"users":[]}`, true},
			{"POST", "/groups/" + ops + "/add_user/", `{"pk":2}`, true},
			{"POST", "/groups/" + ops + "/remove_user/", `{"pk":2}`, true},
			{"DELETE", "/groups/" + ops + "/", "", true},
			{"DELETE", "/users/2/", "", true},
			{"PATCH", "/users/1/", `{"is_active":false}`, false},
			{"POST", "/users/", `{}`, false},
			{"GET", "/users/", "", false},
			{"POST", "/tokens/", `{"identifier":"t","user":1}`, false},
		} {
			before := generation()
			s.root().do(c.method, c.path, c.body)
			if raised := generation() > before; raised != c.raises {
				t.Errorf("%s %s %s: raised the generation: %v", c.method, c.path, c.body, raised)
			}
		}
		s.write(func(tx *sqldb.Tx) error {
			if n, err := HoldGeneration(tx); err != nil || n != generationOf(t, tx) {
				t.Errorf("HoldGeneration answered %d, %v", n, err)
			}
			return nil
		})
	})
}

func generationOf(t *testing.T, tx *sqldb.Tx) int64 {
	n, err := Generation(tx)
	if err != nil {
		t.Error(err)
	}
	return n
}

func TestDirectoryKnowsMembersOfGroupsAndOfThoseBelow(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		top := s.group(`{"name":"top"}`)
		middle := s.group(`{"name":"middle","parent":"` + top + `"}`)
		low := s.group(`{"name":"low","parent":"` + middle + `","is_superuser":true}`)
		s.user("ann", low)
		s.user("bob", low)
		s.user("cid", top)
		s.root().patch("/users/2/", `{"is_active":false}`).is(200)
		s.root().patch("/groups/"+low+"/", `{"users":[3,2,1]}`).is(200)

		var d *Directory
		s.read(func(tx *sqldb.Tx) (err error) { d, err = LoadDirectory(tx); return err })
		for group, want := range map[string]string{low: "[1 3]", middle: "[]", top: "[4]", "unknown": "[]"} {
			if got := fmt.Sprint(d.Members(group)); got != want {
				t.Errorf("members of %s: %s, want %s", group, got, want)
			}
		}
		for _, c := range []struct {
			group string
			user  int64
			want  bool
		}{
			{low, 2, true}, {middle, 2, true}, {top, 2, true}, {s.admins, 2, false},
			{low, 4, false}, {top, 4, true}, {top, 99, false}, {"unknown", 1, false}, {"", 99, false},
		} {
			if got := d.IsMember(c.group, c.user); got != c.want {
				t.Errorf("IsMember(%s, %d) = %v", c.group, c.user, got)
			}
		}
		if d.Active(2) || !d.Active(3) || d.Active(99) {
			t.Error("Active is wrong")
		}
		if got := fmt.Sprint(d.Superusers()); got != "[1 3]" {
			t.Errorf("superusers %s", got)
		}
	})
}

func TestGetGroupsAndGetUsersAnswerWhatThereIs(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.read(func(tx *sqldb.Tx) error {
			groups, err := GetGroups(tx, []string{s.admins, "none"})
			if err != nil || len(groups) != 1 || len(groups[s.admins].UsersObj) != 1 {
				t.Errorf("GetGroups: %v, %v", groups, err)
			}
			users, err := GetUsers(tx, []int64{1, 99})
			if err != nil || len(users) != 1 || !users[1].IsSuperuser || len(users[1].GroupsObj) != 1 {
				t.Errorf("GetUsers: %v, %v", users, err)
			}
			if empty, err := GetGroups(tx, nil); err != nil || len(empty) != 0 {
				t.Errorf("GetGroups of nothing: %v, %v", empty, err)
			}
			return nil
		})
	})
}
