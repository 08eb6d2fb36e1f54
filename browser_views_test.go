package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

const (
	// axePath names the file axe.min.js, which looks for what keeps people from using a page.
	axePath = "BELFRY_TEST_AXE"
	// screenshotsPath names the folder for the pictures of the documentation.
	screenshotsPath = "BELFRY_SCREENSHOTS"
)

// viewPaths are the paths of all views, as app.js lists them: a new view is looked at without a change here.
func viewPaths(t *testing.T) (paths []string) {
	t.Helper()
	text, err := web.ReadFile("web/app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`\{ path: "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		paths = append(paths, found[1])
	}
	if len(paths) < 10 {
		t.Fatalf("app.js lists the views differently now: %q", paths)
	}
	return paths
}

// settle waits until nothing of the open view is being read.
func (b *tab) settle() {
	b.t.Helper()
	b.until(`document.querySelector("main .view")?.children.length && !document.querySelector("main [aria-busy=true]")`)
}

// show opens a view without reading the page anew.
func (b *tab) show(hash string) {
	b.t.Helper()
	b.ask(`(document.querySelector("main .view") ?? document.body).dataset.old = "1", location.hash = "#/", location.hash = ` + quoted(hash))
	b.until(`document.querySelector("main .view:not([data-old])")`)
	b.settle()
}

// everyView opens every view, and for those of one thing at most so many that the pages of the lists lead to. It answers how many.
func (b *tab) everyView(most int, look func(hash string)) (opened int) {
	b.t.Helper()
	for _, path := range viewPaths(b.t) {
		parent, _, one := strings.Cut(path, "/:")
		hashes := []string{"#/" + path}
		if one {
			hashes = b.linked(parent, most)
		}
		for _, hash := range hashes {
			b.show(hash)
			look(hash)
			opened++
		}
	}
	return opened
}

// linked are the things that the pages of a list lead to; a view that none leads to is the test's own fault.
func (b *tab) linked(parent string, most int) (hashes []string) {
	b.t.Helper()
	b.show("#/" + parent)
	found := b.ask(`(async () => {
		const found = new Set();
		const pages = new Set();
		for (;;) {
			for (const one of document.querySelectorAll("main a")) if (one.hash.startsWith(` + quoted("#/"+parent+"/") + `)) found.add(one.hash.split("?")[0]);
			const next = [...document.querySelectorAll("main .pager button")].find((one) => one.textContent === "After" && !one.disabled);
			const at = document.querySelector("main .pager span")?.textContent;
			if (!next || pages.has(at)) return [...found];
			pages.add(at);
			next.click();
			for (let i = 0; i < 200 && document.querySelector("main .pager span")?.textContent === at; i++) await new Promise((resolve) => setTimeout(resolve, 20));
		}
	})()`).([]any)
	for _, one := range found[:min(most, len(found))] {
		hashes = append(hashes, one.(string))
	}
	if len(hashes) == 0 {
		b.t.Errorf("the list of %s leads to none", parent)
	}
	return hashes
}

// scheme makes the browser prefer light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
}

// browseDemo is browse with the demonstration, signed in.
func browseDemo(t *testing.T) *tab {
	t.Helper()
	browser := startBrowser(t)
	f := newFixture(t, sqldbtest.Open(t, sqldb.Options{}), io.Discard)
	f.forget()
	err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := writeDemo(context.Background(), tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	hook := f.must(201, "POST", "/api/v3/events/transports/", `{"name":"on-call","mode":"webhook","webhook_url":"http://127.0.0.1:1/"}`).str("pk")
	f.must(400, "POST", "/api/v3/events/transports/"+hook+"/test/", "") // nobody listens there: a delivery that failed
	b := newTab(t, f, browser)
	b.signIn(adminKey)
	return b
}

func TestBrowserPageIsUsableByEverybodyInBothThemes(t *testing.T) {
	path := os.Getenv(axePath)
	if path == "" {
		t.Skipf("%s does not name axe.min.js of axe-core: accessibility is not looked at", axePath)
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := browseDemo(t)
	// The protocol evaluates it, so that the page's policy stays as it is.
	b.ask(string(axe) + "; true")
	look := func() []any {
		return b.ask(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations, passes }) => passes.length < 10 ? ["axe looked at hardly anything"] : violations
			.filter(({ impact }) => ["serious", "critical"].includes(impact))
			.map((one) => one.id + ": " + one.help + ": " + one.nodes.slice(0, 3).map((node) => node.html.slice(0, 150) + " " + (node.any[0]?.message ?? "")).join(" | ")))`).([]any)
	}
	clean := func(what string) {
		for _, line := range look() {
			t.Errorf("%s: %v", what, line)
		}
	}
	b.ask(`document.querySelector("main").append(document.createElement("button"))`)
	if found := look(); len(found) != 1 || !strings.Contains(found[0].(string), "button-name") {
		t.Errorf("a button without a name: %v", found)
	}
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		b.everyView(1, func(hash string) {
			clean(scheme + " " + hash)
			if b.ask(`(() => { const first = [...document.querySelectorAll("main .title button, main button.tool")].at(-1); first?.click(); return Boolean(first); })()`) == true {
				b.settle()
				clean(scheme + " " + hash + " after its button")
				b.ask(`for (const one of document.querySelectorAll("dialog")) one.close()`)
			}
		})
	}
	b.click("Sign out")
	b.shows("Sign in to Belfry")
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		clean(scheme + " sign-in")
	}
	b.quiet()
}

func TestScreenshots(t *testing.T) {
	folder := os.Getenv(screenshotsPath)
	if folder == "" {
		t.Skipf("%s names no folder: no pictures are taken", screenshotsPath)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	b := browseDemo(t)
	for _, shot := range []struct {
		name, hash, scheme string
		width, height      int64
	}{
		{"inbox-light", "#/inbox", "light", 1280, 800},
		{"inbox-dark", "#/inbox", "dark", 1280, 800},
		{"events-light", "#/events", "light", 1280, 800},
		{"events-dark", "#/events", "dark", 1280, 800},
		{"inbox-phone", "#/inbox", "light", 390, 780},
	} {
		b.scheme(shot.scheme)
		if shot.width < 500 {
			b.do(chromedp.EmulateViewport(shot.width, shot.height, chromedp.EmulateMobile))
		} else {
			b.do(chromedp.EmulateViewport(shot.width, shot.height))
		}
		b.visit(shot.hash)
		b.settle()
		b.until(`document.querySelector(".state[data-state=live]") && document.querySelector(".note .text, .rows .row") && !document.querySelector(".skeleton, .volume.loading")`)
		picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if len(picture) < 10_000 || len(picture) > 200_000 {
			t.Errorf("%s has %d bytes", shot.name, len(picture))
		}
		if err := os.WriteFile(filepath.Join(folder, shot.name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.quiet()
}
