package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

// handler makes the routes into one http.Handler. Each path has one handler that switches on the method
// itself: gorilla/mux answers 404 for a wrong method inside subrouters.
func (s *server) handler() http.Handler {
	router := mux.NewRouter().SkipClean(true)
	routes := s.routes()
	for _, rt := range routes {
		router.Handle(rt.path, s.answer(rt))
	}
	for _, rt := range routes { // behind all others, because they are asked for by mistake only
		if bare, ok := strings.CutSuffix(rt.path, "/"); ok {
			router.Handle(bare, http.HandlerFunc(addSlash))
		}
	}
	for path := range pageFiles {
		router.HandleFunc(path, servePage)
	}
	router.NotFoundHandler = s.failing(drf.NotFound())
	return withHeaders(s.recovering(normalise(router, router.NotFoundHandler)))
}

// The values of headers that every answer has. Nobody changes them.
var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

// withHeaders sets what every answer has: nobody on the way keeps it, and nobody guesses what it is.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header["Cache-Control"], header["X-Content-Type-Options"] = noStore, noSniff
		next.ServeHTTP(w, r)
	})
}

// failing always answers err.
func (s *server) failing(err error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, err) })
}

// recovering keeps a panic inside its request. Whoever aborts an answer on purpose wants the connection closed.
func (s *server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.fail(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// normalise merges runs of slashes without a redirect (the API reference itself writes /api/v3//events/…) and
// answers 404 for what could be read in two ways: . and .. segments, encoded slashes, and what is no text.
// What is left means the same encoded or not, so that routes are matched with the decoded path.
func normalise(next, notFound http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, escaped := r.URL.Path, r.URL.EscapedPath()
		if !strings.HasPrefix(p, "/") || hasSlashes(escaped) || hasDots(p) || !isText(p) {
			notFound.ServeHTTP(w, r)
			return
		}
		if strings.Contains(p, "//") {
			clean := *r.URL
			clean.Path, clean.RawPath = mergeSlashes(p), mergeSlashes(r.URL.RawPath)
			r = r.WithContext(r.Context())
			r.URL = &clean
		}
		next.ServeHTTP(w, r)
	})
}

// hasSlashes reports whether a path has an encoded slash.
func hasSlashes(escaped string) bool {
	return strings.Contains(escaped, "%") && strings.Contains(strings.ToLower(escaped), "%2f")
}

// hasDots reports whether a path that begins with a slash has a segment . or ..
func hasDots(p string) bool {
	if !strings.Contains(p, "/.") {
		return false
	}
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// isText reports whether a path is UTF-8 without NUL: no key in the database is anything else.
func isText(p string) bool { return utf8.ValidString(p) && !strings.Contains(p, "\x00") }

// mergeSlashes makes one slash of each run of them.
func mergeSlashes(p string) string {
	if p == "" {
		return ""
	}
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// addSlash sends a client to the path with its slash: to this path on this host only, with the method kept.
func addSlash(w http.ResponseWriter, r *http.Request) {
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	to := url.URL{Path: r.URL.Path + "/", RawQuery: r.URL.RawQuery}
	if r.URL.RawPath != "" {
		to.RawPath = r.URL.RawPath + "/"
	}
	w.Header().Set("Location", to.String())
	w.WriteHeader(status)
}

// requestTime bounds the work on one request; streams have none.
const requestTime = 30 * time.Second

// answer is the handler of one route: negotiation, who is calling, may they, the method, then the work.
func (s *server) answer(rt route) http.Handler {
	allow := []string{strings.Join(append(methods(rt), http.MethodOptions), ", ")} // nobody changes it
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Allow"] = allow
		ctx := r.Context()
		if !rt.verbs[0].stream {
			limited := withDeadline(ctx, requestTime)
			defer limited.release()
			ctx = limited
		}
		handle, r, err := s.admit(ctx, rt, r)
		if err == nil {
			err = handle(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// methods lists what a route answers; whoever answers GET answers HEAD.
func methods(rt route) (names []string) {
	for _, v := range rt.verbs {
		names = append(names, v.method)
		if v.method == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	return names
}

// admit finds out who calls and whether they may, in the order in which Django REST framework does, and
// answers what handles the request, and the request as that sees it: within ctx. A wrong method is 405 only for those who may use the route at all.
func (s *server) admit(ctx context.Context, rt route, r *http.Request) (handler, *http.Request, error) {
	if _, err := drf.Negotiate(r, rt.verbs[0].offers...); err != nil {
		return nil, r, err
	}
	caller, err := s.caller(rt, r)
	if err != nil {
		return nil, r, err
	}
	r = r.WithContext(identity.WithCaller(ctx, caller))
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	known := false
	for _, v := range rt.verbs {
		allowed := v.access.allows(caller, v.method)
		known = known || allowed
		if v.method == method {
			if !allowed {
				return nil, r, drf.Forbidden()
			}
			return v.handle, r, nil
		}
	}
	switch {
	case !known:
		return nil, r, drf.Forbidden()
	case method == http.MethodOptions:
		return describe(rt), r, nil
	}
	return nil, r, drf.MethodNotAllowed(r.Method)
}

// caller says who is calling; the routes that are open to all do not ask.
func (s *server) caller(rt route, r *http.Request) (identity.Caller, error) {
	if caller := identity.CallerOf(r.Context()); caller.Host || rt.verbs[0].access.open {
		return caller, nil
	}
	return s.identity.Authenticate(r)
}

// describe answers OPTIONS as Django REST framework does.
func describe(rt route) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		out := drf.AppendString([]byte(`{"name":`), rt.path)
		out = append(out, `,"description":"","renders":["application/json"],"parses":["application/json"]}`...)
		return drf.WriteJSON(w, r, http.StatusOK, out)
	}
}

// fail answers an error. What the database says of its own state is put into the client's words here,
// because drf knows no database.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	drf.Fail(w, r, s.log, inClientsWords(err))
}

// inClientsWords turns the errors of the database that a client can do something about into answers.
func inClientsWords(err error) error {
	switch {
	case errors.As(err, new(*drf.Error)): // it has the words
	case errors.As(err, new(*sqldb.ForeignKeyError)):
		// The request looked, and somebody else deleted it before the write was through.
		return drf.Invalid("", "An object that this request refers to was deleted meanwhile.")
	case errors.Is(err, sqldb.ErrOverloaded):
		return drf.Unavailable("Too many writes are waiting. Try again.", time.Second, nil)
	case errors.Is(err, sqldb.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return drf.Unavailable("The request took too long and was stopped. Narrow the filter or try again.", time.Second, nil)
	case errors.Is(err, sqldb.ErrClosed):
		return drf.Unavailable("Belfry is shutting down.", time.Second, nil)
	case errors.Is(err, sqldb.ErrStorage):
		return drf.Unavailable("The storage failed; nothing of this request was kept. See /-/health/ready/.", 5*time.Second, err)
	}
	return err
}
