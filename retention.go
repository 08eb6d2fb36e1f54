package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

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
	leap  = 7 * 24 * time.Hour
	doubt = 24 * time.Hour
)

// retention deletes events that have expired and notifications that were seen long ago.
type retention struct {
	db    *sqldb.DB
	log   *slog.Logger
	guard clockGuard
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
	started := time.Now()
	for {
		if r.guard.trusts(time.Now().Round(0), time.Since(started)) {
			r.sweep(ctx)
		} else {
			r.log.Warn("the clock is far ahead of the newest entry: nothing is deleted for a day; check the clock")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sweep deletes all that is due, in batches, and logs what it did.
func (r *retention) sweep(ctx context.Context) {
	events, err := r.all(ctx, deleteExpired)
	notifications, failed := r.all(ctx, deleteSeen)
	if err = errors.Join(err, failed); err != nil && ctx.Err() == nil {
		r.log.Error("retention stopped, and begins again in "+sweepInterval.String(), "error", err)
	}
	if events+notifications > 0 {
		r.log.Info("retention deleted what was due", "events", events, "notifications", notifications)
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

// deleteExpired deletes a batch of expired events. Their notifications stay, without an event.
func deleteExpired(tx *sqldb.Tx) (int, error) {
	due, err := sqldb.All(tx, scanEvent, "SELECT "+eventColumns+" FROM event e WHERE e.expires < $1 ORDER BY e.expires, e.pk LIMIT $2"+tx.ForUpdate(),
		tx.Now(), sweepBatch)
	if err != nil {
		return 0, fmt.Errorf("look for expired events: %w", err)
	}
	for i := range due {
		if err := deleteEvent(tx, &due[i]); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}

// deleteSeen deletes a batch of notifications that were seen long ago.
func deleteSeen(tx *sqldb.Tx) (int, error) {
	n, err := tx.Exec(`DELETE FROM notification WHERE pk IN
		(SELECT pk FROM notification WHERE seen_at < $1 ORDER BY seen_at, pk LIMIT $2`+tx.ForUpdate()+`)`, tx.Now()-keepSeen, sweepBatch)
	if err != nil {
		return 0, fmt.Errorf("delete seen notifications: %w", err)
	}
	return int(n), nil
}

// clockGuard doubts a clock that leapt ahead: against the newest entry at the start, or against the time
// that this process has been running.
type clockGuard struct {
	wall    time.Time     // as of the last look; at first, the newest entry's
	uptime  time.Duration // as of the last look
	trusted time.Duration // the uptime from which on the clock is believed
}

// trusts reports whether deletions may go by the clock now.
func (g *clockGuard) trusts(wall time.Time, uptime time.Duration) bool {
	if !g.wall.IsZero() && wall.Sub(g.wall)-(uptime-g.uptime) > leap {
		g.trusted = uptime + doubt
	}
	g.wall, g.uptime = wall, uptime
	return uptime >= g.trusted
}

// newRetention looks up the newest entry, which is what the clock is compared with at first.
func newRetention(db *sqldb.DB, log *slog.Logger) (*retention, error) {
	r := &retention{db: db, log: log}
	err := db.Read(context.Background(), func(tx *sqldb.Tx) error {
		newest, err := newestTime(tx)
		if newest > 0 {
			r.guard.wall = time.UnixMicro(newest)
		}
		return err
	})
	return r, err
}
