package drf

import (
	"unicode"
	"unicode/utf8"
)

// Fold is text as it is searched and compared without case: each character's lower case of its upper
// case (so that σ and ς, k and the Kelvin sign are one). It is applied when text is stored and when it is
// searched for; it keeps the number of characters, and folding twice is folding once.
func Fold(s string) string {
	if foldedTo(s) == len(s) {
		return s
	}
	return string(AppendFold(make([]byte, 0, len(s)+utf8.UTFMax), s))
}

// AppendFold appends a text's [Fold].
func AppendFold(dst []byte, s string) []byte {
	for {
		same := foldedTo(s)
		dst = append(dst, s[:same]...)
		if s = s[same:]; s == "" {
			return dst
		}
		r, size := utf8.DecodeRuneInString(s)
		dst = utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r)))
		s = s[size:]
	}
}

// foldedTo is where the first character stands that may be another one when it is folded.
func foldedTo(s string) int {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return i
		}
	}
	return len(s)
}
