package drf

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFields sends one value to one field and reads it back, or reads why it was refused. The table says
// for every kind of field what DRF does.
func TestFields(t *testing.T) {
	var cases []struct {
		Field, Why           string
		Send, Stored, Errors json.RawMessage
	}
	text, err := os.ReadFile("testdata/fields.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Field+"/"+c.Why, func(t *testing.T) {
			status, answer := patched(`{"` + c.Field + `":` + string(c.Send) + `}`)
			if c.Errors != nil {
				if status != 400 || !sameJSON(t, answer, `{"`+c.Field+`":`+string(c.Errors)+`}`) {
					t.Errorf("sent %s: %d %s, want 400 with %s", c.Send, status, answer, c.Errors)
				}
				return
			}
			if status != 200 {
				t.Fatalf("sent %s: %d %s", c.Send, status, answer)
			}
			if got := memberOf(t, answer, c.Field); got != string(c.Stored) {
				t.Errorf("sent %s: stored %s, want %s", c.Send, got, c.Stored)
			}
		})
	}
}

// sameJSON compares two texts as JSON values.
func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatalf("%v: %s %s", err, a, b)
	}
	return cmp.Equal(x, y)
}

func TestTextLongerThanAThousandCharactersIsNoInteger(t *testing.T) {
	for n, want := range map[int]string{
		1000: `{"number":["Ensure this value is less than or equal to 2147483647."]}`,
		1001: `{"number":["String value too large."]}`,
	} {
		if status, answer := patched(`{"number":"` + strings.Repeat("1", n) + `"}`); status != 400 || answer != want {
			t.Errorf("%d characters: %d %s", n, status, answer)
		}
	}
}

func TestListsHaveBounds(t *testing.T) {
	list := func(item string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	for _, field := range []string{"owners", "words"} {
		if status, answer := patched(`{"` + field + `":` + list("1", 30_000) + `}`); status != 200 {
			t.Errorf("%s: %.100s", field, answer)
		}
		want := `{"` + field + `":["Ensure this field has no more than 30000 elements."]}`
		if status, answer := patched(`{"` + field + `":` + list("1", 30_001) + `}`); status != 400 || answer != want {
			t.Errorf("%s: %d %.100s", field, status, answer)
		}
	}
	_, answer := patched(`{"words":` + list(`""`, 30_000) + `}`)
	if got := strings.Count(answer, MsgBlank); got != 100 {
		t.Errorf("%d members are complained of", got)
	}
}

// TestEverySpellingOfABoolean compares with DRF's own sets.
func TestEverySpellingOfABoolean(t *testing.T) {
	for want, texts := range map[string]string{
		"true":  "t T y Y yes Yes YES true True TRUE on On ON 1",
		"false": "f F n N no No NO false False FALSE off Off OFF 0",
	} {
		for text := range strings.FieldsSeq(texts) {
			if _, answer := patched(`{"flag":"` + text + `"}`); memberOf(t, answer, "flag") != want {
				t.Errorf("%s: %s", text, answer)
			}
		}
	}
}
