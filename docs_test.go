package main

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestDeviationsNameTestsThatExist keeps docs/deviations.md honest.
func TestDeviationsNameTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("docs/deviations.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := declaredTests(t)
	named := regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 20 {
		t.Fatalf("the page names only %d tests", len(named))
	}
	for _, name := range named {
		if !tests[name[1]] {
			t.Errorf("docs/deviations.md names %s, which does not exist", name[1])
		}
	}
}

// TestPublishedCommandsNameRoutes keeps the commands of the pages working: each asks a route for a verb that it has.
func TestPublishedCommandsNameRoutes(t *testing.T) {
	s, _ := described()
	routes := map[string]bool{}
	for _, rt := range s.routes() {
		for _, v := range rt.verbs {
			routes[v.method+" "+regexp.MustCompile(`\{\w+\}`).ReplaceAllString(rt.path, "PK")] = true
		}
	}
	for page, least := range map[string]int{"docs/deliveries.md": 8, "docs/batch.md": 1} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		joined := strings.ReplaceAll(string(text), "\\\n", " ")
		commands := regexp.MustCompile(`curl (?:-X (\w+) )?.*"\$BELFRY(/[^"?]*)`).FindAllStringSubmatch(joined, -1)
		if len(commands) < least {
			t.Fatalf("%s has only %d commands", page, len(commands))
		}
		for _, c := range commands {
			if method := cmp.Or(c[1], "GET"); !routes[method+" "+c[2]] {
				t.Errorf("%s asks for %s %s, which no route has", page, method, c[2])
			}
		}
	}
}

// declaredTests are the names of all tests of the module.
func declaredTests(t *testing.T) map[string]bool {
	tests := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path.Base(name), "_test.go") {
			return err
		}
		source, err := os.ReadFile(name)
		for _, match := range declaration.FindAllStringSubmatch(string(source), -1) {
			tests[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
