package drf

import (
	"net/http"
	"strconv"
	"strings"
)

// Media is one form in which a route answers: its media type, and the name that ?format= has for it.
type Media struct{ Type, Format string }

// jsonOnly is what a route offers that does not say otherwise.
var jsonOnly = []Media{{"application/json", "json"}}

// Negotiate answers which of the offers, JSON where there is none, the client accepts; of several the first that it
// names most closely: a weight counts only as yes or no, as in Django REST framework. 406 for
// an Accept header that rules them all out, 404 for a ?format= that none has. A missing or empty header accepts everything.
func Negotiate(r *http.Request, offers ...Media) (Media, error) {
	if len(offers) == 0 {
		offers = jsonOnly
	}
	if r.URL.RawQuery == "" && r.Header["Accept"] == nil {
		return offers[0], nil
	}
	format := queryOf(r).last("format")
	header := strings.Join(r.Header.Values("Accept"), ",")
	if trim(header) == "" {
		header = "*/*"
	}
	var best Media
	closest, known := 0, false
	for _, offer := range offers {
		if format != "" && format != offer.Format {
			continue
		}
		known = true
		if close := accepts(header, offer.Type); close > closest {
			best, closest = offer, close
		}
	}
	switch {
	case !known:
		return best, NotFound()
	case closest == 0:
		return best, Detail(http.StatusNotAcceptable, "Could not satisfy the request Accept header.")
	}
	return best, nil
}

// accepts looks for the most specific range that covers a media type, and answers how close it comes; 0 for
// none, and where q=0 in it means no.
func accepts(header, mediaType string) int {
	best, accepted := 0, false
	for part := range strings.SplitSeq(header, ",") {
		fields := strings.Split(part, ";")
		specific := covers(strings.ToLower(strings.TrimSpace(fields[0])), mediaType)
		if specific > best {
			best, accepted = specific, weight(fields[1:]) > 0
		} else if specific == best && specific > 0 {
			accepted = accepted || weight(fields[1:]) > 0
		}
	}
	if !accepted {
		return 0
	}
	return best
}

// covers is 0 for a media range without the type, and more the closer it comes.
func covers(mediaRange, mediaType string) int {
	family, _, _ := strings.Cut(mediaType, "/")
	switch mediaRange {
	case mediaType:
		return 3
	case family + "/*":
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
