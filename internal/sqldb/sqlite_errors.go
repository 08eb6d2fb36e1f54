package sqldb

import (
	"errors"
	"strings"

	"belfry/internal/sqlite"

	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteCode is the extended result code of an error of SQLite, or 0.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// classifySQLite turns an error of SQLite into one of this package, and leaves others as they are.
func classifySQLite(err error) error {
	if err == nil {
		return nil
	}
	switch code := sqliteCode(err); code {
	case 0:
		return err
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return uniqueError(err)
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return &ForeignKeyError{Detail: err.Error()}
	default:
		if isStorageCode(code) {
			return storageError(err)
		}
		return err
	}
}

// isStorageCode tells faults of the disk, the file and the machine from faults of the SQL text.
func isStorageCode(code int) bool {
	switch code & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS,
		sqlite3.SQLITE_INTERRUPT:
		return true
	}
	return false
}

// isFull reports whether the error says that the disk is full.
func isFull(err error) bool { return sqliteCode(err)&0xff == sqlite3.SQLITE_FULL }

// isDamage reports whether the error says that the file's content is broken,
// which no later success takes back.
func isDamage(err error) bool {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// isFailedSync reports whether the error says that an fsync failed. The system
// may have dropped what it could not write, so that a second fsync which succeeds proves nothing.
func isFailedSync(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC:
		return true
	}
	return false
}

// uniqueError reads "… UNIQUE constraint failed: token.identifier, token.user_pk (2067)".
func uniqueError(err error) error {
	unique := &UniqueError{}
	_, columns, _ := strings.Cut(err.Error(), "UNIQUE constraint failed: ")
	columns, _, _ = strings.Cut(columns, " (")
	if strings.HasPrefix(columns, "index ") {
		return unique
	}
	for name := range strings.SplitSeq(columns, ", ") {
		table, column, _ := strings.Cut(name, ".")
		unique.Table = table
		unique.Columns = append(unique.Columns, column)
	}
	return unique
}
