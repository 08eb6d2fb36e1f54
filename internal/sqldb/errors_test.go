package sqldb_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"

	"github.com/google/go-cmp/cmp"
)

// records is a log that tests read.
type records struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buffer.Write(p)
}

func (r *records) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

func (r *records) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buffer.String()
}

func (r *records) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buffer.Reset()
}

// TestConstraintsAreNamedAlikeOnBothDatabases, by table and columns.
func TestConstraintsAreNamedAlikeOnBothDatabases(t *testing.T) {
	schema := noteSchema + `
CREATE TABLE counter (id INTEGER PRIMARY KEY, folded TEXT);
CREATE UNIQUE INDEX counter_folded ON counter (lower(folded));
CREATE TABLE child (id INTEGER PRIMARY KEY, counter INTEGER NOT NULL REFERENCES counter (id));
`
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		opt := testOptions(t)
		opt.Schema = schema
		db := openNotes(t, url, opt)
		exec := func(query string, args ...any) error {
			return db.Write(context.Background(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(query, args...)
				return err
			})
		}
		for _, statement := range []string{
			"INSERT INTO note (name, body) VALUES ('a', '')", "INSERT INTO tag (a, b) VALUES ('a', 1)",
			"INSERT INTO counter (id, folded) VALUES (1, 'x')", "INSERT INTO child (id, counter) VALUES (1, 1)",
		} {
			if err := exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			statement string
			want      sqldb.UniqueError
		}{
			{"INSERT INTO note (name, body) VALUES ('a', '')", sqldb.UniqueError{Table: "note", Columns: []string{"name"}}},
			{"INSERT INTO tag (a, b) VALUES ('a', 1)", sqldb.UniqueError{Table: "tag", Columns: []string{"b", "a"}}},
			{"INSERT INTO counter (id, folded) VALUES (1, 'y')", sqldb.UniqueError{Table: "counter", Columns: []string{"id"}}},
			{"INSERT INTO counter (id, folded) VALUES (2, 'X')", sqldb.UniqueError{}},
		} {
			got, ok := errors.AsType[*sqldb.UniqueError](exec(test.statement))
			if !ok {
				t.Errorf("%s: no UniqueError", test.statement)
				continue
			}
			if diff := cmp.Diff(test.want, *got); diff != "" {
				t.Errorf("%s: %s", test.statement, diff)
			}
		}
		for _, statement := range []string{
			"INSERT INTO remark (name, note) VALUES ('r', 'none')", "DELETE FROM counter WHERE id = 1",
		} {
			if _, ok := errors.AsType[*sqldb.ForeignKeyError](exec(statement)); !ok {
				t.Errorf("%s: no ForeignKeyError", statement)
			}
		}
		for _, statement := range []string{"INSERT INTO note (name, body) VALUES ('n', NULL)", "SELECT nothing", "SELEKT 1"} {
			if err := exec(statement); err == nil || errors.Is(err, sqldb.ErrStorage) {
				t.Errorf("%s: %v", statement, err)
			}
		}
		if err := db.Ready(context.Background()); err != nil {
			t.Errorf("mistakes of callers made the storage bad: %v", err)
		}
	})
}
