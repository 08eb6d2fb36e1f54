// Package sqldb is a handle on one database, SQLite or PostgreSQL, chosen by a URL.
//
// SQLite has one writer that runs every waiting write in one transaction and
// answers them after one commit, and a fixed pool of readers.
// PostgreSQL runs one transaction per write and repeats it on a conflict.
// Both take the same SQL text with $1 … $n.
package sqldb

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Options say how a database is opened.
type Options struct {
	// Schema is the text of schema.sql.
	Schema string
	// ApplicationID is written into a SQLite file's header and asked for when it is opened.
	ApplicationID int32
	// Seed fills a database that is being made, before anybody can see it.
	// It is not called for one that exists.
	Seed func(tx *Tx) error
	// Floor answers the newest time (UTC microseconds) that the database holds,
	// so that times written next are later, whatever the clock says.
	Floor func(tx *Tx) (int64, error)
	// Log takes what cannot be answered to a caller.
	Log *slog.Logger
	// Fatal is called when an fsync failed: nothing is written from then on.
	// The default logs and ends the process with status 1.
	Fatal func(error)
	// Clock is time.Now unless a test says otherwise.
	Clock func() time.Time
	// ReadTimeout stops a read; 5 s unless set.
	ReadTimeout time.Duration

	// vfs names the SQLite file system; tests put failing disks under a database with it.
	vfs string
}

// backend is what differs between the two databases.
type backend interface {
	read(ctx context.Context, fn func(tx *Tx) error, quick bool) error
	write(ctx context.Context, fn func(tx *Tx) error) error
	ready(ctx context.Context) error
	waiting() int
	close() error
	postgres() bool
}

// DB is an open database. Its methods may be called from any goroutine.
type DB struct {
	backend backend
	created bool
	clock   *clock
	opt     Options
	watches atomic.Pointer[[]*Watch]
}

// Open opens the database that url names — "postgres://…" or "postgresql://…", anything
// else is the path of a SQLite file — makes it when it does not exist, and brings its schema up to date.
// A SQLite file that is not fit to be used is refused, its bytes untouched;
// one that is in use is refused with [ErrLocked].
func Open(ctx context.Context, url string, opt Options) (*DB, error) {
	opt = withDefaults(opt)
	migrations, err := parseMigrations(opt.Schema)
	if err != nil {
		return nil, err
	}
	db := &DB{clock: &clock{now: opt.Clock}, opt: opt}
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		db.backend, db.created, err = openPostgres(ctx, url, opt, migrations, db.clock)
	} else {
		db.backend, db.created, err = openSQLite(ctx, url, opt, migrations, db.clock)
	}
	if err != nil {
		return nil, err
	}
	if err := db.findFloor(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// findFloor lets the clock begin after the newest time that the database holds.
func (db *DB) findFloor(ctx context.Context) error {
	if db.opt.Floor == nil {
		return nil
	}
	var floor int64
	err := db.Read(ctx, func(tx *Tx) (err error) {
		floor, err = db.opt.Floor(tx)
		return err
	})
	db.clock.raise(floor)
	return err
}

// withDefaults fills what the caller left out.
func withDefaults(opt Options) Options {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if opt.ReadTimeout == 0 {
		opt.ReadTimeout = 5 * time.Second
	}
	if opt.Fatal == nil {
		log := opt.Log
		opt.Fatal = func(err error) {
			log.Error("the storage could not be synced; nothing is safe to write any more", "error", err)
			os.Exit(1)
		}
	}
	return opt
}

// Created reports whether Open made the database.
func (db *DB) Created() bool { return db.created }

// Postgres reports whether the database is PostgreSQL.
func (db *DB) Postgres() bool { return db.backend.postgres() }

// Read runs fn on one consistent snapshot. It is stopped at ReadTimeout
// ([ErrTimeout]), or when ctx ends (ctx.Err()). A panic in fn is returned as an error.
func (db *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	return db.report("read", db.backend.read(ctx, fn, false))
}

// ReadQuick is Read for what every request needs and is over at once, such as who is calling. However many long
// reads there are, it does not wait for them.
func (db *DB) ReadQuick(ctx context.Context, fn func(tx *Tx) error) error {
	return db.report("read", db.backend.read(ctx, fn, true))
}

// Write runs fn in a transaction and returns once it is committed and synced.
// fn may run more than once, touches its Tx and its own result only, and never
// calls Read or Write. A ctx that ends while fn stands in the queue drops it; once its group has begun, it runs to its end.
// An error of fn is returned as it is, and nothing of fn is kept; so is a panic, as an error. What follows
// from a commit is [Tx.OnCommit]'s.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	var last *Tx // of the last time that fn ran: the one that counts
	watches := db.watched()
	err := db.backend.write(ctx, func(tx *Tx) error {
		last, tx.watches = tx, watches
		return fn(tx)
	})
	if err == nil {
		for _, w := range last.concerned {
			w.writes.Add(1)
		}
		for _, f := range last.after {
			f()
		}
	}
	return db.report("write", err)
}

// Waiting is how many writes wait for their turn.
func (db *DB) Waiting() int { return db.backend.waiting() }

// report logs a panic's stack, which its caller has no use for.
func (db *DB) report(kind string, err error) error {
	if p, ok := errors.AsType[*panicError](err); ok {
		db.opt.Log.Error("panic in a "+kind, "panic", p.value, "stack", string(p.stack))
	}
	return err
}

// Ready answers nil, or why the database takes no writes at present. After a
// failure of the storage it tries a write to find out whether that is over.
func (db *DB) Ready(ctx context.Context) error { return db.backend.ready(ctx) }

// Close finishes what has begun, refuses what waits with [ErrClosed], and closes.
func (db *DB) Close() error { return db.backend.close() }
