package main

import (
	"fmt"
	"strings"
	"testing"
)

const previewPath = "/api/belfry/mappings/preview/"

func TestAPreviewShowsWhatAMappingMakesAndWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		event := f.must(201, "POST", eventsPath, `{"action":"login","app":"door","context":{"message":"Somebody came in"}}`).str("pk")
		before := f.must(200, "GET", eventsPath, "").get("pagination", "count")
		for _, c := range []struct {
			source, answer string
			status         int
		}{
			{`return {"text": notification.body, "app": notification.event.app, "to": request.user.username}`, `{"result":{"text":"Somebody came in","app":"door","to":"akadmin"},"body":"Somebody came in","messages":[]}`, 200},
			{"notification.body = 'changed'\nak_message('hello')", `{"result":null,"body":"changed","messages":["hello"]}`, 200},
			{"x = 1\nreturn {\"a\": nothing}", `{"expression":["line 2, column 14: `, 400},
			{"x = 1\n\nreturn 1 / 0", `{"expression":["line 3, column `, 400},
			{"for i in range(100000000):\n\tpass", `{"expression":["`, 400},
		} {
			body := `{"expression":` + f.text(c.source) + `,"event":"` + event + `"}`
			if r := f.must(c.status, "POST", previewPath, body); !strings.HasPrefix(r.text, c.answer) {
				t.Errorf("%s: want %s, got %s", c.source, c.answer, r.text)
			}
		}
		for body, answer := range map[string]string{
			`{}`: `{"expression":["This field is required."],"event":["This field is required."]}`,
			`{"expression":"return 1","event":"01890000-0000-7000-8000-000000000000"}`: `{"event":["Invalid pk \"01890000-0000-7000-8000-000000000000\" - object does not exist."]}`,
		} {
			if r := f.must(400, "POST", previewPath, body); r.text != answer {
				t.Errorf("%s: want %s, got %s", body, answer, r.text)
			}
		}
		if after := f.must(200, "GET", eventsPath, "").get("pagination", "count"); after != before {
			t.Errorf("%v events before, %v after", before, after)
		}
		if n := f.must(200, "GET", "/api/belfry/deliveries/", "").get("pagination", "count"); n != 0.0 {
			t.Errorf("%v deliveries", n)
		}
	})
}

func TestTheStatusOfRulesSaysWhenTheyLastMatchedAndWhyTheyNeverCan(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		admins := f.admins()
		empty := f.must(201, "POST", "/api/v3/core/groups/", `{"name":"nobody"}`).str("pk")
		off := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"off","mode":"webhook","webhook_url":"http://127.0.0.1:9/","disabled_at":"2020-01-01T00:00:00Z"}`).str("pk")
		inbox := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"in","mode":"local"}`).str("pk")
		matcher := f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"m","action":"login"}`).str("pk")
		rule := func(name, more string, bound string) string {
			pk := f.must(201, "POST", "/api/v3/events/rules/", fmt.Sprintf(`{"name":%q,%s}`, name, more)).str("pk")
			if bound != "" {
				f.must(201, "POST", "/api/v3/policies/bindings/", fmt.Sprintf(`{"target":%q,"policy":%q,"order":0,%s}`, pk, matcher, bound))
			}
			return pk
		}
		on := `"enabled":true`
		cases := map[string]string{
			rule("unbound", `"transports":[],"group":"`+admins+`"`, ""):                          "It never fires: nothing is bound to it.",
			rule("switched off", `"transports":[],"group":"`+admins+`"`, `"enabled":false`):      "It never fires: none of its bindings is enabled.",
			rule("for nobody", `"transports":[]`, on):                                            "It tells nobody: it has no group.",
			rule("empty", `"transports":[],"group":"`+empty+`"`, on):                             "It tells nobody: the group nobody has no active members of its own.",
			rule("parked", `"transports":["`+off+`"],"group":"`+admins+`"`, on):                  "What it sends waits: all of its transports are disabled.",
			rule("half parked", `"transports":["`+off+`","`+inbox+`"],"group":"`+admins+`"`, on): "",
			rule("the user's own", `"transports":[],"destination_event_user":true`, on):          "",
			rule("everything wrong", `"transports":["`+off+`"]`, ""):                             "It never fires: nothing is bound to it.|It tells nobody: it has no group.|What it sends waits: all of its transports are disabled.",
		}
		status := func() map[string]map[string]any {
			found := map[string]map[string]any{}
			for _, one := range f.must(200, "GET", "/api/belfry/rules/status/", "").json.([]any) {
				row := one.(map[string]any)
				found[row["rule"].(string)] = row
			}
			return found
		}
		for pk, row := range status() {
			want, ours := cases[pk]
			var got []string
			for _, one := range row["warnings"].([]any) {
				got = append(got, one.(string))
			}
			if ours && strings.Join(got, "|") != want {
				t.Errorf("%v: want %q, got %q", row["rule_name"], want, got)
			}
			if row["last_matched"] != nil {
				t.Errorf("%v matched before anything happened: %v", row["rule_name"], row["last_matched"])
			}
		}
		f.must(201, "POST", eventsPath, `{"action":"login","app":"door"}`)
		for pk, row := range status() {
			name, last := row["rule_name"], row["last_matched"]
			matched := name == "parked" || name == "half parked"
			if _, ours := cases[pk]; ours && name != "the user's own" && (last != nil) != matched {
				t.Errorf("%v: last matched %v", name, last)
			}
		}
	})
}
