// Package sqldbtest gives tests a fresh database each, with the project's schema.
package sqldbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"belfry/internal/sqldb"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Environment names the variable that holds the URL of a PostgreSQL server for
// tests, whose user may create databases.
const Environment = "BELFRY_TEST_POSTGRES"

// Each runs test as the subtests "sqlite" and "postgres", each on a fresh
// database with the project's schema. The latter is skipped without a server.
func Each(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	EachURL(t, func(t *testing.T, url string) {
		test(t, open(t, url, sqldb.Options{Schema: Schema(t)}))
	})
}

// OnPostgres runs test on a fresh PostgreSQL database alone, for what several connections or processes do to each
// other there: SQLite has one writer and belongs to one process. It is skipped without a server.
func OnPostgres(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	test(t, open(t, Postgres(t), sqldb.Options{Schema: Schema(t)}))
}

// EachURL is Each for tests that open the database themselves: the URL names one that does not exist yet or is empty.
func EachURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "test.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// Open opens one fresh SQLite file; without a schema in opt it has the project's.
func Open(t *testing.T, opt sqldb.Options) *sqldb.DB {
	t.Helper()
	if opt.Schema == "" {
		opt.Schema = Schema(t)
	}
	return open(t, filepath.Join(t.TempDir(), "test.db"), opt)
}

// Schema is the text of the project's schema.sql.
func Schema(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), "schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Root is the project's directory, the one with go.mod.
func Root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod in this directory or one above it")
		}
		dir = parent
	}
}

// Postgres makes an empty PostgreSQL database, dropped at the test's end, and
// answers its URL. Without a server it skips the test.
func Postgres(t *testing.T) string {
	t.Helper()
	server := os.Getenv(Environment)
	if server == "" {
		t.Skipf("set %s to the URL of a PostgreSQL server whose user may create databases, "+
			"for example postgres://user:password@127.0.0.1:5432/postgres", Environment)
	}
	location, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s: %v", Environment, err)
	}
	name := "belfry_test_" + strings.ToLower(rand.Text())
	administer(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { administer(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	location.Path = "/" + name
	return location.String()
}

// administer runs one statement on the server.
func administer(t *testing.T, server, statement string) {
	t.Helper()
	pool, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// open opens a database that is closed at the test's end.
func open(t *testing.T, url string, opt sqldb.Options) *sqldb.DB {
	t.Helper()
	if opt.ApplicationID == 0 {
		opt.ApplicationID = 0x626c6672
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	db, err := sqldb.Open(context.Background(), url, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil && !errors.Is(err, sqldb.ErrClosed) {
			t.Error(err)
		}
	})
	return db
}
