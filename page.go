package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"time"

	"belfry/internal/drf"
)

//go:embed web/index.html web/app.js web/style.css web/icon.svg
var web embed.FS

// asset is one file of the page, as it is served.
type asset struct {
	body        []byte
	contentType string
	etag        string
}

// page serves the admin page out of the binary: "/" and its files, by their paths.
type page map[string]asset

// pageFiles are the page's paths and the embedded files behind them.
var pageFiles = map[string]string{"/": "web/index.html", "/app.js": "web/app.js", "/style.css": "web/style.css", "/icon.svg": "web/icon.svg"}

// page reads the embedded files. They are part of the binary: one that is missing is a fault of the build.
func (s *server) page() page {
	p := page{}
	for route, name := range pageFiles {
		body, err := web.ReadFile(name)
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		p[route] = asset{body: body, contentType: mime.TypeByExtension(path.Ext(name)), etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return p
}

// paths are the routes that the page answers.
func (p page) paths() (paths []string) {
	for route := range p {
		paths = append(paths, route)
	}
	return paths
}

// pagePolicy lets the page load its own files and nothing else, and forbids framing it.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// ServeHTTP answers one file of the page.
func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, h := p[r.URL.Path], w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		_ = drf.WriteJSON(w, r, http.StatusMethodNotAllowed, drf.MethodNotAllowed(r.Method).Body) // is always nil
		return
	}
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // asked for again each time, answered by 304 while it is the same
	h.Set("ETag", file.etag)
	h.Set("Content-Type", file.contentType)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.body))
}
