package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"belfry/internal/script"
	"belfry/internal/sqldb"
)

func TestExpressionIsAnsweredWithEveryFieldInOrder(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create("/expressions/", `{"name":" e ","expression":"\n  return \"a\"\n"}`)
		answer := `{"pk":"` + pk + `","name":"e","execution_logging":false,"component":"ak-policy-expression-form",` +
			`"verbose_name":"Expression Policy","verbose_name_plural":"Expression Policies",` +
			`"meta_model_name":"authentik_policies_expression.expressionpolicy","bound_to":0,"expression":"return \"a\""}`
		c.want("GET", "/expressions/"+pk+"/", "", 200, answer)
		c.want("PATCH", "/expressions/"+pk+"/", `{}`, 200, answer)
		changed := strings.Replace(strings.Replace(answer, `return \"a\"`, `return 3`, 1), `"execution_logging":false`, `"execution_logging":true`, 1)
		c.want("PUT", "/expressions/"+pk+"/", `{"name":"e","expression":"return 3","execution_logging":true}`, 200, changed)
		c.want("GET", "/expressions/"+pk+"/", "", 200, changed)
		c.want("DELETE", "/expressions/"+pk+"/", "", 204, "")
		c.want("GET", "/expressions/"+pk+"/", "", 404, `{"detail":"Not found."}`)
	})
}

func TestWhatIsWrongWithAnExpressionIsSaidFieldByField(t *testing.T) {
	each(t, func(c *client) {
		c.create("/expressions/", `{"name":"taken","expression":"return 1"}`)
		c.create("/matchers/", `{"name":"matcher"}`)
		for body, answer := range map[string]string{
			`{}`:                               `{"name":["This field is required."],"expression":["This field is required."]}`,
			`{"name":"n","expression":" \n "}`: `{"expression":["This field may not be blank."]}`,
			`{"name":"n","expression":null}`:   `{"expression":["This field may not be null."]}`,
			`{"name":"n","expression":"x = 1\n  y = 2"}`: `{"expression":["line 2, column 3: indent cannot stand here: a value is wanted"]}`,
			`{"name":"n","expression":{}}`:               `{"expression":["Not a valid string."]}`,
			`{"name":"taken","expression":"return 1"}`:   `{"name":["Expression Policy with this name already exists."]}`,
			// The name is unique among policies of all kinds, and the error is of the kind that was asked for.
			`{"name":"matcher","expression":""}`: `{"name":["Expression Policy with this name already exists."],"expression":["This field may not be blank."]}`,
		} {
			c.want("POST", "/expressions/", body, 400, answer)
		}
		c.want("POST", "/matchers/", `{"name":"taken"}`, 400, `{"name":["Event Matcher Policy with this name already exists."]}`)
		if got := c.list("/policies/", "name"); got != "matcher taken" {
			t.Errorf("there are policies %s", got)
		}
	})
}

func TestExpressionsAreFilteredSearchedAndOrdered(t *testing.T) {
	each(t, func(c *client) {
		a := c.create("/expressions/", `{"name":"Any","expression":"return 2"}`)
		c.create("/expressions/", `{"name":"in","expression":"return 1","execution_logging":true}`)
		c.create("/matchers/", `{"name":"matcher"}`)
		for query, names := range map[string]string{
			"":                          "Any in",
			"ordering=expression":       "in Any",
			"ordering=-pk":              "in Any",
			"name=in":                   "in",
			"name=matcher":              "",
			"expression=return%201":     "in",
			"execution_logging=false":   "Any",
			"policy_uuid=" + a:          "Any",
			"created=2020-01-01T00:00Z": "",
			"search=aNY":                "Any",
			"search=matcher":            "",
		} {
			if got := c.list("/expressions/?"+query, "name"); got != names {
				t.Errorf("%s: %q, want %q", query, got, names)
			}
		}
	})
}

func TestAKindOfPolicyDoesNotShowAnother(t *testing.T) {
	each(t, func(c *client) {
		matcher := c.create("/matchers/", `{"name":"m"}`)
		expression := c.create("/expressions/", `{"name":"e","expression":"return 1"}`)
		for _, path := range []string{"/expressions/" + matcher + "/", "/matchers/" + expression + "/"} {
			for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
				c.want(method, path, `{"name":"n","expression":"return 2"}`, 404, `{"detail":"Not found."}`)
			}
		}
		if got := c.list("/policies/", "name"); got != "e m" {
			t.Errorf("there are policies %s", got)
		}
	})
}

func TestPoliciesOfAllKindsAreListedShownAndDeleted(t *testing.T) {
	each(t, func(c *client) {
		matcher := c.create("/matchers/", `{"name":"m","execution_logging":true}`)
		expression := c.create("/expressions/", `{"name":"e","expression":"return 1"}`)
		rule := c.create("/rules/", `{"name":"r"}`)
		binding := c.create("/bindings/", `{"target":"`+rule+`","policy":"`+expression+`","order":0}`)
		for query, names := range map[string]string{
			"":                           "e m",
			"ordering=-name":             "m e",
			"ordering=execution_logging": "e m",
			"search=M":                   "m",
			"bindings__isnull=true":      "m",
			"bindings__isnull=false":     "e",
			"bindings__isnull=maybe":     "e m",
			"promptstage__isnull=true":   "e m",
			"promptstage__isnull=false":  "",
			"page_size=1&page=2":         "m",
		} {
			if got := c.list("/policies/?"+query, "name"); got != names {
				t.Errorf("%s: %q, want %q", query, got, names)
			}
		}
		c.want("GET", "/policies/"+matcher+"/", "", 200, `{"pk":"`+matcher+`","name":"m","execution_logging":true,`+
			`"component":"ak-policy-event-matcher-form","verbose_name":"Event Matcher Policy",`+
			`"verbose_name_plural":"Event Matcher Policies","meta_model_name":"authentik_policies_event_matcher.eventmatcherpolicy","bound_to":0}`)
		shown := `{"pk":"` + expression + `","name":"e","execution_logging":false,"component":"ak-policy-expression-form",` +
			`"verbose_name":"Expression Policy","verbose_name_plural":"Expression Policies",` +
			`"meta_model_name":"authentik_policies_expression.expressionpolicy","bound_to":1}`
		c.want("GET", "/policies/"+expression+"/", "", 200, shown)
		if _, answer := c.call("GET", "/bindings/"+binding+"/", ""); !strings.Contains(answer, `"policy_obj":`+shown) {
			t.Errorf("the binding shows its policy as %s", answer)
		}
		usedBy := `[{"app":"authentik_policies","model_name":"policybinding","pk":"` + binding + `",` +
			`"name":"Binding from Notification Rule r #0 to Policy e","action":"cascade"}]`
		c.want("GET", "/policies/"+expression+"/used_by/", "", 200, usedBy)
		c.want("GET", "/expressions/"+expression+"/used_by/", "", 200, usedBy)
		c.want("GET", "/policies/"+matcher+"/used_by/", "", 200, `[]`)

		before := c.generation()
		c.want("DELETE", "/policies/"+expression+"/", "", 204, "")
		if c.generation() <= before {
			t.Error("the deletion did not raise the generation")
		}
		if got := c.list("/bindings/", "pk") + c.list("/expressions/", "pk"); got != "" {
			t.Errorf("still there: %s", got)
		}
		for _, method := range []string{"GET", "DELETE"} {
			c.want(method, "/policies/"+expression+"/", "", 404, `{"detail":"Not found."}`)
		}
		c.want("GET", "/policies/"+expression+"/used_by/", "", 404, `{"detail":"Not found."}`)
	})
}

func TestPolicyTypesAndCacheAreWhatClientsAskFor(t *testing.T) {
	each(t, func(c *client) {
		c.want("GET", "/policies/types/", "", 200, `[{"name":"Event Matcher Policy","description":"Passes when Event matches selected criteria.",`+
			`"component":"ak-policy-event-matcher-form","model_name":"eventmatcherpolicy","requires_enterprise":false},`+
			`{"name":"Expression Policy","description":"Decides by an expression of your own.",`+
			`"component":"ak-policy-expression-form","model_name":"expressionpolicy","requires_enterprise":false}]`)
		c.want("GET", "/policies/cache_info/", "", 200, `{"count":0}`)
		c.want("POST", "/policies/cache_clear/", "", 204, "")
	})
}

func TestAPolicyIsTestedOnTheEventInTheContext(t *testing.T) {
	each(t, func(c *client) {
		all := c.create("/matchers/", `{"name":"all"}`)
		logins := c.create("/matchers/", `{"name":"logins","action":"login","app":"authentik.core"}`)
		expression := c.create("/expressions/", `{"name":"e","expression":"ak_message(request.user.username)\nreturn request.context[\"event\"].action == \"login\""}`)
		fails := c.create("/expressions/", `{"name":"f","expression":"x = 1\nreturn x / 0"}`)
		result := func(passing bool, message string) string {
			return fmt.Sprintf(`{"passing":%v,"messages":[%s],"log_messages":[]}`, passing, message)
		}
		const noEvent = `"There is no event to look at: send one as \"event\" in \"context\"."`
		for _, test := range []struct {
			policy, body string
			status       int
			answer       string
		}{
			{all, `{"user":1,"context":{"event":{"action":"login"}}}`, 200, result(true, `"The policy asks for nothing: every event matches."`)},
			{logins, `{"user":1,"context":{"event":{"action":"login"}}}`, 200, result(false, `"Action matched.","App did not match."`)},
			{logins, `{"user":1,"context":{"event":{"action":"logout"},"more":1}}`, 200, result(false, `"Action did not match.","App did not match."`)},
			{all, `{"user":1}`, 200, result(false, noEvent)},
			{all, `{"user":1,"context":{}}`, 200, result(false, noEvent)},
			{all, `{"user":1,"context":{"event":null}}`, 200, result(false, noEvent)},
			{expression, `{"user":1,"context":{"event":{"action":"login"}}}`, 200, result(true, `"ann"`)},
			{expression, `{"user":2,"context":{"event":{"action":"logout"}}}`, 200, result(false, `"ben"`)},
			{fails, `{"user":1,"context":{"event":{"action":"login"}}}`, 200, result(false, `"line 2, column 10: floating-point division by zero"`)},
			{all, `{}`, 400, `{"user":["This field is required."]}`},
			{all, `{"user":99,"context":{"event":{"action":"refused"}}}`, 400, `{"user":["Invalid pk \"99\" - object does not exist."],"context":{"event":{"action":["No."]}}}`},
			{expression, `{"user":1,"context":{"event":{"action":"refused"}}}`, 400, `{"context":{"event":{"action":["No."]}}}`},
			{all, `{"user":1,"context":{"event":[]}}`, 400, `{"context":{"event":["Expected a dictionary of items but got type \"list\"."]}}`},
			{all, `{"user":1,"context":"x"}`, 400, `{"context":{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}}`},
			{nobody, `{`, 404, `{"detail":"Not found."}`},
		} {
			c.want("POST", "/policies/"+test.policy+"/test/", test.body, test.status, test.answer)
		}
		if got := c.list("/policies/", "name"); got != "all e f logins" {
			t.Errorf("there are policies %s", got)
		}
	})
}

// load reads a snapshot of what is in the database.
func load(t *testing.T, db *sqldb.DB) (s *Snapshot) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *sqldb.Tx) (err error) {
		s, err = Load(tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestABindingToAnExpressionYieldsItsFailureResultThenNegate(t *testing.T) {
	each(t, func(c *client) {
		expression := c.create("/expressions/", `{"name":"e","expression":"return request.context[\"nothing\"]"}`)
		for name, fields := range map[string]string{
			"a": `"failure_result":false,"negate":false`, "b": `"failure_result":true,"negate":false`,
			"c": `"failure_result":false,"negate":true`, "d": `"failure_result":true,"negate":true`,
			"e": `"failure_result":true,"enabled":false`,
		} {
			rule := c.create("/rules/", `{"name":"`+name+`"}`)
			c.create("/bindings/", `{"target":"`+rule+`","policy":"`+expression+`","order":0,`+fields+`}`)
		}
		var fired []string
		for _, m := range match(t, load(t, c.db), login) {
			fired = append(fired, m.Rule.Name)
		}
		if got := strings.Join(fired, " "); got != "b c" {
			t.Errorf("fired %q, want b c", got)
		}
	})
}

func TestPoliciesAreAskedInOrderAndOnceForAllRules(t *testing.T) {
	each(t, func(c *client) {
		policy := func(kind, name, rest string) string {
			return c.create("/"+kind+"/", `{"name":"`+name+`","execution_logging":true,`+rest+`}`)
		}
		passes := policy("expressions", "passes", `"expression":"ak_message(\"told\")\nreturn 1"`)
		refuses := policy("expressions", "refuses", `"expression":"return 0"`)
		fails := c.create("/expressions/", `{"name":"fails","expression":"return 1 // 0"}`)
		never := policy("expressions", "never", `"expression":"return 1"`)
		matches := policy("matchers", "matches", `"action":"login"`)
		silent := c.create("/matchers/", `{"name":"silent","action":"logout"}`)
		for _, r := range []struct {
			name     string
			policies []string
		}{{"a", []string{refuses, fails, silent, passes, never}}, {"b", []string{fails, matches, passes, never}}, {"c", []string{passes}}} {
			rule := c.create("/rules/", `{"name":"`+r.name+`"}`)
			for i, policy := range slices.Backward(r.policies) { // so that their order is not that of their making
				c.create("/bindings/", fmt.Sprintf(`{"target":"%s","policy":"%s","order":%d}`, rule, policy, i))
			}
		}
		_, executions, err := load(t, c.db).Match(t.Context(), script.NewRunner(), login)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range executions {
			got = append(got, fmt.Sprint(x.Policy.Name, " ", x.Passing, " ", x.Messages, x.Failure != "", " ", x.Binding.Name))
		}
		want := []string{"refuses false [] false a #0 to Policy refuses", "fails false [] true a #1 to Policy fails",
			"passes true [told] false a #3 to Policy passes", "matches true [Action matched.] false b #1 to Policy matches"}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}
