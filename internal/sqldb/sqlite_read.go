package sqldb

import (
	"context"
	"errors"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// interruptEvery is how often a read that must stop is told so: SQLite forgets
// an interrupt that comes between two statements.
const interruptEvery = 5 * time.Millisecond

// reader is one place in the pool of readers. Its connection is opened again after a fault.
type reader struct {
	file sqliteFile
	conn *sqliteConn // nil after a fault
}

func (r *reader) connect() (err error) {
	if r.conn == nil {
		r.conn, err = r.file.openReader()
	}
	return err
}

func (r *reader) disconnect() error {
	if r.conn == nil {
		return nil
	}
	conn := r.conn
	r.conn = nil
	return conn.Close()
}

// read runs fn on one reader's snapshot. A quick read has one more reader, which long ones never take.
func (db *sqliteDB) read(ctx context.Context, fn func(tx *Tx) error, quick bool) error {
	limited, cancel := context.WithTimeoutCause(ctx, db.timeout, ErrTimeout)
	defer cancel()
	select {
	case <-db.closed: // asked first, because select takes any of the cases that are ready
		return ErrClosed
	default:
	}
	var more chan *reader // nil is never ready
	if quick {
		more = db.quick
	}
	select {
	case r := <-db.readers:
		return db.readBy(limited, r, db.readers, fn)
	case r := <-more:
		return db.readBy(limited, r, more, fn)
	case <-limited.Done():
		return whyStopped(limited)
	case <-db.closed:
		return ErrClosed
	}
}

// readBy runs fn on a reader and gives it back to its pool.
func (db *sqliteDB) readBy(ctx context.Context, r *reader, pool chan *reader, fn func(tx *Tx) error) error {
	err := r.read(ctx, fn, db.clock.current())
	pool <- r
	db.health.note(err)
	return err
}

// read runs fn between BEGIN and ROLLBACK. SQLite knows no context: a
// watchdog interrupts the statements.
func (r *reader) read(ctx context.Context, fn func(tx *Tx) error, now int64) error {
	if err := ctx.Err(); err != nil {
		return whyStopped(ctx)
	}
	if err := r.connect(); err != nil {
		return err
	}
	release := interruptWhenDone(ctx, r.conn)
	err := r.conn.run("BEGIN")
	if err == nil {
		tx := &Tx{run: &readRun{sqliteConn: r.conn, limit: ctx}, now: now}
		err = tx.run.classify(call(tx, fn))
		tx.end()
	}
	release()
	if rollback := r.conn.rollback(); rollback != nil { // the next read is not to meet this transaction
		return errors.Join(err, rollback, r.disconnect())
	}
	return err
}

// interruptWhenDone interrupts conn from the end of ctx on, until release is called.
func interruptWhenDone(ctx context.Context, conn *sqliteConn) (release func()) {
	finished, stopped := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		for {
			conn.Interrupt()
			select {
			case <-finished:
				return
			case <-time.After(interruptEvery):
			}
		}
	})
	return func() {
		if !stop() {
			close(finished)
			<-stopped
		}
	}
}

// rollback ends the connection's transaction, if it has one.
func (c *sqliteConn) rollback() error {
	if !c.InTransaction() {
		return nil
	}
	return c.run("ROLLBACK")
}

// readRun is the connection of one read. No statement of it begins after the read's end.
type readRun struct {
	*sqliteConn
	limit context.Context
}

func (r *readRun) exec(query string, args []any) (int64, error) {
	if r.limit.Err() != nil {
		return 0, whyStopped(r.limit)
	}
	changed, err := r.sqliteConn.exec(query, args)
	return changed, r.classify(err)
}

func (r *readRun) query(query string, args []any) (Rows, error) {
	if r.limit.Err() != nil {
		return nil, whyStopped(r.limit)
	}
	rows, err := r.sqliteConn.query(query, args)
	return rows, r.classify(err)
}

// classify knows that an interrupt is the end of the read and no fault of the storage.
func (r *readRun) classify(err error) error {
	if sqliteCode(err) == sqlite3.SQLITE_INTERRUPT && r.limit.Err() != nil {
		return whyStopped(r.limit)
	}
	return classifySQLite(err)
}

// whyStopped is our own reason where we set the limit (ErrTimeout, ErrStorage), and the caller's ctx.Err() otherwise.
func whyStopped(limited context.Context) error {
	if cause := context.Cause(limited); errors.Is(cause, ErrTimeout) || errors.Is(cause, ErrStorage) {
		return cause
	}
	return limited.Err()
}
