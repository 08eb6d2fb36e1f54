package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// bench is all that one run has open. Whatever a row needs besides the binary is made when it is first measured.
type bench struct {
	options
	dir      string
	binary   string
	plain    func() (plainAnswers, error)
	bare     func() (host, error) // the ceiling
	syncing  func() (host, error) // the ceiling that syncs
	updates  func() (*sqliteLimit, error)
	inserts  func() (*rawInserts, error)
	filled   func(events int) (string, error)
	servers  map[string]*belfry
	children []*child
	notes    []string // what was left out, and why
	wrong    error    // what servers that were stopped had logged
}

// host is a process that answers.
type host struct {
	address string
	pid     int
}

// events counts the events of a host; it is not asked where requests add none.
func (h host) events(ctx context.Context, adds int) (int, error) {
	if adds == 0 {
		return 0, nil
	}
	return (&belfry{address: h.address}).count(ctx, eventsPath)
}

func newBench(ctx context.Context, o options, dir string) *bench {
	b := &bench{options: o, dir: dir, binary: filepath.Join(dir, "belfry"), servers: map[string]*belfry{}}
	b.plain = sync.OnceValues(func() (plainAnswers, error) { return b.cutAnswers(ctx) })
	b.bare = sync.OnceValues(func() (host, error) { return b.startCeiling(ctx, "") })
	b.syncing = sync.OnceValues(func() (host, error) { return b.startCeiling(ctx, filepath.Join(dir, "sync-each")) })
	b.updates = sync.OnceValues(func() (*sqliteLimit, error) { return openSQLiteLimit(ctx, dir, o.items) })
	b.inserts = sync.OnceValues(func() (*rawInserts, error) { return b.readInserts(ctx) })
	databases := map[int]func() (string, error){}
	for _, events := range o.events {
		databases[events] = sync.OnceValues(func() (string, error) { return b.findFilled(ctx, events) })
	}
	b.filled = func(events int) (string, error) { return databases[events]() }
	return b
}

// server answers the server of a name, which runs on a new database since it was first asked for.
func (b *bench) server(ctx context.Context, name string) (*belfry, error) {
	if server := b.servers[name]; server != nil {
		return server, nil
	}
	return b.start(ctx, name, filepath.Join(b.dir, name, "belfry.db"))
}

// fresh starts the server of a name anew, on a new database.
func (b *bench) fresh(ctx context.Context, name string) (*belfry, error) {
	b.stop(name)
	dir := filepath.Join(b.dir, name)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	return b.server(ctx, name)
}

// start starts a server and keeps it under its name.
func (b *bench) start(ctx context.Context, name, database string) (*belfry, error) {
	server := &belfry{binary: b.binary}
	b.servers[name] = server // also where it fails: somebody has to stop it
	if err := server.start(ctx, database); err != nil {
		b.stop(name)
		return nil, err
	}
	return server, nil
}

// stop stops the server of a name, if there is one.
func (b *bench) stop(name string) {
	if server := b.servers[name]; server != nil {
		server.stop()
		b.wrong = errors.Join(b.wrong, server.logged())
		delete(b.servers, name)
	}
}

// The times of settle.
const (
	restTime  = 100 * time.Millisecond
	restLimit = 30 * time.Second
	tick      = 10 * time.Millisecond // what Linux counts the time of a processor in
)

// settle waits until no server works any more on what was asked before, such as an index that is made behind the writes:
// else it would be measured with what comes next. After restLimit it waits no longer.
func (b *bench) settle(ctx context.Context) error {
	for until := time.Now().Add(restLimit); time.Now().Before(until); {
		before, err := b.processorTime()
		if err != nil {
			return err
		}
		if err := sleep(ctx, restTime); err != nil {
			return err
		}
		after, err := b.processorTime()
		if err != nil || after-before <= tick {
			return err
		}
	}
	return nil
}

// processorTime is what all servers have used.
func (b *bench) processorTime() (all time.Duration, err error) {
	for _, server := range b.servers {
		used, err := processorTime(server.pid())
		if err != nil {
			return 0, err
		}
		all += used
	}
	return all, nil
}

// child starts this program in a role, until close.
func (b *bench) child(ctx context.Context, role string, first any) (*child, error) {
	c, err := startChild(ctx, role, first)
	if c != nil {
		b.children = append(b.children, c)
	}
	return c, err
}

// drop ends a child before the others.
func (b *bench) drop(c *child) {
	if i := slices.Index(b.children, c); i >= 0 {
		b.children = slices.Delete(b.children, i, i+1)
		c.end()
	}
}

// verify looks behind the answers of the servers that are still there, and stops them.
func (b *bench) verify(ctx context.Context) (err error) {
	for name, server := range b.servers {
		err = errors.Join(err, server.verify(ctx))
		b.stop(name)
	}
	return errors.Join(err, b.wrong)
}

// close ends all that was started and removes what it left. It may be called when only a part has been.
func (b *bench) close() error {
	for _, c := range b.children {
		c.end()
	}
	for _, server := range b.servers {
		server.stop()
	}
	return os.RemoveAll(b.dir)
}

// leftOut is why a row is not measured; that is no failure.
type leftOut string

func (l leftOut) Error() string { return string(l) }

// filledHere is how many events at most this program puts into a database by itself; more take their time.
const filledHere = 100_000

// findFilled answers the database with so many events.
func (b *bench) findFilled(ctx context.Context, events int) (string, error) {
	path := filledPath(b.data, events)
	if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	if events > filledHere {
		return "", leftOut(fmt.Sprintf("%s is not there: make it with go run ./bench -fill %d -data %s", path, events, b.data))
	}
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, program, "-fill", fmt.Sprint(events), "-data", b.dir).CombinedOutput()
	if strings.Contains(string(out), "not defined: -fill") {
		return "", leftOut(path + " is not there, and this bench cannot make it")
	}
	if err != nil {
		return "", fmt.Errorf("make a database with %d events: %w\n%s", events, err, out)
	}
	return filledPath(b.dir, events), nil
}

func filledPath(data string, events int) string {
	return filepath.Join(data, fmt.Sprint("events-", events), "belfry.db")
}
