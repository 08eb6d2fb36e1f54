package delivery

import (
	"cmp"
	"slices"

	"belfry/internal/sqldb"
)

// plan is what is to be claimed of one lane, and what was.
type plan struct {
	lane      *lane
	transport Transport
	limit     int
	claimed   []Delivery // in the order in which they begin
	next      int64      // when the lane has something due after that
}

// plan shares the free room among the transports that have something due: who was served longest ago comes first.
func (w *Worker) plan() []*plan {
	now, traffic := w.clock.now(), w.traffic()
	var due []*plan
	for pk, l := range w.lanes {
		t, ok := w.snapshot.transports[pk]
		switch {
		case !ok || t.DisabledAt != nil: // parked: enabling it wakes
			l.next = never
		case l.next <= now && l.room(now) > 0:
			due = append(due, &plan{lane: l, transport: t, limit: l.room(now)})
		}
	}
	slices.SortFunc(due, func(a, b *plan) int {
		return cmp.Or(cmp.Compare(a.lane.turn, b.lane.turn), cmp.Compare(a.transport.PK, b.transport.PK))
	})
	plans := due[:0]
	for _, p := range due {
		if p.limit = min(p.limit, traffic.room(p.lane)); p.limit > 0 {
			traffic.add(p.lane, p.limit)
			plans = append(plans, p)
		}
	}
	return plans
}

// traffic counts what is under way.
func (w *Worker) traffic() (t traffic) {
	for _, l := range w.lanes {
		t.add(l, l.inFlight)
	}
	return t
}

// claimAll claims what was planned.
func (w *Worker) claimAll(tx *sqldb.Tx, plans []*plan, lease string) (err error) {
	now := w.clock.now()
	for _, p := range plans {
		if p.claimed, err = claim(tx, p.transport.PK, now, p.limit, lease); err != nil {
			return err
		}
		slices.SortFunc(p.claimed, func(a, b Delivery) int {
			return cmp.Or(cmp.Compare(*a.Due, *b.Due), cmp.Compare(a.Created, b.Created), cmp.Compare(a.PK, b.PK))
		})
		p.next = now // there may be more
		if len(p.claimed) < p.limit {
			if p.next, err = nextDue(tx, p.transport.PK, now); err != nil {
				return err
			}
		}
	}
	return nil
}
