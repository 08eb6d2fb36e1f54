package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// chromiumPath names the browser for these tests; where it is set the browser must be there.
const chromiumPath = "BELFRY_TEST_CHROMIUM"

// tab is a tab of a browser that looks at a server. It collects what a console would show and what is asked of others.
type tab struct {
	t       *testing.T
	f       *fixture
	ctx     context.Context
	mu      sync.Mutex
	trouble []string
}

// browse starts a browser and opens the page of a new server, with nobody signed in.
func browse(t *testing.T) *tab {
	t.Helper()
	browser := startBrowser(t)
	return newTab(t, newFixture(t, sqldbtest.Open(t, sqldb.Options{}), t.Output()), browser)
}

// startBrowser is the context of a browser, or the end of the test.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	program, demanded := os.LookupEnv(chromiumPath)
	if !demanded {
		program = "chromium"
	}
	program, err := exec.LookPath(program)
	if err != nil && !demanded {
		t.Skip("there is no chromium here: the page is not tried in a browser")
	} else if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.WindowSize(1280, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	return allocator
}

// newTab opens the page in a tab: of the browser that ctx has, or else of a new one.
func newTab(t *testing.T, f *fixture, ctx context.Context) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	b := &tab{t: t, f: f, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	_, logs := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	_, requests := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	if logs != nil || requests != nil {
		t.Fatal(logs, requests)
	}
	b.do(chromedp.Navigate(f.url + "/"))
	return b
}

// hear notes what no page of ours should ever cause.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	note := func(format string, args ...any) { b.trouble = append(b.trouble, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			note("console: %s %v", e.Type, e.Args[0])
		}
	case *runtime.EventExceptionThrown:
		note("exception: %s %s", e.ExceptionDetails.Text, e.ExceptionDetails.Exception.Description)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			note("log: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *cdppage.EventJavascriptDialogOpening:
		note("a dialog of a script: %s", e.Message)
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, b.f.url+"/") && !strings.HasPrefix(url, "data:image/svg+xml,") && url != "about:blank" {
			note("a request to another place: %s", url)
		}
	}
}

// quiet wants that there was no trouble besides what a test provoked.
func (b *tab) quiet(provoked ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.trouble {
		if !slices.ContainsFunc(provoked, func(part string) bool { return strings.Contains(line, part) }) {
			b.t.Error(line)
		}
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// ask evaluates an expression in the page.
func (b *tab) ask(expression string) any {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[any](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// until waits until an expression is true in the page. One that throws is not true yet.
func (b *tab) until(expression string) {
	b.t.Helper()
	done := b.ask(`new Promise((resolve) => {
		const begun = Date.now();
		const look = () => {
			let found = false, thrown = "";
			try { found = (` + expression + `); } catch (error) { thrown = ": " + error; }
			found ? resolve(true) : Date.now() - begun > 20000 ? resolve("never" + thrown) : setTimeout(look, 20);
		};
		look();
	})`)
	if done != true {
		b.t.Fatalf("it never became true (%v): %s\nThe page shows: %v", done, expression, b.ask("location.href + '\\n' + document.body.innerText.slice(0, 1500)"))
	}
}

// shows waits until the page's text has all parts.
func (b *tab) shows(parts ...string) {
	b.t.Helper()
	for _, part := range parts {
		b.until("document.body.innerText.includes(" + quoted(part) + ")")
	}
}

// hides waits until the page's text has none of the parts.
func (b *tab) hides(parts ...string) {
	b.t.Helper()
	for _, part := range parts {
		b.until("!document.body.innerText.includes(" + quoted(part) + ")")
	}
}

// press presses keys, one after the other.
func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.do(chromedp.KeyEvent(key))
	}
}

// click clicks the first button or link with the text.
func (b *tab) click(text string) {
	b.t.Helper()
	found := `[...document.querySelectorAll("button, a, summary")].find((one) => one.checkVisibility() && one.textContent.trim() === ` + quoted(text) + `)`
	b.until(found)
	b.ask(found + ".click()")
}

// fill types into the field with the label.
func (b *tab) fill(label, text string) {
	b.t.Helper()
	found := `[...document.querySelectorAll("input, textarea")].find((one) => one.checkVisibility() && (one.labels?.[0]?.textContent === ` + quoted(label) + ` || one.ariaLabel === ` + quoted(label) + `))`
	b.until(found)
	b.ask(found + ".select()")
	b.do(chromedp.KeyEvent(text))
}

// visit opens a view.
func (b *tab) visit(hash string) {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(b.f.url+"/"+hash))
}

// signIn signs in with a token and waits until the page is live.
func (b *tab) signIn(key string) {
	b.t.Helper()
	b.click("Token")
	b.fill("Token", key)
	b.click("Sign in")
	b.until(`document.querySelector(".state[data-state=live]")`)
}

func quoted(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always is JSON
	}
	return string(out)
}

func TestBrowserPageSignsInWithPasswordOrTokenAndOutAgain(t *testing.T) {
	b := browse(t)
	b.shows("Sign in to Belfry")
	b.fill("User name", "akadmin")
	b.fill("Password", "not this one")
	b.press("\r")
	b.shows("Wrong user name or password.")
	if b.ask(`document.querySelector("input[autocomplete=username]").value`) != "akadmin" {
		t.Error("what was typed is gone")
	}
	b.signIn(adminKey)
	b.visit("#/settings")
	b.fill("New password", "short")
	b.click("Set password")
	b.shows("A password needs at least 10 characters")
	b.fill("New password", "correct horse battery")
	b.click("Set password")
	b.shows("The password was changed.", "Password now")
	b.click("Sign out")
	b.shows("Sign in to Belfry")
	b.do(chromedp.Reload())
	b.click("User name and password")
	b.fill("User name", "akadmin")
	b.fill("Password", "correct horse battery")
	b.press("\r")
	b.shows("Change password", "by password")
	b.quiet("status of 403", "status of 400")
}

func TestBrowserPageReadsNothingMoreOnceItSignsOut(t *testing.T) {
	b := browse(t)
	b.signIn(adminKey)
	b.until(`document.querySelector(".state[data-state=live]")`)
	// The answer comes well after the stream's end, which says that everything is to be read again.
	b.ask(`(() => {
		const real = window.fetch;
		window.fetch = async (path, options) => {
			const answer = await real(path, options);
			if (options.method === "DELETE") await new Promise((resolve) => setTimeout(resolve, 300));
			return answer;
		};
	})()`)
	b.click("Sign out")
	b.shows("Sign in to Belfry")
	b.hides("Your session has ended.")
	b.quiet()
}

func TestBrowserPageKeepsWhatWasTypedWhenTheSessionEnds(t *testing.T) {
	b := browse(t)
	b.signIn(adminKey)
	b.visit("#/settings")
	b.fill("New password", "correct horse")
	for _, one := range b.f.must(200, "GET", "/api/belfry/sessions/", "").get("results").([]any) {
		b.f.must(204, "DELETE", "/api/belfry/sessions/"+one.(map[string]any)["pk"].(string)+"/", "")
	}
	b.shows("Your session has ended.")
	b.fill("Token", adminKey)
	b.press("\r")
	b.hides("Your session has ended.")
	b.until(`document.querySelector(".state[data-state=live]") && document.querySelector("input[autocomplete=new-password]").value === "correct horse"`)
	b.quiet("status of 403")
}

func TestBrowserPageIsMadeAnewForWhoSignsInWithOtherRights(t *testing.T) {
	b := browse(t)
	b.signIn(adminKey)
	b.visit("#/inbox")
	b.until(`document.querySelector("nav a[href='#/rules']")`)
	for _, one := range b.f.must(200, "GET", "/api/belfry/sessions/", "").get("results").([]any) {
		b.f.must(204, "DELETE", "/api/belfry/sessions/"+one.(map[string]any)["pk"].(string)+"/", "")
	}
	b.shows("Your session has ended.")
	b.fill("Token", b.f.token(1, "phone", "inbox"))
	b.press("\r")
	b.until(`document.querySelector("nav a[href='#/inbox']") && !document.querySelector("nav a[href='#/rules']")`)
	b.quiet("status of 403")
}

func TestBrowserPageShowsWhatHappensWithoutAReload(t *testing.T) {
	b := browse(t)
	b.signIn(adminKey)
	b.shows("Nothing here yet.")
	b.f.notified("The disk is 91 % full")
	b.shows("The disk is 91 % full", "Configuration error")
	b.until(`document.title.startsWith("(1) ") && document.getElementById("favicon").href.startsWith("data:")`)
	b.f.notified("The disk is 92 % full")
	b.shows("The disk is 92 % full")
	b.until(`document.getElementById("announce").textContent.includes("The disk is 92 % full")`)
	b.visit("#/events")
	b.shows("The disk is 91 % full")
	b.f.must(201, "POST", "/api/v3/events/events/", `{"action":"login","app":"nobody saw this coming"}`)
	b.shows("nobody saw this coming")
	b.quiet()
}

func TestBrowserPageKeepsItsTabsAlikeAndUndoes(t *testing.T) {
	first := browse(t)
	first.f.notified("The disk is full")
	first.signIn(adminKey)
	first.shows("The disk is full")
	second := newTab(t, first.f, first.ctx)
	second.shows("The disk is full")
	streams := first.f.must(200, "GET", "/api/belfry/system/", "").get("streams")
	if streams != 1.0 {
		t.Errorf("two tabs hold %v streams, want one", streams)
	}
	isSeen := `document.querySelector(".note.seen")`
	first.ask(`document.querySelector(".mark").click()`)
	second.until(isSeen)
	second.until(`!document.title.startsWith("(")`)
	first.click("Undo")
	second.until("!" + isSeen)
	first.until("!" + isSeen)
	second.click("Mark all as seen")
	first.until(isSeen)
	first.f.must(200, "PATCH", "/api/v3/events/notifications/"+first.ask(`document.querySelector(".note").dataset.key`).(string)+"/", `{"seen":false}`)
	first.until("!" + isSeen)
	second.until("!" + isSeen)
	first.quiet()
	second.quiet()
}

func TestBrowserPageCatchesUpAfterTheStreamBroke(t *testing.T) {
	b := browse(t)
	b.signIn(adminKey)
	b.until(`document.querySelector(".state[data-state=live]")`)
	b.ask(`new BroadcastChannel("belfry").postMessage({ holder: -1, state: "connecting" })`) // another tab claims the stream
	b.until(`document.querySelector(".state[data-state=connecting]")`)
	b.f.notified("While nobody listened")
	b.ask(`new BroadcastChannel("belfry").postMessage({ gone: -1 })`)
	b.shows("While nobody listened")
	b.until(`document.querySelector(".state[data-state=live]")`)
	b.quiet()
}

func TestBrowserPageCatchesUpAfterTheServerWasKilled(t *testing.T) {
	browser := startBrowser(t)
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, database: filepath.Join(t.TempDir(), "belfry.db"), address: address}
	p.start()
	t.Cleanup(func() { p.kill() })
	b := newTab(t, &fixture{t: t, url: p.url}, browser)
	b.signIn(adminKey)
	b.f.notified("The first disk is full")
	b.shows("The first disk is full")
	b.until(`document.querySelector(".mark") && document.querySelector(".state[data-state=live]")`)
	p.kill()
	b.until(`!document.querySelector(".state[data-state=live]")`)
	b.ask(`document.querySelector(".mark").click()`)
	b.shows("The server cannot be reached.")
	p.start()
	b.f.notified("The second disk is full")
	b.shows("The second disk is full")
	b.until(`document.querySelector(".state[data-state=live]") && document.querySelectorAll(".note:not(.seen)").length === 2`)
	b.quiet("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_SOCKET_NOT_CONNECTED")
}

func TestBrowserPageInboxIsUsableByKeyboardAlone(t *testing.T) {
	b := browse(t)
	for _, message := range []string{"first", "second", "third"} {
		b.f.notified("The " + message + " disk is full")
	}
	b.signIn(adminKey)
	b.shows("The first disk is full", "The third disk is full")
	focused := `document.activeElement.closest(".note")?.querySelector(".text").textContent`
	b.press("j")
	b.until(focused + `=== "The third disk is full"`)
	b.press("j", "j", "j")
	b.until(focused + `=== "The first disk is full"`)
	b.press("k")
	b.until(focused + `=== "The second disk is full"`)
	b.press("e")
	b.until(`document.querySelector(".note.seen .text")?.textContent === "The second disk is full"`)
	b.until(focused + `=== "The first disk is full"`) // the next one, not nothing
	b.press("u")
	b.until(`!document.querySelector(".note.seen")`)
	b.press("k", "x", "k", "x")
	b.shows("2 chosen")
	b.press("/")
	b.until(`document.activeElement.type === "search"`)
	b.ask("document.activeElement.select()") // the driver types what a browser would have swallowed
	b.do(chromedp.KeyEvent("third"))
	b.hides("The first disk is full")
	b.shows("The third disk is full")
	b.until(`location.hash.includes("search=third")`)
	b.press("\t", "j", "\r")
	b.shows("Raw event")
	b.until(`location.hash.startsWith("#/events/")`)
	b.press("g", "i")
	b.shows("The first disk is full")
	b.press("?")
	b.shows("Next notification", "Keys can be switched off")
	b.press("\x1b")
	b.hides("Keys can be switched off")
	b.quiet()
}

func TestBrowserPageKeepsTheFocusWhenOthersChangeThings(t *testing.T) {
	b := browse(t)
	var keys []string
	for _, message := range []string{"first", "second", "third"} {
		key, _ := b.f.notified("The " + message + " disk is full")
		keys = append(keys, key)
	}
	b.signIn(adminKey)
	b.shows("The first disk is full", "The third disk is full")
	b.press("j", "j", "j")
	focused := `document.activeElement.closest(".note")?.querySelector(".text").textContent === "The first disk is full"`
	b.until(focused)
	b.f.must(200, "PATCH", "/api/v3/events/notifications/"+keys[1]+"/", `{"seen":true}`)
	b.until(`document.querySelector(".note.seen .text")?.textContent === "The second disk is full"`)
	b.until(focused)

	rule := b.f.must(201, "POST", "/api/v3/events/rules/", `{"name":"r"}`).str("pk")
	policy := b.f.must(201, "POST", "/api/v3/policies/event_matcher/", `{"name":"m","action":"login"}`).str("pk")
	b.f.must(201, "POST", "/api/v3/policies/bindings/", `{"policy":"`+policy+`","target":"`+rule+`","order":0}`)
	b.visit("#/rules/" + rule)
	b.shows("Action is Login")
	b.ask(`document.querySelector(".conditions button").focus()`)
	b.f.must(200, "PATCH", "/api/v3/policies/event_matcher/"+policy+"/", `{"client_ip":"192.0.2.1"}`)
	b.shows("Address is 192.0.2.1")
	b.until(`document.activeElement.textContent === "Edit" && document.activeElement.closest(".conditions")`)
	b.quiet()
}

func TestBrowserPageFiltersLiveInTheAddress(t *testing.T) {
	b := browse(t)
	for _, body := range []string{
		`{"action":"login","app":"one","user":{"username":"ada"},"client_ip":"192.0.2.1"}`,
		`{"action":"login","app":"two","user":{"username":"tom"},"client_ip":"192.0.2.2"}`,
		`{"action":"custom_backup_done","app":"three","user":{"username":"ada"}}`,
	} {
		b.f.must(201, "POST", "/api/v3/events/events/", body)
	}
	b.signIn(adminKey)
	b.visit("#/events?user=ada&since=24h")
	b.shows("2 events", "one", "Backup done")
	b.hides("two")
	b.fill("App", "three")
	b.shows("1 event")
	b.until(`location.hash.includes("app=three")`)
	b.do(chromedp.Reload())
	b.shows("1 event", "Backup done")
	b.until(`document.querySelector(".fold").textContent.includes("Last 24 hours") && [...document.querySelectorAll(".fold input")].some((one) => one.value === "ada")`)
	b.visit("#/events?action=custom_backup_done")
	b.shows("1 event", "Backup done")
	b.visit("#/events?search=nothing-like-it")
	b.shows("No event matches.")
	b.click("Show all events")
	b.shows("two")
	b.quiet()
}

func TestBrowserPageScrollsThroughTheWholeLogAndComesBackToTheSamePlace(t *testing.T) {
	b := browse(t)
	b.f.past(1000, func(i int, now int64) Event {
		e := newEvent(EventPatch{}, OriginSystem)
		e.PK, e.Action, e.App, e.Created = sqldb.NewID(), "login", fmt.Sprintf("app %d", i), now-int64(i/150)*hourMicros // many of one moment
		return e
	})
	b.signIn(adminKey)
	b.visit("#/events")
	b.shows("1,001 events") // one is the sign-in
	b.until(`scrollBy(0, 900), document.body.innerText.includes("That is all.")`)
	b.until(`scrollBy(0, 9000), document.body.innerText.includes("app 900")`) // the last one
	b.shows("1,001 events")                                                   // now counted by what was read
	if n := b.ask(`document.querySelectorAll(".rows .row").length`).(float64); n > 100 {
		t.Errorf("%v rows are in the page", n)
	}
	b.ask("scrollTo(0, 20000)")
	b.until(`document.querySelector(".rows .row:nth-child(20) a")?.getBoundingClientRect().top < innerHeight`)
	at := b.ask(`document.querySelector(".rows .row:nth-child(20) a").hash`)
	b.ask(`document.querySelector(".rows .row:nth-child(20) a").click()`)
	b.shows("Raw event")
	b.ask(`document.querySelector(".back a").click()`)
	b.shows("1,001 events")
	b.until("[...document.querySelectorAll('.rows a')].some((one) => one.hash === " + quoted(at.(string)) + ")")
	b.quiet()
}

func TestBrowserPageShowsPlainUsersTheirOwnAffairsOnly(t *testing.T) {
	b := browse(t)
	pk, key := b.f.user("mira")
	b.f.notifyUser(pk, "greeting")
	b.signIn(key)
	b.shows("Greeting")
	if links := b.ask(`[...document.querySelectorAll(".side nav a")].map((one) => one.textContent).join()`); links != "Inbox1 unseen,Settings" {
		t.Errorf("the navigation has %v", links)
	}
	b.visit("#/events")
	b.shows("This is for administrators.")
	b.visit("#/settings")
	b.shows("Set password", "this one", "by token", "New token")
	b.click("New token")
	b.fill("Name", "phone")
	b.click("Make token")
	b.until(`document.querySelector("input.key")?.value.startsWith("blf_")`)
	made := b.ask(`document.querySelector("input.key").value`).(string)
	if r := b.f.call(made, "GET", "/api/v3/core/users/me/", ""); r.status != 200 {
		t.Errorf("the new token: %d", r.status)
	}
	b.click("Copy")
	b.until(`document.body.innerText.includes("Copied.") || document.body.innerText.includes("Selected.")`)
	b.quiet()
}

func TestThePageMakesNoMarkupOutOfText(t *testing.T) {
	for name, file := range newPage() {
		for _, forbidden := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", `"style",`, "DOMParser"} {
			if bytes.Contains(file.body, []byte(forbidden)) {
				t.Errorf("%s has %s", name, forbidden)
			}
		}
	}
}
