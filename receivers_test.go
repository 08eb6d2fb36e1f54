package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"belfry/internal/outbound"
)

// published are the programs of docs/deliveries.md, by the language of their block: how each is started.
var published = []struct {
	language, file, runner string
	build                  []string // makes the program out of the file; nil where the runner reads it
}{
	{language: "go", file: "main.go", runner: "go", build: []string{"go", "build", "-o", "receiver", "main.go"}},
	{language: "python", file: "receiver.py", runner: "python3"},
	{language: "js", file: "receiver.js", runner: "node"},
}

// TestPublishedReceiversAcceptWhatBelfrySignsAndNothingElse starts the receivers that docs/deliveries.md shows, as they stand there.
func TestPublishedReceiversAcceptWhatBelfrySignsAndNothingElse(t *testing.T) {
	page, err := os.ReadFile("docs/deliveries.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range published {
		t.Run(p.language, func(t *testing.T) {
			t.Parallel()
			block := regexp.MustCompile("(?s)```" + p.language + "\n(.*?)```").FindSubmatch(page)
			if block == nil {
				t.Fatalf("docs/deliveries.md has no program in %s", p.language)
			}
			if _, err := exec.LookPath(p.runner); err != nil {
				t.Skipf("%s is not on this machine, so that its receiver is not run", p.runner)
			}
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, p.file), block[1], 0o600); err != nil {
				t.Fatal(err)
			}
			command := []string{p.runner, p.file}
			if p.build != nil {
				build := exec.Command(p.build[0], p.build[1:]...)
				build.Dir = folder
				if out, err := build.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				command = []string{"./receiver"}
			}
			checkReceiver(t, startReceiver(t, folder, command))
		})
	}
}

// The secrets of the test; each is as a transport would have it.
var (
	receiverSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("the secret that the receiver knows"))
	otherSecret    = "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret that the receiver has not"))
)

// startReceiver runs a receiver until the end of the test and answers its URL.
func startReceiver(t *testing.T, folder string, command []string) string {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(address, ":")
	run := exec.Command(command[0], command[1:]...)
	run.Dir = folder
	run.Env = append(os.Environ(), "PORT="+port, "WEBHOOK_SECRET="+receiverSecret)
	var said bytes.Buffer
	run.Stderr = &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill() // it has ended by itself, or it ends now
		_ = run.Wait()         // says that it was killed
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if answer, err := http.Get("http://" + address + "/"); err == nil {
			answer.Body.Close()
			return "http://" + address + "/"
		}
	}
	t.Fatalf("the receiver does not answer: %s", said.String())
	return ""
}

// checkReceiver sends what Belfry sends, and then the same with something changed.
func checkReceiver(t *testing.T, url string) {
	t.Helper()
	now := time.Now()
	request := func(url string, at time.Time, secrets ...string) outbound.Request {
		return outbound.Request{URL: url, ID: "01890000-0000-7000-8000-000000000000", ContentType: "application/json",
			Body: []byte(`{"body":"The disk is 91 % full – soon"}`), Secrets: secrets, Time: at}
	}
	client := outbound.NewClient(outbound.Options{Allow: []outbound.Class{"loopback"}, UserAgent: "Belfry"})
	for _, c := range []struct {
		name string
		out  outbound.Request
		want bool
	}{
		{"signed", request(url, now, receiverSecret), true},
		{"signed with the new secret and the old one", request(url, now, otherSecret, receiverSecret), true},
		{"signed with another secret", request(url, now, otherSecret), false},
		{"not signed", request(url, now), false},
		{"signed an hour ago", request(url, now.Add(-time.Hour), receiverSecret), false},
		{"signed in an hour", request(url, now.Add(time.Hour), receiverSecret), false},
	} {
		answer, err := client.Post(t.Context(), c.out)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if accepted := answer.Status/100 == 2; accepted != c.want {
			t.Errorf("%s: answered %d", c.name, answer.Status)
		}
	}
	genuine, body := captured(t, client, func(url string) outbound.Request { return request(url, now, receiverSecret) })
	for _, c := range []struct {
		name   string
		change func(h http.Header, body string) string
		want   bool
	}{
		{"as it was", func(_ http.Header, body string) string { return body }, true},
		{"another body", func(_ http.Header, body string) string { return strings.Replace(body, "91", "19", 1) }, false},
		{"a longer body", func(_ http.Header, body string) string { return body + " " }, false},
		{"another id", func(h http.Header, body string) string { h.Set("webhook-id", "other"); return body }, false},
		{"another time", func(h http.Header, body string) string {
			h.Set("webhook-timestamp", strconv.FormatInt(now.Unix()-1, 10))
			return body
		}, false},
		{"half a signature", func(h http.Header, body string) string {
			h.Set("webhook-signature", h.Get("webhook-signature")[:20])
			return body
		}, false},
	} {
		header := genuine.Clone()
		changed := c.change(header, body)
		if accepted := posted(t, url, header, changed)/100 == 2; accepted != c.want {
			t.Errorf("%s: accepted is %t", c.name, accepted)
		}
	}
}

// captured is a request as it arrives.
func captured(t *testing.T, client *outbound.Client, request func(url string) outbound.Request) (header http.Header, body string) {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		header, body = r.Header, string(text)
	}))
	defer web.Close()
	if _, err := client.Post(t.Context(), request(web.URL)); err != nil {
		t.Fatal(err)
	}
	return header, body
}

// posted sends a request and answers its status.
func posted(t *testing.T, url string, header http.Header, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}
