package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"belfry/internal/delivery"
	"belfry/internal/sqldb"
)

const (
	// sweepInterval is how often what is due is looked for.
	sweepInterval = 5 * time.Minute
	// sweepBatch is how many rows one write deletes, so that other writers wait briefly.
	sweepBatch = 500
	// keepSeen is how long a notification stays after it was marked as seen. Unseen ones stay.
	keepSeen = 30 * dayMicros
	// leap is how far the clock may run ahead of what is known before it is doubted, and doubt how long
	// deletions then wait: a clock that is wrong by years would otherwise delete everything at once.
	leap  = 7 * dayMicros
	doubt = dayMicros
)

// retention deletes events that have expired, notifications that were seen and deliveries that were settled long ago. It goes by the clock
// itself: the time of a transaction never goes back, and may be ahead of the clock by as much as that once was wrong.
type retention struct {
	db  *sqldb.DB
	log *slog.Logger
}

// start sweeps in the background until it is stopped.
func (r *retention) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx) })
	return func() { cancel(); running.Wait() }
}

// run sweeps until ctx ends.
func (r *retention) run(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	doubted := false
	for last := time.Now(); ; {
		now := time.Now()
		trusted, err := r.look(ctx, now, now.Sub(last))
		switch {
		case err != nil && ctx.Err() == nil:
			r.log.Error("retention could not check the clock, and tries again in "+sweepInterval.String(), "error", err)
		case trusted:
			r.sweep(ctx, now)
		case err == nil && !doubted:
			r.log.Warn("the clock is far ahead of when Belfry last ran: nothing is deleted until it has run for a day; check the clock")
		}
		last, doubted = now, err == nil && !trusted
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look asks the guard whether to trust the clock, and keeps its answer for the next start. elapsed is how long
// Belfry has been running since the last look.
func (r *retention) look(ctx context.Context, now time.Time, elapsed time.Duration) (trusted bool, err error) {
	err = r.db.Write(ctx, func(tx *sqldb.Tx) error {
		guard, err := loadGuard(tx)
		if err != nil {
			return err
		}
		trusted = guard.trusts(now.UnixMicro(), elapsed.Microseconds())
		_, err = tx.Exec(`INSERT INTO sweep (id, wall, doubted) VALUES (1, $1, $2)
			ON CONFLICT (id) DO UPDATE SET wall = excluded.wall, doubted = excluded.doubted`, guard.wall, guard.doubted)
		return err
	})
	return trusted, err
}

// sweep deletes all that is due, in batches, and logs what it did.
func (r *retention) sweep(ctx context.Context, now time.Time) {
	wall := now.UnixMicro()
	events, err := r.all(ctx, func(tx *sqldb.Tx) (int, error) { return deleteExpired(tx, wall) })
	notifications, failed := r.deleteSeen(ctx, seenPass{before: wall - keepSeen, size: seenPart})
	deliveries, undeleted := r.all(ctx, func(tx *sqldb.Tx) (int, error) { return delivery.DeleteSettled(tx, wall, sweepBatch) })
	_, empty := r.all(ctx, func(tx *sqldb.Tx) (int, error) { return deleteEmptyCounters(tx, wall) })
	behind := r.addUp(ctx)
	if err = errors.Join(err, failed, undeleted, empty, behind); err != nil && ctx.Err() == nil {
		r.log.Error("retention stopped, and begins again in "+sweepInterval.String(), "error", err)
	}
	if events+notifications+deliveries > 0 {
		r.log.Info("retention deleted what was due", "events", events, "notifications", notifications, "deliveries", deliveries)
	}
}

// all runs batches until one is not full.
func (r *retention) all(ctx context.Context, batch func(*sqldb.Tx) (int, error)) (total int, err error) {
	for n := sweepBatch; n == sweepBatch; total += n {
		err := r.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			n, err = batch(tx)
			return err
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// addUp adds up the counters of hours that have passed since the last sweep.
func (r *retention) addUp(ctx context.Context) error {
	for more := true; more; {
		err := r.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			more, err = addUp(tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteExpired deletes a batch of events that expired before the given time. Their notifications stay, without an event.
func deleteExpired(tx *sqldb.Tx, before int64) (int, error) {
	due, err := sqldb.All(tx, scanEvent, "SELECT "+eventColumns+" FROM event e WHERE e.expires < $1 ORDER BY e.expires, e.pk LIMIT $2", before, sweepBatch)
	if err != nil {
		return 0, fmt.Errorf("look for expired events: %w", err)
	}
	counts := tally{}
	for _, e := range due {
		if err := deleteEvent(tx, e.PK, counts); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, err
		}
	}
	tx.AtEnd(counts)
	return len(due), nil
}

// deleteSeen deletes the notifications that a pass finds due. An index of the moment at which one was seen would cost everybody who marks
// one more than it costs to read here, beside the writes, of the index for lists all that are seen.
func (r *retention) deleteSeen(ctx context.Context, pass seenPass) (total int, err error) {
	for !pass.done {
		var due []string
		next := pass
		err := r.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			next = pass
			due, err = next.find(tx)
			return err
		})
		if err != nil {
			return total, err
		}
		if pass = next; len(due) == 0 {
			continue
		}
		deleted := 0
		err = r.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			deleted, err = deleteAll(tx, due, pass.before)
			return err
		})
		if err != nil {
			return total, err
		}
		total += deleted
	}
	return total, nil
}

// deleteEmptyCounters deletes a batch of counters of past hours that count nothing any more: the log's length
// is to decide what counting costs, not its age.
func deleteEmptyCounters(tx *sqldb.Tx, now int64) (int, error) {
	// A sum of nothing has a part that counts nothing, or less, and there is an index of these.
	empty, err := sqldb.All(tx, func(row sqldb.Scanner) (key tallyKey, err error) {
		err = row.Scan(&key.hour, &key.action)
		return key, err
	}, `SELECT DISTINCT hour, action FROM event_hour e WHERE count <= 0 AND hour < $1
		AND (SELECT SUM(count) FROM event_hour part WHERE part.hour = e.hour AND part.action = e.action) = 0 ORDER BY hour, action LIMIT $2`,
		now-dayMicros, sweepBatch)
	if err != nil {
		return 0, fmt.Errorf("look for empty counters: %w", err)
	}
	for _, key := range empty {
		if err := deleteCounter(tx, key); err != nil {
			return 0, err
		}
	}
	return len(empty), nil
}

// deleteCounter deletes the rows of one counter, if they still count nothing once they are locked.
func deleteCounter(tx *sqldb.Tx, key tallyKey) error {
	slots, err := sqldb.All(tx, scanPair, "SELECT slot, count FROM event_hour WHERE hour = $1 AND action = $2 ORDER BY slot"+tx.ForUpdate(), key.hour, key.action)
	if err != nil {
		return fmt.Errorf("lock counter: %w", err)
	}
	sum := int64(0)
	for _, slot := range slots {
		sum += slot[1]
	}
	if sum != 0 {
		return nil
	}
	for _, slot := range slots {
		if _, err := tx.Exec("DELETE FROM event_hour WHERE hour = $1 AND action = $2 AND slot = $3", key.hour, key.action, slot[0]); err != nil {
			return fmt.Errorf("delete counter: %w", err)
		}
	}
	return nil
}

// clockGuard doubts a clock that leapt ahead. Times are microseconds.
type clockGuard struct {
	wall    int64 // when the clock was last trusted; 0 for never
	doubted int64 // how long Belfry has been running since it began to doubt
}

// trusts reports whether deletions may go by the clock now, elapsed after the last look.
func (g *clockGuard) trusts(wall, elapsed int64) bool {
	if g.wall != 0 && wall-g.wall-elapsed > leap {
		g.doubted += elapsed
		if g.doubted < doubt {
			return false
		}
	}
	g.wall, g.doubted = wall, 0
	return true
}

// loadGuard reads the guard as it was at the last look. Before the first one, the newest entry says when Belfry last ran.
func loadGuard(tx *sqldb.Tx) (g clockGuard, err error) {
	err = tx.Row("SELECT wall, doubted FROM sweep WHERE id = 1"+tx.ForUpdate(), nil, &g.wall, &g.doubted)
	if errors.Is(err, sql.ErrNoRows) {
		g.wall, err = newestTime(tx)
	}
	return g, err
}
