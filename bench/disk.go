package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver that Belfry uses
)

const (
	blockBytes = 4096
	// logBytes is where the writing begins anew, as SQLite's log does after a checkpoint of about so much.
	logBytes = 4 << 20
	// rowsPerCommit is how many changes share an fsync.
	rowsPerCommit = 64
)

// syncFile is a file that blocks are written into. It has its size before, as SQLite's log mostly has: a file that grows
// costs the file system more. The zero value is no file, and writes nothing.
type syncFile struct {
	mu    sync.Mutex
	file  *os.File
	block [blockBytes]byte
	at    int64
}

func openSyncFile(path string) (*syncFile, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err = file.Write(make([]byte, logBytes)); err == nil {
		err = file.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &syncFile{file: file}, nil
}

// write writes the next block and syncs it.
func (f *syncFile) write() error {
	if f.file == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.block[0]++
	if _, err := f.file.WriteAt(f.block[:], f.at); err != nil {
		return err
	}
	f.at = (f.at + blockBytes) % logBytes
	return f.file.Sync()
}

func (f *syncFile) close() error { return errors.Join(f.file.Close(), os.Remove(f.file.Name())) }

// measureSync writes a block and syncs it, again and again: what the disk gives to one who waits for each write.
func measureSync(ctx context.Context, dir string, limit time.Duration) (s sample, err error) {
	file, err := openSyncFile(filepath.Join(dir, "sync"))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	times, took, err := repeat(ctx, limit, file.write)
	return summarise(times, took), err
}

// repeat does something again and again, and answers how long each time took, and all of them.
func repeat(ctx context.Context, limit time.Duration, once func() error) (times []time.Duration, took time.Duration, err error) {
	start := time.Now()
	for begin := start; begin.Sub(start) < limit && ctx.Err() == nil; {
		if err := once(); err != nil {
			return nil, 0, err
		}
		end := time.Now()
		times = append(times, end.Sub(begin))
		begin = end
	}
	return times, time.Since(start), ctx.Err()
}

// tableForSQLite is as much of Belfry's table as marking a notification touches: the key and the index with seen in it.
const tableForSQLite = `
CREATE TABLE notification (pk TEXT PRIMARY KEY, user_pk BIGINT NOT NULL, severity TEXT NOT NULL, body TEXT NOT NULL,
    created BIGINT NOT NULL, seen BOOLEAN NOT NULL, seen_at BIGINT);
CREATE INDEX notification_user ON notification (user_pk, seen, created, pk);`

// sqliteLimit is a SQLite database with rows to change, on one connection.
type sqliteLimit struct {
	db   *sql.DB
	keys []string
	turn int
}

func openSQLiteLimit(ctx context.Context, dir string, rows int) (*sqliteLimit, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "limit.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	l := &sqliteLimit{db: db}
	if err := l.fill(ctx, rows); err != nil {
		return nil, errors.Join(fmt.Errorf("fill the database: %w", err), db.Close())
	}
	return l, nil
}

func (l *sqliteLimit) fill(ctx context.Context, rows int) error {
	if _, err := l.db.ExecContext(ctx, tableForSQLite); err != nil {
		return err
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing once it is committed
	for i := range rows {
		key := fmt.Sprintf("019abc00-0000-7000-8000-%012x", i)
		l.keys = append(l.keys, key)
		_, err := tx.ExecContext(ctx, `INSERT INTO notification VALUES ($1, 1, 'alert', 'Configuration error in bench', $2, FALSE, NULL)`, key, i)
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// measure commits groups of prepared updates: what SQLite could do for Belfry's main job if nothing else had to be done.
// The rate is of rows, the times are of commits with all that they hold.
func (l *sqliteLimit) measure(ctx context.Context, limit time.Duration) (s sample, err error) {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var prepared [3]*sql.Stmt
	for i, text := range []string{"BEGIN IMMEDIATE", "UPDATE notification SET seen = NOT seen, seen_at = $2 WHERE pk = $1", "COMMIT"} {
		statement, err := conn.PrepareContext(ctx, text)
		if err != nil {
			return s, err
		}
		defer statement.Close() // with the connection's end there is nothing left to fail
		prepared[i] = statement
	}
	times, took, err := repeat(ctx, limit, func() error { return l.commit(ctx, prepared) })
	s = summarise(times, took)
	s.Rate *= rowsPerCommit
	return s, err
}

// commit changes the next rows in one transaction: its statements are BEGIN, the update and COMMIT. An error ends the
// program, and with it the transaction.
func (l *sqliteLimit) commit(ctx context.Context, prepared [3]*sql.Stmt) error {
	if _, err := prepared[0].ExecContext(ctx); err != nil {
		return err
	}
	for range rowsPerCommit {
		result, err := prepared[1].ExecContext(ctx, l.keys[l.turn%len(l.keys)], l.turn)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n != 1 || err != nil {
			return errors.Join(fmt.Errorf("%d rows were changed", n), err)
		}
		l.turn++
	}
	_, err := prepared[2].ExecContext(ctx)
	return err
}
