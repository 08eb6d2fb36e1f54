package drf

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// maxBody bounds a body, in bytes.
const maxBody = 1 << 20

// Read reads the request's body: 415, 413, 400 for what cannot be read at all, and field errors, are all kept in the Input.
func (s *Serializer[M, P]) Read(w http.ResponseWriter, r *http.Request, mode Mode) Input[P] {
	body, failed := readBody(w, r)
	if failed != nil {
		return Input[P]{errs: &Errors{fatal: failed}}
	}
	return s.Decode(body, mode)
}

// readBody reads a body whole, and refuses one that is too large or does not call itself JSON in UTF-8.
// An empty body may call itself anything.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Error) {
	body, err := readAll(w, r)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, Detail(http.StatusRequestEntityTooLarge, fmt.Sprintf("Request body too large: at most %d bytes.", tooLarge.Limit))
	}
	if err != nil {
		return nil, Detail(http.StatusBadRequest, "The request body could not be read to its end.")
	}
	if contentType := r.Header.Get("Content-Type"); len(body) > 0 && !isJSON(contentType) {
		return nil, Detail(http.StatusUnsupportedMediaType, fmt.Sprintf(`Unsupported media type "%s" in request.`, contentType))
	}
	return body, nil
}

// readAll reads a body of at most maxBody bytes; where its length was said, into as much room.
func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

// isJSON reports whether a Content-Type names JSON, in UTF-8 if it names a charset.
func isJSON(contentType string) bool {
	if contentType == "application/json" { // as nearly everybody writes it
		return true
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != "application/json" {
		return false
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8":
		return true
	}
	return false
}
