package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	tablesOfSQLite   = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
	tablesOfPostgres = `SELECT table_name::text COLLATE "C" FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`
)

// tables are the names of all tables.
func tables(t *testing.T, db *sqldb.DB) (list []string) {
	t.Helper()
	query := tablesOfSQLite
	if db.Postgres() {
		query = tablesOfPostgres
	}
	if err := db.Read(context.Background(), func(tx *sqldb.Tx) (err error) {
		list, err = sqldb.All(tx, scanText, query)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func versions(t *testing.T, db *sqldb.DB) (list []string) {
	t.Helper()
	if err := db.Read(context.Background(), func(tx *sqldb.Tx) (err error) {
		list, err = sqldb.All(tx, scanText, "SELECT CAST(version AS TEXT) || ' ' || why FROM schema_version WHERE applied > 0 ORDER BY version")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestASchemaFileWithAMistakeIsRefused(t *testing.T) {
	for _, test := range []struct{ name, schema, says string }{
		{"empty", "", "no migration"},
		{"comments only", "-- nothing\n", "no migration"},
		{"a statement before the first", "CREATE TABLE a (b TEXT);\n-- migration 1: x\n", "line 1: a statement stands before"},
		{"beginning at 2", "-- migration 2: x\n", "line 1: migration 2 stands where"},
		{"with a gap", "-- migration 1: x\n-- migration 3: y\n", "line 2: migration 3 stands where"},
		{"going back", "-- migration 1: x\n-- migration 2: y\n-- migration 1 sqlite: z\n", "line 3"},
		{"twice", "-- migration 1: x\n-- migration 1: y\n", "line 2: migration 1 has that section twice"},
		{"twice for one database", "-- migration 1: x\n-- migration 1 sqlite: y\n-- migration 1 sqlite: y\n", "line 3"},
		{"another database", "-- migration 1 mysql: x\n", "is no heading"},
		{"no reason", "-- migration 1:\n", "is no heading"},
		{"no colon", "-- migration 1 x\n", "is no heading"},
		{"indented", " -- migration 1: x\n", "is no heading"},
		{"a leading zero", "-- migration 01: x\n", "is no heading"},
	} {
		path := tempPath(t)
		_, err := sqldb.Open(context.Background(), path, sqldb.Options{Schema: test.schema})
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: answered %v", test.name, err)
		}
		if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
			t.Errorf("%s: files were made", test.name)
		}
	}
}

const secondMigration = `
-- migration 2: more
CREATE TABLE more (a TEXT);
UPDATE note SET body = 'changed';
-- migration 2 sqlite: of SQLite
CREATE TABLE of_sqlite (a TEXT);
-- migration 2 postgres: of PostgreSQL
CREATE TABLE of_postgres (a TEXT);
`

// TestMigrationsAreAppliedOnceAndInOrder on top of what a database has.
func TestMigrationsAreAppliedOnceAndInOrder(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		opt := testOptions(t)
		db := openNotes(t, url, opt)
		if err := db.Write(context.Background(), insert("a")); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		opt.Schema += secondMigration + "\n-- migration 3 sqlite: only there\nCREATE TABLE third (a TEXT);\n"
		for range 2 {
			db = openNotes(t, url, opt)
			if db.Created() {
				t.Error("it says that it made the database")
			}
			want := []string{"late", "more", "note", "of_sqlite", "remark", "schema_version", "tag", "third"}
			if db.Postgres() {
				want = []string{"late", "more", "note", "of_postgres", "remark", "schema_version", "tag"}
			}
			if diff := cmp.Diff(want, tables(t, db)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"1 notes", "2 more", "3 only there"}, versions(t, db)); diff != "" {
				t.Error(diff)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		opt.Schema = noteSchema
		if _, err := sqldb.Open(context.Background(), url, opt); err == nil || !strings.Contains(err.Error(), "a newer program made it") {
			t.Errorf("an older program was answered %v", err)
		}
	})
}

// TestAMigrationThatFailsLeavesTheOldState, and the database can be opened as it was.
func TestAMigrationThatFailsLeavesTheOldState(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		opt := testOptions(t)
		db := openNotes(t, url, opt)
		if err := db.Write(context.Background(), insert("a")); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		broken := opt
		broken.Schema += "-- migration 2: more\nCREATE TABLE more (a TEXT);\nUPDATE note SET body = 'changed';\nINSERT INTO nothing VALUES (1);\n"
		if _, err := sqldb.Open(context.Background(), url, broken); err == nil || !strings.Contains(err.Error(), "migration 2 (more)") {
			t.Errorf("answered %v", err)
		}
		db = openNotes(t, url, opt)
		if diff := cmp.Diff([]string{"late", "note", "remark", "schema_version", "tag"}, tables(t, db)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"1 notes"}, versions(t, db)); diff != "" {
			t.Error(diff)
		}
		var body string
		err := db.Read(context.Background(), func(tx *sqldb.Tx) error { return tx.Row("SELECT body FROM note", nil, &body) })
		if err != nil || body != "text of a" {
			t.Errorf("the row says %q, %v", body, err)
		}
	})
}

// TestMakingAndMigratingSurviveTheEndAtAnyWrite cuts the disk off after every number of writes: what is opened
// afterwards is whole, and has the old state or the new one.
func TestMakingAndMigratingSurviveTheEndAtAnyWrite(t *testing.T) {
	d := newDisk(t)
	opt := sqldb.OnDisk(testOptions(t), d.name)
	opt.Schema += secondMigration
	opt.Seed = insert("seed")
	for _, start := range []struct {
		name   string
		before func(t *testing.T) string // answers the path
		old    bool                      // whether the old state may be found
		step   int                       // to the next number of writes
		want   []string
	}{
		{"making", tempPath, false, 4, []string{"seed"}},
		{"migrating", closedNotes, true, 1, []string{"a", "b", "c"}},
	} {
		t.Run(start.name, func(t *testing.T) {
			cuts := 0
			for done := false; !done; cuts += start.step {
				path := start.before(t)
				d.cut(cuts)
				db, err := sqldb.Open(context.Background(), path, opt)
				if done = err == nil; done {
					_ = db.Close() // the power may be gone by now
				}
				d.heal()
				if start.old {
					expectWholeOldState(t, d, path)
				}
				db = openNotes(t, path, opt)
				if diff := cmp.Diff(start.want, names(t, db)); diff != "" {
					t.Errorf("cut after %d: %s", cuts, diff)
				}
				if diff := cmp.Diff([]string{"1 notes", "2 more"}, versions(t, db)); diff != "" {
					t.Errorf("cut after %d: %s", cuts, diff)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
			if cuts < 5 {
				t.Errorf("the power was cut after %d writes at most", cuts)
			}
		})
	}
}

// expectWholeOldState opens a database as the program of version 1 does. That refuses one that was migrated.
func expectWholeOldState(t *testing.T, d *disk, path string) {
	t.Helper()
	db, err := sqldb.Open(context.Background(), path, sqldb.OnDisk(testOptions(t), d.name))
	if err != nil {
		if !strings.Contains(err.Error(), "a newer program made it") {
			t.Error(err)
		}
		return
	}
	if diff := cmp.Diff([]string{"late", "note", "remark", "schema_version", "tag"}, tables(t, db)); diff != "" {
		t.Error(diff)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// TestNodesThatStartTogetherMakeOneDatabase on PostgreSQL: one makes it, all use it.
func TestNodesThatStartTogetherMakeOneDatabase(t *testing.T) {
	url := sqldbtest.Postgres(t)
	opt := testOptions(t)
	opt.Schema += secondMigration
	opt.Seed = insert("seed")
	var wg sync.WaitGroup
	created := make(chan bool, 8)
	for range cap(created) {
		wg.Go(func() {
			db, err := sqldb.Open(context.Background(), url, opt)
			if err != nil {
				t.Error(err)
				return
			}
			created <- db.Created()
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(created)
	made := 0
	for c := range created {
		if c {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d nodes made it", made)
	}
}

// TestTheSchemaIsTheGoldenOne shows what the migrations result in.
func TestTheSchemaIsTheGoldenOne(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		name, query := "schema.sqlite.golden", goldenSQLite
		if db.Postgres() {
			name, query = "schema.postgres.golden", goldenPostgres
		}
		var lines []string
		if err := db.Read(context.Background(), func(tx *sqldb.Tx) (err error) {
			lines, err = sqldb.All(tx, scanText, query)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		comment, space := regexp.MustCompile(`--[^\n]*`), regexp.MustCompile(`\s+`)
		var got strings.Builder
		for _, line := range lines {
			got.WriteString(strings.TrimSpace(space.ReplaceAllString(comment.ReplaceAllString(line, ""), " ")) + "\n")
		}
		path := filepath.Join(sqldbtest.Root(t), "testdata", name)
		if *update {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(got.String()), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("the schema differs from %s (-update writes it anew): %s", path, diff)
		}
	})
}

const goldenSQLite = `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name`

const goldenPostgres = `
SELECT line FROM (
	SELECT table_name::text AS of, 1 AS kind, lpad(ordinal_position::text, 3) AS part,
		'table ' || table_name || ': ' || column_name || ' ' || data_type ||
		coalesce(' COLLATE ' || collation_name, '') || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END ||
		coalesce(' DEFAULT ' || column_default, '') AS line
	FROM information_schema.columns WHERE table_schema = 'public'
	UNION ALL
	SELECT conrelid::regclass::text, 2, conname, 'constraint ' || conname || ' on ' || conrelid::regclass || ': ' || pg_get_constraintdef(oid)
	FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
	UNION ALL
	SELECT tablename, 3, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
) AS lines ORDER BY of COLLATE "C", kind, part COLLATE "C"`

// TestTheURLsPasswordIsNotTold when PostgreSQL cannot be reached.
func TestTheURLsPasswordIsNotTold(t *testing.T) {
	_, err := sqldb.Open(context.Background(), "postgres://user:s3cret@127.0.0.1:1/db?connect_timeout=1", testOptions(t))
	if !errors.Is(err, sqldb.ErrStorage) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("answered %v", err)
	}
	_, err = sqldb.Open(context.Background(), "postgres://user:s3cret@127.0.0.1:notaport/db", testOptions(t))
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("answered %v", err)
	}
}

// TestALostConnectionIsAFaultOfTheStorage, and the next transaction has another one.
func TestALostConnectionIsAFaultOfTheStorage(t *testing.T) {
	url := sqldbtest.Postgres(t)
	db := openNotes(t, url, testOptions(t))
	admin, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for name, run := range map[string]func(context.Context, func(*sqldb.Tx) error) error{"read": db.Read, "write": db.Write} {
		err := run(context.Background(), func(tx *sqldb.Tx) error {
			var pid int
			if err := tx.Row("SELECT pg_backend_pid()", nil, &pid); err != nil {
				return err
			}
			if _, err := admin.Exec("SELECT pg_terminate_backend($1, 1000)", pid); err != nil {
				t.Error(err)
			}
			return tx.Row("SELECT pg_backend_pid()", nil, &pid)
		})
		if !errors.Is(err, sqldb.ErrStorage) {
			t.Errorf("the %s was answered %v", name, err)
		}
	}
	if err := errors.Join(db.Write(context.Background(), insert("a")), db.Ready(context.Background())); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestConflictingWritesAreRunAgain on PostgreSQL: two that lock each other's row both succeed.
func TestConflictingWritesAreRunAgain(t *testing.T) {
	db := openNotes(t, sqldbtest.Postgres(t), testOptions(t))
	ctx := context.Background()
	if err := errors.Join(insertOne(db, "a"), insertOne(db, "b")); err != nil {
		t.Fatal(err)
	}
	var meet sync.WaitGroup
	meet.Add(2)
	runs := make([]int, 2)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			errs[i] = db.Write(ctx, func(tx *sqldb.Tx) error {
				runs[i]++
				for step, name := range order {
					if _, err := tx.Exec("UPDATE note SET body = body || $2 WHERE name = $1", name, "!"); err != nil {
						return err
					}
					if step == 0 && runs[i] == 1 {
						meet.Done()
						meet.Wait() // both hold a row now that the other one wants
					}
				}
				return nil
			})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if runs[0]+runs[1] < 3 {
		t.Errorf("nobody was run again: %v", runs)
	}
	var bodies []string
	if err := db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		bodies, err = sqldb.All(tx, scanText, "SELECT body FROM note ORDER BY name")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"text of a!!", "text of b!!"}, bodies); diff != "" {
		t.Error(diff)
	}
}

// TestAReadModifyWriteLosesNothing with the lock clause, on both databases.
func TestAReadModifyWriteLosesNothing(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		exec := func(query string, args ...any) error {
			return db.Write(context.Background(), func(tx *sqldb.Tx) error { _, err := tx.Exec(query, args...); return err })
		}
		if err := exec("INSERT INTO tag (a, b) VALUES ('n', 0)"); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
					var n int64
					if err := tx.Row("SELECT b FROM tag WHERE a = 'n'"+tx.ForUpdate(), nil, &n); err != nil {
						return err
					}
					_, err := tx.Exec("UPDATE tag SET b = $1 WHERE a = 'n'", n+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var n int64
		err := db.Read(context.Background(), func(tx *sqldb.Tx) error { return tx.Row("SELECT b FROM tag", nil, &n) })
		if err != nil || n != 40 {
			t.Errorf("40 additions made %d, %v", n, err)
		}
	})
}
