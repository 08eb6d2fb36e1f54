package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"
)

// open opens a new file with a table that takes anything.
func open(t *testing.T) *Conn {
	t.Helper()
	c, err := Open("file:" + filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(c.StrictQuotes(), c.Script("CREATE TABLE item (id INTEGER PRIMARY KEY, value ANY); CREATE UNIQUE INDEX item_value ON item (value)")); err != nil {
		t.Fatal(err)
	}
	return c
}

type name string

type level int32

func TestWhatIsStoredIsReadBack(t *testing.T) {
	c := open(t)
	text, number := "a pointed text", int64(7)
	for i, test := range []struct {
		arg  any
		dest any // a pointer to what it is read into
		want any
	}{
		{"text", new(string), "text"},
		{"", new(string), ""},
		{"with a \x00 in it", new(string), "with a \x00 in it"},
		{strings.Repeat("long ", arenaSize), new(string), strings.Repeat("long ", arenaSize)},
		{name("Ann"), new(name), name("Ann")},
		{int64(-1) << 63, new(int64), int64(-1) << 63},
		{42, new(int), 42},
		{level(3), new(level), level(3)},
		{uint8(200), new(uint16), uint16(200)},
		{true, new(bool), true},
		{2.5, new(float64), 2.5},
		{[]byte{0, 1, 255}, new([]byte), []byte{0, 1, 255}},
		{[]byte{}, new([]byte), []byte{}},
		{&text, new(*string), &text},
		{&number, new(*int64), &number},
		{(*string)(nil), new(*string), (*string)(nil)},
		{nil, new(*int64), (*int64)(nil)},
		{nil, new(sql.NullString), sql.NullString{}},
		{"there", new(sql.NullString), sql.NullString{String: "there", Valid: true}},
		{int64(9), new(sql.NullInt64), sql.NullInt64{Int64: 9, Valid: true}},
		{int64(9), new(string), "9"},
		{int64(11), new(any), int64(11)},
		{"any", new(any), "any"},
		{nil, new(any), nil},
	} {
		if _, err := c.Exec("DELETE FROM item"); err != nil {
			t.Fatal(err)
		}
		changed, err := c.Exec("INSERT INTO item (value, id) VALUES ($2, $1)", i, test.arg)
		if err != nil || changed != 1 {
			t.Errorf("store %T %.20v: %d, %v", test.arg, test.arg, changed, err)
			continue
		}
		rows, err := c.Query("SELECT value FROM item WHERE id = $1", i)
		if err != nil {
			t.Fatal(err)
		}
		if !rows.Next() {
			t.Fatalf("no row: %v", rows.Err())
		}
		if err := rows.Scan(test.dest); err != nil {
			t.Errorf("read %T: %v", test.dest, err)
		}
		if got := reflect.ValueOf(test.dest).Elem().Interface(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%T %.20v became %.20v", test.arg, test.arg, got)
		}
		if rows.Next() || rows.Err() != nil || rows.Close() != nil {
			t.Error("there is more than one row, or an error behind it")
		}
	}
}

func TestWhatDoesNotFitIsAnErrorAndNotAnotherValue(t *testing.T) {
	c := open(t)
	for _, test := range []struct {
		query string
		dest  any
	}{
		{"SELECT NULL", new(string)}, {"SELECT NULL", new(int64)}, {"SELECT NULL", new(name)},
		{"SELECT '12'", new(int64)}, {"SELECT 1.0", new(int)}, {"SELECT 2", new(bool)}, {"SELECT 'true'", new(bool)},
		{"SELECT 3000000000", new(level)}, {"SELECT -1", new(uint16)}, {"SELECT 1", new(struct{})}, {"SELECT 1", 1},
	} {
		rows, err := c.Query(test.query)
		if err != nil || !rows.Next() {
			t.Fatal(err)
		}
		if err := rows.Scan(test.dest); err == nil {
			t.Errorf("%s was read into a %T", test.query, test.dest)
		}
		if err := rows.Scan(test.dest, new(string)); err == nil {
			t.Errorf("%s has more columns than one", test.query)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, arg := range []any{struct{}{}, []string{"a"}, map[string]int{}} {
		if _, err := c.Exec("INSERT INTO item (value) VALUES ($1)", arg); err == nil {
			t.Errorf("a %T was stored", arg)
		}
	}
}

func TestMisuseIsRefused(t *testing.T) {
	c := open(t)
	for _, test := range []struct {
		name, query string
		args        []any
	}{
		{"too few arguments", "SELECT $1, $2", []any{1}},
		{"too many", "SELECT $1", []any{1, 2}},
		{"a parameter without a number", "SELECT ?", []any{1}},
		{"one with a name", "SELECT $name", []any{1}},
		{"two statements", "SELECT 1; SELECT 2", nil},
		{"none", "-- nothing", nil},
		{"a column in quotes that is none", `SELECT "nothing"`, nil},
	} {
		if rows, err := c.Query(test.query, test.args...); err == nil {
			t.Errorf("%s: no error", test.name)
			_ = rows.Close()
		}
	}
	rows, err := c.Query("SELECT 1 UNION SELECT 2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec("DELETE FROM item"); !errors.Is(err, errOpen) {
		t.Errorf("a statement while rows are open: %v", err)
	}
	if err := rows.Close(); err != nil || rows.Next() || rows.Scan(new(int)) == nil {
		t.Errorf("rows that were closed go on: %v", err)
	}
	if _, err := c.Exec("DELETE FROM item"); err != nil {
		t.Error(err)
	}
}

func TestAnErrorHasItsCodeAndItsWords(t *testing.T) {
	c := open(t)
	insert := func() error { _, err := c.Exec("INSERT INTO item (value) VALUES ($1)", "once"); return err }
	if err := insert(); err != nil {
		t.Fatal(err)
	}
	err := insert()
	failed, ok := errors.AsType[*Error](err)
	if !ok || failed.Code() != sqlite3.SQLITE_CONSTRAINT_UNIQUE || !strings.Contains(err.Error(), "UNIQUE constraint failed: item.value (2067)") {
		t.Errorf("%v", err)
	}
	if _, err := Open("file:" + filepath.Join(t.TempDir(), "none", "test.db")); err == nil {
		t.Error("a file in a folder that is not there was opened")
	}
}

func TestStatementsAreKeptUpToALimit(t *testing.T) {
	c := open(t)
	for i := range 2 * StatementLimit {
		if _, err := c.Exec(fmt.Sprintf("SELECT %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.Statements(); n != StatementLimit {
		t.Errorf("%d statements are kept", n)
	}
	for query, want := range map[string]bool{"SELECT 1": true, "DELETE FROM item": false, "BEGIN": true, "WITH a AS (SELECT 1) INSERT INTO item SELECT 1, 1": false} {
		if reads, err := c.ReadsOnly(query); err != nil || reads != want {
			t.Errorf("%s only reads: %v, %v", query, reads, err)
		}
	}
}
