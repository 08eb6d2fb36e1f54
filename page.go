package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"belfry/internal/drf"
)

//go:embed web
var web embed.FS

// asset is one file of the page, as it is served.
type asset struct {
	body        []byte
	contentType string
	etag        string
}

// page serves the admin page out of the binary: "/" and its files, by their paths.
type page map[string]asset

// page reads the embedded files. They are part of the binary: one that cannot be read is a fault of the build.
func (s *server) page() page {
	p := page{}
	err := fs.WalkDir(web, "web", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := web.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		route := strings.TrimSuffix(strings.TrimPrefix(name, "web"), "index.html")
		p[route] = asset{body: body, contentType: mime.TypeByExtension(path.Ext(name)), etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	})
	if err != nil {
		panic(err)
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
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // asked for again each time, answered by 304 while it is the same
	h.Set("ETag", file.etag)
	h.Set("Content-Type", file.contentType)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.body))
}
