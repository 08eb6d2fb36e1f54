package drf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/mux"
)

// Error is an answer other than success that was meant for the client.
type Error struct {
	Status int
	Body   []byte // JSON
	Header http.Header
	// Cause is logged, never shown.
	Cause error
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, e.Body)
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap answers the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Detail is an Error with the body {"detail": …}.
func Detail(status int, detail string) *Error {
	return &Error{Status: status, Body: append(AppendString([]byte(`{"detail":`), detail), '}')}
}

// NotFound is 404 for an object that is not there, or not the caller's to see.
func NotFound() *Error { return Detail(http.StatusNotFound, "Not found.") }

// InvalidPage is 404 for a page outside of the list.
func InvalidPage() *Error { return Detail(http.StatusNotFound, "Invalid page.") }

// Forbidden is 403 for a caller who is known and may not.
func Forbidden() *Error {
	return Detail(http.StatusForbidden, "You do not have permission to perform this action.")
}

// NoCredentials is 403 for a caller who is not known; the API never answers 401.
func NoCredentials() *Error {
	return Detail(http.StatusForbidden, "Authentication credentials were not provided.")
}

// BadToken is 403 for a token that is unknown, expired or not for the API.
func BadToken() *Error { return Detail(http.StatusForbidden, "Token invalid/expired") }

// MethodNotAllowed is 405; the Allow header is the route table's to set.
func MethodNotAllowed(method string) *Error {
	return Detail(http.StatusMethodNotAllowed, fmt.Sprintf(`Method "%s" not allowed.`, method))
}

// Throttled is 429 with Retry-After; wait is rounded up to whole seconds, one at least.
func Throttled(wait time.Duration) *Error {
	n := seconds(wait)
	plural := "s"
	if n == 1 {
		plural = ""
	}
	e := Detail(http.StatusTooManyRequests, fmt.Sprintf("Request was throttled. Expected available in %d second%s.", n, plural))
	e.Header = retryAfter(n)
	return e
}

// Unavailable is 503 with Retry-After and a sentence for the client; the cause is logged.
func Unavailable(detail string, wait time.Duration, cause error) *Error {
	e := Detail(http.StatusServiceUnavailable, detail)
	e.Header = retryAfter(seconds(wait))
	e.Cause = cause
	return e
}

// seconds rounds up to whole seconds, one at least.
func seconds(wait time.Duration) int64 {
	return max(1, int64((wait+time.Second-1)/time.Second))
}

func retryAfter(seconds int64) http.Header {
	return http.Header{"Retry-After": {strconv.FormatInt(seconds, 10)}}
}

// Invalid is 400 with one message for one field; the empty field is non_field_errors.
func Invalid(field, message string) *Error {
	errs := NewErrors()
	errs.Add(field, message)
	return &Error{Status: http.StatusBadRequest, Body: errs.append(nil)}
}

// Fail answers err, the only function that does: an *Error as it says, anything else is 500 without details.
// What the client cannot mend is logged once, with the request's method and route; neither query nor body is.
func Fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	var answer *Error
	if !errors.As(err, &answer) {
		answer = Detail(http.StatusInternalServerError, "A server error occurred.")
		if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
			// The client hung up. Nobody reads the answer, and nothing here needs mending.
			send(w, r, http.StatusServiceUnavailable, nil)
			return
		}
	}
	if answer.Status >= http.StatusInternalServerError || answer.Cause != nil {
		level := slog.LevelWarn
		if answer.Status == http.StatusInternalServerError {
			level = slog.LevelError
		}
		log.Log(r.Context(), level, "request failed", "status", answer.Status, "method", r.Method, "route", route(r), "error", err)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	send(w, r, answer.Status, answer.Body)
}

// route is the template of the request's route: the path itself may hold what is nobody's business.
func route(r *http.Request) string {
	if current := mux.CurrentRoute(r); current != nil {
		if template, err := current.GetPathTemplate(); err == nil {
			return template
		}
	}
	return "unknown"
}

const (
	// answerTime is what a client gets to read an answer in.
	answerTime = 25 * time.Second
	// smallAnswer is how many bytes net/http waits for, and then says by itself how many there are.
	smallAnswer = 2 << 10
)

// typeOfJSON is a Content-Type, which nobody changes.
var typeOfJSON = []string{jsonType}

// send writes a JSON answer. A client that has gone is its own affair: the error of Write is dropped.
func send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	sendAs(w, r, typeOfJSON, status, body)
}

func sendAs(w http.ResponseWriter, r *http.Request, contentType []string, status int, body []byte) {
	// The deadline counts from the answer, not from the request, which may have lasted for long; and who reads slowly does not hold
	// much memory. What has no deadlines, as a recorder in a test, needs none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	header := w.Header()
	header["Content-Type"] = contentType
	if len(body) > smallAnswer || r.Method == http.MethodHead {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// WriteJSON answers status with a JSON text made by the caller. The error is always nil; it lets a handler end in this call.
func WriteJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) error {
	send(w, r, status, body)
	return nil
}

// WriteAs answers 200 with a body of another type than JSON. The error is always nil.
func WriteAs(w http.ResponseWriter, r *http.Request, contentType string, body []byte) error {
	sendAs(w, r, []string{contentType}, http.StatusOK, body)
	return nil
}

// NoContent answers 204. The error is always nil.
func NoContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}
