package sqldb

import (
	"net/url"
	"strconv"
	"strings"

	"belfry/internal/sqlite"
)

const (
	busyTimeoutMillis = 5000
	journalSizeLimit  = 64 << 20
	cacheKiB          = 4096
)

// sqliteFile is a SQLite file and how its connections are opened.
type sqliteFile struct {
	path string
	vfs  string
}

// uri is what SQLite calls the file, with parameters of its own such as "mode=ro".
func (f sqliteFile) uri(parameters ...string) string {
	if f.vfs != "" {
		parameters = append(parameters, "vfs="+escapeParameter(f.vfs))
	}
	return "file:" + (&url.URL{Path: f.path}).EscapedPath() + "?" + strings.Join(parameters, "&")
}

// escapeParameter writes a value the way SQLite reads it, to which a + is no space.
func escapeParameter(value string) string {
	return strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
}

// perConnection are the pragmas of every connection that is there to stay, in the order in which they must run. first
// are those that must come before the log is set up, and with it the file.
func perConnection(first ...string) []string {
	return append(append([]string{"busy_timeout = " + strconv.Itoa(busyTimeoutMillis)}, first...),
		"journal_mode = WAL",
		"synchronous = FULL",
		"foreign_keys = ON",
		"journal_size_limit = "+strconv.Itoa(journalSizeLimit),
		"cache_size = -"+strconv.Itoa(cacheKiB),
		// A file of SQLite's own in /tmp would fail on a read-only root, and hold what the database holds.
		"temp_store = MEMORY")
}

// openWriter opens the connection that writes. SQLite's own checkpoints are off, because they keep a failed fsync to
// themselves: the writer runs them, and syncs the log itself (see [writer.sync]).
func (f sqliteFile) openWriter() (*sqliteConn, error) {
	return openConn(f.uri("mode=rw"), append(perConnection(), "synchronous = NORMAL", "wal_autocheckpoint = 0")...)
}

// openMigrator opens a connection for changes of the schema. SQLite syncs each.
func (f sqliteFile) openMigrator() (*sqliteConn, error) {
	return openConn(f.uri("mode=rw"), append(perConnection(), "wal_autocheckpoint = 0")...)
}

// openReader opens a connection that only reads.
func (f sqliteFile) openReader() (*sqliteConn, error) {
	return openConn(f.uri("mode=rw"), append(perConnection(), "query_only = ON")...)
}

// sqliteConn is one connection for one goroutine at a time, whose errors are those of this package.
type sqliteConn struct{ *sqlite.Conn }

// openConn opens one connection and runs pragmas on it.
func openConn(uri string, pragmas ...string) (*sqliteConn, error) {
	conn, err := sqlite.Open(uri)
	if err != nil {
		return nil, classifySQLite(err)
	}
	c := &sqliteConn{conn}
	err = c.StrictQuotes()
	for i := 0; i < len(pragmas) && err == nil; i++ {
		err = c.script("PRAGMA " + pragmas[i])
	}
	if err != nil {
		_ = c.Close() // it was not there to stay
		return nil, classifySQLite(err)
	}
	return c, nil
}

// run executes a statement that takes no arguments and answers nothing.
func (c *sqliteConn) run(query string) error {
	_, err := c.exec(query, nil)
	return err
}

func (c *sqliteConn) exec(query string, args []any) (int64, error) {
	changed, err := c.Exec(query, args...)
	return changed, classifySQLite(err)
}

func (c *sqliteConn) query(query string, args []any) (Rows, error) {
	rows, err := c.Query(query, args...)
	if err != nil {
		return nil, classifySQLite(err)
	}
	return rows, nil
}

func (c *sqliteConn) script(text string) error { return classifySQLite(c.Script(text)) }

func (c *sqliteConn) classify(err error) error { return classifySQLite(err) }

func (c *sqliteConn) postgres() bool { return false }

// row reads the first row of a query that stands in no transaction of its own.
func (c *sqliteConn) row(query string, dest ...any) error {
	tx := &Tx{run: c}
	defer tx.end()
	return tx.Row(query, nil, dest...)
}
