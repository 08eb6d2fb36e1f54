package rules

import (
	"slices"
	"strings"
	"testing"
)

func TestMatcherIsAnsweredWithEveryFieldInOrder(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create("/matchers/", `{"name":"m","action":"login","client_ip":"10.0.0.1","app":"authentik.core","model":"authentik_core.user"}`)
		c.want("GET", "/matchers/"+pk+"/", "", 200, `{"pk":"`+pk+`","name":"m","execution_logging":false,`+
			`"component":"ak-policy-event-matcher-form","verbose_name":"Event Matcher Policy","verbose_name_plural":"Event Matcher Policies",`+
			`"meta_model_name":"authentik_policies_event_matcher.eventmatcherpolicy","bound_to":0,`+
			`"action":"login","client_ip":"10.0.0.1","app":"authentik.core","model":"authentik_core.user"}`)
	})
}

// Terraform sends only what is set, and expects the rest to be null.
func TestTerraformRoundTripOfAMatcher(t *testing.T) {
	each(t, func(c *client) {
		path := "/matchers/" + c.create("/matchers/", `{"name":"m","execution_logging":true,"app":"authentik.events"}`) + "/"
		check := func(want ...any) {
			t.Helper()
			got := c.get(path)
			if values := []any{got["name"], got["execution_logging"], got["action"], got["client_ip"], got["app"], got["model"]}; !slices.Equal(values, want) {
				t.Errorf("got %v, want %v", values, want)
			}
		}
		check("m", true, nil, nil, "authentik.events", nil)
		if status, answer := c.call("PUT", path, `{"name":"m2","execution_logging":false,"model":"authentik_core.group"}`); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		check("m2", false, nil, nil, "authentik.events", "authentik_core.group")
		if status, answer := c.call("PATCH", path, `{"app":null,"action":"custom_disk"}`); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		check("m2", false, "custom_disk", nil, nil, "authentik_core.group")
	})
}

func TestWhatIsWrongWithAMatcherIsSaidFieldByField(t *testing.T) {
	each(t, func(c *client) {
		c.create("/matchers/", `{"name":"taken"}`)
		for body, answer := range map[string]string{
			`{}`:                               `{"name":["This field is required."]}`,
			`{"name":"taken"}`:                 `{"name":["Event Matcher Policy with this name already exists."]}`,
			`{"name":"n","action":""}`:         `{"action":["\"\" is not a valid choice."]}`,
			`{"name":"n","action":"custom_A"}`: `{"action":["\"custom_A\" is not a valid choice."]}`,
			`{"name":"n","client_ip":" "}`:     `{"client_ip":["This field may not be blank."]}`,
			`{"name":"n","app":""}`:            `{"app":["\"\" is not a valid choice."]}`,
			`{"name":"n","app":"core"}`:        `{"app":["\"core\" is not a valid choice."]}`,
			`{"name":"n","model":""}`:          `{"model":["\"\" is not a valid choice."]}`,
			`{"name":"taken","model":"user"}`:  `{"name":["Event Matcher Policy with this name already exists."],"model":["\"user\" is not a valid choice."]}`,
		} {
			c.want("POST", "/matchers/", body, 400, answer)
		}
	})
}

func TestMatchersAreFilteredSearchedAndOrdered(t *testing.T) {
	each(t, func(c *client) {
		a := c.create("/matchers/", `{"name":"Any"}`)
		c.create("/matchers/", `{"name":"in","action":"login","client_ip":"10.0.0.1","execution_logging":true}`)
		c.create("/matchers/", `{"name":"out","action":"logout","app":"authentik.core","model":"authentik_core.user"}`)
		for query, names := range map[string]string{
			"":                          "Any in out",
			"ordering=-action":          "out in Any",
			"ordering=app,-name":        "in Any out",
			"name=in":                   "in",
			"action=logout":             "out",
			"client_ip=10.0.0.1":        "in",
			"app=authentik.core":        "out",
			"model=authentik_core.user": "out",
			"execution_logging=true":    "in",
			"execution_logging=0":       "Any out",
			"policy_uuid=" + a:          "Any",
			"created=2020-01-01T00:00Z": "",
			"search=ANY":                "Any",
			"search=i&action=login":     "in",
		} {
			if got := c.list("/matchers/?"+query, "name"); got != names {
				t.Errorf("%s: %q, want %q", query, got, names)
			}
		}
		c.want("GET", "/matchers/?action=zz", "", 400, `{"action":["Select a valid choice. zz is not one of the available choices."]}`)
	})
}

func TestBoundToCountsTheBindings(t *testing.T) {
	each(t, func(c *client) {
		m := c.create("/matchers/", `{"name":"m"}`)
		for _, rule := range []string{"a", "b"} {
			target := c.create("/rules/", `{"name":"`+rule+`"}`)
			c.create("/bindings/", `{"target":"`+target+`","policy":"`+m+`","order":0}`)
		}
		if got := c.list("/matchers/", "bound_to"); got != "2" {
			t.Errorf("bound_to %s", got)
		}
	})
}

// The enumerations are those of the official schema of 2024.6; clients of that release lose a page that holds any other.
func TestEventActionsAreThoseOfAuthentikAndCustomOnes(t *testing.T) {
	if n := len(EventActions.Values); n != 38 || EventActions.Values[0] != "login" || EventActions.Values[25] != "update_available" ||
		EventActions.Values[n-1] != "custom_" {
		t.Errorf("%d actions: %v", n, EventActions.Values)
	}
	if len(apps.Values) != 56 || len(eventModels.Values) != 82 {
		t.Errorf("%d apps, %d models", len(apps.Values), len(eventModels.Values))
	}
	for action, want := range map[string]bool{
		"login": true, "review_overdue": true, "custom_": true, "custom_a_1": true,
		"": false, "Login": false, "custom": false, "custom_A": false, "custom_a-b": false, "custom_a\n": false, "xcustom_a": false,
	} {
		if EventActions.Has(action) != want {
			t.Errorf("Has(%q) is %v", action, !want)
		}
	}
	if !strings.HasPrefix(EventActions.Pattern, "^custom_") {
		t.Errorf("pattern %q", EventActions.Pattern)
	}
}
