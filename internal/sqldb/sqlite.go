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
		readers: make(chan *reader, readerCount), closed: make(chan struct{})}
	if created, err = prepareFile(ctx, file, opt, migrations, clock); err == nil {
		err = db.start(ctx)
	}
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("database %s: %w", path, err), lock.Close())
	}
	return db, created, nil
}

// start opens the connections and checks that they are what they were asked to be.
func (db *sqliteDB) start(ctx context.Context) error {
	conn, err := db.file.openWriter(ctx)
	if err != nil {
		return err
	}
	if err := checkPragmas(ctx, conn); err != nil {
		return errors.Join(err, conn.close())
	}
	for range readerCount {
		r := &reader{file: db.file}
		if err := r.connect(ctx); err != nil {
			return errors.Join(err, db.closeReaders(len(db.readers)), conn.close())
		}
		db.readers <- r
	}
	db.writer = startWriter(db.file, conn, db.clock, db.health)
	return nil
}

// checkPragmas makes sure of what SQLite answers without an error when it does not do it.
func checkPragmas(ctx context.Context, conn *sqliteConn) error {
	for _, want := range []struct{ pragma, value string }{
		{"journal_mode", "wal"}, {"synchronous", "2"}, {"foreign_keys", "1"},
	} {
		var value string
		if err := conn.conn.QueryRowContext(ctx, "PRAGMA "+want.pragma).Scan(&value); err != nil {
			return classifySQLite(err)
		}
		if value != want.value {
			return fmt.Errorf("SQLite keeps %s at %q here, and %q is needed", want.pragma, value, want.value)
		}
	}
	return nil
}

func (db *sqliteDB) postgres() bool { return false }

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
	err := db.writer.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec("UPDATE schema_version SET version = version")
		return err
	})
	if err != nil {
		return err
	}
	return db.health.failure()
}

// close waits for the group of writes and the reads that have begun. The
// writer's connection is the last: SQLite moves the log into the database when it closes.
func (db *sqliteDB) close() error {
	err := ErrClosed
	db.closing.Do(func() {
		close(db.closed)
		err = errors.Join(db.closeReaders(readerCount), db.writer.close(), db.lock.Close())
	})
	return err
}

// closeReaders closes so many readers, each as soon as it is free.
func (db *sqliteDB) closeReaders(count int) error {
	var errs []error
	for range count {
		r := <-db.readers
		errs = append(errs, r.disconnect())
	}
	return errors.Join(errs...)
}
