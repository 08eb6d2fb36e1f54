package sqldb

import (
	"database/sql"
	"errors"

	"github.com/google/uuid"
)

// runner is a connection with a transaction on it. Its errors are those of this package.
type runner interface {
	// exec runs a statement and answers how many rows it changed.
	exec(query string, args []any) (int64, error)
	query(query string, args []any) (Rows, error)
	// script runs statements that take no arguments.
	script(text string) error
	// classify turns a driver's error into one of this package; it returns others as they are.
	classify(err error) error
	postgres() bool
}

// Tx is one transaction, for one goroutine, valid until its fn returns. It
// carries one open result at a time: close the rows before the next statement.
type Tx struct {
	run  runner
	now  int64
	rows Rows // the last result, which may be open
	done bool

	after   []func() // see OnCommit
	summary Summary  // see AtEnd; nil for none

	watches   []*Watch // none outside of a write
	concerned []*Watch // those whose tables a statement may have changed
}

// Now is the transaction's idea of now, in UTC microseconds; in a write it is later than that of every write before.
func (tx *Tx) Now() int64 { return tx.now }

// OnCommit has fn run once the write is committed and synced, before [DB.Write] returns: fn is no part of the
// transaction, may read and write by itself, and does not run if the write fails. It is for writes.
func (tx *Tx) OnCommit(fn func()) { tx.after = append(tx.after, fn) }

// Summary is what writes change together, such as counters: all that those of one transaction add is written once. A database has
// one kind of it.
type Summary interface {
	// Merge adds what another one holds.
	Merge(other Summary)
	// Write writes it.
	Write(tx *Tx) error
}

// AtEnd has s written at the end of the transaction, with that of the other writes in it. A write that fails adds nothing, and all
// fail where it cannot be written. What is read before the end does not have it.
func (tx *Tx) AtEnd(s Summary) { tx.summary = merge(tx.summary, s) }

// merge is both summaries, each of which may be nil.
func merge(s, other Summary) Summary {
	switch {
	case s == nil:
		return other
	case other != nil:
		s.Merge(other)
	}
	return s
}

// callWhole is call with what fn leaves for the end.
func callWhole(tx *Tx, fn func(tx *Tx) error) error {
	return call(tx, func(tx *Tx) error {
		if err := fn(tx); err != nil || tx.summary == nil {
			return err
		}
		return tx.summary.Write(tx)
	})
}

// ForUpdate is the clause that locks the rows of a SELECT which are going to be changed (" FOR UPDATE", or "" on SQLite).
func (tx *Tx) ForUpdate() string {
	if tx.run.postgres() {
		return " FOR UPDATE"
	}
	return ""
}

// SkipLocked is ForUpdate for taking work: rows that another write holds are left out instead of waited for.
func (tx *Tx) SkipLocked() string {
	if tx.run.postgres() {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// ForShare is the clause that keeps the rows of a SELECT from being changed until the end of the write.
func (tx *Tx) ForShare() string {
	if tx.run.postgres() {
		return " FOR SHARE"
	}
	return ""
}

// By is the clause behind a table by which a SELECT goes by one of its indexes (" INDEXED BY …"). It is "" on PostgreSQL, which chooses by
// what the table holds.
func (tx *Tx) By(index string) string {
	if tx.run.postgres() {
		return ""
	}
	return " INDEXED BY " + index
}

// Postgres reports whether the database is PostgreSQL.
func (tx *Tx) Postgres() bool { return tx.run.postgres() }

// Size is how many bytes the database takes on the disk, without the log of what was written last.
func (tx *Tx) Size() (bytes int64, err error) {
	query := "SELECT c.page_count * s.page_size FROM pragma_page_count() AS c, pragma_page_size() AS s"
	if tx.Postgres() {
		query = "SELECT pg_database_size(current_database())"
	}
	err = tx.Row(query, nil, &bytes)
	return bytes, err
}

// Exec runs a statement and answers how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	if err := tx.begin(query); err != nil {
		return 0, err
	}
	return tx.run.exec(query, args)
}

// Query runs a SELECT, or a statement with RETURNING. The caller closes the rows.
func (tx *Tx) Query(query string, args ...any) (Rows, error) {
	if err := tx.begin(query); err != nil {
		return nil, err
	}
	rows, err := tx.run.query(query, args)
	if err != nil {
		return nil, err
	}
	tx.rows = rows
	return rows, nil
}

// Row runs a query and scans its first row into dest; sql.ErrNoRows when there is none.
func (tx *Tx) Row(query string, args []any, dest ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	return tx.first(rows, func(row Scanner) error { return row.Scan(dest...) })
}

// first reads the first row. What a write with RETURNING does is done by then; the rest of its rows is not fetched.
func (tx *Tx) first(rows Rows, scan func(Scanner) error) error {
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return tx.run.classify(err)
		}
		return sql.ErrNoRows
	}
	if err := scan(rows); err != nil {
		return err
	}
	return tx.run.classify(errors.Join(rows.Err(), rows.Close()))
}

// begin answers whether a statement may run now, and notes what it concerns.
func (tx *Tx) begin(query string) error {
	tx.note(query)
	return tx.idle()
}

// idle answers whether a statement may run now.
func (tx *Tx) idle() error {
	if tx.done {
		return errTxDone
	}
	if tx.rows == nil {
		return nil
	}
	// Columns is the one question that closed rows answer with an error.
	if _, err := tx.rows.Columns(); err == nil {
		return errRowsOpen
	}
	tx.rows = nil
	return nil
}

// end closes what fn left open and makes the Tx useless.
func (tx *Tx) end() {
	tx.done = true
	if tx.rows != nil {
		_ = tx.rows.Close()
	}
}

// Scanner is what a row is read from.
type Scanner interface{ Scan(dest ...any) error }

// Rows are what a statement answers, one after the other; *sql.Rows are such. Whoever has them closes them.
type Rows interface {
	Scanner
	// Next goes on to the next row; false at the end, or when one cannot be read: see Err.
	Next() bool
	// Columns are the names of the columns. Rows that are closed have none, which is an error.
	Columns() ([]string, error)
	Err() error
	Close() error
}

// All runs a query and reads every row with scan. The result is never nil.
func All[T any](tx *Tx, scan func(Scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, tx.run.classify(err)
	}
	return all, nil
}

// One runs a query and reads its first row with scan; sql.ErrNoRows when there is none.
func One[T any](tx *Tx, scan func(Scanner) (T, error), query string, args ...any) (T, error) {
	var one T
	rows, err := tx.Query(query, args...)
	if err != nil {
		return one, err
	}
	err = tx.first(rows, func(row Scanner) (err error) {
		one, err = scan(row)
		return err
	})
	return one, err
}

// NewID is a new key for a row: a UUIDv7 in canonical text.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }
