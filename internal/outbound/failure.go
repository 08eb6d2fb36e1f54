package outbound

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"unicode"
)

// failure is why nothing was sent, or not answered, in words that may be shown and stored: without the secrets of the
// request, whoever repeated them, without characters that do things to a terminal, and not long.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.cause }

// longestText bounds the words of a failure, which may hold what a receiver sent.
const longestText = 500

// fail makes a failure of an error, in its own words or, where text is not "", in better ones.
func fail(cause error, text string, s secrets) error {
	if text == "" {
		text = cause.Error()
	}
	text = string(s.hide([]byte(text)))
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
	return &failure{text: cut(text, longestText), cause: cause}
}

// IsTimeout reports whether an attempt ended because it took too long.
func IsTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// secrets are what a request holds and nobody may read who is shown its outcome. Receivers like to repeat what they
// were sent.
type secrets [][]byte

// shortestSecret is how long a part of a URL must be to be looked for: shorter ones are ordinary words.
const shortestSecret = 8

// add adds texts that are long enough.
func (s *secrets) add(texts ...string) {
	for _, text := range texts {
		if len(text) >= shortestSecret {
			*s = append(*s, []byte(text))
		}
	}
}

// hide puts stars in place of every secret, the longest first: as many as the secret has bytes, so that what
// is cut to a length before and after is cut at the same place.
func (s secrets) hide(text []byte) []byte {
	longestFirst := func(a, b []byte) int { return len(b) - len(a) }
	for _, secret := range slices.SortedStableFunc(slices.Values(s), longestFirst) {
		text = bytes.ReplaceAll(text, secret, bytes.Repeat([]byte("*"), len(secret)))
	}
	return text
}

// longest is the length of the longest secret.
func (s secrets) longest() (n int) {
	for _, secret := range s {
		n = max(n, len(secret))
	}
	return n
}
