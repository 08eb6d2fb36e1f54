package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options say how much is measured, and where.
type options struct {
	runs        int
	time        time.Duration // of one measurement
	dir         string        // where databases and the files for the fsyncs are made
	data        string        // where those databases are that are used again and again
	program     string        // the binary to measure; "" for one that is built from this source
	connections []int
	events      []int          // how many events there are in the databases that are read
	items       int            // notifications that one row works on
	only        *regexp.Regexp // the rows that are measured; nil for all
	deliveries  bool           // what is sent is measured, and nothing else
	fill        int            // how many events a database is filled with, instead of measuring; 0 for none
}

// leastEvents is the smallest database that is read: all words that are searched for are in it.
const leastEvents = 10_000

// parse reads the command line.
func parse(args []string, errs io.Writer) (options, error) {
	o := options{items: 1000}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.IntVar(&o.runs, "runs", 5, "how often each measurement is made; the tables show medians")
	flags.DurationVar(&o.time, "time", 3*time.Second, "how long one measurement takes")
	flags.StringVar(&o.dir, "dir", "", "a directory on the disk to measure (default: a new one in the current directory)")
	flags.StringVar(&o.data, "data", ".", "where the databases of -fill are")
	flags.StringVar(&o.program, "server", "", "a binary of belfry to measure, such as another version's (default: one built from this source)")
	flags.BoolVar(&o.deliveries, "deliveries", false, "measure deliveries to receivers of its own, and how little they disturb, instead of the rest")
	flags.IntVar(&o.fill, "fill", 0, "make DIR/events-N/belfry.db, a database with so many events to measure on, where DIR is that of -data, instead of measuring")
	quick := flags.Bool("quick", false, "one short run with fewer connections and events, to see that it works")
	only := flags.String("only", "", "measure the rows whose name, with its connections, matches this regular expression, and what they are compared with")
	connections := flags.String("connections", "", "how many clients there are (default 1,8,64,256)")
	events := flags.String("events", "", "how many events the databases hold that are read (default 10000,1000000,10000000)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	clients, logs := "1,8,64,256", "10000,1000000,10000000"
	if *quick {
		clients, logs, o.items = "1,64", "10000,50000", 128
		if !given["runs"] {
			o.runs = 1
		}
		if !given["time"] {
			o.time = 200 * time.Millisecond
		}
	}
	if given["connections"] {
		clients = *connections
	}
	if given["events"] {
		logs = *events
	}
	return o, o.check(clients, logs, *only, flags.NArg())
}

// check reads the flags that are lists and expressions, and refuses what cannot be measured.
func (o *options) check(connections, events, only string, others int) (err error) {
	if o.connections, err = parseNumbers(connections); err != nil {
		return fmt.Errorf("-connections: %w", err)
	}
	if o.events, err = parseNumbers(events); err != nil {
		return fmt.Errorf("-events: %w", err)
	}
	if only != "" {
		if o.only, err = regexp.Compile(only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
	}
	if others > 0 || o.runs < 1 || o.time <= 0 || o.fill < 0 {
		return fmt.Errorf("want -runs of 1 or more, -time above 0, -fill of 0 or more and no other arguments")
	}
	if slices.Max(o.connections) > o.items || slices.Min(o.events) < leastEvents {
		return fmt.Errorf("want at most %d -connections and at least %d -events", o.items, leastEvents)
	}
	return nil
}

// parseNumbers reads whole numbers above 0 that commas separate, and answers them in order.
func parseNumbers(text string) (numbers []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number above 0", part)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
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
