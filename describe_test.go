package main

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belfry/internal/openapi"
	"belfry/internal/sqldb"
)

// described is the description of a server without a database.
func described() (*server, openapi.Map) {
	s := newServer(new(sqldb.DB), slog.New(slog.NewTextHandler(io.Discard, nil)), outside{})
	return s, s.describe()
}

// at digs into a tree.
func at(t *testing.T, tree openapi.Map, keys ...string) any {
	t.Helper()
	var value any = tree
	for _, key := range keys {
		m, _ := value.(openapi.Map)
		value = nil
		for _, member := range m {
			if member.Key == key {
				value = member.Value
			}
		}
		if value == nil {
			t.Fatalf("the description has no %s of %q", key, keys)
		}
	}
	return value
}

// TestSchemaIsTheGoldenFile lets nobody change the description of the API unseen.
func TestSchemaIsTheGoldenFile(t *testing.T) {
	golden := filepath.Join("testdata", "schema.yaml")
	_, tree := described()
	if *update {
		if err := os.WriteFile(golden, tree.YAML(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(tree.YAML()), "\n")); diff != "" {
		t.Errorf("the description has changed; go test -run TestSchema -update writes it, then read it: %s", diff)
	}
}

func TestSchemaDescribesEveryVerbOfEveryRoute(t *testing.T) {
	s, tree := described()
	if _, unknown := operations(s.routes()); len(unknown) > 0 {
		t.Errorf("describe.go says nothing of %q", unknown)
	}
	ids := map[string]bool{}
	there := map[string]bool{}
	for _, rt := range s.routes() {
		for _, v := range rt.verbs {
			there[v.method+" "+rt.path] = true
			path := strings.TrimPrefix(rt.path, apiBase)
			id, _ := at(t, tree, "paths", path, strings.ToLower(v.method), "operationId").(string)
			if id == "" || ids[id] {
				t.Errorf("%s %s has the id %q, as another has", v.method, rt.path, id)
			}
			ids[id] = true
		}
	}
	for key := range special {
		if !there[key] {
			t.Errorf("describe.go describes %s, which no route has", key)
		}
	}
	for _, n := range nouns {
		if !there["GET "+n.list] {
			t.Errorf("describe.go describes %s, which no route has", n.list)
		}
	}
}

func TestSchemaNoticesAVerbThatNothingIsKnownOf(t *testing.T) {
	routes := []route{{"/api/v3/core/groups/{group_uuid}/x/", []verb{get(admin, nil)}}, {"/api/v3/x/", []verb{get(admin, nil)}},
		{"/api/v3/core/groups/", []verb{remove(admin, nil)}}, {"/api/v3/core/groups/{group_uuid}/", []verb{post(admin, nil)}}}
	if all, unknown := operations(routes); len(unknown) != len(routes) || len(all) > 0 {
		t.Errorf("unknown: %q", unknown)
	}
}

func TestSchemaIsAnsweredAsYAMLOrJSON(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const yaml, json = "application/vnd.oai.openapi; charset=utf-8", "application/vnd.oai.openapi+json"
		for _, test := range []struct {
			query, accept string
			status        int
			kind          string
		}{
			{"", "", 200, yaml},
			{"", "*/*", 200, yaml},
			{"", "application/vnd.oai.openapi", 200, yaml},
			{"", "application/yaml", 200, "application/yaml; charset=utf-8"},
			{"", "application/vnd.oai.openapi+json", 200, json},
			{"", "application/json", 200, "application/json"},
			{"?format=json", "", 200, json},
			{"?format=yaml", "*/*", 200, yaml},
			{"?format=xml", "", 404, "application/json"},
			{"", "text/html", 406, "application/json"},
		} {
			request, err := http.NewRequestWithContext(t.Context(), "GET", f.url+"/api/v3/schema/"+test.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+adminKey)
			if test.accept != "" {
				request.Header.Set("Accept", test.accept)
			}
			got := f.send(request)
			if kind := got.header.Get("Content-Type"); got.status != test.status || kind != test.kind {
				t.Errorf("%q, Accept %q: %d %s", test.query, test.accept, got.status, kind)
			}
			if begins := map[string]string{yaml: "openapi: ", json: `{"openapi":"3.0.3"`}[test.kind]; !strings.HasPrefix(got.text, begins) {
				t.Errorf("%q, Accept %q begins with %.40s", test.query, test.accept, got.text)
			}
		}
	})
}
