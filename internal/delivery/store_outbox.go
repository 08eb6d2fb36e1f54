package delivery

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"belfry/internal/sqldb"
)

const deliveryColumns = `pk, event_pk, rule_pk, rule_name, transport_name, username, transport_pk, user_pk, mode, state, reason,
	severity, summary, body, created, attempts, step, due, settled`

func scanDelivery(row sqldb.Scanner) (d Delivery, err error) {
	err = row.Scan(&d.PK, &d.EventPK, &d.RulePK, &d.RuleName, &d.TransportName, &d.Username, &d.TransportPK, &d.UserPK, &d.Mode,
		&d.State, &d.Reason, &d.Severity, &d.Summary, &d.Body, &d.Created, &d.Attempts, &d.Step, &d.Due, &d.Settled)
	return d, err
}

// Insert writes new deliveries in the write of their event. The worker is to be woken after its commit. What
// the same event, rule, transport and recipient have made already is not made again.
func Insert(tx *sqldb.Tx, deliveries []Delivery) error {
	for _, d := range deliveries {
		d.Created = tx.Now()
		if d.Due == nil {
			d.Settled = &d.Created
		}
		_, err := tx.Exec(`INSERT INTO delivery (`+deliveryColumns+`, folded)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
			ON CONFLICT (event_pk, rule_pk, transport_pk, user_pk) DO NOTHING`,
			d.PK, d.EventPK, d.RulePK, d.RuleName, d.TransportName, d.Username, d.TransportPK, d.UserPK, d.Mode,
			d.State, d.Reason, d.Severity, d.Summary, d.Body, d.Created, d.Attempts, d.Step, d.Due, d.Settled, d.folded())
		if err != nil {
			return fmt.Errorf("insert delivery: %w", err)
		}
	}
	return nil
}

// CancelOfTransport cancels what is pending by a transport that is being deleted.
func CancelOfTransport(tx *sqldb.Tx, pk string) error {
	return cancel(tx, "transport_pk", pk, "the transport was deleted")
}

// CancelOfUser cancels what is pending for a user who is being deleted.
func CancelOfUser(tx *sqldb.Tx, pk int64) error {
	return cancel(tx, "user_pk", pk, "the recipient was deleted")
}

// cancel takes the lease from an attempt that is under way: whatever comes of it, the delivery stays cancelled.
func cancel(tx *sqldb.Tx, column string, pk any, reason string) error {
	_, err := tx.Exec(`UPDATE delivery SET state = 'cancelled', reason = $2, settled = $3, due = NULL, lease = NULL, lease_until = NULL
		WHERE `+column+` = $1 AND due IS NOT NULL`, pk, reason, tx.Now())
	if err != nil {
		return fmt.Errorf("cancel deliveries: %w", err)
	}
	return nil
}

// free is the condition that nobody holds a delivery at the time $n of the worker's clock.
const free = `(lease_until IS NULL OR lease_until <= $2)`

// claim takes up to limit deliveries of a transport that are due at now (of the worker's clock), the earliest first, and answers
// them in no order. Until the lease has run out they are the caller's, who names them by it when settling.
func claim(tx *sqldb.Tx, transportPK string, now int64, limit int, lease string) ([]Delivery, error) {
	claimed, err := sqldb.All(tx, scanDelivery, `WITH next AS MATERIALIZED (
			SELECT pk FROM delivery WHERE transport_pk = $1 AND due IS NOT NULL AND due <= $2 AND `+free+`
			ORDER BY due, created, pk LIMIT $3`+tx.SkipLocked()+`)
		UPDATE delivery SET state = 'sending', lease = $4, lease_until = $5 WHERE pk IN (SELECT pk FROM next) AND `+free+`
		RETURNING `+deliveryColumns, transportPK, now, limit, lease, now+leaseTime.Microseconds())
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	return claimed, nil
}

// hold claims one delivery that was just written, if it is to be sent at all.
func hold(tx *sqldb.Tx, pk, lease string, now int64) error {
	_, err := tx.Exec(`UPDATE delivery SET state = 'sending', lease = $2, lease_until = $3 WHERE pk = $1 AND due IS NOT NULL`,
		pk, lease, now+leaseTime.Microseconds())
	if err != nil {
		return fmt.Errorf("claim delivery: %w", err)
	}
	return nil
}

// nextDue is when the transport's earliest delivery that nobody holds is due, by the worker's clock.
func nextDue(tx *sqldb.Tx, transportPK string, now int64) (int64, error) {
	due := never
	err := tx.Row(`SELECT due FROM delivery WHERE transport_pk = $1 AND due IS NOT NULL AND `+free+`
		ORDER BY due, created, pk LIMIT 1`, []any{transportPK, now}, &due)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("look for the next delivery: %w", err)
	}
	return due, nil
}

// release gives up every lease but those of the worker of that name, so that what was under way when the last process ended
// is sent again at once. It is for a database that no other process has open.
func release(tx *sqldb.Tx, name string) error {
	_, err := tx.Exec(`UPDATE delivery SET state = 'pending', lease = NULL, lease_until = NULL
		WHERE due IS NOT NULL AND lease IS NOT NULL AND substr(lease, 1, $2) <> $1`, name, len(name))
	if err != nil {
		return fmt.Errorf("release deliveries: %w", err)
	}
	return nil
}

// settlement is what becomes of a claimed delivery.
type settlement struct {
	state   string
	reason  string
	due     int64    // of a pending one, by the worker's clock
	attempt *Attempt // nil where none was made
}

// settle writes a settlement, and reports whether it counted: not when the lease has passed to somebody else, nor
// when the delivery was cancelled meanwhile.
func settle(tx *sqldb.Tx, d *Delivery, lease string, s *settlement) (bool, error) {
	var due, settled *int64
	now, made := tx.Now(), 0
	if s.state == StatePending {
		due = &s.due
	} else {
		settled = &now
	}
	if s.attempt != nil {
		made = 1
	}
	n, err := tx.Exec(`UPDATE delivery SET state = $3, reason = $4, due = $5, settled = $6, attempts = attempts + $7, step = step + $7,
		lease = NULL, lease_until = NULL WHERE pk = $1 AND lease = $2`, d.PK, lease, s.state, s.reason, due, settled, made)
	if err != nil {
		return false, fmt.Errorf("settle delivery: %w", err)
	}
	if n == 0 || s.attempt == nil {
		return n > 0, nil
	}
	return true, insertAttempt(tx, s.attempt)
}

func insertAttempt(tx *sqldb.Tx, a *Attempt) error {
	_, err := tx.Exec(`INSERT INTO delivery_attempt (`+attemptColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		a.DeliveryPK, a.Number, a.Started, a.Duration, a.Status, a.Error, a.Answer, string(a.Headers))
	if err != nil {
		return fmt.Errorf("insert attempt: %w", err)
	}
	return nil
}

const attemptColumns = `delivery_pk, number, started, duration, status, error, answer, headers`

// storeBody keeps what was rendered anew, before it is sent for the first time. It reports whether the lease still holds.
func storeBody(tx *sqldb.Tx, pk, lease, body string) (bool, error) {
	n, err := tx.Exec(`UPDATE delivery SET body = $3 WHERE pk = $1 AND lease = $2`, pk, lease, body)
	if err != nil {
		return false, fmt.Errorf("store body: %w", err)
	}
	return n > 0, nil
}

// disable parks a transport whose receiver at url has gone, and reports whether it did: not one that is parked already, nor
// one that has another address meanwhile.
func disable(tx *sqldb.Tx, pk, url, reason string) (bool, error) {
	n, err := tx.Exec(`UPDATE transport SET disabled_at = $3, disabled_reason = $4
		WHERE pk = $1 AND webhook_url = $2 AND disabled_at IS NULL`, pk, url, tx.Now(), reason)
	if err != nil {
		return false, fmt.Errorf("disable transport: %w", err)
	}
	return n > 0, nil
}

// noteFailure reports whether people are to be told that deliveries by the transport fail: they are not told
// again before one succeeded and a day went by.
func noteFailure(tx *sqldb.Tx, pk string) (bool, error) {
	n, err := tx.Exec(`UPDATE transport SET noticed_at = $2, recovered = FALSE
		WHERE pk = $1 AND (noticed_at IS NULL OR recovered AND noticed_at <= $3)`, pk, tx.Now(), tx.Now()-noticePause.Microseconds())
	if err != nil {
		return false, fmt.Errorf("note the failure of a transport: %w", err)
	}
	return n > 0, nil
}

// noteSuccess lets a later failure be told of, where one was.
func noteSuccess(tx *sqldb.Tx, pk string) error {
	_, err := tx.Exec(`UPDATE transport SET recovered = TRUE WHERE pk = $1 AND noticed_at IS NOT NULL AND NOT recovered`, pk)
	if err != nil {
		return fmt.Errorf("note the success of a transport: %w", err)
	}
	return nil
}

// DeleteSettled deletes a batch of deliveries, with their attempts, that were settled long before now (UTC
// microseconds), and answers how many there were: fewer than limit where none is left. Each state is looked at by
// itself, so that dead ones, which are kept for longer, are not read again and again.
func DeleteSettled(tx *sqldb.Tx, now int64, limit int) (deleted int, err error) {
	for _, kept := range []struct {
		state string
		time  time.Duration
	}{{StateDelivered, keepSettled}, {StateCancelled, keepSettled}, {StateDead, keepDead}} {
		n, err := tx.Exec(`DELETE FROM delivery WHERE pk IN (SELECT pk FROM delivery
			WHERE settled IS NOT NULL AND state = $1 AND settled < $2 ORDER BY settled, pk LIMIT $3`+tx.ForUpdate()+`)`,
			kept.state, now-kept.time.Microseconds(), limit-deleted)
		if err != nil {
			return 0, fmt.Errorf("delete settled deliveries: %w", err)
		}
		deleted += int(n)
	}
	return deleted, nil
}

// InstanceID is the random name of this installation, made when it is first asked for.
func InstanceID(tx *sqldb.Tx) (id string, err error) {
	_, err = tx.Exec(`INSERT INTO instance (pk, id) VALUES (1, $1) ON CONFLICT (pk) DO NOTHING`, sqldb.NewID())
	if err == nil {
		err = tx.Row(`SELECT id FROM instance WHERE pk = 1`, nil, &id)
	}
	if err != nil {
		return "", fmt.Errorf("read the name of the installation: %w", err)
	}
	return id, nil
}
