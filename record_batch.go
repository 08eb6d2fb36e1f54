package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/live"
	"belfry/internal/sqldb"
)

// fate is what became of an event of a batch.
type fate int

const (
	fateCreated  fate = iota
	fateExisting      // it was stored before
	fateTaken         // its key belongs to another event
)

// keyTaken is what is wrong with a line of the last fate.
var keyTaken = drf.JSON(drf.Invalid("pk", "An event with this pk is stored already, with another content.").Body)

// batchLine is a line of a batch, ready to be written.
type batchLine struct {
	place
	plan plan
	fate fate
}

// place is where a line stands in its upload.
type place struct {
	number int // of the line, or of the element
	at     int // among the keys of the answer
}

// byKey sorts lines by the keys of their events: rows that are written at one time are then in the order in which they are
// listed, and writes of the same rows by two nodes never wait for each other in a circle. Of one key the first comes first.
func byKey(lines []*batchLine) {
	slices.SortStableFunc(lines, func(a, b *batchLine) int { return strings.Compare(a.plan.event.PK, b.plan.event.PK) })
}

// batchWrite is a write of many events. What follows from them after its commit is gathered.
type batchWrite struct {
	*recorder
	tx         *sqldb.Tx
	generation int64
	counts     tally
	hints      []live.Hint
	transports []string
	postponed  []plan
}

// commitAll is commit for the lines of a batch, with one look at the generation. Their keys may be stored already: what comes
// of that is each line's fate, and nothing follows from a line that makes no event.
func (r *recorder) commitAll(ctx context.Context, tx *sqldb.Tx, lines []*batchLine) error {
	generation, err := identity.HoldGeneration(tx)
	if err != nil {
		return fmt.Errorf("read generation: %w", err)
	}
	b := &batchWrite{recorder: r, tx: tx, generation: generation, counts: tally{}}
	for _, l := range lines {
		if l.fate, err = b.commit(l.plan); err != nil {
			return err
		}
	}
	tx.OnCommit(func() {
		if len(b.hints) > 0 {
			r.publish(coarse(b.hints)...)
		}
		if len(b.transports) > 0 {
			slices.Sort(b.transports)
			r.wake(slices.Compact(b.transports)...)
		}
	})
	if err := r.postpone(ctx, tx, b.postponed, generation); err != nil {
		return err
	}
	tx.AtEnd(b.counts)
	return nil
}

// commit writes one event, unless its key is there.
func (b *batchWrite) commit(p plan) (fate, error) {
	fresh, err := insertOnce(b.tx, &p.event, &p.columns, b.counts)
	if err != nil {
		return fateCreated, err
	}
	if !fresh {
		return b.stored(&p.event)
	}
	b.hints = append(b.hints, eventHints(&p.event, &p.columns)...)
	switch {
	case !p.event.Origin.runsRules():
	case p.outcome != nil && p.outcome.generation == b.generation:
		return fateCreated, b.follow(&p.event, p.outcome)
	default:
		b.postponed = append(b.postponed, p)
	}
	return fateCreated, nil
}

// stored is the fate of an event whose key is there.
func (b *batchWrite) stored(e *Event) (fate, error) {
	before, err := getEvent(b.tx, e.PK)
	switch {
	case err != nil:
		return fateTaken, fmt.Errorf("read the event of a key: %w", err)
	case sameContent(&before, e):
		return fateExisting, nil
	}
	return fateTaken, nil
}

// sameContent reports whether a stored event is what e would have been stored as, but for the time.
func sameContent(stored, e *Event) bool {
	sameIP := (stored.ClientIP == nil) == (e.ClientIP == nil) && (e.ClientIP == nil || *stored.ClientIP == *e.ClientIP)
	return sameIP && (!e.dated || stored.Expires == e.Expires) && stored.Action == e.Action && stored.App == e.App &&
		stored.User == e.User && stored.Context == e.Context && stored.Brand == e.Brand
}

// follow is recorder.follow for a part of a batch.
func (b *batchWrite) follow(e *Event, o *outcome) error {
	if err := insertOutcome(b.tx, e, o); err != nil {
		return err
	}
	b.hints = append(b.hints, outcomeHints(o)...)
	b.transports = append(b.transports, o.transports()...)
	for _, p := range o.events {
		if _, err := b.commit(p); err != nil {
			return err
		}
	}
	return nil
}

// manyHints is how many hints name what has changed; of more only the kinds are said, as readers do by themselves.
const manyHints = 100

// coarse are hints that no reader takes long to look through.
func coarse(hints []live.Hint) []live.Hint {
	if len(hints) <= manyHints {
		return hints
	}
	kinds := map[live.Hint]bool{}
	for _, h := range hints {
		h.ID = ""
		kinds[h] = true
	}
	return slices.Collect(maps.Keys(kinds))
}
