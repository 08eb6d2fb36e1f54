package sqldb_test

import (
	"context"
	"errors"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

func TestAWatchCountsTheWritesThatConcernItsTablesAndNoOthers(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		notes, both := db.Watch("note"), db.Watch("remark", "note")
		for _, c := range []struct {
			name, query string
			undone      bool
			notes, both int64
		}{
			{"an insert", "INSERT INTO note (name, body) VALUES ('a', '')", false, 1, 1},
			{"an insert into another table", "INSERT INTO tag (a, b) VALUES ('a', 1)", false, 0, 0},
			{"an insert into the other's table", "insert into remark (name, note) VALUES ('r', 'a')", false, 0, 1},
			{"an insert without a space", "INSERT INTO note(name, body) SELECT 'b', '' WHERE 1 = 1", false, 1, 1},
			{"an update", "\n\tUPDATE note\nSET body = 'x'", false, 1, 1},
			{"an update that is undone", "UPDATE note SET body = 'y'", true, 0, 0},
			{"a select", "SELECT name FROM note", false, 0, 0},
			{"what is not understood", "WITH old (name) AS (SELECT 'b') DELETE FROM note WHERE name IN (SELECT name FROM old)", false, 1, 1},
			{"a deletion", "DELETE FROM remark", false, 0, 1},
		} {
			notesBefore, known := notes.Writes()
			bothBefore, _ := both.Writes()
			if known == db.Postgres() {
				t.Fatalf("%s: known is %v", c.name, known)
			}
			failure := map[bool]error{true: errors.New("undone")}[c.undone]
			err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(c.query)
				return errors.Join(err, failure)
			})
			if (err != nil) != c.undone {
				t.Fatalf("%s: %v", c.name, err)
			}
			notesAfter, _ := notes.Writes()
			bothAfter, _ := both.Writes()
			if notesAfter-notesBefore != c.notes || bothAfter-bothBefore != c.both {
				t.Errorf("%s: counted %d and %d times", c.name, notesAfter-notesBefore, bothAfter-bothBefore)
			}
		}
	})
}
