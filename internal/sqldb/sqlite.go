package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

const readerCount = 4

// sqliteDB is a SQLite file with its writer and its readers.
type sqliteDB struct {
	file    sqliteFile
	lock    *flock.Flock
	clock   *clock
	timeout time.Duration
	health  *health
	writer  *writer
	readers chan *reader
	quick   chan *reader // one more, for reads that are over at once
	closed  chan struct{}
	closing sync.Once
}

// openSQLite takes the file's lock, makes or checks the file, and starts the writer and the readers.
func openSQLite(ctx context.Context, path string, opt Options, migrations []migration, clock *clock) (_ *sqliteDB, created bool, err error) {
	path, err = resolvePath(path)
	if err != nil {
		return nil, false, err
	}
	lock, err := lockFile(ctx, path)
	if err != nil {
		return nil, false, fmt.Errorf("database %s: %w", path, err)
	}
	file := sqliteFile{path: path, vfs: opt.vfs}
	db := &sqliteDB{file: file, lock: lock, clock: clock, timeout: opt.ReadTimeout, health: newHealth(opt),
		readers: make(chan *reader, readerCount), quick: make(chan *reader, 1), closed: make(chan struct{})}
	if created, err = prepareFile(ctx, file, opt, migrations, clock); err == nil {
		err = db.start()
	}
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("database %s: %w", path, err), lock.Close())
	}
	return db, created, nil
}

// start opens the connections and checks that they are what they were asked to be.
func (db *sqliteDB) start() error {
	conn, err := db.file.openWriter()
	if err != nil {
		return err
	}
	if err := checkPragmas(conn); err != nil {
		return errors.Join(err, conn.Close())
	}
	for pool, n := db.readers, readerCount+1; n > 0; n-- {
		if n == 1 {
			pool = db.quick
		}
		r := &reader{file: db.file}
		if err := r.connect(); err != nil {
			return errors.Join(err, closeReaders(db.readers, len(db.readers)), conn.Close())
		}
		pool <- r
	}
	db.writer = startWriter(db.file, conn, db.clock, db.health)
	return nil
}

// checkPragmas makes sure of what SQLite answers without an error when it does not do it.
func checkPragmas(conn *sqliteConn) error {
	for _, want := range []struct{ pragma, value string }{
		{"journal_mode", "wal"}, {"synchronous", "1"}, {"foreign_keys", "1"},
	} {
		var value string
		if err := conn.row("PRAGMA "+want.pragma, &value); err != nil {
			return err
		}
		if value != want.value {
			return fmt.Errorf("SQLite keeps %s at %q here, and %q is needed", want.pragma, value, want.value)
		}
	}
	return nil
}

func (db *sqliteDB) postgres() bool { return false }

func (db *sqliteDB) waiting() int { return db.writer.queue.len() }

func (db *sqliteDB) write(ctx context.Context, fn func(tx *Tx) error) error {
	return db.writer.write(ctx, fn)
}

// ready answers the state of the storage; while it is bad, it tries a write.
func (db *sqliteDB) ready(ctx context.Context) error {
	select {
	case <-db.closed:
		return ErrClosed
	default:
	}
	if db.health.failure() == nil {
		return nil
	}
	if err := db.probe(ctx); err != nil {
		return err
	}
	db.health.probed()
	return db.health.failure()
}

// probeBytes is how much a probe writes: about as much as a write ever does at once.
const probeBytes = 256 << 10

// probe writes and removes a row that is as large as most writes, in two commits: what is removed before it is
// committed never reaches the disk.
func (db *sqliteDB) probe(ctx context.Context) error {
	for _, statement := range []string{
		"INSERT INTO schema_version (version, why, applied) VALUES (0, zeroblob($1), 0) ON CONFLICT (version) DO UPDATE SET why = excluded.why",
		"DELETE FROM schema_version WHERE version = 0 AND $1 > 0",
	} {
		err := db.writer.write(ctx, func(tx *Tx) error {
			_, err := tx.Exec(statement, probeBytes)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// close waits for the group of writes and the reads that have begun. The
// writer's connection is the last: SQLite moves the log into the database when it closes.
func (db *sqliteDB) close() error {
	err := ErrClosed
	db.closing.Do(func() {
		close(db.closed)
		err = errors.Join(closeReaders(db.readers, readerCount), closeReaders(db.quick, 1), db.writer.close(), db.lock.Close())
	})
	return err
}

// closeReaders closes so many readers of a pool, each as soon as it is free.
func closeReaders(pool chan *reader, count int) error {
	var errs []error
	for range count {
		r := <-pool
		errs = append(errs, r.disconnect())
	}
	return errors.Join(errs...)
}
