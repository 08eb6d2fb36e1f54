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
	sync syncFile
}

// Log answers the log as the last commit left it. It is good until the connection is closed. What is written to it from now on is
// written in fewer calls.
func (c *Conn) Log() (Log, error) {
	name, err := libc.CString("main")
	if err != nil {
		return Log{}, err
	}
	defer libc.Xfree(c.tls, name)
	if code := sqlite3.Xsqlite3_file_control(c.tls, c.db, name, sqlite3.SQLITE_FCNTL_JOURNAL_POINTER, uintptr(unsafe.Pointer(&c.out.pointer))); code != sqlite3.SQLITE_OK {
		return Log{}, c.failure(code)
	}
	file := c.out.pointer
	if err := c.gatherFrames(file); err != nil {
		return Log{}, err
	}
	return Log{conn: c, file: file, sync: function[syncFile](c.frames.theirs.FxSync)}, nil
}

// Sync returns once the disk has all that was committed before it was called. It is for one goroutine at a time.
func (l Log) Sync() error {
	if at[sqlite3.Tsqlite3_file](l.file).FpMethods == 0 { // nothing was ever written
		return nil
	}
	// Past frames, which is the writer's: what was committed is written.
	if code := l.sync(l.conn.syncing, l.file, sqlite3.SQLITE_SYNC_NORMAL); code != sqlite3.SQLITE_OK {
		return &Error{code: int(code), text: fmt.Sprintf("%s (%d)", libc.GoString(sqlite3.Xsqlite3_errstr(l.conn.syncing, code)), code)}
	}
	return nil
}

// at is a structure of the library's at an address.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }
