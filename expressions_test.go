package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"belfry/internal/sqldb"
)

// text is a value as JSON.
func (f *fixture) text(value any) string {
	f.t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

// expression makes an expression policy; more are further fields.
func (f *fixture) expression(name, source, more string) string {
	f.t.Helper()
	return f.must(201, "POST", "/api/v3/policies/expression/", `{"name":"`+name+`","expression":`+f.text(source)+more+`}`).str("pk")
}

// rule makes a rule that notifies a group's inboxes, and a binding to it of the given fields.
func (f *fixture) rule(name, group, binding string) string {
	f.t.Helper()
	rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"`+name+`","group":"`+group+`"}`).str("pk")
	f.must(201, "POST", "/api/v3/policies/bindings/", `{"target":"`+rule+`","order":0,`+binding+`}`)
	return rule
}

// notifications are how many there are of an event.
func (f *fixture) notifications(event string) int {
	f.t.Helper()
	count, _ := f.must(200, "GET", notificationsPath+"?event="+event, "").get("pagination", "count").(float64)
	return int(count)
}

func TestExpressionPoliciesDecideWhoIsNotified(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ann, _ := f.user("ann")
		ben, _ := f.user("ben")
		group := f.must(201, "POST", "/api/v3/core/groups/", fmt.Sprintf(`{"name":"ops","users":[%d],"attributes":{"site":"north"}}`, ann)).str("pk")
		f.must(200, "PATCH", fmt.Sprintf("/api/v3/core/users/%d/", ann), `{"attributes":{"shift":"night"}}`)
		event := fmt.Sprintf(`{"action":"login","app":"door","client_ip":"10.1.2.3","user":{"pk":%d},"context":{"room":7}}`, ann)
		of := func(user int64) string { return fmt.Sprintf(`{"action":"login","app":"door","user":{"pk":%d}}`, user) }
		for i, c := range []struct {
			name, source, binding, event string
			want                         bool
		}{
			{"what the event says", `return request.context["event"].context["room"] == 7`, ``, event, true},
			{"what it does not say", `return request.context["event"].context["room"] == 8`, ``, event, false},
			{"its address", `return request.context["event"].client_ip == "10.1.2.3"`, ``, event, true},
			{"its user", `return request.user.username == "ann"`, ``, event, true},
			{"another user", `return request.user.username == "ann"`, ``, of(ben), false},
			{"its user's attributes", `return request.user.attributes["shift"] == "night"`, ``, event, true},
			{"its user's group", `return ak_is_group_member(request.user, name="ops")`, ``, event, true},
			{"its user's group, of somebody else", `return ak_is_group_member(request.user, name="ops")`, ``, of(ben), false},
			{"the attributes of the group", `return request.user.group_attributes()["site"] == "north"`, ``, event, true},
			{"nobody", `return request.user.username == "AnonymousUser"`, ``, `{"action":"login","app":"door"}`, true},
			{"nobody who exists", `return request.user.username == "AnonymousUser"`, ``, of(99), true},
			{"negated", `return False`, `,"negate":true`, event, true},
			{"failed", `return request.context["nothing"]`, ``, event, false},
			{"failed, and to pass then", `return request.context["nothing"]`, `,"failure_result":true`, event, true},
			{"failed, to pass then, negated", `return request.context["nothing"]`, `,"failure_result":true,"negate":true`, event, false},
			{"without a limit of its own", `return True`, `,"timeout":0`, event, true},
		} {
			policy := f.expression(fmt.Sprint("p", i), c.source, "")
			rule := f.rule(fmt.Sprint("r", i), group, `"policy":"`+policy+`"`+c.binding)
			posted := f.must(201, "POST", eventsPath, c.event).str("pk")
			if got := f.notifications(posted) == 1; got != c.want {
				t.Errorf("%s: %v", c.name, got)
			}
			f.must(204, "DELETE", "/api/v3/events/rules/"+rule+"/", "")
		}
	})
}

func TestFailedAndLoggedPoliciesLeaveEventsThatRunNoRules(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admins := f.admins()
		fails := f.expression("fails", "secret = 'canary'\nreturn request.context['nothing']", "")
		logged := f.expression("logged", "ak_message('seen')\nreturn request.user.username == 'akadmin' and request.context['event'].action == 'policy_exception'", `,"execution_logging":true`)
		f.rule("a", admins, `"policy":"`+fails+`"`)
		f.rule("b", admins, `"policy":"`+logged+`"`)
		f.forget() // of this on, whatever runs is of one event
		f.must(201, "POST", eventsPath, `{"action":"policy_exception","app":"x","user":{"pk":1},"context":{"message":"canary"}}`)
		list := f.must(200, "GET", eventsPath+"?ordering=created&page_size=10", "")
		if list.get("pagination", "count") != float64(3) {
			t.Fatalf("not three events: %s", list.text)
		}
		found := map[string]map[string]any{}
		for _, e := range list.get("results").([]any) {
			if e := e.(map[string]any); e["app"] == policyApp {
				found[e["action"].(string)] = e["context"].(map[string]any)
				if user := e["user"].(map[string]any); user["username"] != "akadmin" || user["pk"] != float64(1) {
					t.Errorf("the user of %v is %v", e["action"], user)
				}
			}
		}
		exception, execution := found["policy_exception"], found["policy_execution"]
		if exception == nil || execution == nil {
			t.Fatalf("the events: %s", list.text)
		}
		if exception["policy_uuid"] != strings.ReplaceAll(fails, "-", "") || !strings.HasPrefix(fmt.Sprint(exception["message"]), `The policy "fails" failed: line 2, column `) {
			t.Errorf("the exception: %v", exception)
		}
		if binding := exception["binding"].(map[string]any); binding["model_name"] != "policybinding" || binding["name"] != "a #0 to Policy fails" {
			t.Errorf("the binding: %v", binding)
		}
		if fmt.Sprint(execution["result"]) != "map[messages:[seen] passing:true]" {
			t.Errorf("the execution: %v", execution)
		}
		if text := f.text(exception) + f.text(execution); strings.Contains(text, "secret") || strings.Contains(f.text(execution["request"]), "akadmin\",\"secret") {
			t.Errorf("an expression is quoted: %s", text)
		}
		// default-notify-exception is about policy_exception; a and b saw the posted event only.
		if r := f.must(200, "GET", notificationsPath, ""); r.get("pagination", "count") != float64(2) {
			t.Errorf("the notifications: %s", r.text)
		}
	})
}

func TestMessageOfAMappingThatFailsIsAnEventOfItsNotification(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		mapping := f.must(201, "POST", "/api/v3/propertymappings/notification/", `{"name":"broken","expression":"notification.body = 'canary'\nreturn 1 // 0"}`).str("pk")
		transport := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"inbox","mode":"local","webhook_mapping":"`+mapping+`"}`).str("pk")
		policy := f.expression("all", "return request.context['event'].action == 'login'", "")
		rule := f.rule("r", f.admins(), `"policy":"`+policy+`"`)
		f.must(200, "PATCH", "/api/v3/events/rules/"+rule+"/", `{"transports":["`+transport+`"]}`)
		event := f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`).str("pk")
		if f.notifications(event) != 1 {
			t.Error("the notification is lost")
		}
		r := f.must(200, "GET", eventsPath+"?actions=property_mapping_exception", "")
		message := r.str("results", 0, "context", "message")
		if r.get("pagination", "count") != float64(1) || !strings.Contains(message, `"broken" failed: line 2`) || strings.Contains(r.text, "canary") {
			t.Errorf("the exception: %s", r.text)
		}
		fixed := f.must(200, "PATCH", "/api/v3/propertymappings/notification/"+mapping+"/", `{"expression":"notification.body = 'changed by ' + user.username"}`)
		event = f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`).str("pk")
		if body := f.must(200, "GET", notificationsPath+"?event="+event, "").str("results", 0, "body"); body != "changed by akadmin" {
			t.Errorf("the body is %q after %s", body, fixed.text)
		}
	})
}

// trailRule notifies of every trail event, by an expression.
func (f *fixture) trailRule() {
	f.t.Helper()
	policy := f.expression("trail", `return request.context["event"].action.startswith("model_")`, "")
	f.rule("trail", f.admins(), `"policy":"`+policy+`"`)
}

func TestTrailRunsThroughExpressionsExactlyOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.trailRule()
		event := f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`).str("pk")
		f.forget()
		f.must(201, "POST", "/api/v3/core/groups/", `{"name":"g"}`)
		f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"m","action":"login"}`)
		alice, _ := f.user("alice")
		f.must(204, "DELETE", fmt.Sprintf("/api/v3/core/users/%d/", alice), "")
		if f.call(adminKey, "PATCH", eventsPath+event+"/", `{"app":"y"}`).status != 404 {
			t.Error("the event was not forgotten")
		}
		event = f.must(201, "POST", eventsPath, `{"action":"login","app":"x"}`).str("pk")
		f.must(200, "PATCH", eventsPath+event+"/", `{"app":"y"}`)
		f.must(204, "DELETE", eventsPath+event+"/", "")
		trail := f.must(200, "GET", eventsPath+"?action=model_&page_size=100", "").get("results").([]any)
		if len(trail) < 6 {
			t.Fatalf("%d events in the trail", len(trail))
		}
		for _, e := range trail {
			e := e.(map[string]any)
			if n := f.notifications(e["pk"].(string)); n != 1 {
				t.Errorf("%d notifications of %v %v", n, e["action"], e["context"])
			}
		}
		if n := f.waiting(); n != 0 {
			t.Errorf("%d events still wait for their rules", n)
		}
	})
}

// waiting is how many events wait for their rules.
func (f *fixture) waiting() (n int) {
	f.t.Helper()
	err := f.db.Read(f.t.Context(), func(tx *sqldb.Tx) error { return tx.Row("SELECT COUNT(*) FROM unmatched", nil, &n) })
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// withoutRules writes events whose rules have not run: whoever made them has gone, as if the process had ended after the commit.
func (f *fixture) withoutRules(n int) (events []Event) {
	f.t.Helper()
	gone, cancel := context.WithCancel(f.t.Context())
	cancel()
	for range n {
		err := f.db.Write(f.t.Context(), func(tx *sqldb.Tx) error {
			counts := tally{}
			e, err := f.server.recorder.commit(gone, tx, newPlan(Event{Action: "model_updated", App: "x", User: "{}", Context: "{}", Brand: "{}", Origin: OriginTrail}), counts)
			events = append(events, e)
			return errors.Join(err, counts.Write(tx))
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	return events
}

func TestRulesOfAnEventRunLaterWhereTheyCouldNotAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.trailRule()
		f.forget()
		recorder, events := f.server.recorder, f.withoutRules(3)
		f.must(204, "DELETE", eventsPath+events[2].PK+"/", "") // its rules will not run
		if n := f.waiting(); n != 2 {
			t.Fatalf("%d events wait, not two", n)
		}
		var all sync.WaitGroup
		for range 4 { // as several nodes would
			all.Go(func() {
				if err := recorder.matchLeft(t.Context(), 0); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for i, e := range events[:2] {
			if n := f.notifications(e.PK); n != 1 {
				t.Errorf("event %d has %d notifications", i, n)
			}
		}
		if n := f.waiting(); n != 0 {
			t.Errorf("%d events still wait", n)
		}
	})
}

func TestChangesWithoutEndKeepNoEventFromItsRules(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		policy := f.expression("e", `return request.context["event"].action == "login"`, "")
		f.rule("r", f.admins(), `"policy":"`+policy+`"`)
		other := f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"other"}`).str("pk")
		stop := make(chan struct{})
		var changing, posting sync.WaitGroup
		for range 2 {
			changing.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
						f.call(adminKey, "PATCH", "/api/v3/policies/event_matcher/"+other+"/", fmt.Sprintf(`{"app":"%s"}`, []string{"authentik.core", "authentik.events"}[i%2]))
					}
				}
			})
		}
		events := make([]string, 20)
		for i := range events {
			posting.Go(func() { events[i] = f.call(adminKey, "POST", eventsPath, `{"action":"login","app":"x"}`).str("pk") })
		}
		posting.Wait()
		close(stop)
		changing.Wait()
		for _, event := range events {
			if event == "" || f.notifications(event) != 1 {
				t.Errorf("event %q has not one notification", event)
			}
		}
	})
}

func TestWhoIsGoneWhenAnOutcomeIsWrittenIsLeftOut(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ann, _ := f.user("ann")
		ben, _ := f.user("ben")
		cid, _ := f.user("cid")
		group := f.must(201, "POST", "/api/v3/core/groups/", fmt.Sprintf(`{"name":"g","users":[%d,%d,%d]}`, ann, ben, cid)).str("pk")
		hook := func(name string) string {
			return f.must(201, "POST", "/api/v3/events/transports/", `{"name":"`+name+`","mode":"webhook","webhook_url":"http://127.0.0.1:1/"}`).str("pk")
		}
		stays, goes := hook("stays"), hook("goes")
		inbox := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"inbox","mode":"local"}`).str("pk")
		rule := f.rule("r", group, `"user":1`)
		f.must(200, "PATCH", "/api/v3/events/rules/"+rule+"/", `{"transports":["`+stays+`","`+goes+`","`+inbox+`"]}`)
		p, err := f.server.recorder.prepare(t.Context(), Event{Action: "login", App: "x", User: `{"pk":1}`, Context: "{}", Brand: "{}", Origin: OriginAPI})
		if err != nil || len(p.outcome.notifications) != 3 || len(p.outcome.deliveries) != 6 {
			t.Fatalf("%v: %+v", err, p.outcome)
		}
		f.must(204, "DELETE", "/api/v3/events/transports/"+goes+"/", "")
		f.must(204, "DELETE", fmt.Sprintf("/api/v3/core/users/%d/", ann), "")
		f.must(200, "PATCH", fmt.Sprintf("/api/v3/core/users/%d/", ben), `{"is_active":false}`)
		var there *outcome
		err = f.db.Write(t.Context(), func(tx *sqldb.Tx) (err error) {
			there, err = p.outcome.ofThoseThere(tx)
			return err
		})
		if err != nil || len(there.notifications) != 1 || there.notifications[0].UserPK != cid || len(there.deliveries) != 1 ||
			there.deliveries[0].UserPK != cid || there.deliveries[0].TransportPK != stays {
			t.Errorf("%v: %+v", err, there)
		}
	})
}

// TestRulesThatRunLaterLeaveOutWhoIsGoneMeanwhile runs the rules of an event by a snapshot from before a user's end, as
// happens where somebody is deleted between the matching and the write.
func TestRulesThatRunLaterLeaveOutWhoIsGoneMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ann, _ := f.user("ann")
		ben, _ := f.user("ben")
		group := f.must(201, "POST", "/api/v3/core/groups/", fmt.Sprintf(`{"name":"g","users":[%d,%d]}`, ann, ben)).str("pk")
		f.rule("r", group, `"user":1`)
		recorder := f.server.recorder
		before, err := recorder.snapshotNow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p := newPlan(Event{Action: "login", App: "x", User: `{"pk":1}`, Context: "{}", Brand: "{}", Origin: OriginAPI})
		gone, cancel := context.WithCancel(t.Context())
		cancel() // so that nobody runs them at once
		err = f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
			counts := tally{}
			var err error
			p.event, err = recorder.commit(gone, tx, p, counts)
			return errors.Join(err, counts.Write(tx))
		})
		if err != nil || f.waiting() != 1 {
			t.Fatalf("%v: %d events wait", err, f.waiting())
		}
		f.must(204, "DELETE", fmt.Sprintf("/api/v3/core/users/%d/", ann), "")
		recorder.current.Store(before)
		if err := recorder.match(t.Context(), p, before.rules.Generation); err != nil {
			t.Fatal(err)
		}
		if f.waiting() != 0 {
			t.Error("the event still waits")
		}
		var users []int64
		err = f.db.Read(t.Context(), func(tx *sqldb.Tx) (err error) {
			users, err = sqldb.All(tx, func(row sqldb.Scanner) (pk int64, err error) { return pk, row.Scan(&pk) },
				"SELECT user_pk FROM notification WHERE event_pk = $1", p.event.PK)
			return err
		})
		if err != nil || len(users) != 1 || users[0] != ben {
			t.Errorf("%v: %v were notified, want %d", err, users, ben)
		}
	})
}

// TestAnEventWhoseRulesCannotRunHoldsUpNoOther has an earlier one whose writing the database refuses.
func TestAnEventWhoseRulesCannotRunHoldsUpNoOther(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.trailRule()
		f.forget()
		recorder, events := f.server.recorder, f.withoutRules(2)
		err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("CREATE UNIQUE INDEX refused ON notification (event_pk, severity) WHERE event_pk = '" + events[0].PK + "'")
			if err == nil { // its only notification
				n := Notification{PK: sqldb.NewID(), UserPK: 1, Severity: "notice", Event: &events[0]}
				err = insertNotification(tx, &n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := recorder.matchLeft(t.Context(), 0); err == nil {
			t.Error("nothing failed")
		}
		if n := f.notifications(events[1].PK); n == 0 {
			t.Error("the later event has no notification")
		}
		if n := f.waiting(); n != 1 {
			t.Errorf("%d events wait, want the one that fails", n)
		}
	})
}

// TestNoExpressionRunsInsideAWrite looks at the stacks of all goroutines while expressions run that have no end, and
// changes something meanwhile: what runs them holds no transaction, and others write.
func TestNoExpressionRunsInsideAWrite(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		notification, _ := f.notified("before")
		admins := f.admins()
		group := f.must(201, "POST", "/api/v3/core/groups/", `{"name":"to be deleted"}`).str("pk")
		// It is stopped after a second. What was stopped rests: each is another one.
		endless := func(n int) string {
			return fmt.Sprintf("text = %q\nwhile True:\n  text.count('ab')", strings.Repeat("a", n))
		}
		mapping := f.must(201, "POST", "/api/v3/propertymappings/notification/", `{"name":"m","expression":`+f.text(endless(50001))+`}`).str("pk")
		transport := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"inbox","mode":"local","webhook_mapping":"`+mapping+`"}`).str("pk")
		for _, c := range []struct {
			name, action, source, transports string
			cause                            func() reply
		}{
			{"a policy, of a posted event", "login", endless(50002), ``,
				func() reply { return f.call(adminKey, "POST", eventsPath, `{"action":"login","app":"x"}`) }},
			{"a policy, of a change", "model_deleted", endless(50003), ``,
				func() reply { return f.call(adminKey, "DELETE", "/api/v3/core/groups/"+group+"/", "") }},
			{"a mapping, of a posted event", "logout", "return True", `"` + transport + `"`,
				func() reply { return f.call(adminKey, "POST", eventsPath, `{"action":"logout","app":"x"}`) }},
		} {
			guarded := fmt.Sprintf("if request.context['event'].action != %q:\n  return False\n%s", c.action, c.source)
			policy := f.expression(c.name, guarded, "")
			rule := f.rule(c.name, admins, `"policy":"`+policy+`"`)
			f.must(200, "PATCH", "/api/v3/events/rules/"+rule+"/", `{"transports":[`+c.transports+`]}`)
			done := make(chan reply, 1)
			go func() { done <- c.cause() }()
			running, wrote := 0, 0
			for ended := false; !ended; {
				switch seen := scriptStack(); {
				case seen == "":
				case strings.Contains(seen, "sqldb.(*member).serve") || strings.Contains(seen, "writeOnce"):
					t.Fatalf("%s: an expression runs inside a write:\n%s", c.name, seen)
				default:
					running++
					f.must(200, "PATCH", notificationsPath+notification+"/", fmt.Sprintf(`{"seen":%v}`, running%2 == 0))
					if scriptStack() != "" {
						wrote++ // before the expression ended
					}
				}
				select {
				case r := <-done:
					if ended = true; r.status != 201 && r.status != 204 {
						t.Errorf("%s: %d %s", c.name, r.status, r.text)
					}
				default:
					runtime.Gosched()
				}
			}
			if running == 0 || wrote == 0 {
				t.Errorf("%s: seen %d times, %d writes meanwhile", c.name, running, wrote)
			}
			t.Logf("%s: seen %d times, %d writes meanwhile", c.name, running, wrote)
			f.must(204, "DELETE", "/api/v3/events/rules/"+rule+"/", "")
		}
	})
}

// scriptStack is the stack of the goroutine that waits for an expression, "" for none.
func scriptStack() string {
	buffer := make([]byte, 1<<20)
	stacks := strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n")
	if i := slices.IndexFunc(stacks, func(s string) bool { return strings.Contains(s, "script.(*Runner).Run(") }); i >= 0 {
		return stacks[i]
	}
	return ""
}
