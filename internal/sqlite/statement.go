package sqlite

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// statement is a prepared statement.
type statement struct {
	text     string
	handle   uintptr // the sqlite3_stmt*
	order    []int   // which argument each parameter takes
	args     int     // how many it takes in all
	readOnly bool
}

// prepare answers the prepared statement of a text.
func (c *Conn) prepare(query string) (*statement, error) {
	if c.open != nil {
		return nil, errOpen
	}
	if c.last != nil && c.last.text == query { // the same string, mostly, which takes no comparison
		return c.last, nil
	}
	if s, ok := c.statements[query]; ok {
		c.last = s
		return s, nil
	}
	s, err := c.compile(query)
	if err != nil {
		return nil, err
	}
	c.last = nil
	if len(c.statements) >= StatementLimit {
		for text, old := range c.statements { // any one: the order of a map is as good as a list of ages here
			delete(c.statements, text)
			if err := c.finalize(old); err != nil {
				return nil, errors.Join(err, c.finalize(s))
			}
			break
		}
	}
	c.statements[query], c.last = s, s
	return s, nil
}

// compile has SQLite read a statement, and what its parameters are.
func (c *Conn) compile(query string) (*statement, error) {
	text, err := libc.CString(query)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, text)
	code := sqlite3.Xsqlite3_prepare_v3(c.tls, c.db, text, -1, sqlite3.SQLITE_PREPARE_PERSISTENT,
		uintptr(unsafe.Pointer(&c.out.pointer)), uintptr(unsafe.Pointer(&c.out.tail)))
	if code != sqlite3.SQLITE_OK {
		return nil, c.failure(code)
	}
	s := &statement{text: query, handle: c.out.pointer}
	if s.handle == 0 || c.out.tail != text+uintptr(len(query)) {
		return nil, errors.Join(errors.New("sqlite: not one statement"), c.finalize(s))
	}
	s.readOnly = sqlite3.Xsqlite3_stmt_readonly(c.tls, s.handle) != 0
	if err := c.number(s); err != nil {
		return nil, errors.Join(err, c.finalize(s))
	}
	return s, nil
}

// number finds out which argument each parameter takes: to SQLite "$2" is a name, and numbers are given as names come.
func (c *Conn) number(s *statement) error {
	s.order = make([]int, sqlite3.Xsqlite3_bind_parameter_count(c.tls, s.handle))
	for i := range s.order {
		name := libc.GoString(sqlite3.Xsqlite3_bind_parameter_name(c.tls, s.handle, int32(i+1)))
		n := 0
		if len(name) > 1 && name[0] == '$' {
			n, _ = strconv.Atoi(name[1:]) // what is no number stays 0
		}
		if n < 1 {
			return fmt.Errorf("sqlite: the parameter %q is not $1 … $n", name)
		}
		s.order[i], s.args = n-1, max(s.args, n)
	}
	return nil
}

func (c *Conn) finalize(s *statement) error {
	if code := sqlite3.Xsqlite3_finalize(c.tls, s.handle); code != sqlite3.SQLITE_OK {
		return c.failure(code)
	}
	return nil
}

// ReadsOnly reports whether a statement surely changes nothing in the file.
func (c *Conn) ReadsOnly(query string) (bool, error) {
	s, err := c.prepare(query)
	if err != nil {
		return false, err
	}
	return s.readOnly, nil
}

// Exec runs a statement to its end and answers how many rows it changed.
func (c *Conn) Exec(query string, args ...any) (changed int64, err error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	if err := c.bind(s, args); err != nil {
		return 0, err
	}
	code := int32(sqlite3.SQLITE_ROW)
	for code == sqlite3.SQLITE_ROW {
		code = sqlite3.Xsqlite3_step(c.tls, s.handle)
	}
	if code != sqlite3.SQLITE_DONE {
		err = c.failure(code)
	} else if !s.readOnly {
		changed = sqlite3.Xsqlite3_changes64(c.tls, c.db)
	}
	sqlite3.Xsqlite3_reset(c.tls, s.handle) // it answers the same code once more
	return changed, err
}

// Query runs a statement that answers rows. Like every statement it has done its work up to the first row when Query returns.
func (c *Conn) Query(query string, args ...any) (*Rows, error) {
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := c.bind(s, args); err != nil {
		return nil, err
	}
	r := &Rows{conn: c, statement: s}
	c.open = r
	r.step()
	if r.err != nil {
		return nil, r.err
	}
	return r, nil
}

// bind gives a statement its arguments. Their texts are good until the next statement.
func (c *Conn) bind(s *statement, args []any) error {
	if len(args) != s.args {
		return fmt.Errorf("sqlite: the statement takes %d arguments and is given %d", s.args, len(args))
	}
	c.texts.clear(c.tls)
	for i, at := range s.order {
		if err := c.bindOne(s, int32(i+1), args[at]); err != nil {
			return fmt.Errorf("sqlite: argument $%d: %w", at+1, err)
		}
	}
	return nil
}

// bindOne binds one argument: text, bytes, numbers, booleans, types made of them, pointers to them, and nil.
func (c *Conn) bindOne(s *statement, at int32, arg any) error {
	var code int32
	switch v := arg.(type) {
	case nil:
		code = sqlite3.Xsqlite3_bind_null(c.tls, s.handle, at)
	case string:
		code = c.bindText(s, at, v)
	case int64:
		code = sqlite3.Xsqlite3_bind_int64(c.tls, s.handle, at, v)
	case int:
		code = sqlite3.Xsqlite3_bind_int64(c.tls, s.handle, at, int64(v))
	case bool:
		code = sqlite3.Xsqlite3_bind_int64(c.tls, s.handle, at, boolean(v))
	case *string:
		if v == nil {
			return c.bindOne(s, at, nil)
		}
		code = c.bindText(s, at, *v)
	case *int64:
		if v == nil {
			return c.bindOne(s, at, nil)
		}
		code = sqlite3.Xsqlite3_bind_int64(c.tls, s.handle, at, *v)
	case []byte:
		if v == nil {
			return c.bindOne(s, at, nil)
		}
		code = c.bindBlob(s, at, v)
	default:
		return c.bindOther(s, at, reflect.ValueOf(arg))
	}
	if code != sqlite3.SQLITE_OK {
		return c.failure(code)
	}
	return nil
}

// bindOther binds an argument of a type that is made of a simple one.
func (c *Conn) bindOther(s *statement, at int32, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return c.bindOne(s, at, nil)
		}
		return c.bindOne(s, at, v.Elem().Interface())
	case reflect.String:
		return c.bindOne(s, at, v.String())
	case reflect.Bool:
		return c.bindOne(s, at, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return c.bindOne(s, at, v.Int())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return c.bindOne(s, at, int64(v.Uint()))
	case reflect.Float64:
		if code := sqlite3.Xsqlite3_bind_double(c.tls, s.handle, at, v.Float()); code != sqlite3.SQLITE_OK {
			return c.failure(code)
		}
		return nil
	}
	return fmt.Errorf("a %s cannot be stored", v.Type())
}

func (c *Conn) bindText(s *statement, at int32, text string) int32 {
	p := c.texts.keep(c.tls, text)
	if p == 0 {
		return sqlite3.SQLITE_NOMEM
	}
	return sqlite3.Xsqlite3_bind_text(c.tls, s.handle, at, p, int32(len(text)), sqlite3.SQLITE_STATIC)
}

func (c *Conn) bindBlob(s *statement, at int32, blob []byte) int32 {
	p := c.texts.keep(c.tls, string(blob))
	if p == 0 {
		return sqlite3.SQLITE_NOMEM
	}
	return sqlite3.Xsqlite3_bind_blob(c.tls, s.handle, at, p, int32(len(blob)), sqlite3.SQLITE_STATIC)
}

// boolean is a boolean as SQLite stores it.
func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
