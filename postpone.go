package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"belfry/internal/identity"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

const (
	// matchInterval is how often events are looked for whose rules nobody has run.
	matchInterval = 30 * time.Second
	// matchBatch is how many of them are read at once.
	matchBatch = 100
)

// postpone leaves the rules of events that are being written to be run once they are. That is the case for the trail of
// a change, which is known only inside the write, where no expression runs and nothing is rendered; and where rules or
// recipients have changed since an event was prepared. The event waits in a table until what follows from it is
// written, so that no notification is lost, and is met by one row only, so that none is made twice. Nothing is tried
// again and again: see match.
func (r *recorder) postpone(ctx context.Context, tx *sqldb.Tx, plans []plan, generation int64) error {
	for i := range plans {
		if _, err := tx.Exec("INSERT INTO unmatched (event_pk, created) VALUES ($1, $2)", plans[i].event.PK, tx.Now()); err != nil {
			return fmt.Errorf("postpone the rules of an event: %w", err)
		}
	}
	// Before the change is answered, so that whoever made it finds what it has led to.
	tx.OnCommit(func() {
		for i := range plans {
			if err := r.match(ctx, plans[i], generation); err != nil {
				r.log.Warn("the rules of events could not run at once; they will within "+(2*matchInterval).String(),
					"event", plans[i].event.PK, "more", len(plans)-i-1, "error", err)
				return
			}
		}
	})
	return nil
}

// match runs the rules of an event that was written without. They are those of a moment after the event was written:
// since is the generation that held then. So whatever happens between that moment and the write, they may count; only who
// or what is gone by then is left out. That is why changes without end cannot keep an event from its rules.
func (r *recorder) match(ctx context.Context, p plan, since int64) error {
	s, err := r.snapshot(ctx, since)
	if err != nil {
		return err
	}
	worked, err := r.workOut(ctx, s, &p.event, &p.columns)
	if err != nil {
		return err
	}
	return r.db.Write(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("DELETE FROM unmatched WHERE event_pk = $1", p.event.PK)
		if err != nil || n == 0 { // somebody else has done it, or the event is gone
			return err
		}
		generation, err := identity.HoldGeneration(tx)
		if err != nil {
			return fmt.Errorf("read generation: %w", err)
		}
		out := worked
		if out.generation != generation {
			if out, err = out.ofThoseThere(tx); err != nil {
				return err
			}
		}
		counts := tally{}
		if err := r.follow(ctx, tx, &p.event, out, counts); err != nil {
			return err
		}
		tx.AtEnd(counts)
		return nil
	})
}

// start runs in the background, until it is stopped, the rules of events that were left without: by a process that
// ended, or because the database was too busy.
func (r *recorder) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	return func() { cancel(); running.Wait() }
}

// run looks for such events until ctx ends: at first for all, then for those that nobody is about to match.
func (r *recorder) run(ctx context.Context) {
	ticker := time.NewTicker(matchInterval)
	defer ticker.Stop()
	for age := time.Duration(0); ; age = matchInterval {
		if err := r.matchLeft(ctx, age); err != nil && ctx.Err() == nil {
			r.log.Error("the rules of some events could not run; they are tried again in "+matchInterval.String(), "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// matchLeft runs the rules of the events that have been waiting for longer than age, the earliest first. One whose rules
// cannot run holds up no other.
func (r *recorder) matchLeft(ctx context.Context, age time.Duration) (failed error) {
	var after Event // many may have been written at one time
	for n := matchBatch; n == matchBatch; {
		var left []Event
		var generation int64
		err := r.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			if generation, err = identity.Generation(tx); err != nil {
				return err
			}
			left, err = sqldb.All(tx, scanEvent, "SELECT "+eventColumns+` FROM event e JOIN unmatched u ON u.event_pk = e.pk
				WHERE (u.created, u.event_pk) > ($1, $2) AND u.created <= $3 ORDER BY u.created, u.event_pk LIMIT $4`,
				after.Created, after.PK, tx.Now()-age.Microseconds(), matchBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("look for events without rules: %w", err)
		}
		for _, e := range left {
			err := r.match(ctx, plan{event: e, columns: columnsOf(&e)}, generation)
			if ctx.Err() != nil || errors.Is(err, script.ErrBusy) {
				return err
			}
			failed = cmp.Or(failed, err)
			after = e
		}
		n = len(left)
	}
	return failed
}
