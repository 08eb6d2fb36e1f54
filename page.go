package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"belfry/internal/drf"
)

//go:embed web
var web embed.FS

// asset is one file of the page, as it is served.
type asset struct {
	body, gzipped []byte
	contentType   string
	etag          string // without its quotes
}

// page serves the admin page out of the binary: "/" and its files, by their paths.
type page map[string]asset

// contentTypes are those of the kinds of files that the page has: the system's table may not know them, or differ.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// pageFiles are the page's paths and the files behind them: one script holds all modules.
var pageFiles = map[string]string{"/": "index.html", "/app.js": "app.js", "/style.css": "style.css", "/icon.svg": "icon.svg"}

// newPage reads the embedded files, once for all servers of a process and when the page is first asked for: who uses the
// API alone need not wait for it. The modules are joined to one script, the others are as they are. They are part of the
// binary: what cannot be served is a fault of the build.
var newPage = sync.OnceValue(func() page {
	files, err := fs.Sub(web, "web")
	if err != nil {
		panic(err)
	}
	p := page{}
	for route, name := range pageFiles {
		read := func() ([]byte, error) { return fs.ReadFile(files, name) }
		if path.Ext(name) == ".js" {
			read = func() ([]byte, error) { return join(files, name) }
		}
		body, err := read()
		if err != nil {
			panic(err)
		}
		p[route] = newAsset(name, body)
	}
	return p
})

// servePage answers the files of the page.
func servePage(w http.ResponseWriter, r *http.Request) { newPage().ServeHTTP(w, r) }

// commentLines are the lines of a script that say something to those who read its source: nobody's browser needs them.
var commentLines = regexp.MustCompile(`(?m)^[ \t]*//.*\n`)

// withoutComments is a script as it is served.
func withoutComments(script []byte) []byte {
	return commentLines.ReplaceAll(script, nil)
}

// newAsset prepares a file, so that answering it is no work.
func newAsset(name string, body []byte) asset {
	sum := sha256.Sum256(body)
	return asset{body: body, gzipped: compress(body), contentType: contentTypes[path.Ext(name)], etag: hex.EncodeToString(sum[:8])}
}

// compress gzips as small as gzip can.
func compress(body []byte) []byte {
	var out bytes.Buffer
	writer, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = writer.Write(body)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
}

// pagePolicy lets the page load its own files, pictures of people out of the API, and nothing else, and forbids framing it.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// ServeHTTP answers one file of the page.
func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, h := p[r.URL.Path], w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		_ = drf.WriteJSON(w, r, http.StatusMethodNotAllowed, drf.MethodNotAllowed(r.Method).Body) // is always nil
		return
	}
	body, tag := file.body, file.etag
	h.Set("Vary", "Accept-Encoding")
	if takesGzip(r) && len(file.gzipped) < len(body) {
		body, tag = file.gzipped, tag+"-gzip" // other bytes are another entity
		h.Set("Content-Encoding", "gzip")
		r = whole(r)
	}
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // asked for again each time, answered by 304 while it is the same
	h.Set("ETag", `"`+tag+`"`)
	h.Set("Content-Type", file.contentType)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// whole is a request without its wish for a part: a part of what is compressed is of use to nobody.
func whole(r *http.Request) *http.Request {
	if r.Header.Get("Range") == "" {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	return r
}

// takesGzip reports whether the client takes an answer that is compressed.
func takesGzip(r *http.Request) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(r.Header.Values("Accept-Encoding"), ","), ","), func(coding string) bool {
		name, params, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return false
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		return !found || err != nil || weight > 0
	})
}
