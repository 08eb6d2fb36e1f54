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
	status, answer := patched(`{"number":"` + strings.Repeat("1", 1001) + `"}`)
	if status != 400 || answer != `{"number":["String value too large."]}` {
		t.Errorf("%d %s", status, answer)
	}
}
