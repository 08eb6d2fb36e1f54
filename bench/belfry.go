package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// token is the bootstrap token of the servers that are measured.
const token = "bench-token-of-akadmin-0123456789abcdef01"

// belfry is a running server.
type belfry struct {
	binary  string
	under   []string // the command that runs it; nil for none
	address string
	process *exec.Cmd
	log     *logBuffer
	took    time.Duration // from start to ready
	keys    []string      // of akadmin's notifications, once they were made
}

func (b *belfry) pid() int { return b.process.Process.Pid }

func (b *belfry) host() host { return host{b.address, b.pid()} }

// build makes the binary the way it is released.
func (b *belfry) build(ctx context.Context) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "belfry").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.binary, ".")
	cmd.Dir, cmd.Env = strings.TrimSpace(string(root)), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build belfry: %w\n%s", err, out)
	}
	return nil
}

// start starts the server and waits until it is ready.
func (b *belfry) start(ctx context.Context, database string) error {
	command := append(slices.Clone(b.under), b.binary, "serve", "--listen", "127.0.0.1:0", "--database", database)
	b.process, b.log = exec.CommandContext(ctx, command[0], command[1:]...), &logBuffer{}
	b.process.Env = []string{"BELFRY_BOOTSTRAP_TOKEN=" + token, "BELFRY_OUTBOUND_ALLOW=loopback"}
	b.process.Stderr = b.log
	out, err := b.process.StdoutPipe()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := b.process.Start(); err != nil {
		return fmt.Errorf("start belfry: %w", err)
	}
	if b.address, err = readAddress(out); err != nil {
		return fmt.Errorf("%w\n%s", err, b.log)
	}
	answer, err := b.call(ctx, http.MethodGet, "/-/health/ready/", "", http.StatusNoContent)
	if err != nil {
		return fmt.Errorf("belfry is not ready: %w %s", err, answer)
	}
	b.took = time.Since(begin)
	return nil
}

// readAddress finds the address in what the server prints when it listens; the rest is thrown away.
func readAddress(out io.Reader) (string, error) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "http://"); ok {
			go io.Copy(io.Discard, out) // until the server ends
			return strings.TrimRight(address, "/"), nil
		}
	}
	return "", errors.Join(errors.New("belfry did not say where it listens"), lines.Err())
}

// stop ends the server; its database is removed with the directory.
func (b *belfry) stop() {
	if b.process == nil || b.process.Process == nil {
		return
	}
	_ = b.process.Process.Signal(syscall.SIGTERM)
	_ = b.process.Wait() // how it ends is not what is measured
}

// call makes one request as akadmin and wants its status.
func (b *belfry) call(ctx context.Context, method, path, body string, status int) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+b.address+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != status {
		err = fmt.Errorf("%s %s: want %d, got %d %s", method, path, status, answer.StatusCode, text)
	}
	return text, err
}

// logBuffer keeps what a process logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String answers all that was logged so far.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
