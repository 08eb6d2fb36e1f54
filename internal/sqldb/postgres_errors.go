package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// readOnlyServer is the code of a write to a standby, or to a server that was set to read-only.
const readOnlyServer = "25006"

// classifyPostgres turns an error of PostgreSQL, or of the connection to it,
// into one of this package, and leaves others as they are.
func classifyPostgres(err error) error {
	if err == nil {
		return nil
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pg.Code == "23505":
			return uniqueViolation(pg)
		case pg.Code == "23503":
			return &ForeignKeyError{Detail: pg.Message}
		case pg.Code == readOnlyServer || isStorageClass(pg.Code):
			return storageError(err)
		}
		return err
	}
	if isConnectionLost(err) {
		return storageError(err)
	}
	return err
}

// isStorageClass tells faults of the server and its disk from faults of the SQL text.
func isStorageClass(code string) bool {
	switch code[:min(2, len(code))] {
	case "08", // connection
		"40", // conflicts that did not end
		"53", // disk full, out of memory, too many connections
		"55", // locked
		"57", // shut down or cancelled by an operator
		"58", // I/O error
		"XX": // internal error, data corrupted
		return true
	}
	return false
}

// isConnectionLost tells what the network and the driver say when the server is gone.
func isConnectionLost(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "conn closed")
}

// isConflict reports whether the same transaction may succeed when it is run again.
func isConflict(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40001" || pg.Code == "40P01")
}

// isCancelled reports whether an error is the end of a context.
func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isPostgres reports whether an error came from the server or the way to it.
func isPostgres(err error) bool {
	_, ok := errors.AsType[*pgconn.PgError](err)
	return ok || isConnectionLost(err)
}

// uniqueViolation reads `Key (identifier, user_pk)=(x, 1) already exists.` An index
// on an expression names neither table nor columns, because SQLite's does not.
func uniqueViolation(pg *pgconn.PgError) *UniqueError {
	columns, _ := strings.CutPrefix(pg.Detail, "Key (")
	columns, _, found := strings.Cut(columns, ")=(")
	if !found || strings.ContainsAny(columns, "()") {
		return &UniqueError{}
	}
	unique := &UniqueError{Table: pg.TableName}
	for column := range strings.SplitSeq(columns, ", ") {
		unique.Columns = append(unique.Columns, strings.Trim(column, `"`))
	}
	return unique
}
