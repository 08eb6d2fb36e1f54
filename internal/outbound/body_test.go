package outbound

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// loginFailed is a message about an event with everything.
func loginFailed() Message {
	name, email := "mallory", "mallory@example.org"
	return Message{
		Severity: "alert", Body: "mallory failed to log in from 10.0.0.1",
		Recipient: Person{Username: "akadmin", Name: "The Admin", Email: "admin@example.org"}, RecipientIsAdmin: true,
		Transport: "chat", Action: "login_failed", EventUser: &EventUser{Username: &name, Email: &email},
		Context: []Entry{{"password", "********"}, {"stage", "password <b>"}},
	}
}

// withoutEvent is a message that is not about an event.
func withoutEvent() Message {
	return Message{Severity: "notice", Body: "The disk is full", Recipient: Person{Username: "akadmin"}, Transport: "chat"}
}

func TestWebhookBodyHasAuthentiksSixKeys(t *testing.T) {
	nobody := loginFailed()
	nobody.EventUser = &EventUser{}
	cases := []struct {
		name string
		m    Message
		want string
	}{
		{"an event", loginFailed(), `{"body":"mallory failed to log in from 10.0.0.1","severity":"alert","user_email":"admin@example.org","user_username":"akadmin","event_user_email":"mallory@example.org","event_user_username":"mallory"}`},
		{"an event whose user is not known", nobody, `{"body":"mallory failed to log in from 10.0.0.1","severity":"alert","user_email":"admin@example.org","user_username":"akadmin","event_user_email":null,"event_user_username":null}`},
		{"no event", withoutEvent(), `{"body":"The disk is full","severity":"notice","user_email":"","user_username":"akadmin"}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := string(WebhookBody(c.m)); got != c.want {
				t.Errorf("want %s\n got %s", c.want, got)
			}
		})
	}
}

func TestWebhookBodyHoldsAnyTextAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Message{Body: rapid.String().Draw(t, "body"), Recipient: Person{Username: rapid.String().Draw(t, "name")}}
		var got struct {
			Body         string
			UserUsername string `json:"user_username"`
		}
		if err := json.Unmarshal(WebhookBody(m), &got); err != nil || got.Body != m.Body || got.UserUsername != m.Recipient.Username {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// slack reads a body again.
func slack(t interface{ Fatal(...any) }, body []byte) slackBody {
	var b slackBody
	if err := json.Unmarshal(body, &b); err != nil || len(b.Attachments) != 1 {
		t.Fatal(err, string(body))
	}
	return b
}

func TestSlackBodyReadsWell(t *testing.T) {
	want := `{"username":"Belfry","parse":"none","unfurl_links":false,"unfurl_media":false,"attachments":[{` +
		`"fallback":"mallory failed to log in from 10.0.0.1","author_name":"Belfry","title":"login_failed","text":"mallory failed to log in from 10.0.0.1",` +
		`"color":"#fd4b2d","fields":[{"title":"Severity","value":"alert","short":true},{"title":"Dispatched for user","value":"akadmin","short":true},` +
		`{"title":"Event user","value":"mallory","short":true},{"title":"password","value":"********"},{"title":"stage","value":"password &lt;b&gt;"}],` +
		`"footer":"Belfry 1.2.3","mrkdwn_in":[]}]}`
	if got := string(SlackBody(loginFailed(), "1.2.3")); got != want {
		t.Errorf("want %s\n got %s", want, got)
	}
	want = `{"username":"Belfry","parse":"none","unfurl_links":false,"unfurl_media":false,"attachments":[{` +
		`"fallback":"The disk is full","author_name":"Belfry","title":"The disk is full","color":"#fd4b2d",` +
		`"fields":[{"title":"Severity","value":"notice","short":true},{"title":"Dispatched for user","value":"akadmin","short":true}],` +
		`"footer":"Belfry 1.2.3","mrkdwn_in":[]}]}`
	if got := string(SlackBody(withoutEvent(), "1.2.3")); got != want {
		t.Errorf("want %s\n got %s", want, got)
	}
}

func TestSlackBodySaysASentenceOnce(t *testing.T) {
	m := loginFailed()
	m.Context = append(m.Context, Entry{"message", m.Body})
	if a := slack(t, SlackBody(m, "1")).Attachments[0]; a.Text != "" || a.Fields[len(a.Fields)-1].Value != m.Body {
		t.Errorf("got %+v", a)
	}
}

func TestSlackBodyHasAtMost25Fields(t *testing.T) {
	m := withoutEvent()
	m.Context = slices.Repeat([]Entry{{"key", "value"}}, 60)
	if fields := slack(t, SlackBody(m, "1")).Attachments[0].Fields; len(fields) != 25 || !fields[1].Short || fields[2].Short {
		t.Errorf("%d fields: %+v", len(fields), fields)
	}
}

func TestSlackTextMentionsNobodyAndHidesNoLink(t *testing.T) {
	for text, want := range map[string]string{
		"<!channel> <!here> <!everyone>":     "&lt;!channel&gt; &lt;!here&gt; &lt;!everyone&gt;",
		"<@U012AB3CD> <#C123> <!subteam^S1>": "&lt;@\u200bU012AB3CD&gt; &lt;#C123&gt; &lt;!subteam^S1&gt;",
		"@here, @everyone and @channel":      "@\u200bhere, @\u200beveryone and @\u200bchannel",
		"x@everyone x@HERE":                  "x@\u200beveryone x@\u200bHERE",
		"mail bob@example.org":               "mail bob@example.org",
		"<https://evil.example|Log in>":      "&lt;https://evil.example|Log in&gt;",
		"[Log in](https://evil.example)":     "[Log in]\u200b(https://evil.example)",
		"&lt;!channel&gt;":                   "&amp;lt;!channel&amp;gt;",
		"a < b && c > d":                     "a &lt; b &amp;&amp; c &gt; d",
		"(plain) [words]":                    "(plain) [words]",
	} {
		if got := slackText(text, 1000); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
}

// hostileText is text that tries to be markup of some platform.
func hostileText() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{"<", ">", "&", "@", "@here", "@everyone", "<!channel>", "<@U1>", "[a](https://b)", "](", "]", "(", "\n", "\r\n", " ", "é", "𝕏", "\u202e", "\u200b", "x", "a.b", "&lt;", "|", "https://evil.example"})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Repeat(strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), ""), rapid.IntRange(1, 200).Draw(t, "times"))
	})
}

// messages are messages of hostile text.
func messages() *rapid.Generator[Message] {
	return rapid.Custom(func(t *rapid.T) Message {
		text := hostileText()
		m := Message{Severity: "alert", Body: text.Draw(t, "body"), Transport: text.Draw(t, "transport"), RecipientIsAdmin: true,
			Recipient: Person{Username: text.Draw(t, "username"), Name: text.Draw(t, "name"), Email: "admin@example.org"}}
		if rapid.Bool().Draw(t, "event") {
			name := text.Draw(t, "event user")
			m.Action, m.EventUser = "custom_x", &EventUser{Username: &name}
			for range rapid.IntRange(0, 60).Draw(t, "entries") {
				m.Context = append(m.Context, Entry{text.Draw(t, "key"), text.Draw(t, "value")})
			}
		}
		return m
	})
}

func TestSlackBodyKeepsThePlatformsLimitsWhateverTheEventSays(t *testing.T) {
	length := func(text string) int { return len(utf16.Encode([]rune(text))) }
	rapid.Check(t, func(t *rapid.T) {
		body := slack(t, SlackBody(messages().Draw(t, "message"), "1.2.3"))
		a := body.Attachments[0]
		texts := []string{a.Fallback, a.Title, a.Text}
		total := length(a.AuthorName) + length(a.Title) + length(a.Text) + length(a.Footer)
		if length(a.Title) > 256 || length(a.Text) > 4096 || len(a.Fields) > 25 {
			t.Errorf("too long: %+v", a)
		}
		for _, field := range a.Fields {
			if length(field.Title) > 256 || length(field.Value) > 1024 || strings.TrimSpace(field.Title) == "" || strings.TrimSpace(field.Value) == "" {
				t.Errorf("a field that a platform refuses: %+v", field)
			}
			texts = append(texts, field.Title, field.Value)
			total += length(field.Title) + length(field.Value)
		}
		if total > 6000 {
			t.Errorf("%d characters in all", total)
		}
		for _, text := range texts {
			plain := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(text)
			if strings.ContainsAny(plain, "<>&") || strings.Contains(text, "](") || !utf8.ValidString(text) ||
				slices.ContainsFunc([]string{"@here", "@everyone", "@channel", " @U", ";@U"}, func(mention string) bool { return strings.Contains(text, mention) }) {
				t.Errorf("%q is more than text", text)
			}
		}
	})
}

func TestCutCountsAsPlatformsDo(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"äöüß", 3, "äö…"}, {"𝕏𝕏", 4, "𝕏𝕏"}, {"𝕏𝕏𝕏", 4, "𝕏…"}, {"a𝕏𝕏", 4, "a𝕏…"}, {"ab", 1, "…"},
	} {
		if got := cut(c.text, c.limit); got != c.want {
			t.Errorf("%q to %d: want %q, got %q", c.text, c.limit, c.want, got)
		}
		if got := slackText(c.text, c.limit); got != c.want {
			t.Errorf("%q to %d for Slack: want %q, got %q", c.text, c.limit, c.want, got)
		}
	}
	if got := slackText("a<<", 8); got != "a&lt;…" {
		t.Errorf("cut inside an escape: %q", got)
	}
}
