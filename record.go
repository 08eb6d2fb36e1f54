package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"belfry/internal/delivery"
	"belfry/internal/identity"
	"belfry/internal/live"
	"belfry/internal/rules"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// errStale says that an event has changed between the reading of it and the write: prepare the change again.
var errStale = errors.New("the event is not what it was when the change was prepared")

// snapshot is all that decides who is notified of an event, as of one generation.
type snapshot struct {
	rules    *rules.Snapshot
	delivery *delivery.Snapshot
}

// recorder writes events with all that follows from them. The work is in two halves: prepare matches and renders
// outside of any write, because expressions run in it; commit writes what came of that. Where commit finds that rules or
// recipients have changed meanwhile, it writes the event alone and leaves its rules to be run next (see postpone).
type recorder struct {
	db      *sqldb.DB
	log     *slog.Logger
	runner  *script.Runner
	render  delivery.RenderOptions
	publish func(...live.Hint)           // tells readers what has changed
	wake    func(transportPKs ...string) // says that deliveries were written

	current atomic.Pointer[snapshot]
	loading sync.Mutex // held by who reads a snapshot to be current
}

// plan is an event and its consequences, ready to be written.
type plan struct {
	event   Event
	columns columns
	outcome *outcome // nil: not worked out
}

// newPlan gives the event its key, where it brings none. What follows from it is not worked out.
func newPlan(e Event) plan {
	if e.PK == "" {
		e.PK = sqldb.NewID()
	}
	return plan{event: e, columns: columnsOf(&e)}
}

// record writes an event, and what rules make of it, durably and all at once.
func (r *recorder) record(ctx context.Context, e Event) (Event, error) {
	p, err := r.prepare(ctx, e)
	if err != nil {
		return Event{}, err
	}
	var written Event
	err = r.db.Write(ctx, func(tx *sqldb.Tx) error {
		counts := tally{}
		e, err := r.commit(ctx, tx, p, counts)
		if err != nil {
			return err
		}
		written = e
		tx.AtEnd(counts)
		return nil
	})
	return written, err
}

// retry runs prepare-and-write until what was read outside the write is still so inside it.
func retry(ctx context.Context, attempt func() error) error {
	for {
		err := attempt()
		if !errors.Is(err, errStale) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// prepare gives the event its key and works out what follows from it.
func (r *recorder) prepare(ctx context.Context, e Event) (plan, error) {
	p := newPlan(e)
	if !e.Origin.runsRules() {
		return p, nil
	}
	s, err := r.snapshot(ctx, 0)
	if err == nil {
		p.outcome, err = r.workOut(ctx, s, &p.event, &p.columns)
	}
	if errors.Is(err, script.ErrBusy) { // the event is written all the same, and its rules run as soon as they can
		return p, nil
	}
	return p, err
}

// commit writes a plan inside a write, and answers the event with its times. ctx is for what comes after the write.
func (r *recorder) commit(ctx context.Context, tx *sqldb.Tx, p plan, counts tally) (Event, error) {
	var generation int64
	var err error
	if p.event.Origin.runsRules() {
		if generation, err = identity.HoldGeneration(tx); err != nil {
			return Event{}, fmt.Errorf("read generation: %w", err)
		}
	}
	if err := insertEvent(tx, &p.event, &p.columns, counts); err != nil {
		return Event{}, err
	}
	tx.OnCommit(func() { r.publish(eventHints(&p.event, &p.columns)...) })
	switch {
	case !p.event.Origin.runsRules():
		return p.event, nil
	case p.outcome != nil && p.outcome.generation == generation:
		return p.event, r.follow(ctx, tx, &p.event, p.outcome, counts)
	}
	return p.event, r.postpone(ctx, tx, []plan{p}, generation)
}

// snapshot is the latest one known. It may be out of date, which commit finds out, but is never older than the
// generation since. One request loads it, the others wait.
func (r *recorder) snapshot(ctx context.Context, since int64) (*snapshot, error) {
	known := func() *snapshot {
		if s := r.current.Load(); s != nil && s.rules.Generation >= since {
			return s
		}
		return nil
	}
	if s := known(); s != nil {
		return s, nil
	}
	r.loading.Lock()
	defer r.loading.Unlock()
	if s := known(); s != nil {
		return s, nil
	}
	var s *snapshot
	err := r.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		s, err = loadSnapshot(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.current.Store(s)
	return s, nil
}

// loadSnapshot reads a snapshot of the transaction's moment.
func loadSnapshot(tx *sqldb.Tx) (*snapshot, error) {
	var s snapshot
	var err error
	if s.rules, err = rules.Load(tx); err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	if s.delivery, err = delivery.Load(tx); err != nil {
		return nil, fmt.Errorf("load transports: %w", err)
	}
	return &s, nil
}
