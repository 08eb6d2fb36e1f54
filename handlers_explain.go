package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/rules"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

const (
	// explainTime bounds what one explanation or dry run takes; what is known by then is answered.
	explainTime = 10 * time.Second
	// explainedMost is how many people, notifications and deliveries an explanation shows of each.
	explainedMost = 100
	// dryRunMost is how many events a dry run may look at, dryRunLast how many it does where it is not told, and dryRunPeople how
	// many recipients it shows of each event and transport.
	dryRunMost   = 1000
	dryRunLast   = 100
	dryRunPeople = 5
)

// explainEvent answers what today's rules make of an event, and beside it what was made of it. Nothing is written.
func (s *server) explainEvent(w http.ResponseWriter, r *http.Request) error {
	e, err := s.readEvent(r)
	if err != nil {
		return err
	}
	x := explanation{event: e.PK, complete: true}
	if err := s.db.Read(r.Context(), x.readCreated); err != nil {
		return err
	}
	if !e.Origin.runsRules() {
		x.why = fmt.Sprintf("No rule runs for what rules have led to themselves: this is an event of the origin %q.", e.Origin)
		return explanationSerializer.Write(w, r, http.StatusOK, &x)
	}
	ctx, cancel := context.WithTimeout(r.Context(), explainTime)
	defer cancel()
	snapshot, err := s.recorder.snapshotNow(ctx)
	if err != nil {
		return err
	}
	x.rules, err = s.recorder.explain(ctx, snapshot, &e, "", explainedMost)
	if err != nil {
		if !cutShort(r, err) {
			return err
		}
		x.complete = false
	}
	return explanationSerializer.Write(w, r, http.StatusOK, &x)
}

// cutShort reports whether an error is that there was no time for more, so that what is known is the answer.
func cutShort(r *http.Request, err error) bool {
	return r.Context().Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, script.ErrBusy))
}

// snapshotNow is a snapshot that is not older than the call.
func (r *recorder) snapshotNow(ctx context.Context) (*snapshot, error) {
	var generation int64
	err := r.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		generation, err = identity.Generation(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.snapshot(ctx, generation)
}

// explain says what rules make of an event, or the one with the given pk alone, with at most so many people of each
// transport. The error is ctx's or the database's; what is explained by then is answered beside it.
func (r *recorder) explain(ctx context.Context, s *snapshot, e *Event, rulePK string, people int) ([]explained, error) {
	columns := columnsOf(e)
	subject, err := r.subject(ctx, s, e, &columns)
	if err != nil {
		return nil, err
	}
	all, err := s.rules.Explain(ctx, r.runner, subject, rulePK)
	out := make([]explained, len(all))
	for i, x := range all {
		out[i].Explanation = x
		match := rules.Match{Rule: x.Rule, Users: x.Users, Transports: x.Rule.Transports}
		for _, way := range s.delivery.Ways(match.Transports, s.known(match.Users), r.render) {
			t := told{Way: way}
			for _, to := range way.Receivers {
				if to.Why == "" {
					t.count++
				}
			}
			t.Receivers = way.Receivers[:min(people, len(way.Receivers))]
			out[i].told = append(out[i].told, t)
		}
	}
	return out, err
}

// readCreated reads what was made of the event.
func (x *explanation) readCreated(tx *sqldb.Tx) (err error) {
	if x.waiting, err = exists(tx, "SELECT 1 FROM unmatched WHERE event_pk = $1", []any{x.event}); err != nil {
		return err
	}
	if err := tx.Row("SELECT COUNT(*) FROM notification WHERE event_pk = $1", []any{x.event}, &x.notified); err != nil {
		return fmt.Errorf("count the notifications of an event: %w", err)
	}
	x.notifications, err = sqldb.All(tx, scanCreated, `SELECT n.pk, n.user_pk, u.username, COALESCE(n.rule_pk, ''), COALESCE(n.transport_pk, ''),
		n.severity, n.created, n.seen FROM notification n JOIN app_user u ON u.pk = n.user_pk
		WHERE n.event_pk = $1 ORDER BY n.user_pk, n.pk LIMIT $2`, x.event, explainedMost)
	if err != nil {
		return fmt.Errorf("read the notifications of an event: %w", err)
	}
	x.deliveries, x.delivered, err = delivery.LoggedOf(tx, x.event, explainedMost)
	return err
}

func scanCreated(row sqldb.Scanner) (m createdNotification, err error) {
	err = row.Scan(&m.PK, &m.UserPK, &m.username, &m.RulePK, &m.TransportPK, &m.Severity, &m.Created, &m.Seen)
	return m, err
}

// dryRunRule answers what a rule would make of the last events. Nothing is written, rendered or sent.
func (s *server) dryRunRule(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "pbm_uuid")
	if err != nil {
		return err
	}
	in := dryRunRequestSerializer.Read(w, r, drf.Create)
	ctx, cancel := context.WithTimeout(r.Context(), explainTime)
	defer cancel()
	snapshot, err := s.recorder.snapshotNow(ctx)
	if err != nil {
		return err
	}
	d := dryRun{complete: true}
	var known bool
	if d.rule, known = snapshot.rules.Rule(pk); !known {
		return drf.NotFound()
	}
	if err := in.Err(); err != nil {
		return err
	}
	last := int64(dryRunLast)
	in.Patch.last.Apply(&last)
	if err := s.recorder.dryRun(ctx, snapshot, &d, last); err != nil {
		if !cutShort(r, err) {
			return err
		}
		d.complete = false
	}
	return dryRunSerializer.Write(w, r, http.StatusOK, &d)
}

// dryRun looks at the last events, the newest first and one at a time, because one may be large.
func (r *recorder) dryRun(ctx context.Context, s *snapshot, d *dryRun, last int64) error {
	var pks []string
	err := r.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		pks, err = sqldb.All(tx, scanText, `SELECT e.pk FROM event e WHERE e.origin NOT IN ($1, $2)
			ORDER BY e.created DESC, e.pk DESC LIMIT $3`, string(OriginScript), string(OriginDelivery), last)
		return err
	})
	for _, pk := range pks {
		if err == nil {
			err = r.dryRunOne(ctx, s, d, pk)
		}
	}
	return err
}

func scanText(row sqldb.Scanner) (text string, err error) {
	err = row.Scan(&text)
	return text, err
}

// dryRunOne looks at one event. One that is gone meanwhile is passed over.
func (r *recorder) dryRunOne(ctx context.Context, s *snapshot, d *dryRun, pk string) error {
	var e Event
	err := r.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		e, err = getEvent(tx, pk)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := r.explain(ctx, s, &e, d.rule.PK, dryRunPeople)
	if err != nil {
		return err
	}
	d.events++
	if x := all[0]; x.Matched {
		d.matched++
		summary := shorten(summarize(&e), longestBody)
		e.User, e.Context, e.Brand = "", "", "" // they are not shown, and may be large
		d.results = append(d.results, dryResult{event: e, summary: summary, explained: x})
	}
	return nil
}
