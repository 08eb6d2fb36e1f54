// Package trigram knows which texts hold which three characters in a row. Texts come in zones of [ZoneSize] places. A
// zone's index is written once, as blocks of bytes that any table can keep, and read block by block. What it says of a
// longer term is "may hold": who asks looks at the text itself. The layout is our own, the idea is that of every trigram index.
package trigram

import (
	"iter"
	"math/bits"
)

const (
	// ZoneBits is how many bits of a number are a place in its zone.
	ZoneBits = 13
	// ZoneSize is how many places a zone has.
	ZoneSize = 1 << ZoneBits

	runeBits = 21 // enough for every character
	runeMask = 1<<runeBits - 1
)

// Range is the trigrams from Low to High. A trigram is its three characters, the first one in the highest bits.
type Range struct{ Low, High int64 }

// Ranges are what a text that holds the term has: of each range one trigram at least. A term of three characters or more is
// the trigrams in it; a shorter one is the beginning of some trigram, because a text ends in two characters that no term has.
func Ranges(term string) []Range {
	runes := []rune(term)
	switch len(runes) {
	case 0:
		return nil
	case 1:
		return []Range{{pack(runes[0], 0, 0), pack(runes[0], runeMask, runeMask)}}
	case 2:
		return []Range{{pack(runes[0], runes[1], 0), pack(runes[0], runes[1], runeMask)}}
	}
	list := make([]Range, 0, len(runes)-2)
	for i := range runes[2:] {
		gram := pack(runes[i], runes[i+1], runes[i+2])
		list = append(list, Range{gram, gram})
	}
	return list
}

// pack is the trigram of three characters.
func pack(a, b, c rune) int64 { return int64(a)<<(2*runeBits) | int64(b)<<runeBits | int64(c) }

// Set is a set of places.
type Set [ZoneSize / 64]uint64

// Add adds a place.
func (s *Set) Add(place int) { s[place/64] |= 1 << (place % 64) }

// Intersect keeps the places that are in other too.
func (s *Set) Intersect(other *Set) {
	for i := range s {
		s[i] &= other[i]
	}
}

// Len is the number of places in the set.
func (s *Set) Len() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// Places are the places in the set, from the lowest on.
func (s *Set) Places() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(i*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}
