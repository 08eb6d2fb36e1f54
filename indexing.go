package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"belfry/internal/sqldb"
	"belfry/internal/trigram"
)

const (
	// indexInterval is how often the index looks for zones to be made.
	indexInterval = time.Second
	// restTimes is how often as long as it worked it rests.
	restTimes = 2
	// indexBlocks is how many blocks of 4 KiB one write stores, so that other writers wait briefly.
	indexBlocks = 32
	// staleInZone and staleInAll are how many stale events a zone and all zones may have before a zone is made anew.
	staleInZone = 256
	staleInAll  = 1024
)

// indexer keeps the index of the events' texts, behind the writes: a zone is made when the last of its events is there. Search
// is right without it, and slower. PostgreSQL has none.
type indexer struct {
	db       *sqldb.DB
	log      *slog.Logger
	verified bool
}

// start indexes in the background until it is stopped.
func (x *indexer) start(ctx context.Context) (stop func()) {
	if x.db.Postgres() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { x.run(ctx) })
	return func() { cancel(); running.Wait() }
}

// run makes zones until ctx ends. It rests longer than it works, for others need the machine too, and much longer while writes wait:
// what comes in a rush is indexed when that is over.
func (x *indexer) run(ctx context.Context) {
	for {
		begin := time.Now()
		worked, err := x.step(ctx)
		pause := restTimes * time.Since(begin)
		if x.db.Waiting() > 0 {
			pause *= restTimes * restTimes
		}
		if err != nil && ctx.Err() == nil {
			x.log.Error("the search index could not be continued, and is tried again in a minute; search is slower until then", "error", err)
			pause = time.Minute
		} else if !worked {
			pause = indexInterval
		}
		if x.rest(ctx, pause) != nil {
			return
		}
	}
}

// rest waits, or answers why it need not.
func (*indexer) rest(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// verify throws the index away when the events' numbers are not those that it knows: a tool that copies the
// database may give them new ones.
func (x *indexer) verify(ctx context.Context) error {
	var moved bool
	err := x.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row("SELECT EXISTS (SELECT 1 FROM event_zone z JOIN event e ON e.pk = z.pk WHERE z.newest IS NOT NULL AND e.rowid <> z.number)", nil, &moved)
	})
	if err != nil || !moved {
		x.verified = err == nil
		return err
	}
	x.log.Warn("the search index does not fit the events and is made anew; search is slower until then")
	return x.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE event_zone SET newest = NULL")
		return err
	})
}

// step makes one zone, or makes one anew; false when there is nothing to do.
func (x *indexer) step(ctx context.Context) (found bool, err error) {
	if !x.verified {
		if err := x.verify(ctx); err != nil {
			return false, err
		}
	}
	var number int64
	err = x.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		number, found, err = nextZone(tx)
		return err
	})
	if err != nil || !found {
		return false, err
	}
	return true, x.make(ctx, number)
}

// make makes a zone. A kill at any moment leaves it unfinished, and the next start begins it again.
func (x *indexer) make(ctx context.Context, number int64) error {
	whole := false
	err := x.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		whole, err = beginZone(tx, number)
		return err
	})
	if err != nil || !whole {
		return err
	}
	z := zoneIndex{number: number}
	if err := x.db.Read(ctx, z.read); err != nil {
		return err
	}
	return x.store(ctx, &z)
}

// nextZone finds a zone of which too much is stale, one that was not finished, or one that is whole and not indexed, the newest first.
func nextZone(tx *sqldb.Tx) (number int64, found bool, err error) {
	stale, err := sqldb.All(tx, scanPair, "SELECT number >> $1, count(*) FROM event_stale GROUP BY 1 ORDER BY 2 DESC", trigram.ZoneBits)
	if err != nil {
		return 0, false, fmt.Errorf("count what is stale: %w", err)
	}
	all := int64(0)
	for _, s := range stale {
		all += s[1]
	}
	if len(stale) > 0 && (stale[0][1] >= staleInZone || all >= staleInAll) {
		return stale[0][0], true, nil
	}
	unfinished, err := sqldb.All(tx, scanNumber, "SELECT zone FROM event_zone WHERE newest IS NULL ORDER BY zone DESC LIMIT 1")
	if err != nil {
		return 0, false, fmt.Errorf("look for zones that are not finished: %w", err)
	}
	if len(unfinished) > 0 {
		return unfinished[0], true, nil
	}
	zones, err := loadZones(tx)
	if err != nil {
		return 0, false, err
	}
	open, err := openZone(tx)
	if err != nil {
		return 0, false, err
	}
	gaps, err := findGaps(tx, zones, open<<trigram.ZoneBits-1)
	if err != nil || len(gaps) == 0 {
		return 0, false, err
	}
	return gaps[len(gaps)-1].to >> trigram.ZoneBits, true, nil
}

// openZone is the zone that the next event will be in. Those before it are whole.
func openZone(tx *sqldb.Tx) (number int64, err error) {
	if err = tx.Row("SELECT (coalesce(max(rowid), 0) + 1) >> $1 FROM event", []any{trigram.ZoneBits}, &number); err != nil {
		return 0, fmt.Errorf("look for the last event: %w", err)
	}
	return number, nil
}

// beginZone forgets a zone and notes that it is being made: from now on what changes in it is noted as stale. It reports
// whether the zone is whole; one that is not is only forgotten.
func beginZone(tx *sqldb.Tx, number int64) (whole bool, err error) {
	open, err := openZone(tx)
	if err != nil {
		return false, err
	}
	first := number << trigram.ZoneBits
	_, zones := tx.Exec("DELETE FROM event_zone WHERE zone = $1", number) // and its blocks with it
	_, stale := tx.Exec("DELETE FROM event_stale WHERE number BETWEEN $1 AND $2", first, first+trigram.ZoneSize-1)
	if number < open {
		_, err = tx.Exec("INSERT INTO event_zone (zone) VALUES ($1)", number)
	}
	return number < open, errors.Join(zones, stale, err)
}

// zoneIndex is a zone that is being made.
type zoneIndex struct {
	number         int64
	oldest, newest int64
	ordered        bool   // the numbers are in the order of time
	pk             string // of the last event, "" for none
	last           int64  // its number
	blocks         []trigram.Block
}

// read reads the zone's events.
func (z *zoneIndex) read(tx *sqldb.Tx) error {
	*z = zoneIndex{number: z.number, oldest: math.MaxInt64, newest: math.MinInt64, ordered: true}
	first := z.number << trigram.ZoneBits
	texts := trigram.NewBuilder()
	_, err := sqldb.All(tx, func(row sqldb.Scanner) (_ struct{}, err error) {
		var created int64
		var pk, folded string
		err = row.Scan(&z.last, &pk, &created, &folded)
		z.ordered = z.ordered && (created > z.newest || created == z.newest && pk > z.pk)
		z.pk, z.oldest, z.newest = pk, min(z.oldest, created), max(z.newest, created)
		texts.Add(int(z.last-first), folded)
		return struct{}{}, err
	}, "SELECT rowid, pk, created, folded FROM event WHERE rowid BETWEEN $1 AND $2 ORDER BY rowid", first, first+trigram.ZoneSize-1)
	if err != nil {
		return fmt.Errorf("read events for the search index: %w", err)
	}
	z.blocks = texts.Blocks()
	return nil
}

// store writes the zone, in several writes: it counts from the last one on. One that was forgotten meanwhile is left.
func (x *indexer) store(ctx context.Context, z *zoneIndex) error {
	for blocks := range slices.Chunk(z.blocks, indexBlocks) {
		begin := time.Now()
		err := x.db.Write(ctx, func(tx *sqldb.Tx) error {
			for _, b := range blocks {
				if _, err := tx.Exec("INSERT INTO event_trigram (zone, gram, data) VALUES ($1, $2, $3)", z.number, b.First, b.Data); err != nil {
					return err
				}
			}
			return nil
		})
		if _, forgotten := errors.AsType[*sqldb.ForeignKeyError](err); forgotten {
			return nil
		}
		if err != nil {
			return fmt.Errorf("store the search index: %w", err)
		}
		if err := x.rest(ctx, time.Since(begin)); err != nil {
			return err
		}
	}
	return x.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		if z.pk == "" {
			_, err = tx.Exec("DELETE FROM event_zone WHERE zone = $1", z.number)
			return err
		}
		_, err = tx.Exec("UPDATE event_zone SET oldest = $2, newest = $3, ordered = $4, pk = $5, number = $6 WHERE zone = $1",
			z.number, z.oldest, z.newest, z.ordered, z.pk, z.last)
		return err
	})
}

// readSearch is a read that may go by the index. A zone that turns out to be damaged is thrown away, to be made anew, and the
// read begins again without it.
func (s *server) readSearch(ctx context.Context, fn func(tx *sqldb.Tx) error) error {
	for {
		err := s.db.Read(ctx, fn)
		damaged, ok := errors.AsType[*damagedZone](err)
		if !ok {
			return err
		}
		s.log.Error("a part of the search index is damaged and is made anew; if that comes again, check the disk", "zone", damaged.zone, "error", damaged.err)
		err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec("DELETE FROM event_zone WHERE zone = $1", damaged.zone)
			return err
		})
		if err != nil {
			return err
		}
	}
}
