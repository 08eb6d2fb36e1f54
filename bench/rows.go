package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"
)

// row is a line of a table and how it is measured.
type row struct {
	name        string
	connections int    // 0 where there are none
	ceiling     string // the name of the row that it is compared with, at the same number of connections; "" for none
	unit        string // of a single figure; "" for a rate and times
	measure     func(ctx context.Context) (sample, error)
	traced      func(ctx context.Context) (perRequest float64, err error) // counts fsyncs; nil for what writes nothing
	samples     []sample
	syncs       float64 // for each request
	err         error   // why it is not measured, or no longer: an answer was wrong, or it is left out
}

func (r *row) title() string {
	switch r.connections {
	case 0:
		return r.name
	case 1:
		return r.name + ", 1 connection"
	}
	return fmt.Sprintf("%s, %d connections", r.name, r.connections)
}

// find answers the row of a name; rows without connections are compared with all.
func find(rows []*row, name string, connections int) *row {
	for _, r := range rows {
		if r.name == name && (r.connections == connections || r.connections == 0) {
			return r
		}
	}
	return nil
}

// chosen are the rows whose title matches, and those that they are compared with.
func chosen(rows []*row, only *regexp.Regexp) []*row {
	if only == nil {
		return rows
	}
	wanted := map[*row]bool{}
	for _, r := range rows {
		if !only.MatchString(r.title()) {
			continue
		}
		wanted[r] = true
		if r.ceiling != "" {
			wanted[find(rows, r.ceiling, r.connections)] = true
		}
		if r.ceiling == seenCeiling && r.connections == 1 {
			wanted[find(rows, syncCeiling, 1)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return !wanted[r] })
}

// rows are all that can be measured, in the order of the table.
func (b *bench) rows() []*row {
	rows := []*row{
		{name: "Disk: 4 KiB write + fsync", measure: func(ctx context.Context) (sample, error) { return measureSync(ctx, b.dir, b.time) }},
		{name: "SQLite: rows updated, 64 a commit", measure: func(ctx context.Context) (sample, error) {
			limit, err := b.updates()
			if err != nil {
				return sample{}, err
			}
			return limit.measure(ctx, b.time)
		}},
	}
	rows = append(rows, b.writeRows()...)
	rows = append(rows, b.batchRows()...)
	rows = append(rows, b.liveRows()...)
	rows = append(rows, b.deliveryRows()...)
	rows = append(rows, b.startRows()...)
	for i, events := range b.events {
		rows = append(rows, b.sizeRows(events, i == 0)...)
	}
	return rows
}

// scene is what a load generator asks of a host.
type scene struct {
	name, ceiling string
	connections   []int // nil for all that are asked for
	each          int   // what one request is counted as; 0 for one
	adds          int   // how many events there are more after one request
	host          func(ctx context.Context) (host, error)
	prepare       func(ctx context.Context) (workload, error)
	traced        func(ctx context.Context, server *belfry) (workload, error) // the same of another server; nil for what writes nothing
}

// on is a scene on the server of a name.
func (b *bench) on(server, name, ceiling string, prepare func(ctx context.Context, server *belfry) (workload, error)) scene {
	return scene{name: name, ceiling: ceiling, traced: prepare,
		host: func(ctx context.Context) (host, error) {
			s, err := b.server(ctx, server)
			if err != nil {
				return host{}, err
			}
			return s.host(), nil
		},
		prepare: func(ctx context.Context) (workload, error) {
			s, err := b.server(ctx, server)
			if err != nil {
				return workload{}, err
			}
			return prepare(ctx, s)
		}}
}

// sceneRows are the rows of a scene, one for each number of connections. They share the load generator.
func (b *bench) sceneRows(s scene) (rows []*row) {
	// A row is measured by one after the other: the context is whose row is first.
	var load, traced *child
	var loadErr, tracedErr error
	var loadOnce, tracedOnce sync.Once
	for _, n := range b.connections {
		if s.connections != nil && !slices.Contains(s.connections, n) {
			continue
		}
		r := &row{name: s.name, connections: n, ceiling: s.ceiling, measure: func(ctx context.Context) (sample, error) {
			loadOnce.Do(func() { load, loadErr = b.loadOf(ctx, s.prepare) })
			if loadErr != nil {
				return sample{}, loadErr
			}
			return b.measureScene(ctx, s, load, n)
		}}
		if s.traced != nil {
			r.traced = func(ctx context.Context) (float64, error) {
				tracedOnce.Do(func() { traced, tracedErr = b.tracedLoad(ctx, s) })
				if tracedErr != nil {
					return 0, tracedErr
				}
				return b.syncsOf(ctx, traced, n)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// loadOf starts a load generator.
func (b *bench) loadOf(ctx context.Context, prepare func(ctx context.Context) (workload, error)) (*child, error) {
	w, err := prepare(ctx)
	if err != nil {
		return nil, err
	}
	return b.child(ctx, "load", w)
}

// measureScene makes one measurement of a scene, and looks at the host's processors and memory. What was acknowledged must
// be there.
func (b *bench) measureScene(ctx context.Context, s scene, load *child, connections int) (out sample, err error) {
	h, err := s.host(ctx)
	if err != nil {
		return out, err
	}
	if err := b.settle(ctx); err != nil {
		return out, err
	}
	before, err := h.events(ctx, s.adds)
	if err != nil {
		return out, err
	}
	out, err = watch(h.pid, func() (sample, error) {
		return load.measure(order{Address: h.address, Connections: connections, Warm: b.time / 10, Time: b.time})
	})
	if err != nil {
		return out, err
	}
	out.Rate *= float64(max(1, s.each))
	after, err := h.events(ctx, s.adds)
	if err == nil && after-before != s.adds*out.Answers {
		err = fmt.Errorf("%d requests made %d events, and not %d each", out.Answers, after-before, s.adds)
	}
	return out, err
}

// watch adds to a sample what the process of a host has used meanwhile, and what it has in memory afterwards.
func watch(pid int, measure func() (sample, error)) (sample, error) {
	begin, err1 := processorTime(pid)
	watched := time.Now()
	s, err2 := measure()
	took := time.Since(watched)
	end, err3 := processorTime(pid)
	memory, err4 := memoryOf(pid)
	s.Server, s.RSS = (end-begin).Seconds()/took.Seconds(), memory.now
	if err2 != nil {
		return s, err2 // the others may only be its consequence
	}
	return s, errors.Join(err1, err3, err4)
}
