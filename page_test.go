package main

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"testing"
)

// pageBudget is what the whole page may weigh, gzipped: it opens at once on a phone.
const pageBudget = 60_000

func TestThePageIsSmall(t *testing.T) {
	total := 0
	for route, file := range (&server{}).page() {
		total += len(file.gzipped)
		if contentTypes[path.Ext(route)] == "" && route != "/" {
			t.Errorf("%s is of a kind that has no content type", route)
		}
	}
	if total > pageBudget {
		t.Errorf("the page weighs %d bytes gzipped, %d are allowed", total, pageBudget)
	}
}

func TestEveryFileOfThePageIsServedAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		err := fs.WalkDir(web, "web", func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			route := strings.TrimPrefix(name, "web")
			if entry.IsDir() {
				if r := f.call("", "GET", route+"/x.js", ""); r.status != 404 {
					t.Errorf("%s/x.js: %d", route, r.status)
				}
				return nil
			}
			want, err := web.ReadFile(name)
			if err != nil {
				return err
			}
			if route == "/index.html" {
				route = "/"
			}
			if r := f.call("", "GET", route, ""); r.status != 200 || r.text != string(withoutComments(name, want)) {
				t.Errorf("%s: %d, %d bytes of %d", route, r.status, len(r.text), len(want))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"/index.html", "/web/app.js", "/app.js.gz", "/.gitignore", "/schema.sql", "/page.go", "/app.mjs"} {
			if r := f.call("", "GET", other, ""); r.status != 404 {
				t.Errorf("%s: %d", other, r.status)
			}
		}
	})
}

func TestThePageIsCompressedForThoseWhoTakeThat(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ask := func(header http.Header) *http.Response {
			t.Helper()
			request, err := http.NewRequestWithContext(t.Context(), "GET", f.url+"/app.js", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = header
			answer, err := (&http.Transport{DisableCompression: true}).RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { answer.Body.Close() })
			return answer
		}
		want, err := web.ReadFile("web/app.js")
		if err != nil {
			t.Fatal(err)
		}
		want = withoutComments("web/app.js", want)
		tags := map[string]string{}
		for accepted, compressed := range map[string]bool{
			"": false, "gzip": true, "br, gzip": true, "GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false, "identity": false, "x-gzip": false, "deflate, br": false,
		} {
			answer := ask(http.Header{"Accept-Encoding": {accepted}})
			body := io.Reader(answer.Body)
			coding := ""
			if compressed {
				coding = "gzip"
				if body, err = gzip.NewReader(answer.Body); err != nil {
					t.Fatalf("%q: %v", accepted, err)
				}
			}
			got, err := io.ReadAll(body)
			if err != nil || string(got) != string(want) || answer.Header.Get("Content-Encoding") != coding || answer.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%q: %v, %d bytes, %v", accepted, err, len(got), answer.Header)
			}
			tag := answer.Header.Get("ETag")
			if before, known := tags[coding]; known && before != tag {
				t.Errorf("two tags of the same bytes: %s, %s", before, tag)
			}
			tags[coding] = tag
		}
		if tags[""] == tags["gzip"] {
			t.Errorf("one tag of different bytes: %s", tags[""])
		}
		if answer := ask(http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {tags["gzip"]}}); answer.StatusCode != 304 {
			t.Errorf("what is known: %d", answer.StatusCode)
		}
		if answer := ask(http.Header{"Accept-Encoding": {"gzip"}, "Range": {"bytes=1-2"}}); answer.StatusCode != 200 {
			t.Errorf("a part of what is compressed: %d", answer.StatusCode)
		}
	})
}
