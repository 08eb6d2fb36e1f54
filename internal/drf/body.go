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
	body, err := bodyOf(w, r)
	if limit, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(limit.Limit)
	}
	if err != nil {
		return nil, Detail(http.StatusBadRequest, "The request body could not be read to its end.")
	}
	if contentType := r.Header.Get("Content-Type"); len(body) > 0 && !isJSON(contentType) {
		return nil, unsupported(contentType)
	}
	return body, nil
}

// bodyOf reads a body of at most maxBody bytes; where its length was said, into as much room.
func bodyOf(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

func tooLarge(limit int64) *Error {
	return Detail(http.StatusRequestEntityTooLarge, fmt.Sprintf("Request body too large: at most %d bytes.", limit))
}

func unsupported(contentType string) *Error {
	return Detail(http.StatusUnsupportedMediaType, fmt.Sprintf(`Unsupported media type "%s" in request.`, contentType))
}

// jsonType is the media type of bodies.
const jsonType = "application/json"

// isJSON reports whether a Content-Type names JSON, in UTF-8 if it names a charset.
func isJSON(contentType string) bool { return mediaType(contentType) == jsonType }

// mediaType is the media type that a Content-Type names; "" for none, and where it names another charset than UTF-8.
func mediaType(contentType string) string {
	if contentType == jsonType { // as nearly everybody writes it
		return jsonType
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8":
		return media
	}
	return ""
}
