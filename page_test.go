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
	for route, file := range newPage() {
		total += len(file.gzipped)
		t.Logf("%s: %d bytes gzipped", route, len(file.gzipped))
		if file.contentType == "" {
			t.Errorf("%s is of a kind that has no content type", route)
		}
	}
	t.Logf("the page weighs %d bytes gzipped", total)
	if total > pageBudget {
		t.Errorf("%d are allowed", pageBudget)
	}
}

func TestThePageIsFourFilesAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		script := newPage()["/app.js"].body
		err := fs.WalkDir(web, "web", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			want, err := web.ReadFile(name)
			if err != nil {
				return err
			}
			route, status := strings.TrimPrefix(name, "web"), 200
			switch {
			case route == "/index.html":
				route = "/"
			case route == "/app.js":
				want = script
			case path.Ext(name) == ".js":
				status = 404
			}
			if r := f.call("", "GET", route, ""); r.status != status || status == 200 && r.text != string(want) {
				t.Errorf("%s: %d, %d bytes of %d", route, r.status, len(r.text), len(want))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"/index.html", "/web/app.js", "/app.js.gz", "/.gitignore", "/schema.sql", "/page.go", "/app.mjs", "/views/x.js"} {
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
		want := newPage()["/app.js"].body
		tags := map[string]string{}
		for accepted, compressed := range map[string]bool{
			"": false, "gzip": true, "br, gzip": true, "GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false, "identity": false, "x-gzip": false, "deflate, br": false,
		} {
			answer := ask(http.Header{"Accept-Encoding": {accepted}})
			body := io.Reader(answer.Body)
			coding := ""
			if compressed {
				coding = "gzip"
				unzipped, err := gzip.NewReader(answer.Body)
				if err != nil {
					t.Fatalf("%q: %v", accepted, err)
				}
				body = unzipped
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
