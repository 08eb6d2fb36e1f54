package drf

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var spec = &ListSpec{
	Filters: []Filter{
		{Name: "text", Kind: FilterText, Alias: "later_text"},
		{Name: "severity", Kind: FilterChoice, Choices: severities},
		{Name: "actions", Kind: FilterChoices, Choices: actions},
		{Name: "seen", Kind: FilterBool},
		{Name: "num", Kind: FilterInt},
		{Name: "event", Kind: FilterUUID},
		{Name: "groups", Kind: FilterUUIDs},
		{Name: "created", Kind: FilterTime},
		{Name: "names", Kind: FilterTexts},
		{Name: "user", Kind: FilterIntRef},
	},
	Search:    true,
	Orderings: []string{"pk", "created", "action"},
	Default:   []string{"-created", "action"},
}

// describe writes down all that a query asks for.
func describe(q *Query) string {
	var parts []string
	for _, f := range spec.Filters {
		if v, ok := q.Text(f.Name); ok && len(q.Texts(f.Name)) == 1 {
			parts = append(parts, f.Name+"="+v)
		}
		if list := q.Texts(f.Name); len(list) > 1 {
			parts = append(parts, fmt.Sprintf("%s=%q", f.Name, list))
		}
		if v, ok := q.Bool(f.Name); ok {
			parts = append(parts, fmt.Sprintf("%s is %t", f.Name, v))
		}
		if v, ok := q.Int(f.Name); ok && f.Kind == FilterTime {
			at, _ := q.Time(f.Name)
			parts = append(parts, fmt.Sprintf("%s at %s", f.Name, FormatTime(at)))
		} else if ok {
			parts = append(parts, fmt.Sprintf("%s is %d", f.Name, v))
		}
	}
	return strings.Join(parts, ", ")
}

func parseQuery(raw string) (*Query, error) {
	return spec.Parse(&http.Request{URL: &url.URL{RawQuery: raw}})
}

func TestFilters(t *testing.T) {
	const id = "7f1f2b66-9b5e-4b1c-8c86-3f3a4de2c001"
	const noChoice = `["Select a valid choice. That choice is not one of the available choices."]}`
	tests := []struct{ query, want string }{
		{"", ""},
		{"unknown=1&=2&&", ""},
		{"text=&severity=&seen=&num=&event=&created=&user=&names=&actions=", ""},
		{"text=+a%20", "text=a"},
		{"text=%20+", ""},
		{"text=a&text=b", "text=b"},
		{"text=a&text=", ""},
		{"text=a;b=c", "text=a;b=c"},
		{"text=%zz%4", "text=%zz%4"},
		{"text=100%25%", "text=100%%"},
		{"text=a+b%zz", "text=a b%zz"},
		{"text=%c3%a4", "text=ä"},
		{"text=%ff", "text=\uFFFD"},
		{"te%78t=a", "text=a"},
		{"later_text=a", "text=a"},
		{"later_text=a&text=b", "text=a"},
		{"later_text=&text=b", "text=b"},
		{"text=a%00", `400 {"text":["Null characters are not allowed."]}`},
		{"later_text=%00&text=b", `400 {"later_text":["Null characters are not allowed."]}`},
		{"severity=alert", "severity=alert"},
		{"severity=zzz", `400 {"severity":["Select a valid choice. zzz is not one of the available choices."]}`},
		{"actions=login&actions=custom_x&actions=&actions=login", `actions=["login" "custom_x"]`},
		{"actions=login&actions=zz", `400 {"actions":["Select a valid choice. zz is not one of the available choices."]}`},
		{"seen=true", "seen is true"}, {"seen=True", "seen is true"}, {"seen=1", "seen is true"},
		{"seen=false", "seen is false"}, {"seen=False", "seen is false"}, {"seen=0", "seen is false"},
		{"seen=zzz", ""}, {"seen=yes", ""}, {"seen=%00", ""},
		{"num=7", "num is 7"}, {"num=+7", "num is 7"}, {"num=-7", "num is -7"}, {"num=7.0", "num is 7"},
		{"num=7.5", `400 {"num":["Enter a number."]}`},
		{"num=x", `400 {"num":["Enter a number."]}`},
		{"num=99999999999999999999", `400 {"num":["Enter a number."]}`},
		{"num=" + strings.Repeat("1", 1001), `400 {"num":["Enter a number."]}`},
		{"user=7", "user is 7"},
		{"user=x", `400 {"user":` + noChoice},
		{"user=99999999999999999999", `400 {"user":` + noChoice},
		{"event=" + strings.ToUpper(id), "event=" + id},
		{"event=zzz", `400 {"event":["“zzz” is not a valid UUID."]}`},
		{"groups=" + id + "&groups=" + strings.ToUpper(id), "groups=" + id},
		{"groups=" + id + "&groups=x", `400 {"groups":["“x” is not a valid UUID."]}`},
		{"created=2024-06-01", "created at 2024-06-01T00:00:00Z"},
		{"created=2024-06-01+12:30", "created at 2024-06-01T12:30:00Z"},
		{"created=2024-06-01+12:30:01.5", "created at 2024-06-01T12:30:01.500000Z"},
		{"created=2024-06-01T12:30:01Z", "created at 2024-06-01T12:30:01Z"},
		{"created=2024-06-01T12:30:01%2B02:00", "created at 2024-06-01T10:30:01Z"},
		{"created=zz", `400 {"created":["Enter a valid date/time."]}`},
		{"created=2024-06-31", `400 {"created":["Enter a valid date/time."]}`},
		{"created=0001-01-01T00:00%2B01:00", `400 {"created":["Enter a valid date/time."]}`},
		{"names=a&names=+b+&names=&names=a", `names=["a" "b"]`},
		{strings.Repeat("names=x&", 2000), "names=x"},
		{"severity=z&user=z&text=a", `400 {"severity":["Select a valid choice. z is not one of the available choices."],"user":` + noChoice},
	}
	for _, test := range tests {
		q, err := parseQuery(test.query)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = describe(q)
		}
		if got != test.want {
			t.Errorf("?%.80s: %s\nwant %s", test.query, got, test.want)
		}
	}
}

func TestAFilterThatIsNotGivenIsAbsent(t *testing.T) {
	q, err := parseQuery("")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range spec.Filters {
		_, text := q.Text(f.Name)
		_, boolean := q.Bool(f.Name)
		_, integer := q.Int(f.Name)
		_, at := q.Time(f.Name)
		if text || boolean || integer || at || len(q.Texts(f.Name)) > 0 {
			t.Errorf("%s is there", f.Name)
		}
	}
}

func TestAQueryHasBounds(t *testing.T) {
	var names, terms []string
	for i := range 1001 {
		names = append(names, fmt.Sprintf("names=%d", i))
		terms = append(terms, fmt.Sprintf("t%d", i))
	}
	for query, want := range map[string]string{
		strings.Join(names, "&"):                  `400 {"names":["Ensure this filter has no more than 1000 values."]}`,
		"search=" + strings.Join(terms[:51], "+"): `400 {"search":["Ensure this search has no more than 50 terms."]}`,
		"search=" + strings.Repeat("ä", 10_001):   `400 {"search":["Ensure this search has no more than 10000 characters."]}`,
		"names=" + strings.Repeat("ä", 10_001):    `400 {"names":["Ensure this filter has no more than 10000 characters."]}`,
	} {
		if _, err := parseQuery(query); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if q, err := parseQuery(strings.Join(names[:1000], "&") + "&search=" + strings.Join(terms[:50], ",")); err != nil || len(q.Texts("names")) != 1000 || len(q.Search) != 50 {
		t.Error(err)
	}
}

func TestOrdering(t *testing.T) {
	for query, want := range map[string]string{
		"":                                  "[{created true} {action false}]",
		"ordering=":                         "[{created true} {action false}]",
		"ordering=pk":                       "[{pk false}]",
		"ordering=-action,+pk+,":            "[{action true} {pk false}]",
		"ordering=brand_name":               "[{created true} {action false}]",
		"ordering=brand_name,pk":            "[{pk false}]",
		"ordering=pk,-pk,action":            "[{pk false} {action false}]",
		"ordering=--pk":                     "[{created true} {action false}]",
		"ordering=pk&ordering=-action":      "[{action true}]",
		"ordering=%00,pk%27;drop table x--": "[{created true} {action false}]",
	} {
		q, err := parseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(q.Order); got != want {
			t.Errorf("?%s: %s, want %s", query, got, want)
		}
	}
	none := &ListSpec{}
	if q, err := none.Parse(httptest.NewRequest(http.MethodGet, "/?ordering=pk&search=a", nil)); err != nil || q.Order != nil || q.Search != nil {
		t.Errorf("%+v %v", q, err)
	}
}

func TestSearch(t *testing.T) {
	for query, want := range map[string][]string{
		"":                              nil,
		"search=":                       nil,
		"search=+,+":                    nil,
		"search=Log+in,%09out":          {"log", "in", "out"},
		"search=%22a+b%22":              {`"a`, `b"`},
		"search=a%00b%C2%A0ÄSS":         {"ab", "äss"},
		"search=%ff":                    {"\uFFFD"},
		"search=100%":                   {"100%"},
		"search=a+A+%EF%BC%A1+b":        {"a", "ａ", "b"},
		"search=old&search=new":         {"new"},
		"search=%CE%A3%CE%AF%CF%82":     {"σίσ"},
		"search=%E2%84%AA%C5%BF+%C4%B0": {"ks", "i"},
	} {
		q, err := parseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, q.Search, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("?%s: %s", query, diff)
		}
	}
}

func TestFoldingTwiceIsFoldingOnce(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		once := Fold(string(r))
		if twice := Fold(once); twice != once {
			t.Errorf("%U: %q, then %q", r, once, twice)
		}
		for _, other := range []rune{unicode.ToUpper(r), unicode.ToLower(r)} {
			// U+0130 and U+0131 are the two i's of Turkish, whose cases are not each other's.
			if r != 0x130 && r != 0x131 && Fold(string(other)) != once {
				t.Errorf("%U and %U: %q and %q", r, other, once, Fold(string(other)))
			}
		}
	}
}

func TestPaging(t *testing.T) {
	const bad = `404 {"detail":"Invalid page."}`
	tests := []struct {
		query string
		count int64
		want  string // offset, limit
	}{
		{"", 0, "0 100"}, {"", 250, "0 100"},
		{"page=", 250, "0 100"}, {"page=1", 0, "0 100"}, {"page=3", 250, "200 100"}, {"page=4", 250, bad}, {"page=2", 0, bad},
		{"page=0", 250, bad}, {"page=-1", 250, bad}, {"page=x", 250, bad}, {"page=1.0", 250, bad},
		{"page=99999999999999999999", 250, bad}, {"page=9223372036854775807", 250, bad}, {"page=9223372036854775807", math.MaxInt64, bad},
		{"page=+2", 250, "100 100"}, {"page=02", 250, "100 100"},
		{"page=last", 250, "200 100"}, {"page=last", 200, "100 100"}, {"page=last", 0, "0 100"}, {"page=Last", 250, bad},
		{"page=2&page=3", 250, "200 100"},
		{"page_size=20", 250, "0 20"}, {"page_size=20&page=13", 250, "240 20"}, {"page_size=20&page=14", 250, bad},
		{"page_size=1000", 5, "0 1000"}, {"page_size=1001", 5, "0 1000"}, {"page_size=99999999999999999999", 5, "0 1000"},
		{"page_size=0", 5, "0 100"}, {"page_size=-5", 5, "0 100"}, {"page_size=x", 5, "0 100"}, {"page_size=1.5", 5, "0 100"}, {"page_size=", 5, "0 100"},
		{"page=500", math.MaxInt64, "49900 100"},
		{"page_size=1&page=9223372036854775807", 1, bad},
		{"page_size=1000&page=9223372036854775", math.MaxInt64, "9223372036854774000 1000"},
	}
	for _, test := range tests {
		q, err := parseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		offset, limit, err := q.Window(test.count)
		got := fmt.Sprint(offset, limit)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("?%s of %d: %s, want %s", test.query, test.count, got, test.want)
		}
	}
}

func TestTheEnvelopeOfAList(t *testing.T) {
	rows := func(n int) []part { return make([]part, n) }
	tests := []struct {
		promise string
		page    PageInfo
		rows    []part
		want    string // pagination
	}{
		{"empty", PageInfo{Size: 100}, nil, `{"next":0,"previous":0,"count":0,"current":1,"total_pages":1,"start_index":0,"end_index":0}`},
		{"one page", PageInfo{Size: 100, Count: 2}, rows(2), `{"next":0,"previous":0,"count":2,"current":1,"total_pages":1,"start_index":1,"end_index":2}`},
		{"first of three", PageInfo{Size: 2, Count: 5, More: true}, rows(2), `{"next":2,"previous":0,"count":5,"current":1,"total_pages":3,"start_index":1,"end_index":2}`},
		{"second of three", PageInfo{Size: 2, Offset: 2, Count: 5, More: true}, rows(2), `{"next":3,"previous":1,"count":5,"current":2,"total_pages":3,"start_index":3,"end_index":4}`},
		{"last of three", PageInfo{Size: 2, Offset: 4, Count: 5}, rows(1), `{"next":0,"previous":2,"count":5,"current":3,"total_pages":3,"start_index":5,"end_index":5}`},
		{"a lower bound exceeds end_index while there is more", PageInfo{Size: 2, Offset: 8, Count: 4, More: true}, rows(2), `{"next":6,"previous":4,"count":11,"current":5,"total_pages":6,"start_index":9,"end_index":10}`},
		{"the last page knows the count", PageInfo{Size: 2, Offset: 8, Count: 4}, rows(1), `{"next":0,"previous":4,"count":9,"current":5,"total_pages":5,"start_index":9,"end_index":9}`},
		{"no size", PageInfo{}, rows(1), `{"next":0,"previous":0,"count":1,"current":1,"total_pages":1,"start_index":1,"end_index":1}`},
	}
	for _, test := range tests {
		t.Run(test.promise, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := parts.WriteList(w, httptest.NewRequest(http.MethodGet, "/", nil), test.page, test.rows); err != nil {
				t.Fatal(err)
			}
			results := "[" + strings.TrimSuffix(strings.Repeat(`{"name":"","size":0},`, len(test.rows)), ",") + "]"
			want := `{"pagination":` + test.want + `,"autocomplete":{},"results":` + results + `}`
			if w.Code != 200 || w.Body.String() != want {
				t.Errorf("%d %s\nwant %s", w.Code, w.Body, want)
			}
		})
	}
	err := parts.WriteList(httptest.NewRecorder(), nil, PageInfo{Size: 2, Offset: 2, Count: 9}, nil)
	if err == nil || err.Error() != `404 {"detail":"Invalid page."}` {
		t.Errorf("an empty page behind the first: %v", err)
	}
}
