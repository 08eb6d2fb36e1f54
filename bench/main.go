// Command bench measures Belfry over real HTTP and prints tables, with the limits of the machine beside it: what the
// disk, SQLite and a handler that stores nothing can do. All of it is measured in one run, turn by turn.
//
//	go run ./bench
//
// It exits with 1 when an answer was wrong. docs/benchmarks.md explains the rows and the flags.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

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
	"readers": readStreams,
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

// measureAll measures what the command line asks for, and prints it.
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
	b := newBench(ctx, o, dir)
	defer func() { err = errors.Join(err, b.close()) }()
	if o.program == "" {
		err = (&belfry{binary: b.binary}).build(ctx)
	} else {
		b.binary, err = filepath.Abs(o.program)
	}
	if err != nil {
		return err
	}
	if o.deliveries {
		return b.measureDeliveries(ctx, out, errs)
	}
	rows := chosen(b.rows(), o.only)
	if len(rows) == 0 {
		return fmt.Errorf("no row matches %q", o.only)
	}
	if err := b.measure(ctx, rows, errs); err != nil {
		return err
	}
	if err := b.print(out, rows); err != nil {
		return err
	}
	return errors.Join(wrongAnswers(rows), b.verify(ctx))
}

// measure makes all measurements, each row once in each run, and then those that nobody times.
func (b *bench) measure(ctx context.Context, rows []*row, errs io.Writer) error {
	for i := range b.runs {
		for _, r := range rows {
			if r.err != nil {
				continue
			}
			fmt.Fprintf(errs, "run %d of %d: %s\n", i+1, b.runs, r.title())
			s, err := r.measure(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if r.err = err; err != nil {
				fmt.Fprintf(errs, "%s: %v\n", r.title(), err)
				continue
			}
			r.samples = append(r.samples, s)
		}
	}
	return b.countSyncs(ctx, rows, errs)
}

// wrongAnswers are the rows that could not be measured, but for those that were left out.
func wrongAnswers(rows []*row) (err error) {
	for _, r := range rows {
		var left leftOut
		if r.err != nil && !errors.As(r.err, &left) {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.title(), r.err))
		}
	}
	return err
}
