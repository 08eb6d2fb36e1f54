package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Rows are what a statement answers, one after the other. They are closed when the last one was read.
type Rows struct {
	conn      *Conn
	statement *statement
	ready     bool // there is a row that Next has not been asked for
	finished  bool // there is none after it
	closed    bool
	err       error
}

// errClosed is the answer to rows that are not open any more.
var errClosed = errors.New("sqlite: the rows are closed")

// step goes on to the next row, or to the end.
func (r *Rows) step() {
	code := sqlite3.Xsqlite3_step(r.conn.tls, r.statement.handle)
	r.ready, r.finished = code == sqlite3.SQLITE_ROW, code != sqlite3.SQLITE_ROW
	if r.finished && code != sqlite3.SQLITE_DONE {
		r.err = r.conn.failure(code)
		r.end()
	}
}

// end lets the next statement run.
func (r *Rows) end() {
	if r.closed {
		return
	}
	r.closed = true
	sqlite3.Xsqlite3_reset(r.conn.tls, r.statement.handle) // what it answers, step has answered
	r.conn.open = nil
}

// Next goes on to the next row; false at the end, or when one cannot be read: see Err.
func (r *Rows) Next() bool {
	if !r.ready && !r.finished && !r.closed {
		r.step()
	}
	if !r.ready {
		r.end()
	}
	next := r.ready
	r.ready = false
	return next
}

// Err is why Next stopped before the end, or nil.
func (r *Rows) Err() error { return r.err }

// Close drops the rest of the rows. It may be called again.
func (r *Rows) Close() error {
	r.ready = false
	r.end()
	return nil
}

// Columns are the names of the columns. Rows that are closed have none, which is an error.
func (r *Rows) Columns() ([]string, error) {
	if r.closed {
		return nil, errClosed
	}
	names := make([]string, sqlite3.Xsqlite3_column_count(r.conn.tls, r.statement.handle))
	for i := range names {
		names[i] = libc.GoString(sqlite3.Xsqlite3_column_name(r.conn.tls, r.statement.handle, int32(i)))
	}
	return names, nil
}

// Scan reads the row into dest: pointers to text, bytes, numbers and booleans, to types made of them, to pointers to
// them (nil for NULL), to any, and sql.Scanner. What does not fit is an error.
func (r *Rows) Scan(dest ...any) error {
	if r.closed {
		return errClosed
	}
	if n := sqlite3.Xsqlite3_data_count(r.conn.tls, r.statement.handle); int(n) != len(dest) {
		return fmt.Errorf("sqlite: a row has %d columns and %d are read", n, len(dest))
	}
	defer r.conn.read.clear()
	for i, d := range dest {
		if err := r.scan(int32(i), d); err != nil {
			return fmt.Errorf("sqlite: column %d: %w", i+1, err)
		}
	}
	r.conn.read.share()
	return nil
}

// scan reads one column.
func (r *Rows) scan(at int32, dest any) error {
	kind := r.kind(at)
	if kind == sqlite3.SQLITE_NULL {
		return setNull(dest)
	}
	switch d := dest.(type) {
	case *string:
		r.share(at, d)
	case *int64:
		return r.integer(at, kind, d)
	case *int:
		var n int64
		err := r.integer(at, kind, &n)
		*d = int(n)
		return err
	case *bool:
		return r.boolean(at, kind, d)
	case **string:
		*d = new(string)
		r.share(at, *d)
	case **int64:
		*d = new(int64)
		return r.integer(at, kind, *d)
	case *[]byte:
		*d = []byte(r.text(at))
	case *sql.NullString:
		d.Valid = true
		r.share(at, &d.String)
	case *sql.NullInt64:
		d.Valid = true
		return r.integer(at, kind, &d.Int64)
	case *any:
		*d = r.value(at, kind)
	case sql.Scanner:
		return d.Scan(r.value(at, kind))
	default:
		return r.scanOther(at, kind, reflect.ValueOf(dest))
	}
	return nil
}

// setNull writes NULL to what can take it.
func setNull(dest any) error {
	switch d := dest.(type) {
	case **string:
		*d = nil
		return nil
	case **int64:
		*d = nil
		return nil
	case *[]byte:
		*d = nil
		return nil
	case *any:
		*d = nil
		return nil
	case sql.Scanner:
		return d.Scan(nil)
	}
	if v := reflect.ValueOf(dest); v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() == reflect.Pointer {
		v.Elem().SetZero()
		return nil
	}
	return fmt.Errorf("NULL cannot be read into a %T", dest)
}

// text is a column as text.
func (r *Rows) text(at int32) string { return string(r.bytes(at)) }

// share reads a column as text into dest, once all columns of the row are read: see texts.
func (r *Rows) share(at int32, dest *string) { r.conn.read.add(r.bytes(at), dest) }

func (r *Rows) integer(at, kind int32, n *int64) error {
	if kind != sqlite3.SQLITE_INTEGER {
		return fmt.Errorf("%q is no integer", r.text(at))
	}
	*n = r.int64(at)
	return nil
}

func (r *Rows) boolean(at, kind int32, b *bool) error {
	var n int64
	if err := r.integer(at, kind, &n); err != nil {
		return err
	}
	if n != 0 && n != 1 {
		return fmt.Errorf("%d is no boolean", n)
	}
	*b = n == 1
	return nil
}

// value is a column as its own type.
func (r *Rows) value(at, kind int32) any {
	switch kind {
	case sqlite3.SQLITE_INTEGER:
		return r.int64(at)
	case sqlite3.SQLITE_FLOAT:
		return sqlite3.Xsqlite3_column_double(r.conn.tls, r.statement.handle, at)
	case sqlite3.SQLITE_BLOB:
		return []byte(r.text(at))
	}
	return r.text(at)
}

// scanOther reads a column into a type that is made of a simple one.
func (r *Rows) scanOther(at, kind int32, dest reflect.Value) error {
	if dest.Kind() != reflect.Pointer || dest.IsNil() {
		return fmt.Errorf("a column is read into a pointer, not a %s", dest.Type())
	}
	v := dest.Elem()
	switch v.Kind() {
	case reflect.String:
		r.share(at, (*string)(v.Addr().UnsafePointer()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		if err := r.integer(at, kind, &n); err != nil {
			return err
		}
		if v.OverflowInt(n) {
			return fmt.Errorf("%d is too large for a %s", n, v.Type())
		}
		v.SetInt(n)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		var n int64
		if err := r.integer(at, kind, &n); err != nil {
			return err
		}
		if n < 0 || v.OverflowUint(uint64(n)) {
			return fmt.Errorf("%d is no %s", n, v.Type())
		}
		v.SetUint(uint64(n))
	case reflect.Bool:
		var b bool
		if err := r.boolean(at, kind, &b); err != nil {
			return err
		}
		v.SetBool(b)
	case reflect.Float64:
		v.SetFloat(sqlite3.Xsqlite3_column_double(r.conn.tls, r.statement.handle, at))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return r.scan(at, v.Interface())
	default:
		return fmt.Errorf("a %s cannot be read", v.Type())
	}
	return nil
}
