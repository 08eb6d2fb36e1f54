package delivery

import (
	"context"

	"belfry/internal/sqldb"
)

// SendTest writes a delivery that no rule made (see [Snapshot.Render]) together with what event writes, makes its only
// attempt, and answers both as they are then. What was settled when it was made, for example because its
// mapping failed, has no attempt: its Number is 0. Neither the breaker nor the limits know of it.
func (w *Worker) SendTest(ctx context.Context, d Delivery, event func(tx *sqldb.Tx) error) (Delivery, Attempt, error) {
	ctx = context.WithoutCancel(ctx) // what has begun is settled; it takes no longer than an attempt
	var snapshot *Snapshot
	err := w.opt.DB.Read(ctx, func(tx *sqldb.Tx) (err error) {
		snapshot, err = Load(tx)
		return err
	})
	if err != nil {
		return d, Attempt{}, err
	}
	a := &attempt{worker: w, snapshot: snapshot, transport: snapshot.transports[d.TransportPK], delivery: d,
		lease: w.lease(), started: w.opt.Clock(), once: true}
	err = w.opt.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := event(tx); err != nil {
			return err
		}
		if err := Insert(tx, []Delivery{d}); err != nil {
			return err
		}
		return hold(tx, d.PK, a.lease, w.clock.now())
	})
	if err != nil || d.State != StatePending {
		return d, Attempt{}, err
	}
	a.run(ctx)
	err = w.opt.DB.Write(ctx, a.settle)
	d.State, d.Reason = a.state, a.reason
	if a.attempt == nil {
		return d, Attempt{}, err
	}
	d.Attempts = a.attempt.Number
	return d, *a.attempt, err
}
