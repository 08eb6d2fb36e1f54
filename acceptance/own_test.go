package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// ownFile is Belfry's description of itself as its tests hold it; TestSchemaIsServedAsItIsTested compares it with what is served.
var ownFile = filepath.Join("..", "testdata", "schema.yaml")

// loadOwn makes a judge out of Belfry's description of itself, as it is: nothing in it is amended.
func loadOwn() (*official, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(ownFile)
	if err != nil {
		return nil, fmt.Errorf("read Belfry's own description: %w", err)
	}
	judge, err := judgeBy(doc)
	if err != nil {
		return nil, fmt.Errorf("Belfry's own description: %w", err)
	}
	return judge, nil
}

// TestSchemaIsServedAsItIsTested wants both forms of the description to be valid and the same.
func TestSchemaIsServedAsItIsTested(t *testing.T) {
	t.Parallel()
	s := start(t)
	golden, err := os.ReadFile(ownFile)
	if err != nil {
		t.Fatal(err)
	}
	yaml, kind := fetch(t, s.url+"/api/v3/schema/")
	if kind != "application/vnd.oai.openapi; charset=utf-8" || !bytes.Equal(yaml, golden) {
		t.Errorf("the schema is served as %s and differs from testdata/schema.yaml: %t", kind, !bytes.Equal(yaml, golden))
	}
	asJSON, kind := fetch(t, s.url+"/api/v3/schema/?format=json")
	if kind != "application/vnd.oai.openapi+json" {
		t.Errorf("JSON is served as %s", kind)
	}
	fromYAML, fromJSON := parsed(t, yaml), parsed(t, asJSON)
	same(t, fromJSON, fromYAML)
	if strings.Contains(fromJSON, `"paths":{}`) {
		t.Error("there are no paths")
	}
}

// parsed reads a description in either form, wants it valid and writes it as JSON.
func parsed(t *testing.T, text []byte) string {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Error(err)
	}
	return encode(t, doc)
}

// fetch gets what no judge knows: a body that is no JSON.
func fetch(t *testing.T, url string) (body []byte, contentType string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	var read bytes.Buffer
	if _, err := read.ReadFrom(got.Body); err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %s", url, got.StatusCode, read.Bytes())
	}
	return read.Bytes(), got.Header.Get("Content-Type")
}

// TestOwnDescriptionRefusesWrongAnswers proves that Belfry's own description fails a run too.
func TestOwnDescriptionRefusesWrongAnswers(t *testing.T) {
	const path = "/api/v3/events/notifications/0190a0b0-0000-7000-8000-000000000000/"
	for _, test := range []struct {
		old, changed string
		wrong        bool
	}{
		{`"seen":false`, `"seen":false,"hyperlink":null,"hyperlink_label":null`, false},
		{`"seen":false`, `"seen":false`, true},
		{`"seen":false`, `"seen":0,"hyperlink":null,"hyperlink_label":null`, true},
		{`"severity":"alert"`, `"hyperlink":null,"hyperlink_label":null,"severity":"loud"`, true},
		{goodEvent, `null,"hyperlink":null,"hyperlink_label":null`, false},
	} {
		body := strings.Replace(goodNotification, test.old, test.changed, 1)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		route, err := run.judge.ownRoute(r)
		if err != nil || route == nil {
			t.Fatalf("no route: %v", err)
		}
		answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}}
		if err := run.judge.own.judgeAnswer(route, answer, []byte(body)); (err != nil) != test.wrong {
			t.Errorf("%s: judged %v, want it refused: %t", test.changed, err, test.wrong)
		}
	}
}
