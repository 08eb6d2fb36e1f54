package drf

import (
	"strings"
	"unicode"
)

// Fold is text as it is searched and compared without case: each character's lower case of its upper
// case (so that σ and ς, k and the Kelvin sign are one). It is applied when text is stored and when it is
// searched for; it keeps the number of characters, and folding twice is folding once.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r
		}
		return unicode.ToLower(unicode.ToUpper(r))
	}, s)
}
