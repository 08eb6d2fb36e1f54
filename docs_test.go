package main

import (
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
