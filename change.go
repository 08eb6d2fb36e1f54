package main

import (
	"context"
	"net/http"

	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// change is an edit of an event in place, ready to be written: as it was, as it shall be, and its trail.
type change struct {
	before  *Event // nil: the event is made
	after   Event
	columns columns
	trail   *plan // nil: no value changed
}

// prepareChange works out what a patch makes of an event. Rules do not run for an edited event,
// they run for the trail of the edit.
func (r *recorder) prepareChange(ctx context.Context, req *http.Request, before Event, patch EventPatch) (*change, error) {
	c := &change{before: &before, after: before}
	patch.apply(&c.after)
	edit := eventKind.Updated(c.before, &c.after)
	if len(edit.Diff) == 0 {
		return c, nil
	}
	c.columns = columnsOf(&c.after)
	return c, r.prepareTrail(ctx, req, c, edit)
}

// prepareDeletion works out the trail of an event's deletion.
func (r *recorder) prepareDeletion(ctx context.Context, req *http.Request, before Event) (*change, error) {
	c := &change{before: &before, after: before}
	return c, r.prepareTrail(ctx, req, c, eventKind.Deleted(c.before))
}

func (r *recorder) prepareTrail(ctx context.Context, req *http.Request, c *change, what trail.Change) error {
	p, err := r.prepare(ctx, trailEvent(req, what))
	c.trail = &p
	return err
}

// prepareFirst makes an event for a notification that has none, of a patch that has what one needs. No rule runs for it.
func prepareFirst(patch EventPatch) *change {
	c := &change{after: newEvent(patch, OriginAPI)}
	c.after.PK = sqldb.NewID()
	c.columns = columnsOf(&c.after)
	return c
}

// commitChange writes a change inside a write and answers the event as it is now. now is the event as the
// write finds it, nil for none: errStale when it is not what the change was prepared for.
func (r *recorder) commitChange(ctx context.Context, tx *sqldb.Tx, now *Event, c *change) (*Event, error) {
	after, counts := c.after, tally{}
	switch {
	case (now == nil) != (c.before == nil):
		return nil, errStale
	case now == nil:
		if err := insertEvent(tx, &after, &c.columns, counts); err != nil {
			return nil, err
		}
		tx.AtEnd(counts)
		return &after, nil
	case now.PK != c.before.PK || len(EventSerializer.Diff(now, c.before)) > 0:
		return nil, errStale
	case c.trail == nil:
		return now, nil
	}
	if err := updateEvent(tx, c.before, &after, &c.columns, counts); err != nil {
		return nil, err
	}
	if _, err := r.commit(ctx, tx, *c.trail, counts); err != nil {
		return nil, err
	}
	tx.AtEnd(counts)
	return &after, nil
}

// commitDeletion deletes an event inside a write, with its trail. Whatever it has become meanwhile, it is the
// same object that the caller wanted gone.
func (r *recorder) commitDeletion(ctx context.Context, tx *sqldb.Tx, c *change) error {
	counts := tally{}
	if err := deleteEvent(tx, c.before.PK, counts); err != nil {
		return err
	}
	if _, err := r.commit(ctx, tx, *c.trail, counts); err != nil {
		return err
	}
	tx.AtEnd(counts)
	return nil
}
