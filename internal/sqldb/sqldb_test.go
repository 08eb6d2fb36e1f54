package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

func TestAWriteIsReadBack(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := context.Background()
		if err := db.Write(ctx, func(tx *sqldb.Tx) error {
			n, err := tx.Exec("UPDATE serial SET value = $2 WHERE name = $1", "user", 7)
			if n != 1 {
				t.Errorf("%d rows changed, want 1", n)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		var value int64
		if err := db.Read(ctx, func(tx *sqldb.Tx) error {
			return tx.Row("SELECT value FROM serial WHERE name = $1", []any{"user"}, &value)
		}); err != nil {
			t.Fatal(err)
		}
		if value != 7 {
			t.Errorf("value is %d, want 7", value)
		}
		err := db.Read(ctx, func(tx *sqldb.Tx) error {
			return tx.Row("SELECT value FROM serial WHERE name = $1", []any{"none"}, &value)
		})
		if !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("no row: %v", err)
		}
	})
}
