package sqldb

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// Errors that callers tell apart with errors.Is. Everything else that is
// neither a [UniqueError], a [ForeignKeyError] nor the caller's own error is
// a fault of the storage or of the SQL text.
var (
	// ErrOverloaded says that the queue of writes is full: try again in a second.
	ErrOverloaded = errors.New("sqldb: the queue of writes is full")
	// ErrTimeout says that a read was stopped at its deadline.
	ErrTimeout = errors.New("sqldb: the read took too long and was stopped")
	// ErrStorage says that the storage failed: nothing of the write was acknowledged.
	ErrStorage = errors.New("sqldb: the storage failed")
	// ErrClosed says that the database is shutting down.
	ErrClosed = errors.New("sqldb: the database is closed")
	// ErrLocked says that another process, or another Open of this one, has the SQLite database open.
	ErrLocked = errors.New("another process has it open")
)

// errRowsOpen keeps SQLite as strict as PostgreSQL, where a connection carries one result at a time.
// Without it a statement that is run again while its rows are read would quietly lose its place.
var errRowsOpen = errors.New("sqldb: a statement was run while the rows of another were open")

// errTxDone is the answer to a Tx that was kept beyond its fn.
var errTxDone = errors.New("sqldb: the transaction has ended")

// UniqueError is a violated unique constraint, named by its columns.
type UniqueError struct {
	// Table is the table's name; empty when the constraint is an index on an expression.
	Table string
	// Columns are the constraint's columns in order; empty when it is an index on an expression.
	Columns []string
}

// Error implements error.
func (e *UniqueError) Error() string {
	return "sqldb: not unique: " + e.Table + " (" + strings.Join(e.Columns, ", ") + ")"
}

// ForeignKeyError is a reference to a row that does not exist, or a row that is still referred to.
type ForeignKeyError struct{ Detail string }

// Error implements error.
func (e *ForeignKeyError) Error() string { return "sqldb: foreign key: " + e.Detail }

// storageError is a fault of the storage with its cause. It is ErrStorage to
// errors.Is, and its cause to errors.As.
func storageError(err error) error {
	if errors.Is(err, ErrStorage) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrStorage, err)
}

// panicError is what became of a panic in a caller's fn.
type panicError struct {
	value any
	stack []byte
}

// Error implements error. The stack is for the log only.
func (e *panicError) Error() string { return fmt.Sprintf("sqldb: panic in a transaction: %v", e.value) }

// call runs fn and turns a panic into an error, so that it stays with the request that caused it.
func call(tx *Tx, fn func(tx *Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
	}()
	return fn(tx)
}
