package rules

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

func TestRuleIsAnsweredWithEveryFieldInOrder(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create("/rules/", `{"name":"plain"}`)
		c.want("GET", "/rules/"+pk+"/", "", 200, `{"pk":"`+pk+`","name":"plain","transports":[],"severity":"notice",`+
			`"group":null,"destination_group":null,"group_obj":null,"destination_group_obj":null,"destination_event_user":false}`)
	})
}

func TestRuleShowsItsGroupWithMembers(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create("/rules/", `{"name":"n","group":"`+operators+`"}`)
		rule := c.get("/rules/" + pk + "/")
		for _, name := range []string{"group_obj", "destination_group_obj"} {
			group := rule[name].(map[string]any)
			if group["pk"] != operators || group["name"] != "operators" || len(group["users_obj"].([]any)) != 3 {
				t.Errorf("%s: %v", name, group)
			}
		}
		if rule["group"] != operators || rule["destination_group"] != operators {
			t.Errorf("group %v, destination_group %v", rule["group"], rule["destination_group"])
		}
		if results := c.get("/rules/")["results"].([]any); results[0].(map[string]any)["group_obj"] == nil {
			t.Error("a list shows no group_obj")
		}
	})
}

// What Terraform sends must come back as it was sent, or the next plan shows a change.
func TestTerraformRoundTripOfARule(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create("/rules/", `{"name":"r","severity":"warning","transports":["`+mail+`","`+inbox+`"],"group":""}`)
		path := "/rules/" + pk + "/"
		rule := func(transports, severity string) string {
			return `{"pk":"` + pk + `","name":"r","transports":` + transports + `,"severity":"` + severity + `",` +
				`"group":null,"destination_group":null,"group_obj":null,"destination_group_obj":null,"destination_event_user":false}`
		}
		c.want("GET", path, "", 200, rule(`["`+inbox+`","`+mail+`"]`, "warning"))
		c.want("PUT", path, `{"name":"r","severity":"alert","transports":["`+mail+`"],"group":""}`, 200, rule(`["`+mail+`"]`, "alert"))
		c.want("PUT", path, `{"name":"r"}`, 200, rule(`["`+mail+`"]`, "alert"))
		c.want("PATCH", path, `{"transports":[]}`, 200, rule(`[]`, "alert"))
		c.want("DELETE", path, "", 204, "")
	})
}

func TestLaterNameOfTheGroupCounts(t *testing.T) {
	each(t, func(c *client) {
		path := "/rules/" + c.create("/rules/", `{"name":"n","group":"`+operators+`","destination_group":"`+leads+`"}`) + "/"
		if got := c.get(path)["group"]; got != leads {
			t.Errorf("group %v", got)
		}
		c.want("PATCH", path, `{"destination_group":"`+nobody+`"}`, 400, noSuch("destination_group", nobody))
	})
}

func TestWhatIsWrongWithARuleIsSaidFieldByField(t *testing.T) {
	each(t, func(c *client) {
		c.create("/rules/", `{"name":"taken"}`)
		for body, answer := range map[string]string{
			`{}`:                              `{"name":["This field is required."]}`,
			`{"name":" taken"}`:               `{"name":["Notification Rule with this name already exists."]}`,
			`{"name":"n","severity":"zz"}`:    `{"severity":["\"zz\" is not a valid choice."]}`,
			`{"name":"n","severity":null}`:    `{"severity":["This field may not be null."]}`,
			`{"name":"n","transports":"zz"}`:  `{"transports":["Expected a list of items but got type \"str\"."]}`,
			`{"name":"n","transports":["z"]}`: `{"transports":["“z” is not a valid UUID."]}`,
			`{"name":"n","transports":["` + inbox + `","` + nobody + `"]}`: noSuch("transports", nobody),
			`{"name":"n","group":"zz"}`:                                    `{"group":["“zz” is not a valid UUID."]}`,
			`{"name":"n","group":"` + nobody + `"}`:                        noSuch("group", nobody),
			`{"name":"taken","transports":["` + nobody + `"],"severity":"","group":"` + nobody + `"}`: `{"name":["Notification Rule with this name already exists."],` +
				`"transports":["Invalid pk \"` + nobody + `\" - object does not exist."],"severity":["\"\" is not a valid choice."],` +
				`"group":["Invalid pk \"` + nobody + `\" - object does not exist."]}`,
		} {
			c.want("POST", "/rules/", body, 400, answer)
		}
		if names := c.list("/rules/", "name"); names != "taken" {
			t.Errorf("there are rules %q", names)
		}
	})
}

func TestOneOfManyRulesWithTheSameNameIsMade(t *testing.T) {
	each(t, func(c *client) {
		var made atomic.Int32
		var wait sync.WaitGroup
		for range 16 {
			wait.Go(func() {
				switch status, answer := c.call("POST", "/rules/", `{"name":"n"}`); {
				case status == 201:
					made.Add(1)
				case status != 400 || answer != `{"name":["Notification Rule with this name already exists."]}`:
					t.Errorf("%d %s", status, answer)
				}
			})
		}
		wait.Wait()
		if made.Load() != 1 {
			t.Errorf("%d were made", made.Load())
		}
	})
}

func TestATransportCountsOnceInARule(t *testing.T) {
	each(t, func(c *client) {
		path := "/rules/" + c.create("/rules/", `{"name":"n","transports":["`+mail+`","`+mail+`"]}`) + "/"
		if got := c.get(path)["transports"].([]any); len(got) != 1 {
			t.Errorf("transports %v", got)
		}
	})
}

func TestRulesAreFilteredSearchedAndOrdered(t *testing.T) {
	each(t, func(c *client) {
		c.create("/rules/", `{"name":"Disk full","severity":"alert","group":"`+operators+`"}`)
		c.create("/rules/", `{"name":"backup","severity":"notice","group":"`+leads+`"}`)
		c.create("/rules/", `{"name":"ärger","severity":"alert","destination_event_user":true}`)
		for query, names := range map[string]string{
			"":                                      "Disk full backup ärger",
			"ordering=-name":                        "ärger backup Disk full",
			"ordering=group":                        "ärger Disk full backup",
			"ordering=-destination_event_user,name": "ärger Disk full backup",
			"ordering=severity,-name":               "ärger Disk full backup",
			"name=backup":                           "backup",
			"severity=alert":                        "Disk full ärger",
			"group__name=leads":                     "backup",
			"destination_group__name=leads":         "backup",
			"group__name=Leads":                     "",
			"search=OPERATORS":                      "Disk full",
			"search=disk+oper":                      "Disk full",
			"search=disk+leads":                     "",
			"search=%C3%84RGER":                     "ärger",
			"search=e&severity=alert":               "Disk full ärger",
			"search=e&page_size=2":                  "Disk full backup",
			"search=e&page_size=2&page=2":           "ärger",
			"search=e&ordering=-name&page_size=2":   "ärger backup",
			"page_size=2&page=2":                    "ärger",
		} {
			if got := c.list("/rules/?"+query, "name"); got != names {
				t.Errorf("%s: %q, want %q", query, got, names)
			}
		}
		if pages, ok := c.get("/rules/?search=e&page_size=2")["pagination"].(map[string]any); !ok || pages["next"] != 2.0 || pages["count"] != 3.0 {
			t.Errorf("pagination of a search: %v", pages)
		}
		c.want("GET", "/rules/?search=e&page=2", "", 404, `{"detail":"Invalid page."}`)
		c.want("GET", "/rules/?severity=zz", "", 400, `{"severity":["Select a valid choice. zz is not one of the available choices."]}`)
	})
}

func TestDeletingARuleTakesItsBindingsOnly(t *testing.T) {
	each(t, func(c *client) {
		rule := c.create("/rules/", `{"name":"r","transports":["`+mail+`"]}`)
		matcher := c.create("/matchers/", `{"name":"m"}`)
		binding := c.create("/bindings/", `{"target":"`+rule+`","policy":"`+matcher+`","order":0}`)
		c.want("DELETE", "/rules/"+rule+"/", "", 204, "")
		c.want("GET", "/bindings/"+binding+"/", "", 404, `{"detail":"Not found."}`)
		if bound := c.get("/matchers/" + matcher + "/")["bound_to"]; bound != 0.0 {
			t.Errorf("bound_to %v", bound)
		}
	})
}

func TestDeletingAGroupOrATransportLeavesTheRule(t *testing.T) {
	each(t, func(c *client) {
		path := "/rules/" + c.create("/rules/", `{"name":"r","transports":["`+mail+`"],"group":"`+leads+`"}`) + "/"
		err := c.db.Write(t.Context(), func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(`DELETE FROM user_group WHERE pk = $1`, leads); err != nil {
				return err
			}
			_, err := tx.Exec(`DELETE FROM transport WHERE pk = $1`, mail)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if rule := c.get(path); rule["group"] != nil || len(rule["transports"].([]any)) != 0 {
			t.Errorf("%v", rule)
		}
	})
}

func TestUsedByNamesWhatRefers(t *testing.T) {
	each(t, func(c *client) {
		rule := c.create("/rules/", `{"name":"r","transports":["`+mail+`"],"group":"`+leads+`"}`)
		matcher := c.create("/matchers/", `{"name":"m"}`)
		byPolicy := c.create("/bindings/", `{"target":"`+rule+`","policy":"`+matcher+`","order":0}`)
		byGroup := c.create("/bindings/", `{"target":"`+rule+`","group":"`+leads+`","order":1}`)
		byUser := c.create("/bindings/", `{"target":"`+rule+`","user":1,"order":2}`)
		binding := func(pk, to string) string {
			return `{"app":"authentik_policies","model_name":"policybinding","pk":"` + pk +
				`","name":"Binding from Notification Rule r ` + to + `","action":"cascade"}`
		}
		c.want("GET", "/rules/"+rule+"/used_by/", "", 200, `[`+binding(byPolicy, "#0 to Policy m")+`,`+binding(byGroup, "#1 to Group leads")+`,`+
			binding(byUser, "#2 to User ann")+
			`,{"app":"authentik_events","model_name":"notificationtransport","pk":"`+mail+`","name":"Notification Transport mail","action":"cascade_many"}`+
			`,{"app":"authentik_policies","model_name":"policy","pk":"`+matcher+`","name":"m","action":"cascade_many"}]`)
		c.want("GET", "/matchers/"+matcher+"/used_by/", "", 200, `[`+binding(byPolicy, "#0 to Policy m")+`]`)
		c.want("GET", "/bindings/"+byUser+"/used_by/", "", 200, `[]`)
		var got []string
		err := c.db.Read(t.Context(), func(tx *sqldb.Tx) error {
			got = nil
			transport, err := UsedByOfTransport(tx, mail)
			if err != nil {
				return err
			}
			group, err := UsedByOfGroup(tx, leads)
			if err != nil {
				return err
			}
			user, err := UsedByOfUser(tx, ann)
			for _, u := range append(append(transport, group...), user...) {
				got = append(got, u.PK+" "+u.Name+" "+u.Action)
			}
			return err
		})
		want := []string{
			rule + " Notification Rule r cascade_many",
			rule + " Notification Rule r set_null",
			byGroup + " Binding from Notification Rule r #1 to Group leads cascade",
			byUser + " Binding from Notification Rule r #2 to User ann cascade",
		}
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%v\n%s", err, strings.Join(got, "\n"))
		}
	})
}

func TestSeedMakesTheRulesThatAuthentikShips(t *testing.T) {
	each(t, func(c *client) {
		if err := c.db.Write(t.Context(), func(tx *sqldb.Tx) error { return Seed(tx, operators, mail, inbox) }); err != nil {
			t.Fatal(err)
		}
		var s *Snapshot
		err := c.db.Read(t.Context(), func(tx *sqldb.Tx) (err error) {
			s, err = Load(tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for action, rule := range map[string]string{
			"configuration_error": "default-notify-configuration-error", "update_available": "default-notify-update",
			"policy_exception": "default-notify-exception", "property_mapping_exception": "default-notify-exception", "login": "",
		} {
			matches := match(t, s, Subject{Action: action})
			switch {
			case rule == "" && len(matches) == 0:
			case len(matches) != 1 || matches[0].Rule.Name != rule || matches[0].Rule.Severity != "alert" ||
				len(matches[0].Users) != 2 || len(matches[0].Transports) != 2:
				t.Errorf("%s: %+v", action, matches)
			}
		}
		if got := c.list("/matchers/", "name"); got != "default-match-configuration-error default-match-policy-exception "+
			"default-match-property-mapping-exception default-match-update" {
			t.Errorf("matchers %s", got)
		}
		if got := c.list("/bindings/?ordering=order", "order"); got != "0 0 0 1" {
			t.Errorf("orders %s", got)
		}
		if s.Generation < 1 {
			t.Errorf("generation %d", s.Generation)
		}
	})
}

// The snapshot's generation is what tells that something changed since.
func TestSnapshotIsStaleAfterAChange(t *testing.T) {
	each(t, func(c *client) {
		load := func() (s *Snapshot, now int64) {
			err := c.db.Read(t.Context(), func(tx *sqldb.Tx) (err error) {
				if s, err = Load(tx); err != nil {
					return err
				}
				now, err = identity.Generation(tx)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return s, now
		}
		s, now := load()
		if s.Generation != now {
			t.Errorf("fresh snapshot has generation %d, not %d", s.Generation, now)
		}
		c.create("/rules/", `{"name":"new"}`)
		if now = c.generation(); s.Generation == now {
			t.Error("a new rule leaves the generation")
		}
	})
}
