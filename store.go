package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"

	"belfry/internal/delivery"
	"belfry/internal/identity"
	"belfry/internal/rules"
	"belfry/internal/sqldb"
)

//go:embed schema.sql
var schema string

// applicationID is "Blfy" in a SQLite file's header, so that a file of another program is refused.
const applicationID int32 = 0x426c6679

// openStore opens the database, or makes it with akadmin, one token of the given hash and the rules that
// authentik ships. Whoever calls db.Read or db.Write owns that transaction: it begins and ends there, and
// all that takes a Tx runs inside it. What must follow a write (hints, answers) comes after it returned.
func openStore(ctx context.Context, url, firstKeyHash string, log *slog.Logger) (*sqldb.DB, error) {
	return sqldb.Open(ctx, url, sqldb.Options{
		Schema:        schema,
		ApplicationID: applicationID,
		Log:           log,
		Floor:         newestTime,
		Seed:          func(tx *sqldb.Tx) error { return seed(tx, firstKeyHash) },
	})
}

// seed fills a new database.
func seed(tx *sqldb.Tx, firstKeyHash string) error {
	admins, err := identity.Seed(tx, firstKeyHash)
	if err != nil {
		return fmt.Errorf("make the first user: %w", err)
	}
	email, local, err := delivery.Seed(tx)
	if err != nil {
		return fmt.Errorf("make the first transports: %w", err)
	}
	if err := rules.Seed(tx, admins, email, local); err != nil {
		return fmt.Errorf("make the first rules: %w", err)
	}
	return nil
}

// newestTime is the latest time in the database. What is written next is later than that, even when
// the clock was set back while Belfry was not running.
func newestTime(tx *sqldb.Tx) (int64, error) {
	newest := int64(0)
	for _, query := range []string{
		"SELECT created FROM event ORDER BY created DESC, pk DESC LIMIT 1",
		"SELECT created FROM notification ORDER BY created DESC, pk DESC LIMIT 1",
	} {
		var created int64
		if err := tx.Row(query, nil, &created); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, fmt.Errorf("read the newest time: %w", err)
		}
		newest = max(newest, created)
	}
	return newest, nil
}
