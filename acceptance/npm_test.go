package acceptance

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// npmClients are the official clients for JavaScript, each with the name that package.json gives its package.
var npmClients = map[string]string{"npm 2024.6": "api-2024", "npm 2026.8": "api-2026"}

// npmResult is one line of npm/run.js.
type npmResult struct {
	Client    string
	Operation string
	npmUsed
	Problems []string
}

// TestNPMClients lets the official clients for JavaScript call every operation that they have, each on a server of
// its own. The script holds everything that they decode against their own type declarations.
func TestNPMClients(t *testing.T) {
	t.Parallel()
	node := findNode(t)
	for client, module := range npmClients {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			used := map[string]npmUsed{}
			for _, result := range runNode(t, node, client, module, start(t).url, operations) {
				used[result.Operation] = result.npmUsed
				for _, problem := range result.Problems {
					t.Errorf("%s: %s", result.Operation, problem)
				}
			}
			run.judge.covered.ran(client, used)
		})
	}
}

// findNode finds Node and the clients, or skips the test.
func findNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node on the path: install Node 18 or later (Debian: apt-get install nodejs npm)")
	}
	for _, module := range npmClients {
		if _, err := os.Stat(filepath.Join("npm", "node_modules", module)); errors.Is(err, fs.ErrNotExist) {
			t.Skip("no npm clients: run `npm ci` in acceptance/npm")
		}
	}
	return node
}

// runNode runs the script for one client and returns what it says of every operation.
func runNode(t *testing.T, node, client, module, url string, operations []string) []npmResult {
	t.Helper()
	task := object{"name": client, "package": module, "url": url, "token": adminToken, "operations": operations}
	cmd := exec.CommandContext(t.Context(), node, "run.js")
	cmd.Dir, cmd.Stdin = "npm", strings.NewReader(encode(t, task))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v:\n%s%s", err, out, complaints.String())
	}
	var results []npmResult
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		result, err := decode[npmResult](lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, result)
	}
	if len(results) < len(operations) {
		t.Errorf("%d results for %d operations", len(results), len(operations))
	}
	return results
}

// TestNPMClientsNoticeWrongAnswers proves that a wrong answer fails a run: between client and server stands a proxy
// that spoils every answer in one place.
func TestNPMClientsNoticeWrongAnswers(t *testing.T) {
	t.Parallel()
	node := findNode(t)
	target, err := url.Parse(start(t).url)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, client, operation, pattern, instead, want string
	}{
		{"a text is missing", "npm 2024.6", "admin_version_retrieve", `"build_hash":"[^"]*",`, ``, ".buildHash: want string"},
		{"a number for a text", "npm 2024.6", "admin_version_retrieve", `"build_hash":"[^"]*"`, `"build_hash":1`, ".buildHash: want string, got 1"},
		{"a time is null", "npm 2024.6", "events_events_list", `"created":"[^"]*"`, `"created":null`, ".created: want Date, got Date 0"},
		{"a time is none", "npm 2026.8", "events_events_list", `"created":"[^"]*"`, `"created":"soon"`, ".created: want Date, got Date NaN"},
		{"an unknown name", "npm 2026.8", "events_events_list", `"action":"logout"`, `"action":"zzz"`, `.action: want EventActions, got "zzz"`},
		{"a list's envelope", "npm 2026.8", "events_events_list", `,"autocomplete":\{\}`, ``, ".: not an instance of PaginatedEventList"},
		{"inside of a list", "npm 2026.8", "core_users_list", `"last_updated"`, `"x"`, ".results[0].lastUpdated: want Date"},
		{"inside of an object", "npm 2026.8", "core_users_me_retrieve", `"is_current"`, `"x"`, ".user.isCurrent: want boolean"},
		{"a list", "npm 2026.8", "core_users_me_retrieve", `"users"`, `"x"`, "reading 'map'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			spoiled := httptest.NewServer(spoil(target, regexp.MustCompile(test.pattern), test.instead))
			defer spoiled.Close()
			results := runNode(t, node, test.client, npmClients[test.client], spoiled.URL, []string{test.operation})
			var problems []string
			for _, result := range results {
				problems = append(problems, result.Problems...)
			}
			if all := strings.Join(problems, "\n"); !strings.Contains(all, test.want) {
				t.Errorf("no %q in:\n%s", test.want, all)
			}
		})
	}
}

// spoil passes requests on and replaces what matches in the answers.
func spoil(target *url.URL, pattern *regexp.Regexp, instead string) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(answer *http.Response) error {
		body, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			return err
		}
		body = pattern.ReplaceAll(body, []byte(instead))
		answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		answer.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return nil
	}
	return proxy
}
