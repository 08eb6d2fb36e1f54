package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/live"
	"belfry/internal/rules"
	"belfry/internal/sqldb"
)

// errStale says that an event has changed between the reading of it and the write: prepare the change again.
var errStale = errors.New("the event is not what it was when the change was prepared")

// longestBody bounds the text of a notification, in characters: it is stored for every recipient.
const longestBody = 4096

// snapshot is all that decides who is notified of an event, as of one generation.
type snapshot struct {
	rules      *rules.Snapshot
	transports map[string]delivery.Transport
}

// recorder writes events with all that follows from them. The work is in two halves: prepare matches and
// renders outside any write, commit writes.
type recorder struct {
	db      *sqldb.DB
	publish func(...live.Hint)
	current atomic.Pointer[snapshot]
	loading sync.Mutex // held by who reads a snapshot to be current
}

// plan is an event and its consequences, ready to be written. A plan without a snapshot runs no rules.
type plan struct {
	event         Event
	columns       columns
	notifications []Notification
	snapshot      *snapshot
}

// record writes an event, and the notifications that rules make of it, durably and all at once.
func (r *recorder) record(ctx context.Context, e Event) (Event, error) {
	p, err := r.prepare(ctx, e)
	if err != nil {
		return Event{}, err
	}
	var written Event
	err = r.db.Write(ctx, func(tx *sqldb.Tx) error {
		counts := tally{}
		e, err := r.commit(tx, p, counts)
		if err != nil {
			return err
		}
		written = e
		return counts.write(tx)
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
	s, err := r.snapshot(ctx)
	if err != nil {
		return plan{}, err
	}
	return newPlan(e, s), nil
}

// newPlan gives the event its key and works out what follows from it by the snapshot.
func newPlan(e Event, s *snapshot) plan {
	e.PK = sqldb.NewID()
	p := plan{event: e, columns: columnsOf(&e), snapshot: s}
	p.match()
	return p
}

// match makes the notifications of an event, by the plan's snapshot.
func (p *plan) match() {
	var body string
	p.notifications = nil
	for _, m := range p.snapshot.rules.Match(subjectOf(&p.event, &p.columns)) {
		if body == "" {
			body = shorten(summarize(&p.event), longestBody)
		}
		for _, transport := range p.snapshot.inboxTransports(m.Transports) {
			for _, user := range transport.receivers(m.Users) {
				p.notifications = append(p.notifications, Notification{
					PK: sqldb.NewID(), UserPK: user, RulePK: m.Rule.PK, TransportPK: transport.pk,
					Severity: m.Rule.Severity, Body: body, folded: drf.Fold(body),
				})
			}
		}
	}
}

// inboxTransport is a way into the inbox: a local transport, or none at all for a rule without transports.
type inboxTransport struct {
	pk       string
	sendOnce bool
}

// inboxTransports are the local ones of a rule's transports. A rule without any notifies the inbox, as
// its own help text says.
func (s *snapshot) inboxTransports(pks []string) []inboxTransport {
	if len(pks) == 0 {
		return []inboxTransport{{}}
	}
	var local []inboxTransport
	for _, pk := range pks {
		if t, ok := s.transports[pk]; ok && t.Mode == delivery.ModeLocal {
			local = append(local, inboxTransport{pk: pk, sendOnce: t.SendOnce})
		}
	}
	return local
}

// receivers are the users that a transport reaches: the first one where it sends once.
func (t inboxTransport) receivers(users []int64) []int64 {
	if t.sendOnce && len(users) > 1 {
		return users[:1]
	}
	return users
}

// commit writes a plan inside a write, and answers the event with its times. Where a rule or a recipient has
// changed since the plan was made, it matches again here: rarely, and without anything that could take long.
func (r *recorder) commit(tx *sqldb.Tx, p plan, counts tally) (Event, error) {
	if p.snapshot != nil {
		generation, err := identity.HoldGeneration(tx)
		if err != nil {
			return Event{}, fmt.Errorf("read generation: %w", err)
		}
		if generation != p.snapshot.rules.Generation {
			r.current.CompareAndSwap(p.snapshot, nil)
			if p.snapshot, err = loadSnapshot(tx); err != nil {
				return Event{}, err
			}
			p.match()
		}
	}
	if err := insertEvent(tx, &p.event, &p.columns, counts); err != nil {
		return Event{}, err
	}
	for _, n := range p.notifications {
		n.Event = &p.event
		if err := insertNotification(tx, &n); err != nil {
			return Event{}, err
		}
	}
	tx.OnCommit(func() { r.publish(hintsOf(&p)...) })
	return p.event, nil
}

// snapshot is the latest one known. It may be out of date: commit finds out. One request loads it, the others wait.
func (r *recorder) snapshot(ctx context.Context) (*snapshot, error) {
	if s := r.current.Load(); s != nil {
		return s, nil
	}
	r.loading.Lock()
	defer r.loading.Unlock()
	if s := r.current.Load(); s != nil {
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

// loadSnapshot reads a snapshot. One that was read inside a write is for that write alone: the write may yet fail.
func loadSnapshot(tx *sqldb.Tx) (*snapshot, error) {
	var s snapshot
	var err error
	if s.rules, err = rules.Load(tx); err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	if s.transports, err = delivery.LoadTransports(tx); err != nil {
		return nil, fmt.Errorf("load transports: %w", err)
	}
	return &s, nil
}
