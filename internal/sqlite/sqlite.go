// Package sqlite is one connection to a SQLite file, on the library of modernc.org/sqlite without its database/sql
// driver. A request that is answered in 30 µs has no time for what lies between: pools, locks and conversions of
// values took more of it than SQLite itself.
//
// A [Conn] is for one goroutine at a time, and has one result open at a time. Its statements are prepared once for
// each text and kept. Parameters are $1 … $n, as PostgreSQL writes them.
package sqlite

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// StatementLimit bounds the prepared statements of one connection. Lists have as many texts as there are combinations of
// filters.
const StatementLimit = 256

// errOpen is the answer to a statement that is run while the rows of another are read: it would quietly lose its place.
var errOpen = errors.New("sqlite: a statement was run while the rows of another were open")

// Conn is a connection to a SQLite file.
type Conn struct {
	tls        *libc.TLS
	syncing    *libc.TLS // of whoever syncs the log
	db         uintptr   // the sqlite3*
	statements map[string]*statement
	last       *statement // the one that was asked for last, or nil
	open       *Rows      // whose rows are being read, or nil

	frames *frames // of the log
	texts  arena   // of arguments
	read   texts   // of the row that is read
	// out is where SQLite writes what it answers beside its result code; it stands here because the stack of a goroutine moves.
	out struct {
		pointer, tail uintptr
		log, done     int32
	}
}

// prepareLibrary does what the library needs before its first use.
var prepareLibrary = sync.OnceFunc(sqlite3.PatchIssue199)

// Open opens the file that a URI of SQLite's names ("file:/path?mode=rw"). Without a mode it makes a file that is missing.
// The connection takes no locks against use by several goroutines; [Conn.Interrupt] alone needs none.
func Open(uri string) (*Conn, error) {
	prepareLibrary()
	c := &Conn{tls: libc.NewTLS(), syncing: libc.NewTLS(), statements: make(map[string]*statement), frames: &frames{}}
	name, err := libc.CString(uri)
	if err == nil {
		err = c.texts.open(c.tls)
	}
	if err != nil {
		c.release()
		return nil, err
	}
	const flags = sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_CREATE | sqlite3.SQLITE_OPEN_URI | sqlite3.SQLITE_OPEN_NOMUTEX
	code := sqlite3.Xsqlite3_open_v2(c.tls, name, uintptr(unsafe.Pointer(&c.db)), flags, 0)
	libc.Xfree(c.tls, name)
	if code == sqlite3.SQLITE_OK {
		code = sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	}
	if code != sqlite3.SQLITE_OK { // there is a handle all the same, which knows why
		return nil, errors.Join(c.failure(code), c.Close())
	}
	return c, nil
}

// Close ends the connection. Whatever transaction it has is rolled back.
func (c *Conn) Close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, c.finalize(s))
	}
	if code := sqlite3.Xsqlite3_close_v2(c.tls, c.db); code != sqlite3.SQLITE_OK {
		errs = append(errs, c.failure(code))
	}
	c.release()
	return errors.Join(errs...)
}

func (c *Conn) release() {
	c.texts.close(c.tls)
	c.frames.free(c.tls)
	c.tls.Close()
	c.syncing.Close()
}

// StrictQuotes makes a misspelt column in double quotes an error and not a text. It comes before the first statement.
func (c *Conn) StrictQuotes() error {
	list := libc.Xmalloc(c.tls, 16)
	if list == 0 {
		return errMemory
	}
	defer libc.Xfree(c.tls, list)
	for _, option := range []int32{sqlite3.SQLITE_DBCONFIG_DQS_DML, sqlite3.SQLITE_DBCONFIG_DQS_DDL} {
		if code := sqlite3.Xsqlite3_db_config(c.tls, c.db, option, libc.VaList(list, int32(0), uintptr(0))); code != sqlite3.SQLITE_OK {
			return c.failure(code)
		}
	}
	return nil
}

// InTransaction reports whether the connection's transaction is still there. SQLite rolls it back by itself on a full
// disk, an I/O error, too little memory and an interrupt.
func (c *Conn) InTransaction() bool { return sqlite3.Xsqlite3_get_autocommit(c.tls, c.db) == 0 }

// ReadOnly reports whether SQLite will not write to the file.
func (c *Conn) ReadOnly() (bool, error) {
	name, err := libc.CString("main")
	if err != nil {
		return false, err
	}
	defer libc.Xfree(c.tls, name)
	return sqlite3.Xsqlite3_db_readonly(c.tls, c.db, name) != 0, nil
}

// Interrupt stops what the connection is doing. Unlike every other method it may be called while another one runs, and
// not during or after Close.
func (c *Conn) Interrupt() {
	tls := libc.NewTLS()
	defer tls.Close()
	sqlite3.Xsqlite3_interrupt(tls, c.db)
}

// Script runs statements that take no arguments; what they answer is dropped.
func (c *Conn) Script(text string) error {
	if c.open != nil {
		return errOpen
	}
	script, err := libc.CString(text)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, script)
	if code := sqlite3.Xsqlite3_exec(c.tls, c.db, script, 0, 0, 0); code != sqlite3.SQLITE_OK {
		return c.failure(code)
	}
	return nil
}

// CheckpointMode says how much a checkpoint does.
type CheckpointMode int32

// The modes: to ask only, to move what can be moved without waiting, to wait for readers so that the log begins anew, and
// to cut it off then.
const (
	CheckpointNoop     CheckpointMode = sqlite3.SQLITE_CHECKPOINT_NOOP
	CheckpointPassive  CheckpointMode = sqlite3.SQLITE_CHECKPOINT_PASSIVE
	CheckpointRestart  CheckpointMode = sqlite3.SQLITE_CHECKPOINT_RESTART
	CheckpointTruncate CheckpointMode = sqlite3.SQLITE_CHECKPOINT_TRUNCATE
)

// Checkpoint moves the log into the database. It answers how many pages the log holds, how many of them the database
// holds too, and whether somebody was in the way of more.
func (c *Conn) Checkpoint(mode CheckpointMode) (log, done int64, busy bool, err error) {
	code := sqlite3.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, 0, int32(mode),
		uintptr(unsafe.Pointer(&c.out.log)), uintptr(unsafe.Pointer(&c.out.done)))
	busy = code == sqlite3.SQLITE_BUSY
	if code != sqlite3.SQLITE_OK && !busy {
		err = c.failure(code)
	}
	log, done = int64(c.out.log), int64(c.out.done)
	runtime.KeepAlive(c)
	return log, done, busy, err
}

// Written is how many pages the connection has written, into the log or the database; it begins anew after math.MaxInt32.
func (c *Conn) Written() int32 {
	sqlite3.Xsqlite3_db_status(c.tls, c.db, sqlite3.SQLITE_DBSTATUS_CACHE_WRITE, uintptr(unsafe.Pointer(&c.out.log)), uintptr(unsafe.Pointer(&c.out.done)), 0)
	return c.out.log // it fails for arguments that are wrong, and for nothing else
}

// Statements is the number of statements that are kept.
func (c *Conn) Statements() int { return len(c.statements) }

// Error is what SQLite answers when something fails.
type Error struct {
	code int
	text string
}

// Error implements error: what the code means, what the connection says, and the code.
func (e *Error) Error() string { return e.text }

// Code is SQLite's extended result code.
func (e *Error) Code() int { return e.code }

// failure is the error of a result code, with what the connection says about it.
func (c *Conn) failure(code int32) error {
	means := libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, code))
	said := libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db))
	if said != "" && said != means {
		means += ": " + said
	}
	return &Error{code: int(code), text: fmt.Sprintf("%s (%d)", means, code)}
}
