package main

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestCommands runs the scripts of testdata/commands: the program as a person would use it.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/commands",
		Setup: func(env *testscript.Env) error {
			address, err := freeAddress()
			env.Setenv("BELFRY_LISTEN", address)
			env.Setenv("BELFRY_DATABASE", "data/belfry.db")
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ready": scriptReady, "mode": scriptMode},
	})
}

// freeAddress is a loopback address whose port was free a moment ago.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// scriptReady waits until the server at the script's address says that it is ready; with ! until none answers.
// It asks over HTTP: a mere connection to a port of the ephemeral range can be one to itself.
func scriptReady(ts *testscript.TestScript, neg bool, _ []string) {
	url := "http://" + ts.Getenv("BELFRY_LISTEN") + "/-/health/ready/"
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		answer, err := http.Get(url)
		if err == nil {
			answer.Body.Close()
		}
		if ready := err == nil && answer.StatusCode == http.StatusNoContent; ready != neg {
			return
		}
	}
	ts.Fatalf("the server at %s did not come or go", url)
}

// scriptMode compares the rights of a file: mode 0600 FILE.
func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().Perm().String(); neg == strings.HasSuffix(got, args[0]) {
		ts.Fatalf("%s has the rights %s", args[1], got)
	}
}
