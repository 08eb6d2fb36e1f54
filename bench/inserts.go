package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// insertBatch is how many rows are inserted in a transaction.
const insertBatch = 1000

// rawInserts are rows of Belfry's event table, and the table with its indexes: what a batch of events leaves behind.
type rawInserts struct {
	schema     []string
	autoVacuum int
	columns    []string
	rows       [][]any
}

// readInserts lets a server write events, and reads its table from the database.
func (b *bench) readInserts(ctx context.Context) (raw *rawInserts, err error) {
	server, err := b.fresh(ctx, "rows")
	if err != nil {
		return nil, err
	}
	if err := server.post(ctx, insertBatch, batchLine); err != nil {
		return nil, err
	}
	b.stop("rows")
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "rows", "belfry.db")+"?mode=ro")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	raw = &rawInserts{}
	if err := db.QueryRowContext(ctx, "PRAGMA auto_vacuum").Scan(&raw.autoVacuum); err != nil {
		return nil, err
	}
	if raw.schema, err = texts(ctx, db, "SELECT sql FROM sqlite_schema WHERE tbl_name = 'event' AND type IN ('table', 'index') AND sql <> '' ORDER BY type DESC"); err != nil {
		return nil, err
	}
	// A rowid of its own (an INTEGER PRIMARY KEY) is SQLite's to choose.
	if raw.columns, err = texts(ctx, db, "SELECT name FROM pragma_table_info('event') WHERE NOT (pk = 1 AND type = 'INTEGER')"); err != nil {
		return nil, err
	}
	return raw, raw.read(ctx, db)
}

// texts answers the first column of a query.
func texts(ctx context.Context, db *sql.DB, query string) (all []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

// read reads the rows that were posted, each as what is bound to insert it again.
func (r *rawInserts) read(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT "+strings.Join(r.columns, ", ")+" FROM event WHERE app = 'authentik.stages.user_login'")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, places := make([]any, len(r.columns)), make([]any, len(r.columns))
		for i := range row {
			places[i] = &row[i]
		}
		if err := rows.Scan(places...); err != nil {
			return err
		}
		r.rows = append(r.rows, row)
	}
	if len(r.rows) != insertBatch {
		return errors.Join(fmt.Errorf("%d of %d events that were posted are there", len(r.rows), insertBatch), rows.Err())
	}
	return rows.Err()
}

// measure inserts the rows into a new database, each time under other keys and at other times, by a prepared statement.
// The rate is of rows, the times are of transactions.
func (r *rawInserts) measure(ctx context.Context, parent string, limit time.Duration) (s sample, err error) {
	dir, err := os.MkdirTemp(parent, "inserts-*")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// As Belfry opens its database, but that SQLite runs its own checkpoints.
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_pragma=auto_vacuum(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"+
		"&_pragma=cache_size(-4096)&_txlock=immediate", filepath.Join(dir, "raw.db"), r.autoVacuum))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, statement := range r.schema {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return s, err
		}
	}
	insert, err := db.PrepareContext(ctx, "INSERT INTO event ("+strings.Join(r.columns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(r.columns)-1)+")")
	if err != nil {
		return s, err
	}
	defer insert.Close() // with the database's end there is nothing left to fail
	times, took, err := repeat(ctx, limit, func() error { return r.commit(ctx, db, insert) })
	s = summarise(times, took)
	s.Rate *= insertBatch
	return s, err
}

// commit inserts all rows in one transaction.
func (r *rawInserts) commit(ctx context.Context, db *sql.DB, insert *sql.Stmt) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing once it is committed
	insert = tx.StmtContext(ctx, insert)
	key, created := slices.Index(r.columns, "pk"), slices.Index(r.columns, "created")
	for _, row := range r.rows {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		if _, isText := row[key].(string); isText {
			row[key] = id.String()
		} else {
			row[key] = id[:]
		}
		row[created] = time.Now().UnixMicro()
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
