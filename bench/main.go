// Command bench measures Belfry over real HTTP and prints one table, with the limits of the machine beside it: what
// the disk, SQLite and a handler that stores nothing can do. All of it is measured in one run, turn by turn.
//
//	go run ./bench
//
// It exits with 1 when an answer was wrong. docs/benchmarks.md explains the rows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options say how much is measured, and where.
type options struct {
	runs        int
	time        time.Duration // of one measurement
	dir         string        // where the database and the file for the fsyncs are made
	connections []int
	items       int  // notifications that one row works on
	deliveries  bool // what is sent is measured, and nothing else
	fill        int  // how many events a database is filled with, instead of measuring; 0 for none
	data        string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// roles are what the program is when it starts itself: the load and the handler that it is compared with are
// processes of their own, so that neither shares memory or a scheduler with the other or with the measuring.
var roles = map[string]func(ctx context.Context, in io.Reader, out io.Writer) error{
	"load":    generateLoad,
	"ceiling": serveCeiling,
}

// run is the whole program; it answers the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	work := func() error { return measureAll(ctx, args, out, errs) }
	if len(args) == 1 {
		if role, ok := roles[args[0]]; ok {
			work = func() error { return role(ctx, in, out) }
		}
	}
	if err := work(); err != nil {
		fmt.Fprintf(errs, "bench: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the command line.
func parse(args []string, errs io.Writer) (options, error) {
	o := options{connections: []int{1, 64, 256}, items: 1000}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.IntVar(&o.runs, "runs", 3, "how often each measurement is made; the table shows the median")
	flags.DurationVar(&o.time, "time", 3*time.Second, "how long one measurement takes")
	flags.StringVar(&o.dir, "dir", "", "a directory on the disk to measure (default: a new one in the current directory)")
	flags.BoolVar(&o.deliveries, "deliveries", false, "measure deliveries to receivers of its own, and how little they disturb, instead of the rest")
	flags.IntVar(&o.fill, "fill", 0, "make DIR/events-N/belfry.db, a database with so many events to measure on, instead of measuring")
	flags.StringVar(&o.data, "data", ".", "the DIR of -fill")
	quick := flags.Bool("quick", false, "one short run with fewer connections, to see that it works")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.runs, o.time, o.connections, o.items = 1, 300*time.Millisecond, []int{1, 64}, 128
	}
	if flags.NArg() > 0 || o.runs < 1 || o.time <= 0 || o.fill < 0 {
		return o, fmt.Errorf("want -runs of 1 or more, -time above 0, -fill of 0 or more and no other arguments")
	}
	return o, nil
}

// measureAll builds and starts all that is measured, measures, and prints the table.
func measureAll(ctx context.Context, args []string, out, errs io.Writer) (err error) {
	o, err := parse(args, errs)
	if err != nil {
		return err
	}
	if o.fill > 0 {
		return fillCommand(ctx, o, errs)
	}
	dir, err := workDirectory(o.dir)
	if err != nil {
		return err
	}
	b := &bench{options: o, dir: dir}
	defer func() { err = errors.Join(err, b.close()) }()
	if o.deliveries {
		return b.measureDeliveries(ctx, out, errs)
	}
	rows, err := b.prepare(ctx)
	if err != nil {
		return err
	}
	for i := range o.runs {
		for _, r := range rows {
			fmt.Fprintf(errs, "run %d of %d: %s\n", i+1, o.runs, r.title())
			s, err := r.measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", r.title(), err)
			}
			r.samples = append(r.samples, s)
		}
	}
	if err := b.belfry.verify(ctx); err != nil {
		return err
	}
	return errors.Join(b.describe(out), printTable(out, rows))
}

// bench is all that one run has open.
type bench struct {
	options
	dir      string
	sqlite   *sqliteLimit
	belfry   *belfry
	children []*child
}

// prepare starts everything and answers the rows of the table.
func (b *bench) prepare(ctx context.Context) (rows []*row, err error) {
	if b.sqlite, err = openSQLiteLimit(ctx, b.dir, b.items); err != nil {
		return nil, err
	}
	if b.belfry, err = startBelfry(ctx, b.dir, b.runs); err != nil {
		return nil, err
	}
	return b.rows(ctx)
}

// child starts this program in a role, until close.
func (b *bench) child(ctx context.Context, role string, first any) (*child, error) {
	c, err := startChild(ctx, role, first)
	if c != nil {
		b.children = append(b.children, c)
	}
	return c, err
}

// close ends all that was started and removes what it left. It may be called when only a part has been.
func (b *bench) close() error {
	for _, c := range b.children {
		c.end()
	}
	if b.belfry != nil {
		b.belfry.stop()
	}
	var err error
	if b.sqlite != nil {
		err = b.sqlite.db.Close()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// workDirectory makes the directory for this run. By default it is on the disk of the current directory, because
// the system's temporary directory is often in memory, where an fsync costs nothing.
func workDirectory(parent string) (string, error) {
	if parent == "" {
		parent = "."
	}
	dir, err := os.MkdirTemp(parent, "belfry-bench-*.out")
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}
