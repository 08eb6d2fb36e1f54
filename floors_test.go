package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// floors is the house: a package imports packages of lower floors only.
var floors = map[string]int{
	"":                         4,
	"internal/rules":           3,
	"internal/delivery":        3,
	"internal/identity":        2,
	"internal/resource":        2,
	"internal/listing":         1,
	"internal/openapi":         1,
	"internal/trail":           1,
	"internal/cmdline":         0,
	"internal/drf":             0,
	"internal/outbound":        0,
	"internal/script":          0,
	"internal/live":            0,
	"internal/sqldb":           0,
	"internal/sqldb/sqldbtest": 0,
	"internal/sqlite":          -1,
	"internal/trigram":         0,
}

// testOnly are packages that only tests may import.
var testOnly = []string{"internal/sqldb/sqldbtest"}

// misplacedImports lists what breaks the order of the floors in a tree of Go files.
func misplacedImports(tree fs.FS) (problems []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "acceptance" || entry.Name() == "bench" || strings.HasPrefix(entry.Name(), ".") && name != "."):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		found, err := misplacedIn(tree, name)
		problems = append(problems, found...)
		return err
	})
	return problems, err
}

// misplacedIn checks the imports of one file.
func misplacedIn(tree fs.FS, name string) (problems []string, err error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	from := strings.TrimPrefix(path.Dir(name), ".")
	floor, known := floors[from]
	if !known {
		return []string{fmt.Sprintf("%s: package %q stands on no floor: add it to the table", name, from)}, nil
	}
	for _, spec := range file.Imports {
		to, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "belfry/")
		if !ours || slices.Contains(testOnly, from) && to == path.Dir(from) {
			continue
		}
		if below, known := floors[to]; !known || below >= floor || slices.Contains(testOnly, to) {
			problems = append(problems, fmt.Sprintf("%s (floor %d) imports %s (floor %d)", name, floor, to, below))
		}
	}
	return problems, nil
}

func TestPackagesImportLowerFloorsOnly(t *testing.T) {
	problems, err := misplacedImports(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

func TestFloorsNoticePlantedImport(t *testing.T) {
	for _, planted := range []struct{ name, file, imports string }{
		{"drf imports sqldb beside it", "internal/drf/planted.go", "belfry/internal/sqldb"},
		{"identity imports rules above it", "internal/identity/planted.go", "belfry/internal/rules"},
		{"rules imports delivery beside it", "internal/rules/planted.go", "belfry/internal/delivery"},
		{"the root imports what is for tests", "planted.go", "belfry/internal/sqldb/sqldbtest"},
		{"a package that is not in the table", "internal/planted/planted.go", "belfry/internal/drf"},
	} {
		t.Run(planted.name, func(t *testing.T) {
			root := t.TempDir()
			file := filepath.Join(root, planted.file)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			source := fmt.Sprintf("package planted\n\nimport _ %q\n", planted.imports)
			if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			problems, err := misplacedImports(os.DirFS(root))
			if err != nil {
				t.Fatal(err)
			}
			if len(problems) != 1 {
				t.Errorf("want one problem, got %q", problems)
			}
		})
	}
}
