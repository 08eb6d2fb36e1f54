package drf

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// namedJSON draws JSON texts that often are objects with members of some names.
func namedJSON() *rapid.Generator[string] {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{`"pk"`, `"model"`, `""`, `"a\"b"`, `"pk\\"`, `"\u0070k "`, `"é"`}), 0, 5, rapid.ID[string])
	return rapid.OneOf(anyJSON(3), rapid.Custom(func(rt *rapid.T) string {
		var members []string
		for _, name := range names.Draw(rt, "names") {
			value := rapid.OneOf(anyJSON(2), rapid.SampledFrom([]string{`"a\\"`, `"\\\""`, `"\""`, `"{[,:]}"`, `{"pk":"inner"}`, `["pk",{"pk":1}]`}))
			members = append(members, name+":"+value.Draw(rt, "value"))
		}
		return "{" + strings.Join(members, rapid.SampledFrom([]string{",", " , "}).Draw(rt, "between")) + "}"
	}))
}

// TestStoredFormIsThatOfTheEncoder compares what is stored without a look by the encoder with what that would have made of it.
func TestStoredFormIsThatOfTheEncoder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := namedJSON().Draw(rt, "text")
		v, members, syntax := parse([]byte(text))
		if syntax != nil {
			rt.Fatalf("%s: %v", text, syntax)
		}
		want, err := jsontext.AppendFormat(nil, text)
		if got := v.stored(); err != nil || string(got) != string(want) {
			rt.Fatalf("%s is stored as %s, want %s: %v", text, got, want, err)
		}
		again := v.members()
		if len(again) != len(members) {
			rt.Fatalf("%s has %d members, or %d", text, len(members), len(again))
		}
		for i, m := range members {
			if string(m.name) != string(again[i].name) || string(m.value) != string(again[i].value) {
				rt.Fatalf("%s: member %d is %s:%s, or %s:%s", text, i, m.name, m.value, again[i].name, again[i].value)
			}
		}
	})
}

// TestPickFindsMembersAsADecoderDoes looks for members in stored forms.
func TestPickFindsMembersAsADecoderDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v, _, syntax := parse([]byte(namedJSON().Draw(rt, "text")))
		if syntax != nil {
			rt.Fatal(syntax)
		}
		stored := v.stored()
		var members map[string]json.RawMessage
		if stored[0] == '{' {
			if err := json.Unmarshal([]byte(stored), &members); err != nil {
				rt.Fatal(err)
			}
		}
		names := []string{"model", "pk", "", "é", "missing"}
		got := make([]JSON, len(names))
		stored.Pick(got, names...)
		for i, name := range names {
			if got[i] != JSON(members[name]) || stored.Member(name) != got[i] {
				rt.Fatalf("%s: %q is %s and %s, want %s", stored, name, got[i], stored.Member(name), members[name])
			}
		}
		var want string
		isText := stored[0] == '"' && json.Unmarshal([]byte(stored), &want) == nil
		if text, ok := stored.Text(); ok != isText || text != want {
			rt.Fatalf("the text of %s is %q, want %q", stored, text, want)
		}
	})
	var none JSON
	if _, ok := none.Text(); ok || none.Member("pk") != "" {
		t.Error("nothing has a member or a text")
	}
}

// TestFoldIsCharacterByCharacter compares it with its definition.
func TestFoldIsCharacterByCharacter(t *testing.T) {
	define := func(s string) string {
		return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
	}
	for r := range unicode.MaxRune + 1 {
		if s := "a" + string(r) + "Z"; Fold(s) != define(s) {
			t.Fatalf("%q is %q, want %q", s, Fold(s), define(s))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := string(rapid.SliceOf(rapid.SampledFrom([]byte("aZz\"k\xe2\x84\xaa\xff\xc3\x89"))).Draw(rt, "bytes"))
		if got := string(AppendFold([]byte("x"), s)); Fold(s) != define(s) || got != "x"+define(s) {
			rt.Fatalf("%q is %q and %q, want %q", s, Fold(s), got, define(s))
		}
	})
}
