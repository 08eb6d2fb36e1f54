package delivery

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"belfry/internal/script"
)

// hostile are texts of events that try to become more than text.
var hostile = []string{
	"disk is full",
	`"quoted" \ back 'single' {braces} %s %(x)s`,
	"two\nlines\r\n\ttab\u2028\x01",
	"@everyone @here <@1234> <@&5> <!channel> @room @channel",
	"[click](https://evil.example) **bold** `code` ![x](https://evil.example/p.png) <script>alert(1)</script> &amp;",
	"http://evil.example/ ~~x~~ # heading\n> quote\n- list",
	strings.Repeat("é😀", 10_000) + "end",
	strings.Repeat("*", 60_000),
	strings.Repeat("&", 60_000),
	strings.Repeat("\x01", 60_000),
}

// render runs an expression for a notification, with or without an event, and decodes what it returns.
func render(t *testing.T, source, severity, body string, event bool) map[string]any {
	t.Helper()
	program, err := script.Compile(source)
	if err != nil {
		t.Fatal(err)
	}
	in := script.Input{Notification: &script.Notification{Severity: severity, Body: body},
		User: &script.User{PK: 1, Username: "alice", Email: "alice@example.com"}}
	if event {
		in.Event = &script.Event{Action: "custom_" + strings.Repeat("x", 300), App: "a", ClientIP: "2001:db8::1", Created: time.Unix(1_700_000_000, 0)}
	}
	result, err := script.NewRunner().Run(t.Context(), program, in)
	if err != nil {
		t.Fatalf("%.40q: %v", body, err)
	}
	var out map[string]any
	if err := json.Unmarshal(result.JSON, &out); err != nil {
		t.Fatalf("%s: %v", result.JSON, err)
	}
	return out
}

// shape checks an object against a service's own words: every key known, those with ! there, texts no longer than it takes.
type shape map[string]func(t *testing.T, v any)

func (s shape) check(t *testing.T, v any) {
	t.Helper()
	object, ok := v.(map[string]any)
	if !ok {
		t.Errorf("%v is no object", v)
		return
	}
	for key := range s {
		if _, there := object[strings.TrimSuffix(key, "!")]; strings.HasSuffix(key, "!") && !there {
			t.Errorf("%s is missing", key)
		}
	}
	for key, value := range object {
		check := s[key]
		if check == nil {
			check = s[key+"!"]
		}
		if check == nil {
			t.Errorf("the service knows no %s", key)
			continue
		}
		check(t, value)
	}
}

// chars is a text of 1 to n characters.
func chars(n int) func(*testing.T, any) {
	return func(t *testing.T, v any) {
		t.Helper()
		if s, ok := v.(string); !ok || s == "" || utf8.RuneCountInString(s) > n {
			t.Errorf("%.60v is no text of 1 to %d characters", v, n)
		}
	}
}

// size is a text of 1 to n bytes.
func size(n int) func(*testing.T, any) {
	return func(t *testing.T, v any) {
		t.Helper()
		if s, ok := v.(string); !ok || s == "" || len(s) > n {
			t.Errorf("%.60v is no text of 1 to %d bytes", v, n)
		}
	}
}

// from is a whole number from low to high.
func from(low, high float64) func(*testing.T, any) {
	return func(t *testing.T, v any) {
		t.Helper()
		if n, ok := v.(float64); !ok || n < low || n > high || n != float64(int(n)) {
			t.Errorf("%v is no whole number from %v to %v", v, low, high)
		}
	}
}

// one is one of some values.
func one(values ...any) func(*testing.T, any) {
	return func(t *testing.T, v any) {
		t.Helper()
		for _, value := range values {
			if v == value {
				return
			}
		}
		t.Errorf("%v is none of %v", v, values)
	}
}

// listOf is a list of at most n elements, which each are like check.
func listOf(n int, check func(*testing.T, any)) func(*testing.T, any) {
	return func(t *testing.T, v any) {
		t.Helper()
		list, ok := v.([]any)
		if !ok || len(list) > n {
			t.Errorf("%.60v is no list of at most %d", v, n)
		}
		for _, element := range list {
			check(t, element)
		}
	}
}

func anInstant(t *testing.T, v any) {
	t.Helper()
	s, _ := v.(string)
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		t.Error(err)
	}
}

// quiet is a text in which what mentions and links is broken by an escape or an invisible space.
func quiet(max func(*testing.T, any), forbidden ...string) func(*testing.T, any) {
	return func(t *testing.T, v any) {
		t.Helper()
		max(t, v)
		s, _ := v.(string)
		for _, f := range forbidden {
			if strings.Contains(s, f) {
				t.Errorf("%.200q has %q", s, f)
			}
		}
	}
}

var aBool = one(true, false)

// textRun is https://adaptivecards.io/explorer/TextRun.html, and richText the block around it, which knows no Markdown.
var (
	textRun  = shape{"type!": one("TextRun"), "text!": chars(4000), "weight": one("bolder"), "size": one("small", "medium"), "isSubtle": aBool, "color": one("accent", "warning", "attention")}
	richText = shape{"type!": one("RichTextBlock"), "inlines!": listOf(1, textRun.check)}
)

// services are what the services say that they take, at the addresses in Presets (read in November 2026).
var services = map[string]struct{ body, headers shape }{
	// content or embeds; an embed's title has 256, description 4096, and a field 256 and 1024 characters, 25 fields, 6000 in all.
	"Discord": {body: shape{"username!": chars(80), "embeds!": listOf(10, shape{
		"title!": chars(256), "color!": from(0, 0xFFFFFF), "timestamp": anInstant,
		"description!": quiet(chars(4096), "](", " @everyone", " <@", " http:", "**b"),
		"fields":       listOf(25, shape{"name!": chars(256), "value!": chars(1024), "inline": aBool}.check)}.check),
		"allowed_mentions!": shape{"parse!": listOf(0, nil)}.check}},
	// message is required; extras choose text/plain, which clients show as it is; the token is a header.
	"Gotify": {body: shape{"title!": chars(1000), "message!": chars(100_000), "priority!": from(0, 10),
		"extras!": shape{"client::display!": shape{"contentType!": one("text/plain")}.check}.check},
		headers: shape{"X-Gotify-Key!": chars(100)}},
	// text is required; html replaces what would be made of it as Markdown; username may be given.
	"Matrix": {body: shape{"text!": quiet(chars(4100), "@room"), "username!": chars(100),
		"html!": quiet(chars(20_100), "@room", "<script", "<!", "<@")}},
	// text or attachments; fallback is required in one; posts have 16,383 characters.
	"Mattermost": {body: shape{"username!": chars(64), "attachments!": listOf(1, shape{
		"fallback!": quiet(chars(16383), "@channel", "@here", "](", "!["), "color!": chars(7), "title!": chars(200),
		"text!":  quiet(chars(16383), "@channel", "@here", "](", "![", "<!", "**b"),
		"fields": listOf(10, shape{"title!": chars(200), "value!": chars(1000), "short": aBool}.check)}.check)}},
	// a message with one adaptive card, whose request has at most 28 KiB.
	"Microsoft Teams": {body: shape{"type!": one("message"), "attachments!": listOf(1, shape{
		"contentType!": one("application/vnd.microsoft.card.adaptive"), "contentUrl!": one(nil),
		"content!": shape{"$schema!": one("http://adaptivecards.io/schemas/adaptive-card.json"), "type!": one("AdaptiveCard"), "version!": one("1.4"),
			"body!": listOf(3, richText.check)}.check}.check)}},
	// topic is required, priority is 1 to 5, and a message longer than 4,096 bytes becomes a file.
	"ntfy": {body: shape{"topic!": size(64), "title!": size(1024), "message!": size(4096), "priority!": from(1, 5), "tags!": listOf(5, chars(30))},
		headers: shape{"Authorization!": chars(100)}},
	// chat_id and text are required, and text has 1 to 4096 characters, without parse_mode none of them special.
	"Telegram": {body: shape{"chat_id!": chars(100), "text!": chars(4096), "disable_notification": aBool,
		"link_preview_options": shape{"is_disabled": aBool}.check}},
}

func TestPresetsMakeWhatTheirServicesDocumentOfAnyText(t *testing.T) {
	if len(Presets) != len(services) {
		t.Errorf("%d presets, %d services", len(Presets), len(services))
	}
	for _, p := range Presets {
		t.Run(p.Name, func(t *testing.T) {
			service, known := services[p.Name]
			if !known {
				t.Fatal("nothing is written down of what it takes")
			}
			if (p.Headers != "") != (service.headers != nil) {
				t.Fatal("the headers are there or needed, and not both")
			}
			for _, body := range hostile {
				for _, severity := range []string{"notice", "warning", "alert"} {
					for _, event := range []bool{true, false} {
						service.body.check(t, render(t, p.Body, severity, body, event))
					}
				}
			}
			if p.Headers != "" {
				service.headers.check(t, render(t, p.Headers, "alert", "x", true))
			}
			for _, address := range []string{p.WebhookURL, p.Docs} {
				if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" {
					t.Errorf("%q is no address", address)
				}
			}
		})
	}
}

// The request of a card has at most 28 KiB, as Teams counts it.
func TestTheCardForTeamsIsSmallEnough(t *testing.T) {
	for _, p := range Presets {
		for _, body := range hostile {
			out, err := json.Marshal(render(t, p.Body, "alert", body, true))
			if p.Name == "Microsoft Teams" && (err != nil || len(out) > 28<<10) {
				t.Errorf("%.20q makes %d bytes, %v", body, len(out), err)
			}
		}
	}
}

func TestPresetsAreListed(t *testing.T) {
	for name, text := range map[string]string{"ntfy": `"topic"`, "Telegram": `"chat_id"`} {
		found := false
		for _, p := range Presets {
			found = found || p.Name == name && strings.Contains(p.Body, text)
		}
		if !found {
			t.Errorf("no preset %s that says %s", name, text)
		}
	}
	each(t, func(c *client) {
		status, answer := c.call("GET", "/presets/", "")
		var list []map[string]string
		if err := json.Unmarshal([]byte(answer), &list); status != http.StatusOK || err != nil || len(list) != len(Presets) {
			t.Fatalf("%d %v %s", status, err, answer)
		}
		for i, p := range Presets {
			if list[i]["name"] != p.Name || list[i]["body"] != p.Body || list[i]["headers"] != p.Headers {
				t.Errorf("%v is not %s", list[i], p.Name)
			}
			c.createMapping(string(mustJSON(t, map[string]string{"name": p.Name, "expression": p.Body})))
		}
	})
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
