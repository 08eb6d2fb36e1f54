package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"belfry/internal/rules"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// hostile is text that means something to what it may be pasted into by mistake. Whatever runs calls pwned.
func hostile() []string {
	texts := []string{
		`<script>pwned()</script>`, `</script><script>pwned()</script>`, `<img src=x onerror=pwned()>`, `<svg onload=pwned()>`, `"><svg/onload=pwned()>`,
		`'><img src=x onerror=pwned()>`, `<iframe src="javascript:pwned()"></iframe>`, `<iframe srcdoc="<script>parent.pwned()</script>">`, `<body onload=pwned()>`,
		`<details open ontoggle=pwned()>`, `<video><source onerror=pwned()></video>`, `<input autofocus onfocus=pwned()>`, `<select autofocus onfocus=pwned()>`,
		`<marquee onstart=pwned()>`, `<math><mi//xlink:href="data:x,<script>pwned()</script>">`, `<a href="javascript:pwned()">x</a>`, `<form action="javascript:pwned()"><button>x`,
		`<object data="data:text/html,<script>pwned()</script>">`, `<embed src="javascript:pwned()">`, `<link rel=stylesheet href=//evil.example/x.css>`,
		`<style>*{background:url(//evil.example/x)}</style>`, `<base href=//evil.example/>`, `<meta http-equiv=refresh content="0;url=//evil.example/">`,
		`<template><script>pwned()</script></template>`, `<noscript><p title="</noscript><img src=x onerror=pwned()>">`, `<!--><img src=x onerror=pwned()>-->`, `<![CDATA[<img src=x onerror=pwned()>]]>`,
		`javascript:pwned()`, `data:text/html,<script>pwned()</script>`, `//evil.example/x`, `https://evil.example/x.png`, `${pwned()}`, `{{constructor.constructor('pwned()')()}}`, "`${pwned()}`",
		`');pwned();//`, `";pwned();//`, `\u003cscript\u003epwned()\u003c/script\u003e`, `&lt;script&gt;pwned()&lt;/script&gt;`, `&#60;script&#62;pwned()&#60;/script&#62;`,
		"\u202e<gnp.x=crs gmi>", "line\u2028separator\u2029pwned()", "a\tb\nc\rd", `__proto__`, `constructor`, `toString`, `hasOwnProperty`, `../../#/settings`, `#/events?search=<script>`, `%00%3Cscript%3E`, "🏴‍☠️\ufeff\u200b",
		strings.Repeat("W", 5000), strings.Repeat("i̇̈", 300),
	}
	return texts
}

// storeEvents posts every payload in every part of an event, with notifications of it, and answers the events.
func storeEvents(b *tab) []string {
	body := func(v any) string { return string(marshal(v)) }
	actions := slices.Sorted(slices.Values(rules.EventActions.Values))
	var events []string
	for i, text := range hostile() {
		model := map[string]any{"pk": text, "app": text, "model_name": text, "name": text}
		context := map[string]any{
			"message": text, "error": text, text: text, "model": model, "authorized_application": model, "secret": model, "source": model, "using_source": model, "stage": model, "binding": model,
			"to": map[string]any{"username": text, "email": text}, "geo": map[string]any{"city": text, "country": text, "continent": text}, "username": text, "subject": text, "from_email": text,
			"to_email": []string{text, text}, "body": text, "new_version": text, "expression": text, "scopes": text, "flow": text, "auth_method": text,
			"request": map[string]any{"obj": model, "context": map[string]any{text: text}}, "result": map[string]any{"passing": text, "messages": []string{text}},
			"http_request": map[string]any{"method": text, "path": text, "args": map[string]any{text: text}, "user_agent": text, "request_id": text},
			"diff":         map[string]any{text: map[string]any{"previous_value": text, "new_value": []string{text}}, "odd": text},
		}
		user := map[string]any{"pk": text, "username": text, "email": text, "on_behalf_of": map[string]any{"username": text}}
		for _, action := range []string{"configuration_error", actions[i%len(actions)]} {
			event := map[string]any{"action": action, "app": text, "user": user, "context": context, "brand": map[string]any{"pk": text, "name": text}}
			events = append(events, b.f.must(201, "POST", "/api/v3/events/events/", body(event)).str("pk"))
		}
	}
	for _, odd := range []string{`"text"`, `7`, `[[]]`, `true`, `{"model":[],"diff":"x","geo":7,"to_email":{"a":1},"http_request":[1],"message":{"a":[1]}}`} {
		for _, action := range actions {
			made := b.f.must(201, "POST", "/api/v3/events/events/", `{"action":"`+action+`","app":"odd","user":`+odd+`,"context":`+odd+`,"brand":`+odd+`}`)
			events = append(events, made.str("pk"))
		}
	}
	list := b.f.must(200, "GET", "/api/v3/events/notifications/?user=1&page_size=1000", "")
	pks, _ := list.get("results").([]any)
	for i, text := range hostile() {
		link := body(map[string]any{"hyperlink": "/" + strings.TrimLeft(text, "/"), "hyperlink_label": text})
		if i < len(pks) {
			b.f.call(adminKey, "PATCH", "/api/v3/events/notifications/"+list.str("results", i, "pk")+"/", link) // odd links are refused
		}
	}
	b.f.must(200, "PATCH", "/api/v3/core/users/1/", body(map[string]any{"name": hostile()[0], "email": ""}))
	return events
}

// storeThings puts every payload into every text of everything else that a client can make, and answers how many of each kind
// were taken. Some payloads are refused where a text has to be short, a name or an address.
func storeThings(b *tab) map[string]int {
	taken := map[string]int{}
	store := func(kind, path string, value any) reply {
		r := b.f.call(adminKey, "POST", path, string(marshal(value)))
		if r.status < 300 {
			taken[kind]++
		} else if r.status != 400 {
			b.t.Errorf("%s: %d %s", kind, r.status, r.text)
		}
		return r
	}
	receiver := hostileReceiver(b)
	var transports []string
	for i, text := range hostile() {
		attributes := map[string]any{text: text}
		store("user", "/api/v3/core/users/", map[string]any{"username": text, "name": text, "attributes": attributes})
		store("group", "/api/v3/core/groups/", map[string]any{"name": text, "attributes": attributes, "users": []int{1}})
		store("token", "/api/v3/core/tokens/", map[string]any{"identifier": fmt.Sprint("t", i), "intent": "api", "description": text})
		store("matcher", "/api/v3/policies/event_matcher/", map[string]any{"name": text, "client_ip": text})
		store("expression", "/api/v3/policies/expression/", map[string]any{"name": text, "expression": "return " + quoted(text)})
		store("mapping", "/api/v3/propertymappings/notification/", map[string]any{"name": text, "expression": "return {" + quoted(text) + ": 1}"})
		if r := store("transport", transportsPath, map[string]any{"name": text, "mode": "webhook", "webhook_url": receiver + "/" + strconv.Itoa(i)}); r.status < 300 {
			transports = append(transports, r.str("pk"))
		}
		store("rule", rulesPath, map[string]any{"name": text, "group": b.f.admins(), "transports": transports[max(0, len(transports)-1):]})
		taken["session"] += b.openSession(text)
	}
	rule := b.f.must(201, "POST", rulesPath, string(marshal(map[string]any{"name": "all", "group": b.f.admins(), "transports": transports}))).str("pk")
	policy := b.f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"all","action":"custom_all"}`).str("pk")
	b.f.must(201, "POST", "/api/v3/policies/bindings/", fmt.Sprintf(`{"policy":%q,"target":%q,"order":0}`, policy, rule))
	b.t.Cleanup(b.f.server.startWorker(b.t.Context()))
	b.f.must(201, "POST", eventsPath, `{"action":"custom_all","app":"all"}`)
	return taken
}

// hostileReceiver answers the payload whose number the path names, and refuses everything.
func hostileReceiver(b *tab) string {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, hostile()[i]) // a server that stops needs no answer
	}))
	b.t.Cleanup(web.Close)
	return web.URL
}

// openSession signs in with a browser that calls itself by the payload, and answers how many sessions that made.
func (b *tab) openSession(agent string) int {
	request, err := http.NewRequest("POST", b.f.url+"/api/belfry/session/", strings.NewReader(`{"token":"`+adminKey+`"}`))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, agent))
	if b.f.send(request).status != 201 {
		return 0
	}
	return 1
}

func TestBrowserPageRunsNothingThatIsStored(t *testing.T) {
	b := browse(t)
	events := storeEvents(b)
	b.signIn(adminKey)
	b.shows("<script>pwned()</script>")
	b.until(`scrollBy(0, 2000), [...document.querySelectorAll(".more")].every((one) => one.hidden || (one.click(), false))`)
	for _, text := range hostile() {
		b.visit("#/inbox?search=" + strings.ReplaceAll(text[:min(len(text), 40)], " ", "%20"))
	}
	b.visit("#/events")
	b.until(`scrollBy(0, 900), document.body.innerText.includes("That is all.")`)
	for _, pk := range events {
		b.ask("location.hash = '#/events/" + pk + "'")
		b.until(`document.querySelector("details.card pre")?.textContent.includes(` + quoted(pk) + `)`)
	}
	b.unharmed()
}

func TestBrowserPageRunsNothingOfAnyView(t *testing.T) {
	b := browse(t)
	for kind, n := range storeThings(b) {
		if n < 40 {
			t.Errorf("only %d payloads were taken for a %s", n, kind)
		}
	}
	b.f.must(201, "POST", eventsPath, string(marshal(map[string]any{"action": "configuration_error", "app": hostile()[0], "context": map[string]any{"message": hostile()[2]}})))
	for b.f.must(200, "GET", "/api/belfry/deliveries/?search=all&state=pending&ordering=created", "").get("results", 0, "attempt_count") == 0.0 {
		// every receiver is to have answered once
	}
	b.signIn(adminKey)
	answers := 0
	opened := b.everyView(80, func(hash string) {
		b.ask(`for (const one of document.querySelectorAll("main details")) one.open = true`)
		b.ask(`for (const one of document.querySelectorAll("main button")) if (/^(Explain|Make a rule of this|Test|Preview|Dry run|Try)/.test(one.textContent) && !one.disabled) one.click()`)
		b.settle()
		b.ask(`for (const one of document.querySelectorAll("dialog")) one.close()`)
		if strings.HasPrefix(hash, "#/deliveries/") && b.ask(`[...document.querySelectorAll("main [aria-label^='Answer to attempt']")].some((one) => one.textContent)`) == true {
			answers++
		}
	})
	if answers < 40 {
		t.Errorf("only %d views of a delivery showed what the receiver answered", answers)
	}
	if opened < 100 {
		t.Errorf("only %d views were opened", opened)
	}
	b.unharmed("status of 400")
}

// unharmed wants that nothing of what is stored has become more than text.
func (b *tab) unharmed(provoked ...string) {
	b.t.Helper()
	if n := b.ask(`document.querySelectorAll("script:not([src='app.js']), iframe, object, embed, base, body style, body link, img:not([src='icon.svg'])").length`); n != 0.0 {
		b.t.Errorf("%v elements that nobody here makes", n)
	}
	if b.ask("typeof pwned") != "undefined" {
		b.t.Error("something ran")
	}
	b.quiet(provoked...)
}

// TestTheBrowserTestsNoticeWhatRuns puts payloads through a sink that the page does not have: what looks for trouble finds it.
func TestTheBrowserTestsNoticeWhatRuns(t *testing.T) {
	browser := startBrowser(t)
	f := newFixture(t, sqldbtest.Open(t, sqldb.Options{}), t.Output())
	sink := func(payload string) string {
		return "document.getElementById('announce').innerHTML = " + quoted(payload)
	}
	for _, c := range []struct {
		name, payload, want string
		open                bool // the page's policy is switched off
	}{
		{"refused markup", `<b>x</b>`, "TrustedHTML", false},
		{"a script", `<img src=x onerror=pwned()>`, "pwned is not defined", true},
		{"a request", `<img src=https://evil.example/x.png>`, "a request to another place: https://evil.example/x.png", true},
		{"a dialog", `<img src=x onerror=alert("here")>`, "a dialog of a script: here", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newTab(t, f, browser)
			if _, err := chromedp.Call(b.ctx, cdppage.SetBypassCSP, cdppage.SetBypassCSPParams{Enabled: c.open}); err != nil {
				t.Fatal(err)
			}
			b.do(chromedp.Reload())
			b.shows("Sign in to Belfry")
			b.ask("setTimeout(() => { " + sink(c.payload) + " })")
			for deadline := time.Now().Add(20 * time.Second); !b.heard(c.want); {
				if time.Now().After(deadline) {
					t.Fatalf("%s was not noticed: %q", c.payload, b.trouble)
				}
			}
		})
	}
}

// heard reports whether there was trouble of a kind.
func (b *tab) heard(part string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.trouble, func(line string) bool { return strings.Contains(line, part) })
}
