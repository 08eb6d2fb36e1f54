package sqlite

import (
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// cell is a value of the row that is read, where SQLite has it. For a text its own functions take three calls, each of which finds
// the row anew and looks whether memory ran out: for a list that is as long as it takes to find it. What is no simple value is
// left to them.
func (r *Rows) cell(column int32) *sqlite3.TMem {
	row := at[sqlite3.TVdbe](r.statement.handle).FpResultRow
	return at[sqlite3.TMem](row + uintptr(column)*unsafe.Sizeof(sqlite3.TMem{}))
}

// simple is what a cell holds if that is one thing only, and has no other form that is kept beside it.
func simple(m *sqlite3.TMem) uint16 { return m.Fflags & sqlite3.MEM_AffMask }

// kind is the type of a column, such as SQLITE_TEXT.
func (r *Rows) kind(column int32) int32 {
	switch simple(r.cell(column)) {
	case sqlite3.MEM_Null:
		return sqlite3.SQLITE_NULL
	case sqlite3.MEM_Int:
		return sqlite3.SQLITE_INTEGER
	case sqlite3.MEM_Str:
		return sqlite3.SQLITE_TEXT
	}
	return sqlite3.Xsqlite3_column_type(r.conn.tls, r.statement.handle, column)
}

// bytes are a column as text, and that of any other value is what SQLite makes of it. They are good until the next step.
func (r *Rows) bytes(column int32) []byte {
	if m := r.cell(column); simple(m) == sqlite3.MEM_Str && m.Fenc == sqlite3.SQLITE_UTF8 {
		return libc.GoBytes(m.Fz, int(m.Fn))
	}
	data := sqlite3.Xsqlite3_column_text(r.conn.tls, r.statement.handle, column)
	n := sqlite3.Xsqlite3_column_bytes(r.conn.tls, r.statement.handle, column)
	if data == 0 {
		return nil
	}
	return libc.GoBytes(data, int(n))
}

// int64 is a column that holds an integer.
func (r *Rows) int64(column int32) int64 {
	if m := r.cell(column); simple(m) == sqlite3.MEM_Int {
		return *(*int64)(unsafe.Pointer(&m.Fu))
	}
	return sqlite3.Xsqlite3_column_int64(r.conn.tls, r.statement.handle, column)
}
