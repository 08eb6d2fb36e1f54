package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// tracedName is the server whose fsyncs are counted. It is another one than those that are timed.
const tracedName = "traced"

// tracer runs what follows under strace, which notes every fsync, a line each. The process stays our own child (-D), and
// all other system calls are left alone (--seccomp-bpf), so that the server is hardly slower.
func tracer(file string) []string {
	return []string{"strace", "-D", "-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o", file, "--"}
}

// countSyncs counts the fsyncs of the rows that write, after all that is timed. Where there is no strace it is left out.
func (b *bench) countSyncs(ctx context.Context, rows []*row, errs io.Writer) error {
	for _, r := range rows {
		if r.traced == nil || r.err != nil {
			continue
		}
		if _, err := exec.LookPath("strace"); err != nil {
			b.notes = append(b.notes, "Fsyncs are not counted: there is no strace here (apt-get install strace)")
			return nil
		}
		fmt.Fprintf(errs, "fsyncs: %s\n", r.title())
		var err error
		if r.syncs, err = r.traced(ctx); ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.notes = append(b.notes, fmt.Sprintf("Fsyncs are not counted from %q on: %v", r.title(), err))
			return nil
		}
	}
	return nil
}

// tracedLoad starts the load generator of a scene for the server whose fsyncs are counted.
func (b *bench) tracedLoad(ctx context.Context, s scene) (*child, error) {
	server, err := b.tracedServer(ctx)
	if err != nil {
		return nil, err
	}
	return b.loadOf(ctx, func(ctx context.Context) (workload, error) { return s.traced(ctx, server) })
}

func (b *bench) traceFile() string { return filepath.Join(b.dir, "fsyncs") }

// tracedServer answers the server whose fsyncs are counted.
func (b *bench) tracedServer(ctx context.Context) (*belfry, error) {
	if server := b.servers[tracedName]; server != nil {
		return server, nil
	}
	server := &belfry{binary: b.binary, under: tracer(b.traceFile())}
	b.servers[tracedName] = server
	return server, server.start(ctx, filepath.Join(b.dir, tracedName, "belfry.db"))
}

// syncsOf makes a measurement of which only the fsyncs count, and answers how many there were for each request.
func (b *bench) syncsOf(ctx context.Context, load *child, connections int) (float64, error) {
	if err := b.settle(ctx); err != nil {
		return 0, err
	}
	before, err := b.syncsSoFar()
	if err != nil {
		return 0, err
	}
	s, err := load.measure(order{Address: b.servers[tracedName].address, Connections: connections, Time: b.time / 2})
	if err != nil {
		return 0, err
	}
	after, err := b.syncsSoFar()
	return float64(after-before) / float64(s.Answers), err
}

// syncsSoFar counts the lines that strace has written. A call that another thread's interrupts has two.
func (b *bench) syncsSoFar() (int, error) {
	text, err := os.ReadFile(b.traceFile())
	return bytes.Count(text, []byte("sync(")), err
}
