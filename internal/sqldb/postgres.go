package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	postgresConnections = 16
	// writeLimit ends a write whose server does not answer any more.
	writeLimit = 30 * time.Second
	// writeTries bounds how often a write is run again after a conflict.
	writeTries = 20
	readyLimit = 2 * time.Second
	// migrationLock is the advisory lock under which nodes that start together migrate in turn.
	migrationLock = 0x62656c66_7279
)

var errNoAnswer = storageError(errors.New("the PostgreSQL server did not answer in time"))

// postgresDB is a PostgreSQL database behind a pool of connections.
type postgresDB struct {
	pool    *sql.DB
	clock   *clock
	timeout time.Duration
	queued  atomic.Int64

	mu       sync.Mutex // guards closed
	closed   bool
	running  sync.WaitGroup  // the transactions that close waits for
	stopping context.Context // ends when close begins
	stop     context.CancelFunc
}

// openPostgres connects and migrates. A new database is migrated and seeded in one transaction.
func openPostgres(ctx context.Context, url string, opt Options, migrations []migration, clock *clock) (_ *postgresDB, created bool, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, false, fmt.Errorf("the URL of the database: %w", err)
	}
	// A read that is stopped is stopped on the server too, and keeps its connection.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: time.Second}
	}
	db := &postgresDB{pool: stdlib.OpenDB(*config), clock: clock, timeout: opt.ReadTimeout}
	db.stopping, db.stop = context.WithCancel(context.Background())
	db.pool.SetMaxOpenConns(postgresConnections)
	db.pool.SetMaxIdleConns(postgresConnections)
	if created, err = db.migrate(ctx, migrations, opt.Seed); err != nil {
		where := fmt.Sprintf("database %s on %s", config.Database, config.Host)
		return nil, false, errors.Join(fmt.Errorf("%s: %w", where, classifyPostgres(err)), db.pool.Close())
	}
	return db, created, nil
}

// migrate brings the schema up to date, under a lock that other nodes wait for.
func (db *postgresDB) migrate(ctx context.Context, migrations []migration, seed func(tx *Tx) error) (created bool, err error) {
	for {
		done := false
		err := db.locked(ctx, func(tx *Tx) error {
			version, err := currentVersion(tx)
			if err != nil {
				return err
			}
			if err := checkVersion(version, migrations); err != nil {
				return err
			}
			if version == 0 {
				created, done = true, true
				return makePostgres(tx, migrations, seed, db.clock)
			}
			if done = version == len(migrations); done {
				return nil
			}
			return migrations[version].apply(tx, "postgres", db.clock.next())
		})
		if err != nil || done {
			return created && err == nil, err
		}
	}
}

// locked runs fn in a transaction that no other node's migration overlaps.
func (db *postgresDB) locked(ctx context.Context, fn func(tx *Tx) error) error {
	sqlTx, err := db.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err = sqlTx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err == nil {
		err = db.run(ctx, sqlTx, fn, db.clock.next())
	}
	if err != nil {
		return errors.Join(err, sqlTx.Rollback())
	}
	return sqlTx.Commit()
}

// makePostgres runs every migration and the seed in the caller's one transaction: nobody sees a database without its first rows.
func makePostgres(tx *Tx, migrations []migration, seed func(tx *Tx) error, clock *clock) error {
	for _, m := range migrations {
		if err := m.apply(tx, "postgres", clock.next()); err != nil {
			return err
		}
	}
	if seed == nil {
		return nil
	}
	return seed(tx)
}

func (db *postgresDB) postgres() bool { return true }

func (db *postgresDB) waiting() int { return int(db.queued.Load()) }

// enter lets a transaction in unless the database is closing. Who was let in calls running.Done.
func (db *postgresDB) enter() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	db.running.Add(1)
	return nil
}

func (db *postgresDB) read(ctx context.Context, fn func(tx *Tx) error, _ bool) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.running.Done()
	limited, cancel := context.WithTimeoutCause(ctx, db.timeout, ErrTimeout)
	defer cancel()
	tx, err := db.pool.BeginTx(limited, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err == nil {
		err = db.run(limited, tx, fn, db.clock.current())
		_ = tx.Rollback() // nothing was written, and a connection that cannot roll back is not used again
	}
	return stoppedOr(limited, err)
}

// stoppedOr answers why a context ended when err came of that, and err as one of this package's otherwise.
func stoppedOr(limited context.Context, err error) error {
	if err != nil && limited.Err() != nil && (isCancelled(err) || isPostgres(err)) {
		return whyStopped(limited)
	}
	return classifyPostgres(err)
}

// run runs fn once on an open transaction.
func (db *postgresDB) run(ctx context.Context, sqlTx *sql.Tx, fn func(tx *Tx) error, now int64) error {
	tx := &Tx{run: &postgresRun{tx: sqlTx, limit: ctx}, now: now}
	defer tx.end()
	return callWhole(tx, fn)
}

// write runs fn in its own transaction, again after a conflict with another.
func (db *postgresDB) write(ctx context.Context, fn func(tx *Tx) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.running.Done()
	conn, err := db.take(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it gives the connection back, and has no other news
	for try := 1; ; try++ {
		err := db.writeOnce(conn, fn)
		if !isConflict(err) || try == writeTries {
			return classifyPostgres(err)
		}
		// The longer the queue for the same rows, the further the next tries are spread.
		pause := time.NewTimer(rand.N(time.Duration(try) * 2 * time.Millisecond))
		<-pause.C
	}
}

// take waits for a connection, as one of a bounded number.
func (db *postgresDB) take(ctx context.Context) (*sql.Conn, error) {
	if db.queued.Add(1) > queueLimit {
		db.queued.Add(-1)
		return nil, ErrOverloaded
	}
	defer db.queued.Add(-1)
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(db.stopping, cancel)()
	conn, err := db.pool.Conn(waiting)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case db.stopping.Err() != nil:
		return nil, ErrClosed
	}
	return nil, classifyPostgres(err)
}

// writeOnce runs fn once and commits. It knows nothing of the request's context: what has begun runs to its end.
func (db *postgresDB) writeOnce(conn *sql.Conn, fn func(tx *Tx) error) (err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), writeLimit, errNoAnswer)
	defer cancel()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err = db.run(ctx, tx, fn, db.clock.next()); err != nil {
		_ = tx.Rollback() // a connection that cannot roll back is not used again
		return err
	}
	return tx.Commit()
}

// ready asks the server whether it takes writes.
func (db *postgresDB) ready(ctx context.Context) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.running.Done()
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	var readOnly bool
	err := db.pool.QueryRowContext(ctx, "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean").Scan(&readOnly)
	if err != nil {
		return storageError(err)
	}
	if readOnly {
		return storageError(errors.New("the PostgreSQL server is read-only"))
	}
	return nil
}

// close waits for the transactions that have begun, and refuses the writes that wait.
func (db *postgresDB) close() error {
	db.mu.Lock()
	closed := db.closed
	db.closed = true
	db.mu.Unlock()
	if closed {
		return ErrClosed
	}
	db.stop()
	db.running.Wait()
	return db.pool.Close()
}

// postgresRun is one transaction.
type postgresRun struct {
	tx    *sql.Tx
	limit context.Context
}

func (r *postgresRun) exec(query string, args []any) (int64, error) {
	result, err := r.tx.ExecContext(r.limit, query, args...)
	if err != nil {
		return 0, r.classify(err)
	}
	return result.RowsAffected()
}

func (r *postgresRun) query(query string, args []any) (Rows, error) {
	rows, err := r.tx.QueryContext(r.limit, query, args...)
	if err != nil {
		return nil, r.classify(err)
	}
	return rows, nil
}

func (r *postgresRun) script(text string) error {
	_, err := r.tx.ExecContext(r.limit, text)
	return r.classify(err)
}

func (r *postgresRun) classify(err error) error { return stoppedOr(r.limit, err) }

func (r *postgresRun) postgres() bool { return true }
