package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"belfry/internal/trigram"
)

const (
	fillDays     = 60
	fillBatch    = 20_000 // events in one transaction
	hourMicros   = int64(time.Hour / time.Microsecond)
	dayMicros    = 24 * hourMicros
	expiryMicros = 365 * dayMicros
)

// fillCommand is -fill: it makes DIR/events-N/belfry.db, or goes on where it was stopped.
func fillCommand(ctx context.Context, o options, errs io.Writer) error {
	path := filepath.Join(o.data, fmt.Sprintf("events-%d", o.fill), "belfry.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	begin := time.Now()
	if err := fillDatabase(ctx, path, o.fill); err != nil {
		return fmt.Errorf("fill %s (run it again, and it goes on): %w", path, err)
	}
	_, err := fmt.Fprintf(errs, "%s holds %d events and their search index; %s\n", path, o.fill, time.Since(begin).Round(time.Second))
	return err
}

// fillDatabase makes a database that holds so many events of the last 60 days, in the order of time: every 50th with a
// notification of akadmin's, all with their hourly counters and their search index. The server makes the database and the
// index; the events are written here, as it writes them. One that exists is filled up, so that a run may be stopped at any moment.
func fillDatabase(ctx context.Context, path string, events int) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), "fill-*")
	if err != nil {
		return err
	}
	b := &belfry{binary: filepath.Join(dir, "belfry")}
	defer func() { b.stop(); err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	if err := b.start(ctx, path); err != nil {
		return err
	}
	b.stop()
	if err := insertEvents(ctx, path, events); err != nil {
		return err
	}
	if err := b.start(ctx, path); err != nil {
		return err
	}
	return awaitIndex(ctx, path)
}

// openFilled opens a database that a server has made.
func openFilled(path, parameters string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&"+parameters)
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// insertEvents writes the events that are missing. It does not wait for the disk: only a crash of the machine could do harm.
func insertEvents(ctx context.Context, path string, events int) (err error) {
	db, err := openFilled(path, "_pragma=synchronous(OFF)&_pragma=cache_size(-500000)&_pragma=foreign_keys(on)&_txlock=immediate")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	f := &filler{step: fillDays * dayMicros / int64(events), start: time.Now().UnixMicro() - fillDays*dayMicros}
	if err := f.resume(ctx, db); err != nil {
		return err
	}
	for f.number < events {
		if err := f.batch(ctx, db, min(fillBatch, events-f.number)); err != nil {
			return err
		}
	}
	return nil
}

// filler writes the events in the order of their numbers.
type filler struct {
	start, step int64
	number      int // the next event's
}

// resume finds out where a run before this one was stopped.
func (f *filler) resume(ctx context.Context, db *sql.DB) error {
	var first sql.NullInt64
	err := db.QueryRowContext(ctx, "SELECT (SELECT created FROM event ORDER BY rowid LIMIT 1), (SELECT coalesce(max(rowid), 0) FROM event)").Scan(&first, &f.number)
	if first.Valid {
		f.start = first.Int64 - invent(0, 0, f.step).created
	}
	return err
}

// batch writes so many events in one transaction.
func (f *filler) batch(ctx context.Context, db *sql.DB, size int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing once it is committed
	w, err := newRowWriter(ctx, tx)
	if err != nil {
		return err
	}
	for row := range f.rows(size) {
		if err := w.write(ctx, row); err != nil {
			return err
		}
	}
	if err := w.count(ctx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	f.number += size
	return nil
}

// rows invents events beside the writing of them.
func (f *filler) rows(size int) <-chan *filled {
	rows := make(chan *filled, size) // it never waits, whatever becomes of the batch
	first := f.number
	go func() {
		defer close(rows)
		for i := first; i < first+size; i++ {
			rows <- invent(i, f.start+int64(i)*f.step, f.step)
		}
	}()
	return rows
}

// counter names a counter: of the events of an hour or, where there is an application, of its uses by a user.
type counter struct {
	hour                      int64
	action, application, user string
}

// rowWriter writes rows in a transaction.
type rowWriter struct {
	tx                  *sql.Tx
	event, notification *sql.Stmt
	counts              map[counter]int
	now                 int64
}

// newRowWriter prepares the statements. Notifications are akadmin's, and a rule's of the first start.
func newRowWriter(ctx context.Context, tx *sql.Tx) (*rowWriter, error) {
	w := &rowWriter{tx: tx, counts: map[counter]int{}, now: time.Now().UnixMicro()}
	var err1, err2 error
	w.event, err1 = tx.PrepareContext(ctx, `INSERT INTO event (pk, created, expires, action, app, client_ip, origin, user_json, context, brand,
			user_pk, username, context_username, model_app, model_name, model_pk, application_pk, application, brand_name, folded)
		VALUES ($1, $2, $3, $4, $5, $6, 'api', $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`)
	w.notification, err2 = tx.PrepareContext(ctx, `INSERT INTO notification (pk, user_pk, event_pk, rule_pk, transport_pk, severity, body, folded, created, seen, seen_at)
		SELECT $1, 1, $2, r.pk, t.pk, $3, $4, $5, $6, $7, $8 FROM rule r, transport t
		WHERE r.name = 'default-notify-exception' AND t.name = 'default-local-transport'`)
	return w, errors.Join(err1, err2)
}

func (w *rowWriter) write(ctx context.Context, r *filled) error {
	_, err := w.event.ExecContext(ctx, r.pk, r.created, r.created+expiryMicros, r.action, r.app, r.clientIP, r.user, r.context, r.brand,
		r.userPK, r.username, r.contextUsername, r.modelApp, r.modelName, r.modelPK, r.applicationPK, r.application, r.brandName, r.folded)
	if err != nil {
		return fmt.Errorf("insert an event: %w", err)
	}
	w.counts[counter{hour: r.created - r.created%hourMicros, action: r.action}]++
	if r.application != nil {
		user := ""
		if r.userPK != nil {
			user = strconv.FormatInt(*r.userPK, 10)
		}
		w.counts[counter{action: r.action, application: *r.application, user: user}]++
	}
	if r.notification == "" {
		return nil
	}
	// Every second one is seen, but none so long ago that the server is about to delete it.
	at := r.created + hourMicros
	seen := r.created/dayMicros%2 == 0 && at > w.now-10*dayMicros && at < w.now
	result, err := w.notification.ExecContext(ctx, r.notification, r.pk, r.severity, r.body, r.foldedBody, r.created, seen, sql.NullInt64{Int64: at, Valid: seen})
	if err != nil {
		return fmt.Errorf("insert a notification: %w", err)
	}
	if n, err := result.RowsAffected(); n != 1 || err != nil {
		return errors.Join(errors.New("the database has not the rule and the transport of a first start"), err)
	}
	return nil
}

// count adds what was written to the counters.
func (w *rowWriter) count(ctx context.Context) (err error) {
	for key, n := range w.counts {
		if key.application == "" {
			_, err = w.tx.ExecContext(ctx, `INSERT INTO event_hour (hour, action, slot, count) VALUES ($1, $2, 0, $3)
				ON CONFLICT (hour, action, slot) DO UPDATE SET count = event_hour.count + excluded.count`, key.hour, key.action, n)
		} else {
			_, err = w.tx.ExecContext(ctx, `INSERT INTO event_application (action, application, user_pk, count) VALUES ($1, $2, $3, $4)
				ON CONFLICT (action, application, user_pk) DO UPDATE SET count = event_application.count + excluded.count`, key.action, key.application, key.user, n)
		}
		if err != nil {
			return fmt.Errorf("count events: %w", err)
		}
	}
	return nil
}

// awaitIndex waits until the running server has indexed all whole zones of the search index.
func awaitIndex(ctx context.Context, path string) (err error) {
	db, err := openFilled(path, "mode=ro")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for {
		var whole, done int
		err := db.QueryRowContext(ctx, `SELECT (SELECT (coalesce(max(rowid), 0) + 1) >> $1 FROM event), (SELECT count(*) FROM event_zone WHERE newest IS NOT NULL)`,
			trigram.ZoneBits).Scan(&whole, &done)
		if err != nil || done >= whole {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
