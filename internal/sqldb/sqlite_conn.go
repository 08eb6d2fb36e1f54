package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"modernc.org/libc"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	busyTimeoutMillis = 5000
	journalSizeLimit  = 64 << 20
	cacheKiB          = 4096
	// statementLimit bounds the prepared statements of one connection. Lists have
	// as many texts as there are combinations of filters.
	statementLimit = 256
)

// sqliteFile is a SQLite file and how its connections are opened.
type sqliteFile struct {
	path string
	vfs  string
}

// dsn is the driver's URI for the file. The driver applies its parameters in an order of its own:
// busy_timeout, auto_vacuum, every _pragma, foreign_keys, journal_mode, synchronous, query_only.
func (f sqliteFile) dsn(parameters ...string) string {
	if f.vfs != "" {
		parameters = append(parameters, "vfs="+url.QueryEscape(f.vfs))
	}
	return "file:" + (&url.URL{Path: f.path}).EscapedPath() + "?" + strings.Join(parameters, "&")
}

// escapeParameter writes a value the way SQLite reads it, to which a + is no space.
func escapeParameter(value string) string {
	return strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
}

// perConnection are the parameters of every connection that is there to stay.
func perConnection() []string {
	return []string{
		"_busy_timeout=" + strconv.Itoa(busyTimeoutMillis),
		"_journal_mode=WAL",
		"_synchronous=FULL",
		"_foreign_keys=on",
		"_dqs=0", // a misspelt column is an error and not a text
		"_pragma=journal_size_limit(" + strconv.Itoa(journalSizeLimit) + ")",
		"_pragma=cache_size(-" + strconv.Itoa(cacheKiB) + ")",
		// A file of SQLite's own in /tmp would fail on a read-only root, and hold what the database holds.
		"_pragma=temp_store(MEMORY)",
	}
}

// openWriter opens the connection that writes. SQLite's own checkpoints are off,
// because they keep a failed fsync to themselves: the writer runs them.
func (f sqliteFile) openWriter(ctx context.Context) (*sqliteConn, error) {
	return openConn(ctx, f.dsn(append(perConnection(), "mode=rw", "_pragma=wal_autocheckpoint(0)")...))
}

// openReader opens a connection that only reads.
func (f sqliteFile) openReader(ctx context.Context) (*sqliteConn, error) {
	return openConn(ctx, f.dsn(append(perConnection(), "mode=rw", "_query_only=on")...))
}

// sqliteConn is one connection for one goroutine at a time, with its prepared statements.
type sqliteConn struct {
	pool       *sql.DB
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	handle     uintptr // the sqlite3*, for what the driver has no method for
	tls        *libc.TLS
}

// openConn opens one connection. It has a pool of its own, because database/sql
// offers no other way to be rid of a connection for certain.
func openConn(ctx context.Context, dsn string) (*sqliteConn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	c := &sqliteConn{pool: sql.OpenDB(connector), statements: make(map[string]*sql.Stmt)}
	c.pool.SetMaxOpenConns(1)
	if c.conn, err = c.pool.Conn(ctx); err != nil {
		return nil, errors.Join(classifySQLite(err), c.pool.Close())
	}
	err = c.conn.Raw(func(driverConn any) error {
		c.handle, err = sqliteHandle(driverConn)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, c.conn.Close(), c.pool.Close())
	}
	c.tls = libc.NewTLS()
	return c, nil
}

// sqliteHandle answers the driver connection's sqlite3*. The driver has no method that tells whether a transaction is
// open, and none that interrupts a statement while its rows are read; SQLite has both.
func sqliteHandle(driverConn any) (uintptr, error) {
	v := reflect.ValueOf(driverConn)
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if db := v.Elem().FieldByName("db"); db.Kind() == reflect.Uintptr && db.Uint() != 0 {
			return uintptr(db.Uint()), nil
		}
	}
	return 0, fmt.Errorf("sqldb: this version of the SQLite driver (%T) hides its handle", driverConn)
}

// close ends the connection. Whatever transaction it has is rolled back.
func (c *sqliteConn) close() error {
	var errs []error
	for _, statement := range c.statements {
		errs = append(errs, statement.Close())
	}
	errs = append(errs, c.conn.Close(), c.pool.Close())
	c.tls.Close()
	return errors.Join(errs...)
}

// inTransaction reports whether the connection's transaction is still there. SQLite rolls it back
// by itself on a full disk, an I/O error, too little memory and an interrupt.
func (c *sqliteConn) inTransaction() bool {
	return sqlite3.Xsqlite3_get_autocommit(c.tls, c.handle) == 0
}

// readOnly reports whether SQLite will not write to the file.
func (c *sqliteConn) readOnly() (bool, error) {
	name, err := libc.CString("main")
	if err != nil {
		return false, err
	}
	defer libc.Xfree(c.tls, name)
	return sqlite3.Xsqlite3_db_readonly(c.tls, c.handle, name) != 0, nil
}

// interrupt stops what the connection is doing. Unlike every other method it may be called while another one runs.
func (c *sqliteConn) interrupt() {
	tls := libc.NewTLS()
	defer tls.Close()
	sqlite3.Xsqlite3_interrupt(tls, c.handle)
}

// prepare answers the prepared statement of a query's text.
func (c *sqliteConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if statement, ok := c.statements[query]; ok {
		return statement, nil
	}
	statement, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if len(c.statements) >= statementLimit {
		for text, old := range c.statements { // any one: the order of a map is as good as a list of ages here
			delete(c.statements, text)
			if err := old.Close(); err != nil {
				return nil, errors.Join(err, statement.Close())
			}
			break
		}
	}
	c.statements[query] = statement
	return statement, nil
}

// run executes a statement that takes no arguments and answers nothing.
func (c *sqliteConn) run(ctx context.Context, query string) error {
	_, err := c.exec(ctx, query, nil)
	return err
}

func (c *sqliteConn) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	statement, err := c.prepare(ctx, query)
	if err != nil {
		return nil, classifySQLite(err)
	}
	result, err := statement.ExecContext(ctx, args...)
	return result, classifySQLite(err)
}

func (c *sqliteConn) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	statement, err := c.prepare(ctx, query)
	if err != nil {
		return nil, classifySQLite(err)
	}
	rows, err := statement.QueryContext(ctx, args...)
	return rows, classifySQLite(err)
}

func (c *sqliteConn) classify(err error) error { return classifySQLite(err) }

func (c *sqliteConn) postgres() bool { return false }
