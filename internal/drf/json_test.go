package drf

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRepr(t *testing.T) {
	for in, want := range map[JSON]string{
		"": "None", "null": "None", "true": "True", "false": "False",
		`{}`: "{}", `[]`: "[]", `0`: "0", `-0`: "0", `-0.0`: "-0.0", `1E2`: "100.0", `1.5e300`: "1.5e+300",
		`12345678901234567890123`: "12345678901234567890123",
		`"a"`:                     `'a'`, `""`: `''`, `"it's"`: `"it's"`, `"say \"it's\""`: `'say "it\'s"'`, `"\""`: `'"'`,
		`"\\ \n\r\t\u0000\u001f\u007f"`:                                        `'\\ \n\r\t\x00\x1f\x7f'`,
		`"ä😀\u00a0\u00ad\u200b\u2028"`:                                         `'ä😀\xa0\xad\u200b\u2028'`,
		"\"\U000e0001\U0010ffff\"":                                             `'\U000e0001\U0010ffff'`,
		`{"auth_method":"password","n":[1,2.0,{"a":null}],"e":{},"b":[[],[]]}`: `{'auth_method': 'password', 'n': [1, 2.0, {'a': None}], 'e': {}, 'b': [[], []]}`,
		`{"a":`: `{'a': }`,
	} {
		if got := Repr(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestPlainTextIsAppendedWithoutAllocation(t *testing.T) {
	buffer := make([]byte, 0, 256)
	for _, s := range []string{"plain ASCII text <b>&amp;", "quoted \" and \n", "ümläut 😀"} {
		if n := testing.AllocsPerRun(100, func() { AppendString(buffer, s) }); n > 0 {
			t.Errorf("%q: %v allocations", s, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { appendTime(buffer, 1717243200123456) }); n > 0 {
		t.Errorf("time: %v allocations", n)
	}
	if got := string(AppendString(nil, "a\xff\x00\u2028<")); got != "\"a\uFFFD\\u0000\u2028<\"" {
		t.Error(got)
	}
}

func TestEveryKindOfFieldIsAnswered(t *testing.T) {
	text, at, n := "a\"b", int64(1717243200000001), int64(-5)
	m := thing{pk: "p", flag: true, number: 7, at: at, nullText: &text, ip: &text, nullChoice: &text, ref: &text, must: &text, nullAt: &at, owner: &n,
		any: `[1.0]`, object: `{"a":1}`, refs: []string{"x", "y"}, words: []string{`"`}, scopes: nil, owners: []int64{1, -2},
		part: &part{name: "p"}, parts: []part{{"a", 1}, {"b", 2}}}
	want := `{"pk":"p","text":"","raw":"","long":"","blank":"","slug":"","email":"","url":"","choice":"","other":"",` +
		`"null_text":"a\"b","ip":"a\"b","null_choice":"a\"b","ref":"a\"b","later_ref":"a\"b","must":"a\"b",` +
		`"flag":true,"number":7,"count":0,"at":"2024-06-01T12:00:00.000001Z","null_at":"2024-06-01T12:00:00.000001Z","owner":-5,` +
		`"any":[1.0],"object":{"a":1},"refs":["x","y"],"words":["\""],"scopes":[],"owners":[1,-2],` +
		`"part":{"name":"p","size":0},"parts":[{"name":"a","size":1},{"name":"b","size":2}]}`
	if diff := cmp.Diff(want, string(things.Append(nil, &m))); diff != "" {
		t.Error(diff)
	}
	var zero thing
	for _, want := range []string{`"null_text":null`, `"ip":null`, `"null_choice":null`, `"ref":null`, `"later_ref":null`, `"must":null`, `"flag":false`,
		`"at":"1970-01-01T00:00:00Z"`, `"null_at":null`, `"owner":null`, `"any":null`, `"object":null`, `"refs":[]`, `"words":[]`, `"owners":[]`, `"part":null`, `"parts":null`} {
		if got := string(things.Append(nil, &zero)); !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

func TestASerializerDescribesItself(t *testing.T) {
	zero, most := int64(0), int64(2147483647)
	want := map[string]Info{
		"pk":      {Type: "string", Format: "uuid", ReadOnly: true},
		"text":    {Type: "string", MaxLength: 5},
		"raw":     {Type: "string", KeepSpace: true},
		"email":   {Type: "string", Format: "email", AllowBlank: true},
		"slug":    {Type: "string", Format: "slug"},
		"url":     {Type: "string", Format: "uri", AllowBlank: true},
		"choice":  {Type: "string", Choices: severities},
		"ip":      {Type: "string", Format: "ip", Nullable: true},
		"ref":     {Type: "string", Format: "uuid", Nullable: true, Alias: "later_ref", Since: "2025.6"},
		"must":    {Type: "string", Format: "uuid"},
		"flag":    {Type: "boolean"},
		"number":  {Type: "integer", Min: &zero, Max: &most},
		"at":      {Type: "string", Format: "date-time"},
		"null_at": {Type: "string", Format: "date-time", Nullable: true},
		"owner":   {Type: "integer", Nullable: true},
		"any":     {},
		"object":  {Type: "object"},
		"refs":    {Type: "array", Items: &Info{Type: "string", Format: "uuid"}},
		"scopes":  {Type: "array", Items: &Info{Type: "string", Choices: severities}},
		"owners":  {Type: "array", Items: &Info{Type: "integer"}},
		"part":    {Type: "object", Ref: parts.Shape()},
		"parts":   {Type: "array", Items: &Info{Type: "object", Ref: parts.Shape()}, ReadOnly: true},
		"secret":  {Type: "string", WriteOnly: true},
	}
	seen := 0
	for _, f := range things.Fields {
		if info, ok := want[f.Info.Name]; ok {
			seen++
			info.Name = f.Info.Name
			// Functions cannot be compared; that the choices are the same is all there is to see.
			if diff := cmp.Diff(info, *f.Info, cmp.Comparer(func(a, b *Choices) bool { return a == b }), cmp.AllowUnexported(Info{})); diff != "" {
				t.Error(diff)
			}
		}
	}
	if seen != len(want) || parts.Fields[0].Info.Required != true {
		t.Errorf("%d of %d fields", seen, len(want))
	}
	if shape := things.Shape(); shape.Name != things.Name || len(shape.Fields) != len(things.Fields) {
		t.Errorf("the shape is not the table: %+v", shape)
	}
	options := Info{}
	for _, opt := range []Option{Help("helps"), Since("2025.12"), NullAnswer()} {
		opt(&options)
	}
	if options.Help != "helps" || options.Since != "2025.12" || !options.NullAnswer {
		t.Errorf("%+v", options)
	}
}

func TestAFloatIsWrittenWithItsFraction(t *testing.T) {
	numbers := NewSerializer("Number", Float[float64, struct{}]("n", func(n *float64) float64 { return *n }))
	for number, want := range map[float64]string{0: "0.0", 2: "2.0", -1.25: "-1.25", 1e21: "1000000000000000000000.0"} {
		if got := string(numbers.Append(nil, &number)); got != `{"n":`+want+`}` {
			t.Errorf("%v: %s", number, got)
		}
	}
}

func TestFieldsAreAppliedOnlyWhenTheyAreSet(t *testing.T) {
	v, p := "old", new(string)
	Field[string]{}.Apply(&v)
	Field[string]{}.ApplyNull(&p)
	Field[string]{Set: true, Null: true}.Apply(&v)
	if v != "old" || p == nil {
		t.Error("an absent field changed something, or null a value that has none")
	}
	Some("new").Apply(&v)
	Some("new").ApplyNull(&p)
	if v != "new" || *p != "new" {
		t.Error("a value was not applied")
	}
	if (Field[string]{Set: true, Null: true}).ApplyNull(&p); p != nil {
		t.Error("null was not applied")
	}
}

// anyJSON draws a JSON text: any shape, any spelling, white space included.
func anyJSON(depth int) *rapid.Generator[string] {
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?`)
	text := rapid.Custom(func(t *rapid.T) string {
		plain, _ := json.Marshal(rapid.String().Draw(t, "text"))
		return string(plain)
	})
	leaf := rapid.OneOf(number, text, rapid.SampledFrom([]string{"null", "true", "false", `"\u00e4\/\ud83d\ude00\\u0000"`, `"\u003c\u2028"`}))
	if depth == 0 {
		return leaf
	}
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t", "\r "})
	return rapid.OneOf(leaf, rapid.Custom(func(t *rapid.T) string {
		items := rapid.SliceOfN(anyJSON(depth-1), 0, 4).Draw(t, "items")
		gap := space.Draw(t, "gap")
		return "[" + gap + strings.Join(items, gap+","+gap) + gap + "]"
	}), rapid.Custom(func(t *rapid.T) string {
		keys := rapid.SliceOfNDistinct(text, 0, 4, rapid.ID).Draw(t, "keys")
		gap := space.Draw(t, "gap")
		members := make([]string, len(keys))
		for i, key := range keys {
			members[i] = key + gap + ":" + gap + anyJSON(depth-1).Draw(t, "value")
		}
		return "{" + gap + strings.Join(members, gap+","+gap) + gap + "}"
	}))
}

// numbersOf are the numbers of a JSON text, byte for byte.
func numbersOf(t *rapid.T, text string) []string {
	var list []string
	dec := jsontext.NewDecoder(strings.NewReader(text))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return list
		}
		if token.Kind() == jsontext.KindNumber {
			list = append(list, token.String())
		}
	}
}

func TestWhatIsStoredIsWhatWasSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := anyJSON(4).Draw(t, "sent")
		status, answer := patched(`{"any":` + sent + `}`)
		var want any
		if err := json.Unmarshal([]byte(sent), &want); err != nil {
			t.Fatal(err)
		}
		if refused := want == nil || strings.Contains(strings.ReplaceAll(sent, `\\`, ""), `\u0000`); refused {
			if status != 400 {
				t.Fatalf("%s was stored: %s", sent, answer)
			}
			return
		}
		in := things.Decode([]byte(`{"any":`+sent+`}`), Partial)
		stored := string(in.Patch.any.Value)
		var got any
		if err := json.Unmarshal([]byte(stored), &got); err != nil {
			t.Fatalf("%v: %s", err, stored)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(numbersOf(t, sent), numbersOf(t, stored)); diff != "" {
			t.Fatal(diff)
		}
		if status != 200 || !strings.Contains(answer, `"any":`+stored+`,`) {
			t.Fatalf("%d %s", status, answer)
		}
		if again := things.Decode([]byte(`{"any":`+stored+`}`), Partial); string(again.Patch.any.Value) != stored {
			t.Fatalf("stored %s, then %s", stored, again.Patch.any.Value)
		}
		_ = Repr(JSON(stored))
	})
}

func TestNoBodyPanicsAndEveryAnswerIsJSON(t *testing.T) {
	names := []string{"zzz"}
	for _, f := range things.Fields {
		names = append(names, f.Info.Name)
	}
	rapid.Check(t, func(t *rapid.T) {
		members := map[string]bool{}
		var body strings.Builder
		body.WriteString("{")
		for i := range rapid.IntRange(0, 5).Draw(t, "n") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			if members[name] {
				continue
			}
			members[name] = true
			if i > 0 && body.Len() > 1 {
				body.WriteString(",")
			}
			fmt.Fprintf(&body, "%q:%s", name, anyJSON(2).Draw(t, "value"))
		}
		body.WriteString("}")
		text := body.String()
		if rapid.Bool().Draw(t, "spoilt") {
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			text = text[:at] + string(rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "junk")) + text[at:]
		}
		status, answer := patched(text)
		if status != 200 && status != 400 || !json.Valid([]byte(answer)) || !utf8.ValidString(answer) {
			t.Fatalf("%q: %d %s", text, status, answer)
		}
	})
}

func TestNoQueryPanicsAndEveryErrorIsJSON(t *testing.T) {
	part := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("&=%+;,-zF09\x00\xff .:T"))),
		rapid.SampledFrom([]string{"page", "page_size", "search", "ordering", "text", "seen", "num", "event", "created", "names", "user", "severity", "&", "=", "%", "%00"}))
	rapid.Check(t, func(t *rapid.T) {
		raw := strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), rapid.SampledFrom([]string{"", "=", "&"}).Draw(t, "glue"))
		q, err := parseQuery(raw)
		if err != nil {
			w := httptest.NewRecorder()
			Fail(w, httptest.NewRequest(http.MethodGet, "/", nil), nil, err)
			if w.Code != 400 || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%q: %d %s", raw, w.Code, w.Body)
			}
			return
		}
		if offset, limit, err := q.Window(math.MaxInt64); err == nil && (offset < 0 || limit < 1 || limit > 1000) {
			t.Fatalf("%q: window %d %d", raw, offset, limit)
		}
		for _, term := range q.Search {
			if !utf8.ValidString(term) || strings.ContainsAny(term, "\x00 ,") {
				t.Fatalf("%q: term %q", raw, term)
			}
		}
	})
}

func TestTimesComeBackAsTheyWere(t *testing.T) {
	const first, last = -62135596800000000, 253402300799999999
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.Int64Range(first, last).Draw(t, "micros")
		got, wrong := parseTime(FormatTime(micros))
		if got != micros || wrong != "" {
			t.Fatalf("%d became %s became %d %s", micros, FormatTime(micros), got, wrong)
		}
	})
	for micros, want := range map[int64]string{0: "1970-01-01T00:00:00Z", -1: "1969-12-31T23:59:59.999999Z", first: "0001-01-01T00:00:00Z",
		last: "9999-12-31T23:59:59.999999Z", 1717243200123456: "2024-06-01T12:00:00.123456Z", 1717243200100000: "2024-06-01T12:00:00.100000Z"} {
		if got := FormatTime(micros); got != want {
			t.Errorf("%d: %s, want %s", micros, got, want)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"text":"login","long":"authentik.core","any":{"auth_method":"password","http_request":{"path":"/api/v3/flows/","method":"GET","args":{"query":"next=%2F"}},"n":[1,2,3.5]},"object":{"pk":1,"email":"a@example.org","username":"akadmin"},"ip":"192.0.2.1"}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := things.Decode(body, Partial).Err(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	m := thing{pk: "7f1f2b66-9b5e-4b1c-8c86-3f3a4de2c001", text: "login", at: 1717243200123456, any: `{"a":1}`}
	buffer := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		things.Append(buffer, &m)
	}
}
