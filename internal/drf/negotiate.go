package drf

import (
	"net/http"
	"strconv"
	"strings"
)

// Negotiate checks what the client accepts: JSON is all there is. 406 for an Accept header that rules it
// out, 404 for another ?format=. A missing or empty header accepts everything.
func Negotiate(r *http.Request) error {
	if format := queryOf(r).last("format"); format != "" && format != "json" {
		return NotFound()
	}
	header := strings.Join(r.Header.Values("Accept"), ",")
	if trim(header) == "" || acceptsJSON(header) {
		return nil
	}
	return Detail(http.StatusNotAcceptable, "Could not satisfy the request Accept header.")
}

// acceptsJSON looks for the most specific range that covers application/json; q=0 in it means no.
func acceptsJSON(header string) bool {
	best, accepted := 0, false
	for part := range strings.SplitSeq(header, ",") {
		fields := strings.Split(part, ";")
		specific := coversJSON(strings.ToLower(strings.TrimSpace(fields[0])))
		if specific > best {
			best, accepted = specific, weight(fields[1:]) > 0
		} else if specific == best && specific > 0 {
			accepted = accepted || weight(fields[1:]) > 0
		}
	}
	return accepted
}

// coversJSON is 0 for a media range without application/json, and more the closer it comes.
func coversJSON(mediaRange string) int {
	switch mediaRange {
	case "application/json":
		return 3
	case "application/*":
		return 2
	case "*/*":
		return 1
	}
	return 0
}

// weight is the q of a media range, 1 where there is none or it is no number.
func weight(params []string) float64 {
	for _, param := range params {
		name, text, _ := strings.Cut(strings.TrimSpace(param), "=")
		if q, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil && strings.EqualFold(strings.TrimSpace(name), "q") {
			return q
		}
	}
	return 1
}
