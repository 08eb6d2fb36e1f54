package main

import (
	"fmt"
	"strings"
	"testing"

	"belfry/internal/sqldb"
)

// explain is the explanation of an event by the rule of the given name.
func (f *fixture) explain(event, rule string) (all reply, of reply) {
	f.t.Helper()
	all = f.must(200, "GET", "/api/belfry/events/"+event+"/explain/", "")
	for _, x := range all.get("rules").([]any) {
		if x.(map[string]any)["rule_name"] == rule {
			return all, reply{json: x, text: f.text(x)}
		}
	}
	f.t.Fatalf("no rule %s: %s", rule, all.text)
	return all, of
}

func TestAnExplanationSaysWhyARuleMatchesOrNot(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ann, _ := f.user("ann")
		admins := f.admins()
		matcher := f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"m","action":"login","app":"authentik.core"}`).str("pk")
		fails := f.expression("fails", "return 1 // 0", "")
		tells := f.expression("tells", "ak_message('it is ' + request.context['event'].app)\nreturn False", "")
		event := f.must(201, "POST", eventsPath, fmt.Sprintf(`{"action":"login","app":"gate","user":{"pk":%d}}`, ann)).str("pk")
		f.must(201, "POST", "/api/v3/events/rules/", `{"name":"bare"}`)
		for i, c := range []struct {
			name, binding     string
			matched           bool
			reason            string
			passing, result   bool
			messages, failure string
			subject           string
		}{
			{"by criteria", `"policy":"` + matcher + `"`, false, "No binding passes.", false, false, "Action matched. App did not match.", "", "Policy m"},
			{"by criteria, negated", `"policy":"` + matcher + `","negate":true`, true, "", false, true, "Action matched. App did not match.", "", "Policy m"},
			{"by a message", `"policy":"` + tells + `"`, false, "No binding passes.", false, false, "it is gate", "", "Policy tells"},
			{"by a failure", `"policy":"` + fails + `","failure_result":true`, true, "", false, true, "", "line 1, column 10: ", "Policy fails"},
			{"by a group", `"group":"` + admins + `"`, false, "No binding passes.", false, false, "The user of the event is ann; the binding is to Group authentik Admins.", "", "Group authentik Admins"},
			{"by a user", fmt.Sprintf(`"user":%d`, ann), true, "", true, true, "The user of the event is ann; the binding is to User ann.", "", "User ann"},
			{"disabled", `"policy":"` + matcher + `","enabled":false`, false, "No binding of the rule is enabled.", false, false, "", "", "Policy m"},
		} {
			f.rule(c.name, admins, c.binding)
			_, x := f.explain(event, c.name)
			messages, _ := x.get("bindings", 0, "messages").([]any)
			said := strings.Trim(fmt.Sprint(messages), "[]")
			decided := x.get("decided_by") != nil
			if x.get("matched") != c.matched || decided != c.matched || x.str("reason") != c.reason || x.get("bindings", 0, "passing") != c.passing ||
				x.get("bindings", 0, "result") != c.result || said != c.messages || x.str("bindings", 0, "subject") != c.subject ||
				(c.failure == "") != (x.str("bindings", 0, "error") == "") || !strings.HasPrefix(x.str("bindings", 0, "error"), c.failure) {
				t.Errorf("%d %s: %s", i, c.name, x.text)
			}
		}
		if _, x := f.explain(event, "bare"); x.get("matched") != false || x.str("reason") != "The rule has no binding." || x.str("nobody") != "The rule has no group." {
			t.Errorf("bare: %s", x.text)
		}
	})
}

func TestAnExplanationSaysWhoReceivesByWhatOrWhyNobodyDoes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ann, _ := f.user("ann")
		ben, _ := f.user("ben")
		gone, _ := f.user("gone")
		f.must(200, "PATCH", fmt.Sprintf("/api/v3/core/users/%d/", ann), `{"email":"ann@example.org"}`)
		f.must(200, "PATCH", fmt.Sprintf("/api/v3/core/users/%d/", gone), `{"is_active":false}`)
		group := func(name string, users ...int64) string {
			return f.must(201, "POST", "/api/v3/core/groups/", `{"name":"`+name+`","users":`+strings.ReplaceAll(fmt.Sprint(users), " ", ",")+`}`).str("pk")
		}
		both, left, empty := group("both", ann, ben), group("left", gone), group("empty")
		transport := func(name, more string) string {
			return f.must(201, "POST", "/api/v3/events/transports/", `{"name":"`+name+`",`+more+`}`).str("pk")
		}
		once := transport("once", `"mode":"webhook","webhook_url":"http://127.0.0.1:1/","send_once":true`)
		mail := transport("mail", `"mode":"email"`)
		event := f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`).str("pk")
		for _, c := range []struct {
			name, rule string
			nobody     string
			ways       string // transport: note: user reason, …
		}{
			{"inbox", `"group":"` + both + `"`, "", `inbox local 2 "" ann "" ben ""`},
			{"once", `"group":"` + both + `","transports":["` + once + `"]`, "", `once webhook 1 "It sends once: to the first by their keys." ann ""`},
			{"mail", `"group":"` + both + `","transports":["` + mail + `"]`, "", `mail email 0 "" ann "no server for e-mail is configured: set --smtp-host" ben "no server for e-mail is configured: set --smtp-host"`},
			{"inactive", `"group":"` + left + `"`, "None of the 1 members of the group left is active.", `inbox local 0 ""`},
			{"empty", `"group":"` + empty + `"`, "The group empty has no members of its own.", `inbox local 0 ""`},
			{"event user", `"destination_event_user":true`, "The rule has no group. The event has no user.", `inbox local 0 ""`},
		} {
			f.must(201, "POST", "/api/v3/events/rules/", `{"name":"`+c.name+`",`+c.rule+`}`)
			_, x := f.explain(event, c.name)
			var ways []string
			for _, way := range x.get("transports").([]any) {
				way := reply{json: way}
				name := way.str("transport_name")
				if name == "" && way.get("transport") == nil {
					name = "inbox"
				}
				line := fmt.Sprintf("%s %s %v %q", name, way.str("mode"), way.get("notified_count"), way.str("note"))
				for _, user := range way.get("recipients").([]any) {
					user := reply{json: user}
					line += fmt.Sprintf(" %s %q", user.str("username"), user.str("reason"))
					if (user.str("reason") == "") != user.get("notified").(bool) {
						t.Errorf("%s: %v", c.name, user.json)
					}
				}
				ways = append(ways, line)
			}
			if got := strings.Join(ways, "; "); got != c.ways || x.str("nobody") != c.nobody {
				t.Errorf("%s:\n got %s %q\nwant %s %q", c.name, got, x.str("nobody"), c.ways, c.nobody)
			}
		}
	})
}

func TestAnExplanationShowsWhatWasMadeAndWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		logged := f.expression("logged", "return request.context['event'].action == 'login'", `,"execution_logging":true`)
		rule := f.rule("r", f.admins(), `"policy":"`+logged+`"`)
		hook := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"hook","mode":"webhook","webhook_url":"http://127.0.0.1:1/"}`).str("pk")
		inbox := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"inbox","mode":"local"}`).str("pk")
		f.must(200, "PATCH", "/api/v3/events/rules/"+rule+"/", `{"transports":["`+hook+`","`+inbox+`"]}`)
		event := f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`).str("pk")
		before := f.must(200, "GET", eventsPath, "").get("pagination", "count")
		all, _ := f.explain(event, "r")
		if all.get("notification_count") != float64(1) || all.str("notifications", 0, "username") != "akadmin" || all.str("notifications", 0, "rule") != rule ||
			all.get("delivery_count") != float64(1) || all.str("deliveries", 0, "transport") != hook || all.str("deliveries", 0, "state") == "" ||
			all.get("complete") != true || all.get("waiting") != false || all.str("event") != event || all.str("reason") != "" {
			t.Errorf("the explanation: %s", all.text)
		}
		execution := f.must(200, "GET", eventsPath+"?actions=policy_execution", "").str("results", 0, "pk")
		r := f.must(200, "GET", "/api/belfry/events/"+execution+"/explain/", "")
		if len(r.get("rules").([]any)) != 0 || !strings.Contains(r.str("reason"), `"script"`) {
			t.Errorf("an event that runs no rules: %s", r.text)
		}
		dry := f.must(200, "POST", "/api/belfry/rules/"+rule+"/dry_run/", "")
		if dry.get("matched_count") != float64(1) || dry.str("results", 0, "event") != event || dry.get("complete") != true ||
			dry.str("results", 0, "transports", 0, "recipients", 0, "username") != "akadmin" {
			t.Errorf("the dry run: %s", dry.text)
		}
		if after := f.must(200, "GET", eventsPath, "").get("pagination", "count"); after != before {
			t.Errorf("%v events before, %v after", before, after)
		}
		f.must(404, "GET", "/api/belfry/events/"+rule+"/explain/", "")
		f.must(404, "POST", "/api/belfry/rules/"+event+"/dry_run/", `{"last":0}`)
	})
}

func TestADryRunLooksAtTheLastEventsAndEndsInTime(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		policy := f.expression("p", "return request.context['event'].app == 'odd'", "")
		rule := f.rule("r", f.admins(), `"policy":"`+policy+`","enabled":false`)
		f.forget()
		for i := range 10 {
			f.must(201, "POST", eventsPath, fmt.Sprintf(`{"action":"login","app":"%s"}`, []string{"even", "odd"}[i%2]))
		}
		path := "/api/belfry/rules/" + rule + "/dry_run/"
		for _, c := range []struct {
			body            string
			status          int
			events, matched float64
		}{
			{`{"last":4}`, 200, 4, 0}, {`{}`, 200, 10, 0}, {`{"last":1001}`, 400, 0, 0}, {`{"last":0}`, 400, 0, 0}, {`{"last":"x"}`, 400, 0, 0}, {`[]`, 400, 0, 0},
		} {
			r := f.must(c.status, "POST", path, c.body)
			if c.status == 200 && (r.get("event_count") != c.events || r.get("matched_count") != c.matched) {
				t.Errorf("disabled, %s: %s", c.body, r.text)
			}
		}
		binding := f.must(200, "GET", "/api/v3/policies/bindings/?target="+rule, "").str("results", 0, "pk")
		f.must(200, "PATCH", "/api/v3/policies/bindings/"+binding+"/", `{"enabled":true}`)
		if r := f.must(200, "POST", path, `{"last":5}`); r.get("event_count") != float64(5) || r.get("matched_count") != float64(2) {
			t.Errorf("enabled: %s", r.text)
		}
		// The events of the change itself come first.
		if err := f.db.Read(t.Context(), func(*sqldb.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
}
