package sqlite

import (
	"fmt"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Log is the write-ahead log of a connection. It may be synced while the connection does something else.
type Log struct {
	conn *Conn
	file uintptr // the sqlite3_file*
}

// Log answers the log as the last commit left it. It is good until the connection is closed.
func (c *Conn) Log() (Log, error) {
	name, err := libc.CString("main")
	if err != nil {
		return Log{}, err
	}
	defer libc.Xfree(c.tls, name)
	if code := sqlite3.Xsqlite3_file_control(c.tls, c.db, name, sqlite3.SQLITE_FCNTL_JOURNAL_POINTER, uintptr(unsafe.Pointer(&c.out.pointer))); code != sqlite3.SQLITE_OK {
		return Log{}, c.failure(code)
	}
	return Log{conn: c, file: c.out.pointer}, nil
}

// Sync returns once the disk has all that was committed before it was called. It is for one goroutine at a time.
func (l Log) Sync() error {
	methods := at[sqlite3.Tsqlite3_file](l.file).FpMethods
	if methods == 0 { // nothing was ever written
		return nil
	}
	fn := at[sqlite3.Tsqlite3_io_methods](methods).FxSync
	sync := *(*func(tls *libc.TLS, file uintptr, flags int32) int32)(unsafe.Pointer(&struct{ uintptr }{fn}))
	if code := sync(l.conn.syncing, l.file, sqlite3.SQLITE_SYNC_NORMAL); code != sqlite3.SQLITE_OK {
		return &Error{code: int(code), text: fmt.Sprintf("%s (%d)", libc.GoString(sqlite3.Xsqlite3_errstr(l.conn.syncing, code)), code)}
	}
	return nil
}

// at is a structure of the library's at an address.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }
