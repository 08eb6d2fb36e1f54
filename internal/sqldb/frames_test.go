package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"belfry/internal/sqldb"

	"github.com/google/go-cmp/cmp"
)

func TestASmallWriteReachesTheLogByOneCall(t *testing.T) {
	d := newDisk(t)
	db := openNotes(t, tempPath(t), sqldb.OnDisk(testOptions(t), d.name))
	for i := range 20 {
		before := d.count("write", "-wal")
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			for j := range 20 {
				if err := insert(fmt.Sprint(i, j))(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := d.count("write", "-wal") - before; i > 1 && n != 1 { // before, it is not known where the log ends
			t.Errorf("write %d took %d calls", i, n)
		}
	}
}

// bodies reads what the notes of a database hold, in short.
func bodies(t *testing.T, db *sqldb.DB) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := db.Read(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT name, substr(body, 1, 1) || length(body) FROM note")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, body string
			if err := rows.Scan(&name, &body); err != nil {
				return err
			}
			found[name] = body
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// asAfterAKill opens a copy of a database's files.
func asAfterAKill(t *testing.T, path string) *sqldb.DB {
	t.Helper()
	copied := tempPath(t)
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return openNotes(t, copied, testOptions(t))
}

// anyWrite is a write of some notes, and what they are then. A large one does not fit into SQLite's cache and changes pages
// again that are in the log already.
func anyWrite(random *rand.Rand, name string, fails bool) (fn func(tx *sqldb.Tx) error, after map[string]string) {
	rows, size := 1+random.IntN(3), 1+random.IntN(5000)
	if random.IntN(2) == 0 {
		rows, size = 1500+random.IntN(1000), 4000
	}
	again := 1 + random.IntN(rows)
	after = map[string]string{}
	for i := range rows {
		after[fmt.Sprint(name, i)] = fmt.Sprint("x", size)
		if i%again == 0 {
			after[fmt.Sprint(name, i)] = fmt.Sprint("y", size/2)
		}
	}
	return func(tx *sqldb.Tx) error {
		for i := range rows {
			if _, err := tx.Exec("INSERT INTO note (name, body) VALUES ($1, $2)", fmt.Sprint(name, i), strings.Repeat("x", size)); err != nil {
				return err
			}
		}
		for i := 0; i < rows; i += again {
			if _, err := tx.Exec("UPDATE note SET body = $2 WHERE name = $1", fmt.Sprint(name, i), strings.Repeat("y", size/2)); err != nil {
				return err
			}
		}
		if fails {
			return errMine
		}
		return nil
	}, after
}

// TestWhatIsAnsweredIsInTheFiles after small and large writes, ones that fail at their end, and ones under which the disk fails.
func TestWhatIsAnsweredIsInTheFiles(t *testing.T) {
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 1))
		d, path := newDisk(t), tempPath(t)
		opt := sqldb.OnDisk(testOptions(t), d.name)
		opt.Fatal = func(error) {} // that of a sync
		db, want := openNotes(t, path, opt), map[string]string{}
		if err := db.Write(t.Context(), insert("first")); err != nil {
			t.Fatal(err)
		}
		want["first"] = "t13"
		for step := range 12 {
			kind := random.IntN(4)
			fn, more := anyWrite(random, fmt.Sprint(step, "-"), kind == 1)
			if kind == 2 {
				d.cut(random.IntN(30))
			}
			err := db.Write(t.Context(), fn)
			d.heal()
			if kind == 0 && err != nil || kind == 1 && !errors.Is(err, errMine) {
				t.Fatalf("seed %d, step %d: answered %v", seed, step, err)
			}
			after := maps.Clone(want)
			maps.Copy(after, more)
			if err == nil {
				want = after
			}
			found := bodies(t, asAfterAKill(t, path))
			if err != nil && kind == 2 && cmp.Equal(found, after) { // what failed as it was synced may be there
				want = after
			}
			if !maps.Equal(found, want) {
				t.Fatalf("seed %d, step %d: %d notes are in the files, want %d, after %v", seed, step, len(found), len(want), err)
			}
			if kind == 2 {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
				db = openNotes(t, path, opt)
			}
		}
	}
}
