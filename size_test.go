package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTheBinaryTakesAtMost25MB builds it as the image does. What makes it suddenly 4 MB larger calls methods by names
// that are made at run time, so that the linker keeps all of them: text/template, or reflect's Method and MethodByName.
// go build -ldflags=-dumpdep tells who does, behind the word ReflectMethod.
func TestTheBinaryTakesAtMost25MB(t *testing.T) {
	path := filepath.Join(t.TempDir(), "belfry")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 25_000_000 {
		t.Errorf("the binary takes %d bytes", info.Size())
	}
}
