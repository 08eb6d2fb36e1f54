package sqldb_test

import (
	"errors"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

func TestWhatFollowsFromACommitSeesItAndFollowsNothingElse(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		refused := errors.New("refused")
		seen := []int{}
		look := func() {
			var n int
			err := db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.Row("SELECT COUNT(*) FROM unmatched", nil, &n) })
			if err != nil {
				t.Error(err)
			}
			seen = append(seen, n)
		}
		write := func(pk string, answer error) {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				tx.OnCommit(look)
				if _, err := tx.Exec("INSERT INTO unmatched (event_pk, created) VALUES ($1, 1)", pk); err != nil {
					return err
				}
				return answer
			})
			if !errors.Is(err, answer) {
				t.Errorf("%s: %v", pk, err)
			}
		}
		write("a", nil)
		write("b", refused)
		write("c", nil)
		if len(seen) != 2 || seen[0] != 1 || seen[1] != 2 {
			t.Errorf("what followed saw %v rows", seen)
		}
	})
}
