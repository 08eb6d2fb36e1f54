package drf

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what one query may ask for: each term and value becomes a part of a statement, and a
// statement's size is bounded by the databases.
const (
	maxTerms  = 50
	maxValues = 1000
	// maxCharacters is the length of a search or of a text: SQLite refuses to look for a text of more than 50,000 bytes.
	maxCharacters = 10_000
)

// FilterKind says how a query parameter is read.
type FilterKind int

// The kinds of filters. What is wrong with one is answered in django-filter's words.
const (
	FilterText    FilterKind = iota
	FilterChoice             // bad: 400 Select a valid choice. zzz is not one of the available choices.
	FilterChoices            // repeatable
	FilterBool               // bad: ignored
	FilterInt                // bad: 400 Enter a number.
	FilterUUID               // bad: 400 “zzz” is not a valid UUID.
	FilterUUIDs              // repeatable
	FilterTime               // bad: 400 Enter a valid date/time.
	FilterTexts              // repeatable
	FilterCount              // an integer from 0 to 2147483647; bad: 400 A valid integer is required.
	FilterIntRef             // an integer pk; bad: 400 MsgNoChoice, which is also the text for an unknown one
)

// Filter is one query parameter of a list.
type Filter struct {
	Name    string
	Kind    FilterKind
	Choices *Choices
	Alias   string // a later name; wins when both are given
	Help    string
	// Required refuses a query without the parameter.
	Required bool
}

// ListSpec says what a list takes.
type ListSpec struct {
	Filters []Filter
	// Search says whether ?search= does something.
	Search bool
	// Orderings are the names that ?ordering= takes; Default is used when none of them is given ("-created").
	Orderings []string
	Default   []string
}

// Order is one column of an ordering.
type Order struct {
	Name string
	Desc bool
}

// Query is the parsed query of a list.
type Query struct {
	Paging
	Order  []Order
	Search []string // terms, folded by Fold, each of which must match

	texts map[string][]string
	bools map[string]bool
	ints  map[string]int64
}

// Text answers a filter of kind text, choice or uuid; false when it is absent or blank.
func (q *Query) Text(name string) (string, bool) {
	if list := q.texts[name]; len(list) > 0 {
		return list[0], true
	}
	return "", false
}

// Bool answers a boolean filter.
func (q *Query) Bool(name string) (value, ok bool) {
	value, ok = q.bools[name]
	return value, ok
}

// Int answers an integer filter.
func (q *Query) Int(name string) (int64, bool) {
	n, ok := q.ints[name]
	return n, ok
}

// Time answers a time filter, UTC microseconds.
func (q *Query) Time(name string) (int64, bool) { return q.Int(name) }

// Texts answers a repeatable filter, each value once; empty when absent.
func (q *Query) Texts(name string) []string { return q.texts[name] }

// Parse reads a list's query: paging, ordering, search, filters; all that is wrong at once. Unknown
// parameters and blank values are ignored, and of a repeated one the last counts.
func (s *ListSpec) Parse(r *http.Request) (*Query, error) {
	raw := queryOf(r)
	q := &Query{
		Paging: parsePaging(raw.last("page"), raw.last("page_size")),
		Order:  s.order(raw.last("ordering")),
		texts:  make(map[string][]string),
		bools:  make(map[string]bool),
		ints:   make(map[string]int64),
	}
	errs := NewErrors()
	for _, f := range s.Filters {
		if message, name := q.take(f, raw); message != "" {
			errs.Add(name, message)
		}
	}
	if s.Search {
		q.Search = searchTerms(raw.last("search"))
		if len(q.Search) > maxTerms {
			errs.Add("search", fmt.Sprintf("Ensure this search has no more than %d terms.", maxTerms))
		}
		if utf8.RuneCountInString(raw.last("search")) > maxCharacters {
			errs.Add("search", fmt.Sprintf("Ensure this search has no more than %d characters.", maxCharacters))
		}
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return q, nil
}

// order reads ?ordering=: names that the list does not have, and those named before, are dropped.
func (s *ListSpec) order(text string) []Order {
	var list []Order
	for term := range strings.SplitSeq(text, ",") {
		name, desc := strings.CutPrefix(trim(term), "-")
		known := slices.Contains(s.Orderings, name)
		if known && !slices.ContainsFunc(list, func(o Order) bool { return o.Name == name }) {
			list = append(list, Order{name, desc})
		}
	}
	if len(list) > 0 {
		return list
	}
	for _, term := range s.Default {
		name, desc := strings.CutPrefix(term, "-")
		list = append(list, Order{name, desc})
	}
	return list
}

// searchTerms splits at white space and commas, as DRF 3.14 does. NUL is no character to search for.
func searchTerms(text string) []string {
	text = Fold(strings.ReplaceAll(text, "\x00", ""))
	terms := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || isSpace(r) })
	return unique(terms)
}

// unique drops repetitions, and keeps the order.
func unique[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(list, func(v T) bool {
		again := seen[v]
		seen[v] = true
		return again
	})
}
