package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"

	"github.com/google/go-cmp/cmp"
)

func TestPages(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
			for i := range 10 {
				if _, err := tx.Exec("INSERT INTO note (name, body) VALUES ($1, $2)", fmt.Sprintf("n%d", i), []string{"even", "odd"}[i%2]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		counter := func(*sqldb.Tx) (int64, error) { return 77, nil }
		window := func(offset, limit int64) func(int64) (int64, int64, error) {
			return func(int64) (int64, int64, error) { return offset, limit, nil }
		}
		var odd sqldb.Where
		odd.Add("body = ?", "odd")
		odd.In("name", "n1", "n3", "n5", "n6")
		type page = sqldb.Page[string]
		for _, test := range []struct {
			name  string
			list  sqldb.List
			given int64 // what Window is told
			want  page
		}{
			{"first", sqldb.List{Window: window(0, 3)}, 10, page{Rows: []string{"n0", "n1", "n2"}, Count: 10, More: true}},
			{"last", sqldb.List{Window: window(8, 2)}, 10, page{Rows: []string{"n8", "n9"}, Count: 10, Offset: 8}},
			{"behind the end", sqldb.List{Window: window(20, 2)}, 10, page{Rows: []string{}, Count: 10, Offset: 20}},
			{"filtered", sqldb.List{Where: odd, Window: window(1, 1)}, 3, page{Rows: []string{"n3"}, Count: 3, More: true, Offset: 1}},
			{"counted elsewhere", sqldb.List{Count: counter, Window: window(0, 1)}, 77, page{Rows: []string{"n0"}, Count: 77, More: true}},
			{"within the bound", sqldb.List{CountUpTo: 10, Window: window(0, 3)}, 10, page{Rows: []string{"n0", "n1", "n2"}, Count: 10, More: true}},
			{"beyond the bound", sqldb.List{CountUpTo: 9, Window: window(0, 3)}, math.MaxInt64, page{Rows: []string{"n0", "n1", "n2"}, Count: 9, More: true}},
			{"beyond the bound, far", sqldb.List{CountUpTo: 4, Window: window(3, 3)}, math.MaxInt64, page{Rows: []string{"n3", "n4", "n5"}, Count: 7, More: true, Offset: 3}},
			{"beyond the bound, last", sqldb.List{CountUpTo: 4, Window: window(8, 3)}, math.MaxInt64, page{Rows: []string{"n8", "n9"}, Count: 10, Offset: 8}},
			{"beyond the bound, behind the end", sqldb.List{CountUpTo: 4, Window: window(50, 3)}, math.MaxInt64, page{Rows: []string{}, Count: 4, Offset: 50}},
			{"beyond the bound, exact", sqldb.List{CountUpTo: 4, Exact: true, Window: window(9, 3)}, 10, page{Rows: []string{"n9"}, Count: 10, Offset: 9}},
			{"bounded and filtered", sqldb.List{Where: odd, CountUpTo: 2, Window: window(0, 1)}, math.MaxInt64, page{Rows: []string{"n1"}, Count: 2, More: true}},
		} {
			t.Run(test.name, func(t *testing.T) {
				list := test.list
				list.Columns, list.From, list.OrderBy = "name", "note", "name"
				given := int64(-1)
				inner := list.Window
				list.Window = func(count int64) (int64, int64, error) {
					given = count
					return inner(count)
				}
				var got page
				err := db.Read(context.Background(), func(tx *sqldb.Tx) (err error) {
					got, err = sqldb.Select(tx, list, scanText)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" || given != test.given {
					t.Errorf("the window was told %d, want %d; %s", given, test.given, diff)
				}
			})
		}
		err = db.Read(context.Background(), func(tx *sqldb.Tx) error {
			refuse := func(int64) (int64, int64, error) { return 0, 0, errMine }
			_, err := sqldb.Select(tx, sqldb.List{Columns: "name", From: "note", OrderBy: "name", Window: refuse}, scanText)
			return err
		})
		if !errors.Is(err, errMine) {
			t.Errorf("the window's error became %v", err)
		}
	})
}

func TestWhereNumbersItsArguments(t *testing.T) {
	var w sqldb.Where
	if w.SQL() != "" || w.Args() != nil || w.Next() != 1 {
		t.Errorf("no condition is %q %v %d", w.SQL(), w.Args(), w.Next())
	}
	w.Add("a = ?", 1)
	w.Add("b IS NULL")
	w.Add("c = ? OR d = ?", "x", "y")
	w.In("e", 7, 8)
	w.In("f")
	if got, want := w.SQL(), " WHERE (a = $1) AND (b IS NULL) AND (c = $2 OR d = $3) AND (e IN ($4, $5)) AND (1 = 0)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if diff := cmp.Diff([]any{1, "x", "y", 7, 8}, w.Args()); diff != "" || w.Next() != 6 {
		t.Errorf("next %d, %s", w.Next(), diff)
	}
	defer func() {
		if recover() == nil {
			t.Error("a missing argument was not noticed")
		}
	}()
	w.Add("g = ?")
}

// TestEscapedTextIsFoundLiterally by LIKE on both databases.
func TestEscapedTextIsFoundLiterally(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		for _, text := range []string{`%`, `_`, `\`, `\%`, `a%b_c\d`, `plain`} {
			err := db.Read(context.Background(), func(tx *sqldb.Tx) error {
				for _, other := range []string{text, strings.NewReplacer(`%`, `xx`, `_`, `x`, `\`, `x`, `p`, `P`).Replace(text)} {
					var found bool
					if err := tx.Row(`SELECT CAST($1 AS TEXT) LIKE CAST($2 AS TEXT) ESCAPE '\'`, []any{other, sqldb.EscapeLike(text)}, &found); err != nil {
						return err
					}
					if found != (other == text) && text != "plain" {
						t.Errorf("%q is like %q: %v", other, text, found)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
