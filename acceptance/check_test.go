package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"

	api "goauthentik.io/api/v3"
)

// ok executes a call of the official client that must succeed with a status, and returns its result.
func ok[T any](t *testing.T, status int, execute func() (T, *http.Response, error)) T {
	t.Helper()
	value, answer, err := execute()
	requireStatus(t, status, answer, err)
	return value
}

// done executes a call of the official client that answers nothing.
func done(t *testing.T, status int, execute func() (*http.Response, error)) {
	t.Helper()
	answer, err := execute()
	requireStatus(t, status, answer, err)
}

func requireStatus(t *testing.T, status int, answer *http.Response, err error) {
	t.Helper()
	if err != nil {
		var refusal *api.GenericOpenAPIError
		if errors.As(err, &refusal) {
			t.Fatalf("want %d, got %v: %s", status, err, refusal.Body())
		}
		t.Fatal(err)
	}
	if answer.StatusCode != status {
		t.Fatalf("status %d, want %d", answer.StatusCode, status)
	}
}

// no executes a call of the official client that must be refused with a status and a body.
// An empty body stands for any.
func no[T any](t *testing.T, status int, body string, execute func() (T, *http.Response, error)) {
	t.Helper()
	_, answer, err := execute()
	requireRefusal(t, status, body, answer, err)
}

// never is no for calls that answer nothing.
func never(t *testing.T, status int, body string, execute func() (*http.Response, error)) {
	t.Helper()
	answer, err := execute()
	requireRefusal(t, status, body, answer, err)
}

func requireRefusal(t *testing.T, status int, body string, answer *http.Response, err error) {
	t.Helper()
	var refusal *api.GenericOpenAPIError
	if !errors.As(err, &refusal) {
		t.Fatalf("not refused with %d: %v", status, err)
	}
	if answer.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", answer.StatusCode, status, refusal.Body())
	}
	if body != "" {
		same(t, jsonOf(t, refusal.Body()), jsonOf(t, []byte(body)))
	}
}

// want fails unless a raw answer has the status.
func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// is fails unless a raw answer has the status and, as JSON, the body.
func (a answer) is(t *testing.T, status int, body string) {
	t.Helper()
	a.want(t, status)
	same(t, jsonOf(t, a.body), jsonOf(t, []byte(body)))
}

// object reads a raw answer as a JSON object.
func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	value, err := decode[map[string]any](a.body)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// text reads a text out of a JSON object.
func text(t *testing.T, object map[string]any, key string) string {
	t.Helper()
	value, isText := object[key].(string)
	if !isText {
		t.Fatalf("%s is %v, not a text", key, object[key])
	}
	return value
}

// holds fails unless an object has all these members with these values.
func holds(t *testing.T, object map[string]any, members map[string]any) {
	t.Helper()
	for key, value := range members {
		got, present := object[key]
		if !present {
			t.Errorf("no member %q", key)
		} else if plain := jsonOf(t, []byte(encode(t, value))); !reflect.DeepEqual(got, plain) {
			t.Errorf("%s is %v, want %v", key, got, plain)
		}
	}
}

// same fails unless two values are deeply equal.
func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %s\nwant %s", encode(t, got), encode(t, want))
	}
}

// keys maps a list to the keys of its members.
func keys[T any, K comparable](list []T, key func(T) K) []K {
	found := make([]K, 0, len(list))
	for _, member := range list {
		found = append(found, key(member))
	}
	return found
}

// has fails unless a list holds a member.
func has[K comparable](t *testing.T, list []K, member K) {
	t.Helper()
	if !slices.Contains(list, member) {
		t.Fatalf("%v is not among %v", member, list)
	}
}

func encode(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func decode[T any](body []byte) (value T, err error) {
	if err = json.Unmarshal(body, &value); err != nil {
		err = fmt.Errorf("not the JSON expected: %w: %s", err, body)
	}
	return value, err
}

func jsonOf(t *testing.T, body []byte) any {
	t.Helper()
	value, err := decode[any](body)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
