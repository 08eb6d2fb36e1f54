package drf

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// minimal is a noun with two required fields.
type minimal struct{ name, event, note string }

type minimalPatch struct {
	name, event, note Field[string]
	part              Field[partPatch]
}

var minimals = NewSerializer("Minimal",
	Text("name", func(m *minimal) string { return m.name }, func(p *minimalPatch) *Field[string] { return &p.name }, Required()),
	Text("fixed", func(m *minimal) string { return "f" }, (func(*minimalPatch) *Field[string])(nil)),
	Text("event", func(m *minimal) string { return m.event }, func(p *minimalPatch) *Field[string] { return &p.event }, Required(), Alias("later_event", "2025.6")),
	Text("note", func(m *minimal) string { return m.note }, func(p *minimalPatch) *Field[string] { return &p.note }),
	Nested("part", parts, func(m *minimal) *part { return nil }, func(p *minimalPatch) *Field[partPatch] { return &p.part }),
)

// serve answers as a handler does that reads a Minimal and answers it.
func serve(mode Mode) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := minimals.Read(w, r, mode)
		if err := in.Err(); err != nil {
			Fail(w, r, nil, err)
			return
		}
		m := minimal{name: "kept", event: "kept", note: "kept"}
		in.Patch.name.Apply(&m.name)
		in.Patch.event.Apply(&m.event)
		in.Patch.note.Apply(&m.note)
		_ = minimals.Write(w, r, http.StatusOK, &m)
	})
}

// TestBodies sends bodies over HTTP and compares the whole answer.
func TestBodies(t *testing.T) {
	const (
		plain    = "application/json"
		required = `{"name":["This field is required."],"event":["This field is required."]}`
		kept     = `{"name":"kept","fixed":"f","event":"kept","later_event":"kept","note":"kept","part":null}`
	)
	deep := func(n int) string {
		return `{"name":"n","event":"e","x":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`
	}
	ok := `{"name":"n","fixed":"f","event":"e","later_event":"e","note":"kept","part":null}`
	syntax := func(words string) string { return `{"detail":"JSON parse error - ` + words + `"}` }
	tests := []struct {
		promise, contentType, body string
		mode                       Mode
		status                     int
		want                       string
	}{
		{"all required fields are named", plain, `{}`, Create, 400, required},
		{"an empty body counts as {}", plain, ``, Create, 400, required},
		{"an empty body may have no type", "", ``, Partial, 200, kept},
		{"an empty body may have any type", "text/plain", ``, Partial, 200, kept},
		{"PATCH requires nothing", plain, `{}`, Partial, 200, kept},
		{"PUT keeps optional fields that are missing", plain, `{"name":"n","event":"e"}`, Create, 200, ok},
		{"unknown keys are ignored", plain, `{"name":"n","event":"e","zzz":{"a":["\u0000"]}}`, Create, 200, ok},
		{"read-only keys are ignored", plain, `{"name":"n","event":"e","fixed":[]}`, Create, 200, ok},
		{"keys are case-sensitive", plain, `{"Name":"x","name":"n","event":"e","NAME":"y"}`, Create, 200, ok},
		{"keys are compared decoded", plain, `{"n\u0061me":"n","event":"e"}`, Create, 200, ok},
		{"a later name is accepted", plain, `{"name":"n","later_event":"e"}`, Create, 200, ok},
		{"the later name counts", plain, `{"name":"n","event":"old","later_event":"e"}`, Create, 200, ok},
		{"the later name counts in any order", plain, `{"name":"n","later_event":"e","event":"old"}`, Create, 200, ok},
		{"an error stands under the later name when that was sent", plain, `{"later_event":[],"name":"n","event":"fine"}`, Create, 400, `{"later_event":["Not a valid string."]}`},
		{"errors come in serializer order", plain, `{"note":[],"part":1,"event":[],"name":[]}`, Create, 400,
			`{"name":["Not a valid string."],"event":["Not a valid string."],"note":["Not a valid string."],"part":{"non_field_errors":["Invalid data. Expected a dictionary, but got int."]}}`},
		{"a nested object inherits PUT", plain, `{"name":"n","event":"e","part":{}}`, Create, 400, `{"part":{"name":["This field is required."]}}`},
		{"a nested object inherits PATCH", plain, `{"part":{}}`, Partial, 200, kept},
		{"null", plain, `null`, Create, 400, `{"non_field_errors":["No data provided"]}`},
		{"list", plain, `[{}]`, Create, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`},
		{"string", plain, ` "x" `, Partial, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}`},
		{"integer", plain, `1`, Create, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got int."]}`},
		{"float", plain, `1.0`, Create, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got float."]}`},
		{"boolean", plain, `true`, Create, 400, `{"non_field_errors":["Invalid data. Expected a dictionary, but got bool."]}`},

		{"charset UTF-8 is accepted", `application/json; charset="UTF-8"`, `{}`, Partial, 200, kept},
		{"other parameters are accepted", "Application/JSON; indent=4", `{}`, Partial, 200, kept},
		{"another charset is refused", "application/json; charset=latin-1", `{}`, Partial, 415, `{"detail":"Unsupported media type \"application/json; charset=latin-1\" in request."}`},
		{"a form is refused", "application/x-www-form-urlencoded", `a=b`, Create, 415, `{"detail":"Unsupported media type \"application/x-www-form-urlencoded\" in request."}`},
		{"multipart is refused with the full header", "multipart/form-data; boundary=x", `--x`, Create, 415, `{"detail":"Unsupported media type \"multipart/form-data; boundary=x\" in request."}`},
		{"no type is refused", "", `{}`, Create, 415, `{"detail":"Unsupported media type \"\" in request."}`},
		{"a type that is none is refused", ";", `{}`, Create, 415, `{"detail":"Unsupported media type \";\" in request."}`},

		{"the largest body", plain, `{"zzz":"` + strings.Repeat("x", maxBody-10) + `"}`, Partial, 200, kept},
		{"one byte more", plain, `{"zzz":"` + strings.Repeat("x", maxBody-9) + `"}`, Partial, 413, `{"detail":"Request body too large: at most 1048576 bytes."}`},

		{"ends in the middle", plain, `{"a":`, Create, 400, syntax("unexpected end of data: line 1 column 6 (char 5)")},
		{"ends in a string", plain, `{"a`, Create, 400, syntax("unexpected end of data: line 1 column 4 (char 3)")},
		{"only white space", plain, "  ", Create, 400, syntax("unexpected end of data: line 1 column 3 (char 2)")},
		{"no JSON", plain, `x`, Create, 400, syntax("unexpected character: line 1 column 1 (char 0)")},
		{"characters are counted, not bytes", plain, "{\"ä😀\":\n \"é\" x", Create, 400, syntax("unexpected character: line 2 column 6 (char 12)")},
		{"trailing comma", plain, `{"a":1,}`, Create, 400, syntax("unexpected character: line 1 column 7 (char 6)")},
		{"key without quotes", plain, `{a:1}`, Create, 400, syntax("unexpected character: line 1 column 2 (char 1)")},
		{"key that is a number", plain, `{1:1}`, Create, 400, syntax("unexpected character: line 1 column 2 (char 1)")},
		{"no colon", plain, `{"a" 1}`, Create, 400, syntax("unexpected character: line 1 column 6 (char 5)")},
		{"wrong bracket", plain, `{"a":[1}`, Create, 400, syntax("unexpected character: line 1 column 8 (char 7)")},
		{"NaN", plain, `{"a":NaN}`, Create, 400, syntax("unexpected character: line 1 column 6 (char 5)")},
		{"leading zero", plain, `{"a":01}`, Create, 400, syntax("unexpected character: line 1 column 7 (char 6)")},
		{"control character in a string", plain, "{\"a\":\"\x01\"}", Create, 400, syntax("unexpected character: line 1 column 7 (char 6)")},
		{"byte order mark", plain, "\ufeff{}", Create, 400, syntax("unexpected character: line 1 column 1 (char 0)")},
		{"bad escape", plain, `{"a":"\x41"}`, Create, 400, syntax("invalid escape sequence: line 1 column 7 (char 6)")},
		{"lone high surrogate", plain, `{"a":"\ud800"}`, Create, 400, syntax("invalid escape sequence: line 1 column 7 (char 6)")},
		{"lone low surrogate", plain, `{"a":"x\udc00"}`, Create, 400, syntax("invalid escape sequence: line 1 column 8 (char 7)")},
		{"surrogates the wrong way round", plain, `{"a":"\udc00\ud800"}`, Create, 400, syntax("invalid escape sequence: line 1 column 7 (char 6)")},
		{"high surrogate and a letter", plain, `{"a":"\ud800\u0041"}`, Create, 400, syntax("invalid escape sequence: line 1 column 7 (char 6)")},
		{"trailing data", plain, `{} {}`, Create, 400, syntax("unexpected content after the document: line 1 column 4 (char 3)")},
		{"repeated key", plain, `{"a":1,"a":2}`, Create, 400, syntax("repeated key: line 1 column 8 (char 7)")},
		{"repeated key in other spelling, deep inside", plain, `{"x":[{"a":1,"\u0061":2}]}`, Create, 400, syntax("repeated key: line 1 column 14 (char 13)")},
		{"invalid UTF-8", plain, "{\"a\":\"é\xff\"}", Create, 400, syntax("invalid UTF-8: line 1 column 8 (char 7)")},
		{"UTF-8 surrogate", plain, "{\"a\":\"\xed\xa0\x80\"}", Create, 400, syntax("invalid UTF-8: line 1 column 7 (char 6)")},
		{"number beyond float64", plain, `{"a":[1, -1e309]}`, Create, 400, syntax("number out of range: line 1 column 10 (char 9)")},
		{"number beyond float64, alone", plain, `1E999`, Create, 400, syntax("number out of range: line 1 column 1 (char 0)")},
		{"number below float64 is accepted", plain, `{"a":1e-999}`, Partial, 200, kept},
		{"number of 100 characters", plain, `{"a":` + strings.Repeat("1", 100) + `}`, Partial, 200, kept},
		{"number of 101 characters", plain, `{"a":` + strings.Repeat("1", 101) + `}`, Partial, 400, syntax("number longer than 100 characters: line 1 column 6 (char 5)")},
		{"64 levels", plain, deep(64), Create, 200, ok},
		{"65 levels", plain, deep(65), Create, 400, syntax("nesting deeper than 64: line 1 column 92 (char 91)")},
		{"very many levels", plain, strings.Repeat("[", 500_000), Create, 400, syntax("nesting deeper than 64: line 1 column 65 (char 64)")},
		{"very many levels of objects", plain, strings.Repeat(`{"a":`, 200_000), Create, 400, syntax("nesting deeper than 64: line 1 column 321 (char 320)")},
	}
	for _, test := range tests {
		t.Run(test.promise, func(t *testing.T) {
			server := httptest.NewServer(serve(test.mode))
			defer server.Close()
			r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if test.contentType != "" {
				r.Header.Set("Content-Type", test.contentType)
			}
			answer, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != test.status || string(body) != test.want {
				t.Errorf("%d %s\nwant %d %s", answer.StatusCode, body, test.status, test.want)
			}
			if got := answer.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
			if got := answer.ContentLength; got != int64(len(body)) {
				t.Errorf("Content-Length %d of %d bytes", got, len(body))
			}
		})
	}
}

func TestABodyThatEndsEarlyIsRefused(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader(`{"a":1}`), brokenReader{}))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	serve(Partial).ServeHTTP(w, r)
	if w.Code != 400 || w.Body.String() != `{"detail":"The request body could not be read to its end."}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAStoreThatRunsTwiceGetsFreshErrorsEachTime(t *testing.T) {
	in := minimals.Decode([]byte(`{"part":{"name":""},"later_event":"e"}`), Create)
	for range 2 {
		errs := in.Errors()
		errs.Add("event", InvalidPK("7"))
		errs.Add("name", "Another.")
		errs.Add("part", "On the whole.")
		nested := NewErrors()
		nested.Add("name", "Also this.")
		errs.Nest("part", nested)
		errs.Add("", "Everything.")
		want := `400 {"name":["This field is required.","Another."],"later_event":["Invalid pk \"7\" - object does not exist."],` +
			`"part":{"name":["This field may not be blank.","Also this."],"non_field_errors":["On the whole."]},"non_field_errors":["Everything."]}`
		if diff := cmp.Diff(want, errs.Err().Error()); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff(`400 {"name":["This field is required."],"part":{"name":["This field may not be blank."]}}`, in.Err().Error()); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsKnowWhatTheyHave(t *testing.T) {
	var errs Errors
	if errs.Any() || errs.Err() != nil || errs.Has("a") {
		t.Error("the zero value has errors")
	}
	errs.Nest("a", NewErrors())
	if errs.Any() {
		t.Error("nesting nothing is an error")
	}
	errs.Add("a", "message")
	nested := NewErrors()
	nested.Add("b", "inner")
	errs.Nest("a", nested)
	if !errs.Any() || !errs.Has("a") || errs.Has("b") {
		t.Error("wrong about what it has")
	}
	if got, want := errs.Err().Error(), `400 {"a":{"b":["inner"],"non_field_errors":["message"]}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var none Input[partPatch]
	if none.Err() != nil {
		t.Error("an empty input has errors")
	}
}

func TestHasFollowsTheLaterName(t *testing.T) {
	errs := minimals.Decode([]byte(`{"later_event":[]}`), Partial).Errors()
	if !errs.Has("event") || errs.Has("name") {
		t.Error("Has does not know under which name the field was sent")
	}
}

func TestAKeyIsSetEvenWhenItsValueIsRefused(t *testing.T) {
	in := minimals.Decode([]byte(`{"part":"x","name":null}`), Partial)
	if !in.Patch.part.Set || !in.Patch.name.Set || in.Patch.note.Set || in.Patch.name.Null {
		t.Errorf("%+v", in.Patch)
	}
}

func TestASerializerThatContradictsItselfPanics(t *testing.T) {
	get := func(m *minimal) string { return m.name }
	in := func(p *minimalPatch) *Field[string] { return &p.name }
	for promise, fields := range map[string][]Def[minimal, minimalPatch]{
		"no name":               {Text("", get, in)},
		"neither read":          {Text[minimal, minimalPatch]("a", nil, nil)},
		"required but not read": {Text[minimal, minimalPatch]("a", get, nil, Required())},
		"one name twice":        {Text("a", get, in), Text("a", get, in)},
		"alias is a name":       {Text("a", get, in), Text("b", get, in, Alias("a", "2025.6"))},
	} {
		t.Run(promise, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			NewSerializer("X", fields...)
		})
	}
}
