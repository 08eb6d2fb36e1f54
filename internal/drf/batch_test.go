package drf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// readAll reads a batch to its end, and writes what came of it: a line for each element, with its name or what is wrong with
// it, and one for the error that ended it.
func readAll(body io.Reader, contentType string, length int64) string {
	r := httptest.NewRequest("POST", "/", body)
	r.ContentLength = length
	r.Header.Set("Content-Type", contentType)
	var out strings.Builder
	end := func(err error) string {
		answer, ok := errors.AsType[*Error](err)
		if !ok {
			return out.String() + err.Error()
		}
		return out.String() + fmt.Sprintf("%d %s", answer.Status, answer.Body)
	}
	b, err := ReadBatch(httptest.NewRecorder(), r)
	if err != nil {
		return end(err)
	}
	for {
		if err := b.Next(); err == io.EOF {
			return out.String()
		} else if err != nil {
			return end(err)
		}
		in, err := parts.DecodeElement(b, Create)
		if err != nil {
			return end(err)
		}
		if err := in.Err(); err != nil {
			fmt.Fprintf(&out, "%d refused %s\n", b.Number, err.(*Error).Body)
			continue
		}
		fmt.Fprintf(&out, "%d %s\n", b.Number, in.Patch.name.Value)
	}
}

const lines = "application/x-ndjson"

// TestBatches reads bodies as a whole and a byte at a time, and wants the same of both.
func TestBatches(t *testing.T) {
	const array = "application/json"
	required := `{"name":["This field is required."]}`
	large := func(n int) string { return `{"name":"large","x":"` + strings.Repeat("x", n-23) + `"}` }
	for _, test := range []struct{ promise, contentType, body, want string }{
		{"lines", lines, "{\"name\":\"a\"}\n{\"name\":\"b\"}\n", "1 a\n2 b\n"},
		{"the last line needs no end", lines, "{\"name\":\"a\"}\n{\"name\":\"b\"}", "1 a\n2 b\n"},
		{"lines that end as in Windows", lines, "{\"name\":\"a\"}\r\n{\"name\":\"b\"}\r\n", "1 a\n2 b\n"},
		{"blank lines count and are nothing", lines, "\n \t\r\n{\"name\":\"a\"}\n\n\n{\"name\":\"b\"}\n\n", "3 a\n6 b\n"},
		{"nothing but blank lines", lines, "\n\n \n", ""},
		{"a line that is wrong holds up no other", lines, "{}\n{\"name\":\"b\"}\n", "1 refused " + required + "\n2 b\n"},
		{"a line that is no JSON holds up no other", lines, "{\"name\":\"a\"}\n  {\"name\" 1}\nx\n{\"name\":\"b\"}\n",
			"1 a\n2 refused {\"detail\":\"JSON parse error - unexpected character: line 1 column 11 (char 10)\"}\n" +
				"3 refused {\"detail\":\"JSON parse error - unexpected character: line 1 column 1 (char 0)\"}\n4 b\n"},
		{"two texts on a line", lines, "{\"name\":\"a\"} {\"name\":\"b\"}\n",
			"1 refused {\"detail\":\"JSON parse error - unexpected content after the document: line 1 column 14 (char 13)\"}\n"},
		{"a text on two lines", lines, "{\"name\":\n\"a\"}\n", "1 refused {\"detail\":\"JSON parse error - unexpected end of data: line 1 column 9 (char 8)\"}\n" +
			"2 refused {\"detail\":\"JSON parse error - unexpected content after the document: line 1 column 4 (char 3)\"}\n"},
		{"a line that is no object", lines, "[]\nnull\n", "1 refused {\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got list.\"]}\n" +
			"2 refused {\"non_field_errors\":[\"No data provided\"]}\n"},
		{"a line that is no UTF-8", lines, "{\"name\":\"\xff\"}\n", "1 refused {\"detail\":\"JSON parse error - invalid UTF-8: line 1 column 10 (char 9)\"}\n"},
		{"the longest line", lines, large(maxBody) + "\n{\"name\":\"b\"}\n", "1 large\n2 b\n"},
		{"a line that is too long holds up no other", lines, large(maxBody+1) + "\n{\"name\":\"b\"}", "1 refused {\"detail\":\"Request body too large: at most 1048576 bytes.\"}\n2 b\n"},
		{"the last line is too long", lines, strings.Repeat("x", 3*maxBody), "1 refused {\"detail\":\"Request body too large: at most 1048576 bytes.\"}\n"},

		{"an array", array, `[{"name":"a"},{"name":"b"}]`, "1 a\n2 b\n"},
		{"an array with white space", array, " \n[ {\"name\" : \"a\"}\t,\r\n{\"name\":\"b\"} ] \n", "1 a\n2 b\n"},
		{"an empty array", array, ` [ ] `, ""},
		{"brackets, quotes and commas in texts", array, `[{"name":"],}\""},{"name":"[{\\","x":[[{}],{"y":[]}]}]`, "1 ],}\"\n2 [{\\\n"},
		{"elements that are no objects", array, `["a,]",1,null,[[]],true]`, "1 refused {\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got str.\"]}\n" +
			"2 refused {\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got int.\"]}\n3 refused {\"non_field_errors\":[\"No data provided\"]}\n" +
			"4 refused {\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got list.\"]}\n5 refused {\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got bool.\"]}\n"},
		{"an element that is wrong holds up no other", array, `[{},{"name":"b"}]`, "1 refused " + required + "\n2 b\n"},
		{"an element that is too large holds up no other", array, "[" + large(maxBody+1) + `,{"name":"b"}]`, "1 refused {\"detail\":\"Request body too large: at most 1048576 bytes.\"}\n2 b\n"},
		{"the largest element", array, "[" + large(maxBody) + `,{"name":"b"}]`, "1 large\n2 b\n"},
		{"an element that is no JSON ends it", array, "[{\"name\":\"é\"},\n {\"name\" 1},{\"name\":\"c\"}]", "1 é\n400 {\"detail\":\"JSON parse error - unexpected character: line 2 column 10 (char 24)\"}"},
		{"an element that is no UTF-8 ends it", array, "[{\"name\":\"a\"},{\"name\":\"\xff\"}]", "1 a\n400 {\"detail\":\"JSON parse error - invalid UTF-8: line 1 column 24 (char 23)\"}"},
		{"a repeated key ends it", array, `[{"name":"a"},{"name":"b","name":"c"}]`, "1 a\n400 {\"detail\":\"JSON parse error - repeated key: line 1 column 27 (char 26)\"}"},
		{"a comma too many", array, `[{"name":"a"},]`, "1 a\n400 {\"detail\":\"JSON parse error - unexpected character: line 1 column 15 (char 14)\"}"},
		{"a comma at the beginning", array, `[,{"name":"a"}]`, "400 {\"detail\":\"JSON parse error - unexpected character: line 1 column 2 (char 1)\"}"},
		{"no comma", array, `[{"name":"a"}{"name":"b"}]`, "1 a\n400 {\"detail\":\"JSON parse error - unexpected character: line 1 column 14 (char 13)\"}"},
		{"no end", array, `[{"name":"a"}`, "1 a\n400 {\"detail\":\"JSON parse error - unexpected end of data: line 1 column 14 (char 13)\"}"},
		{"no end after a comma", array, `[{"name":"a"}, `, "1 a\n400 {\"detail\":\"JSON parse error - unexpected end of data: line 1 column 16 (char 15)\"}"},
		{"no end of an element", array, `[{"name":"a"},{"name":"b`, "1 a\n400 {\"detail\":\"JSON parse error - unexpected end of data: line 1 column 25 (char 24)\"}"},
		{"no end of a number", array, `[1`, "1 refused {\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got int.\"]}\n400 {\"detail\":\"JSON parse error - unexpected end of data: line 1 column 3 (char 2)\"}"},
		{"only a bracket", array, `[`, "400 {\"detail\":\"JSON parse error - unexpected end of data: line 1 column 2 (char 1)\"}"},
		{"the wrong bracket", array, `[}`, "400 {\"detail\":\"JSON parse error - unexpected character: line 1 column 2 (char 1)\"}"},
		{"something behind it", array, "[{\"name\":\"a\"}]\n]", "1 a\n400 {\"detail\":\"JSON parse error - unexpected content after the document: line 2 column 1 (char 15)\"}"},
		{"an object alone", array, ` {"name":"a"}`, "400 {\"non_field_errors\":[\"Expected a list of items but got type \\\"dict\\\".\"]}"},
		{"null alone", array, `null`, "400 {\"non_field_errors\":[\"Expected a list of items but got type \\\"NoneType\\\".\"]}"},
		{"no JSON at all", array, "\n x", "400 {\"detail\":\"JSON parse error - unexpected character: line 2 column 2 (char 2)\"}"},
		{"white space alone", array, "  ", "400 {\"detail\":\"JSON parse error - unexpected end of data: line 1 column 3 (char 2)\"}"},
		{"something large that is no array", array, `"` + strings.Repeat("x", maxBody) + `"`, "413 {\"detail\":\"Request body too large: at most 1048576 bytes.\"}"},

		{"nothing", lines, "", ""}, {"nothing, as an array", array, "", ""}, {"nothing, as anything", "text/plain", "", ""},
		{"another name for lines", "application/jsonl", `{"name":"a"}`, "1 a\n"},
		{"one more name for lines", "application/ndjson; charset=UTF-8", `{"name":"a"}`, "1 a\n"},
		{"an array with a charset", "application/json;charset=utf8", `[{"name":"a"}]`, "1 a\n"},
		{"lines in another charset", "application/x-ndjson; charset=latin-1", `{}`, "415 {\"detail\":\"Unsupported media type \\\"application/x-ndjson; charset=latin-1\\\" in request.\"}"},
		{"a form", "application/x-www-form-urlencoded", `a=b`, "415 {\"detail\":\"Unsupported media type \\\"application/x-www-form-urlencoded\\\" in request.\"}"},
		{"no type", "", `{}`, "415 {\"detail\":\"Unsupported media type \\\"\\\" in request.\"}"},
	} {
		t.Run(test.promise, func(t *testing.T) {
			for name, in := range map[string]io.Reader{
				"whole": strings.NewReader(test.body), "half": iotest.HalfReader(strings.NewReader(test.body)), "with its end": iotest.DataErrReader(strings.NewReader(test.body)),
			} {
				if diff := cmp.Diff(test.want, readAll(in, test.contentType, -1)); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			if len(test.body) < 1000 {
				if diff := cmp.Diff(test.want, readAll(iotest.OneByteReader(strings.NewReader(test.body)), test.contentType, -1)); diff != "" {
					t.Errorf("a byte at a time: %s", diff)
				}
			}
		})
	}
}

// TestABodyThatBreaksOffHasNoLastLine tells the end of a body from the end of a connection: half a line may well be JSON.
func TestABodyThatBreaksOffHasNoLastLine(t *testing.T) {
	for contentType, body := range map[string]string{lines: "{\"name\":\"a\"}\n{\"name\":\"b\"}", "application/json": `[{"name":"a"},{"name":"b"`} {
		in := io.MultiReader(strings.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF))
		if diff := cmp.Diff("1 a\n400 {\"detail\":\"The request body could not be read to its end.\"}", readAll(in, contentType, -1)); diff != "" {
			t.Errorf("%s: %s", contentType, diff)
		}
	}
}

func TestABatchIsBounded(t *testing.T) {
	tooLarge := `413 {"detail":"Request body too large: at most 67108864 bytes."}`
	if got := readAll(strings.NewReader("{}"), lines, maxBatch+1); got != tooLarge {
		t.Errorf("a body that says that it is too large: %s", got)
	}
	line := `{"name":"a","x":"` + strings.Repeat("x", maxBody/2) + "\"}\n"
	whole := strings.Repeat(line, maxBatch/len(line)+1)
	got := readAll(strings.NewReader(whole), lines, -1)
	if want := strings.Count(whole[:maxBatch], "\n"); strings.Count(got, " a\n") != want || !strings.HasSuffix(got, tooLarge) {
		t.Errorf("a body that turns out to be too large has %d lines, not %d, and ends with %.200s", strings.Count(got, " a\n"), want, got[max(0, len(got)-200):])
	}
	for contentType, body := range map[string]string{lines: strings.Repeat("\n{\"name\":\"a\"}\n", maxElements+1), "application/json": `[{"name":"a"}` + strings.Repeat(`,{"name":"a"}`, maxElements) + `]`} {
		got := readAll(strings.NewReader(body), contentType, -1)
		if n := strings.Count(got, " a\n"); n != maxElements || !strings.HasSuffix(got, "\n413 {\"detail\":\"Too many elements in one body: at most 100000.\"}") {
			t.Errorf("%s: %d elements, and %.200s", contentType, n, got[len(got)-200:])
		}
	}
}

// TestALongLineIsNotKept lets a line of the whole body pass, and wants no more of it in memory than one body may have.
func TestALongLineIsNotKept(t *testing.T) {
	for contentType, opening := range map[string]string{lines: `"`, "application/json": `["`} {
		r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(opening), io.LimitReader(filler('x'), maxBatch-100), strings.NewReader("\"\n]")))
		r.Header.Set("Content-Type", contentType)
		b, err := ReadBatch(httptest.NewRecorder(), r)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Next(); err != nil || b.Text != nil {
			t.Errorf("%s: %v, %d bytes", contentType, err, len(b.Text))
		}
		if kept := cap(b.long); kept > 3*maxBody {
			t.Errorf("%s: %d bytes are kept", contentType, kept)
		}
	}
}

// filler is an endless body of one byte.
type filler byte

func (f filler) Read(to []byte) (int, error) {
	for i := range to {
		to[i] = byte(f)
	}
	return len(to), nil
}

// TestAnArrayIsReadAsTheWholeOfIt spoils arrays in any way. Where the whole body is an array, its elements are the same; where
// it is not, the batch ends with 400.
func TestAnArrayIsReadAsTheWholeOfIt(t *testing.T) {
	pieces := rapid.SampledFrom([]string{`{"name":"a"}`, `{"a":[1,{"b":"]"}]}`, `"x"`, `"\""`, `"\\"`, `1`, `-1.5e3`, `null`, `tru`, `[`, `]`, `{`, `}`, `,`, `,`, `,`, `"`, `\`, ` `, "\n", "é", "\xff", `:`})
	rapid.Check(t, func(rt *rapid.T) {
		body := []byte("[" + strings.Join(rapid.SliceOfN(pieces, 0, 12).Draw(rt, "pieces"), rapid.SampledFrom([]string{"", ",", ", "}).Draw(rt, "between")) + rapid.SampledFrom([]string{"]", "]", "]", "", "]]"}).Draw(rt, "end"))
		r := httptest.NewRequest("POST", "/", iotest.OneByteReader(bytes.NewReader(body)))
		r.Header.Set("Content-Type", "application/json")
		b, err := ReadBatch(httptest.NewRecorder(), r)
		if err != nil {
			rt.Fatal(err)
		}
		var got []string
		for err == nil {
			if err = b.Next(); err == nil {
				got = append(got, string(b.Text))
				_, err = parts.DecodeElement(b, Create)
			}
		}
		whole, _, syntax := parse(body)
		answer, _ := errors.AsType[*Error](err)
		switch {
		case syntax == nil && (err != io.EOF || len(got) != len(whole.items())):
			rt.Fatalf("%s: %q, %v", body, got, err)
		case syntax == nil:
			for i, item := range whole.items() {
				if got[i] != string(item) {
					rt.Fatalf("%s: element %d is %q, not %q", body, i, got[i], item)
				}
			}
		case answer == nil || answer.Status != http.StatusBadRequest || !bytes.HasPrefix(answer.Body, []byte(`{"detail":"JSON parse error - `)):
			rt.Fatalf("%s: %v is no answer to it", body, err)
		}
	})
}
