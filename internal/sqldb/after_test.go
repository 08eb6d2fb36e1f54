package sqldb_test

import (
	"context"
	"errors"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

func TestEffectsRunOnceAfterTheCommitAndNeverForWhatWasUndone(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		ran := 0
		count := func() (n int) {
			err := db.Read(context.Background(), func(tx *sqldb.Tx) error { return tx.Row("SELECT COUNT(*) FROM note", nil, &n) })
			if err != nil {
				t.Error(err)
			}
			return n
		}
		failure := errors.New("undone")
		for _, c := range []struct {
			name string
			err  error
			ran  int
		}{{"kept", nil, 1}, {"undone", failure, 1}, {"kept again", nil, 2}} {
			before := count()
			err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
				tx.OnCommit(func() {
					ran++
					if count() != before+1 {
						t.Errorf("%s: the effect ran before the commit", c.name)
					}
				})
				if err := insert(c.name)(tx); err != nil {
					return err
				}
				return c.err
			})
			if err != c.err || ran != c.ran {
				t.Errorf("%s: %v, %d effects", c.name, err, ran)
			}
		}
	})
}
