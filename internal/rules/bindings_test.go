package rules

import (
	"fmt"
	"strings"
	"testing"
)

// bound are the pks of a binding's rule and matcher.
type bound struct{ rule, matcher string }

func (c *client) ruleAndMatcher() bound {
	return bound{c.create("/rules/", `{"name":"r"}`), c.create("/matchers/", `{"name":"m"}`)}
}

func TestBindingIsAnsweredWithEveryFieldInOrder(t *testing.T) {
	each(t, func(c *client) {
		b := c.ruleAndMatcher()
		pk := c.create("/bindings/", `{"policy":"`+b.matcher+`","target":"`+b.rule+`","order":7}`)
		c.want("GET", "/bindings/"+pk+"/", "", 200, `{"pk":"`+pk+`","policy":"`+b.matcher+`","group":null,"user":null,`+
			`"policy_obj":{"pk":"`+b.matcher+`","name":"m","execution_logging":false,"component":"ak-policy-event-matcher-form",`+
			`"verbose_name":"Event Matcher Policy","verbose_name_plural":"Event Matcher Policies",`+
			`"meta_model_name":"authentik_policies_event_matcher.eventmatcherpolicy","bound_to":1},`+
			`"group_obj":null,"user_obj":null,"target":"`+b.rule+`","negate":false,"enabled":true,"order":7,"timeout":30,`+
			`"failure_result":false,"expires":null,"expiring":false}`)
	})
}

func TestBindingShowsItsGroupOrUser(t *testing.T) {
	each(t, func(c *client) {
		b := c.ruleAndMatcher()
		group := c.get("/bindings/" + c.create("/bindings/", `{"group":"`+leads+`","target":"`+b.rule+`","order":0}`) + "/")
		if obj, ok := group["group_obj"].(map[string]any); !ok || obj["name"] != "leads" || group["group"] != leads || group["user_obj"] != nil {
			t.Errorf("group binding: %v", group)
		}
		user := c.get("/bindings/" + c.create("/bindings/", `{"user":2,"target":"`+b.rule+`","order":0}`) + "/")
		if obj, ok := user["user_obj"].(map[string]any); !ok || obj["username"] != "ben" || user["user"] != 2.0 || user["policy_obj"] != nil {
			t.Errorf("user binding: %v", user)
		}
	})
}

// Terraform sends explicit nulls for what is unset.
func TestTerraformRoundTripOfABinding(t *testing.T) {
	each(t, func(c *client) {
		b := c.ruleAndMatcher()
		path := "/bindings/" + c.create("/bindings/", `{"target":"`+b.rule+`","order":0,"negate":true,"enabled":false,"timeout":10,`+
			`"failure_result":true,"policy":"`+b.matcher+`","user":null,"group":null}`) + "/"
		got := c.get(path)
		if fmt.Sprint(got["target"], got["order"], got["negate"], got["enabled"], got["timeout"], got["failure_result"], got["policy"], got["user"], got["group"]) !=
			fmt.Sprint(b.rule, 0.0, true, false, 10.0, true, b.matcher, nil, nil) {
			t.Errorf("created %v", got)
		}
		body := `{"target":"` + b.rule + `","order":1,"negate":false,"enabled":true,"timeout":0,"failure_result":false,"policy":null,"user":1,"group":null}`
		if status, answer := c.call("PUT", path, body); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		got = c.get(path)
		if fmt.Sprint(got["order"], got["negate"], got["enabled"], got["timeout"], got["failure_result"], got["policy"], got["user"]) !=
			fmt.Sprint(1.0, false, true, 0.0, false, nil, 1.0) {
			t.Errorf("updated %v", got)
		}
	})
}

func TestWhatIsWrongWithABindingIsSaidFieldByField(t *testing.T) {
	each(t, func(c *client) {
		b := c.ruleAndMatcher()
		to := `"target":"` + b.rule + `","order":0`
		for body, answer := range map[string]string{
			`{}`:           `{"target":["This field is required."],"order":["This field is required."]}`,
			`{` + to + `}`: `{"non_field_errors":["One of 'policy', 'group' or 'user' must be set."]}`,
			`{` + to + `,"policy":"","group":"","user":null}`:                 `{"non_field_errors":["One of 'policy', 'group' or 'user' must be set."]}`,
			`{` + to + `,"policy":"` + b.matcher + `","user":1}`:              `{"non_field_errors":["Only one of 'policy', 'group' or 'user' can be set."]}`,
			`{` + to + `,"group":"` + leads + `","user":1}`:                   `{"non_field_errors":["Only one of 'policy', 'group' or 'user' can be set."]}`,
			`{` + to + `,"policy":"` + nobody + `"}`:                          noSuch("policy", nobody),
			`{` + to + `,"group":"` + nobody + `"}`:                           noSuch("group", nobody),
			`{` + to + `,"group":"zz"}`:                                       `{"group":["“zz” is not a valid UUID."]}`,
			`{` + to + `,"user":99}`:                                          noSuch("user", "99"),
			`{` + to + `,"user":"x"}`:                                         `{"user":["Incorrect type. Expected pk value, received str."]}`,
			`{"target":"` + nobody + `","order":0,"user":1}`:                  noSuch("target", nobody),
			`{"target":null,"order":0,"user":1}`:                              `{"target":["This field may not be null."]}`,
			`{"target":"` + b.matcher + `","order":0,"user":1}`:               noSuch("target", b.matcher),
			`{` + to + `,"user":1,"timeout":-1}`:                              `{"timeout":["Ensure this value is greater than or equal to 0."]}`,
			`{"target":"` + b.rule + `","user":1,"order":2147483648}`:         `{"order":["Ensure this value is less than or equal to 2147483647."]}`,
			`{"policy":"` + nobody + `","user":99,"target":"zz","order":"x"}`: `{"policy":["Invalid pk \"` + nobody + `\" - object does not exist."],"user":["Invalid pk \"99\" - object does not exist."],"target":["“zz” is not a valid UUID."],"order":["A valid integer is required."]}`,
		} {
			c.want("POST", "/bindings/", body, 400, answer)
		}
		if got := c.list("/bindings/", "pk"); got != "" {
			t.Errorf("there are bindings %s", got)
		}
	})
}

func TestAMatcherIsBoundOnceToARuleAtAnOrder(t *testing.T) {
	each(t, func(c *client) {
		b := c.ruleAndMatcher()
		body := func(order int) string {
			return fmt.Sprintf(`{"policy":%q,"target":%q,"order":%d}`, b.matcher, b.rule, order)
		}
		const twice = `{"non_field_errors":["The fields policy, target, order must make a unique set."]}`
		first := "/bindings/" + c.create("/bindings/", body(0)) + "/"
		second := "/bindings/" + c.create("/bindings/", body(1)) + "/"
		c.want("POST", "/bindings/", body(0), 400, twice)
		c.want("PUT", second, body(0), 400, twice)
		c.want("PATCH", second, `{"order":0}`, 400, twice)
		if status, answer := c.call("PUT", first, body(0)); status != 200 {
			t.Errorf("unchanged: %d %s", status, answer)
		}
		for range 2 { // groups may be bound again
			c.create("/bindings/", `{"group":"`+leads+`","target":"`+b.rule+`","order":0}`)
		}
	})
}

func TestPatchNeedNotRepeatTheSubject(t *testing.T) {
	each(t, func(c *client) {
		b := c.ruleAndMatcher()
		path := "/bindings/" + c.create("/bindings/", `{"policy":"`+b.matcher+`","target":"`+b.rule+`","order":0}`) + "/"
		c.want("PATCH", path, `{"user":1}`, 400, `{"non_field_errors":["Only one of 'policy', 'group' or 'user' can be set."]}`)
		c.want("PATCH", path, `{"policy":null}`, 400, `{"non_field_errors":["One of 'policy', 'group' or 'user' must be set."]}`)
		for _, body := range []string{`{"negate":true}`, `{"policy":null,"user":1}`} {
			if status, answer := c.call("PATCH", path, body); status != 200 {
				t.Errorf("%s: %d %s", body, status, answer)
			}
		}
		if got := c.get(path); got["negate"] != true || got["user"] != 1.0 || got["policy"] != nil || got["target"] != b.rule {
			t.Errorf("%v", got)
		}
	})
}

func TestBindingsAreFilteredSearchedAndOrdered(t *testing.T) {
	each(t, func(c *client) {
		one := c.create("/rules/", `{"name":"one"}`)
		two := c.create("/rules/", `{"name":"two"}`)
		login := c.create("/matchers/", `{"name":"Login"}`)
		c.create("/bindings/", `{"user":3,"target":"`+two+`","order":30,"enabled":false}`)
		c.create("/bindings/", `{"policy":"`+login+`","target":"`+two+`","order":20,"timeout":5}`)
		c.create("/bindings/", `{"group":"`+leads+`","target":"`+one+`","order":10}`)
		for query, orders := range map[string]string{
			"":                                       "10 20 30", // by target, then order
			"ordering=-order":                        "30 20 10",
			"ordering=timeout,-order":                "20 30 10",
			"ordering=-user,order":                   "30 10 20",
			"target=" + two:                          "20 30",
			"policy=" + login:                        "20",
			"policy__isnull=true":                    "10 30",
			"policy__isnull=False":                   "20",
			"target_in=" + one + "&target_in=" + two: "10 20 30",
			"target_in=" + one:                       "10",
			"enabled=false":                          "30",
			"order=20":                               "20",
			"timeout=30":                             "10 30",
			"search=LOG":                             "20",
			"search=zz":                              "",
			"page_size=1&page=3":                     "30",
		} {
			if got := c.list("/bindings/?"+query, "order"); got != orders {
				t.Errorf("%s: %q, want %q", query, got, orders)
			}
		}
		const unknown = `["Select a valid choice. That choice is not one of the available choices."]`
		c.want("GET", "/bindings/?target="+nobody+"&policy="+nobody, "", 400, `{"policy":`+unknown+`,"target":`+unknown+`}`)
		c.want("GET", "/bindings/?order=x", "", 400, `{"order":["Enter a number."]}`)
	})
}

func TestDeletingAMatcherTakesItsBindings(t *testing.T) {
	each(t, func(c *client) {
		b := c.ruleAndMatcher()
		c.create("/bindings/", `{"policy":"`+b.matcher+`","target":"`+b.rule+`","order":0}`)
		kept := c.create("/bindings/", `{"user":1,"target":"`+b.rule+`","order":0}`)
		c.want("DELETE", "/matchers/"+b.matcher+"/", "", 204, "")
		if got := c.list("/bindings/", "pk"); strings.TrimSpace(got) != kept {
			t.Errorf("bindings %q, want %q", got, kept)
		}
	})
}
