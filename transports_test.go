package main

import (
	"strings"
	"testing"
)

func TestATestLeavesAnEventThatNoRuleRunsFor(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		local := f.must(200, "GET", "/api/v3/events/transports/?mode=local", "").str("results", 0, "pk")
		rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"all","group":"`+f.admins()+`"}`).str("pk")
		f.must(201, "POST", "/api/v3/policies/bindings/", `{"user":1,"target":"`+rule+`","order":0,"negate":true}`)
		f.forget()
		if got := f.must(200, "POST", "/api/v3/events/transports/"+local+"/test/", "").text; got != `{"messages":[]}` {
			t.Errorf("the answer is %s", got)
		}
		events := f.must(200, "GET", "/api/v3/events/events/", "")
		if events.get("pagination", "count") != 1.0 || events.str("results", 0, "action") != "custom_" ||
			events.str("results", 0, "app") != "authentik.events.api.notification_transports" {
			t.Errorf("the events are %s", events.text)
		}
		if want := `"context":{"message":"Test Notification from transport default-local-transport","user":{"pk":1,"email":"","username":"akadmin"},` +
			`"context":{"foo":"bar"}}`; !strings.Contains(events.text, want) {
			t.Errorf("want %s in %s", want, events.text)
		}
		inbox := f.must(200, "GET", "/api/v3/events/notifications/?event="+events.str("results", 0, "pk"), "")
		if inbox.get("pagination", "count") != 1.0 || inbox.str("results", 0, "severity") != "notice" ||
			inbox.str("results", 0, "body") != "Test Notification from transport default-local-transport" {
			t.Errorf("the inbox is %s", inbox.text)
		}
	})
}
