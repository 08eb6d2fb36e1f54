package sqldb_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"belfry/internal/sqldb"

	"belfry/internal/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// TestAWriteIsSyncedBeforeItIsAnswered counts what really reaches the disk.
func TestAWriteIsSyncedBeforeItIsAnswered(t *testing.T) {
	d := newDisk(t)
	db := openNotes(t, tempPath(t), sqldb.OnDisk(testOptions(t), d.name))
	for _, name := range []string{"a", "b", "c"} {
		before := d.count("sync", "-wal")
		if err := db.Write(context.Background(), insert(name)); err != nil {
			t.Fatal(err)
		}
		if d.count("sync", "-wal") == before {
			t.Errorf("write %q was answered without an fsync of the log", name)
		}
	}
}

// TestAFailedCommitIsAnsweredToAllAndKeepsNothing and lets writes work again when the disk does.
func TestAFailedCommitIsAnsweredToAllAndKeepsNothing(t *testing.T) {
	for _, code := range []int32{sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE} {
		synctest.Test(t, func(t *testing.T) {
			d := newDisk(t)
			path := tempPath(t)
			db := openNotes(t, path, sqldb.OnDisk(testOptions(t), d.name))
			ctx := context.Background()
			d.fail("write", "-wal", code)
			errs := together(db, []context.Context{ctx, ctx, ctx}, insert("a"), insert("b"), func(*sqldb.Tx) error { return errMine })
			for i, err := range errs {
				if !errors.Is(err, sqldb.ErrStorage) {
					t.Errorf("%d was answered %v", i, err)
				}
			}
			if d.failed("write", "-wal") == 0 {
				t.Error("the fault did not happen")
			}
			if err := db.Ready(ctx); !errors.Is(err, sqldb.ErrStorage) {
				t.Errorf("ready answers %v while the disk fails", err)
			}
			if got := names(t, db); len(got) != 0 {
				t.Errorf("stored are %v", got)
			}
			d.heal()
			if err := db.Ready(ctx); err != nil {
				t.Errorf("ready answers %v after the disk is well", err)
			}
			if err := db.Write(ctx, insert("after")); err != nil {
				t.Errorf("a write after the disk is well: %v", err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			db = openNotes(t, path, sqldb.OnDisk(testOptions(t), d.name))
			if got := names(t, db); !slices.Equal(got, []string{"after"}) {
				t.Errorf("stored are %v", got)
			}
		})
	}
}

// TestAWriteAloneHealsTheReadiness of a disk that failed, and not of one that was full, on which a small write may
// succeed where a large one does not.
func TestAWriteAloneHealsTheReadiness(t *testing.T) {
	for _, test := range []struct {
		name  string
		code  int32
		heals bool
	}{
		{"a disk that failed", sqlite3.SQLITE_IOERR_WRITE, true},
		{"a full disk", sqlite3.SQLITE_FULL, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDisk(t)
			db := openNotes(t, tempPath(t), sqldb.OnDisk(testOptions(t), d.name))
			ctx := context.Background()
			d.fail("write", "-wal", test.code)
			if err := db.Write(ctx, insert("a")); !errors.Is(err, sqldb.ErrStorage) {
				t.Fatalf("answered %v", err)
			}
			d.heal()
			if err := db.Write(ctx, insert("b")); err != nil {
				t.Fatal(err)
			}
			d.fail("write", "-wal", test.code) // so that a probe would fail
			if err := db.Ready(ctx); (err == nil) != test.heals {
				t.Errorf("ready answers %v", err)
			}
			d.heal()
			if err := db.Ready(ctx); err != nil {
				t.Errorf("ready answers %v when a probe succeeds", err)
			}
			if got := names(t, db); !slices.Equal(got, []string{"b"}) {
				t.Errorf("stored are %v", got)
			}
		})
	}
}

// TestAFailedSyncEndsWriting wherever it happens: when a write is committed,
// and when the log is moved into the database.
func TestAFailedSyncEndsWriting(t *testing.T) {
	for _, test := range []struct {
		name, suffix string
		provoke      func(t *testing.T, db *sqldb.DB) error
		acknowledged bool
	}{
		{name: "at a commit", suffix: "-wal", provoke: func(t *testing.T, db *sqldb.DB) error {
			return db.Write(context.Background(), insert("a"))
		}},
		{name: "at a checkpoint", suffix: ".db", acknowledged: true, provoke: func(t *testing.T, db *sqldb.DB) error {
			return db.Write(context.Background(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec("INSERT INTO note (name, body) VALUES ('big', $1)", strings.Repeat("x", 4096*(sqldb.CheckpointPages+10)))
				return err
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDisk(t)
			opt := sqldb.OnDisk(testOptions(t), d.name)
			fatal := make(chan error, 10)
			opt.Fatal = func(err error) { fatal <- err }
			db := openNotes(t, tempPath(t), opt)
			if err := db.Write(context.Background(), insert("before")); err != nil {
				t.Fatal(err)
			}
			d.failOnce("sync", test.suffix, sqlite3.SQLITE_IOERR_FSYNC) // a second fsync proves nothing
			err := test.provoke(t, db)
			if test.acknowledged != (err == nil) || err != nil && !errors.Is(err, sqldb.ErrStorage) {
				t.Errorf("the write was answered %v", err)
			}
			failed, ok := errors.AsType[*sqlite.Error](<-fatal)
			if !ok || failed.Code() != sqlite3.SQLITE_IOERR_FSYNC || d.failed("sync", test.suffix) == 0 {
				t.Errorf("fatal was told %v", failed)
			}
			before := d.count("write", "-wal")
			if err := db.Write(context.Background(), insert("after")); !errors.Is(err, sqldb.ErrStorage) {
				t.Errorf("a write after a failed fsync was answered %v", err)
			}
			if n := d.count("write", "-wal") - before; n != 0 {
				t.Errorf("%d pages were written after a failed fsync", n)
			}
			if err := db.Ready(context.Background()); !errors.Is(err, sqldb.ErrStorage) {
				t.Errorf("ready answers %v", err)
			}
		})
	}
}

// TestAFaultThatAReadMeets is answered as the storage's, and seen by Ready.
func TestAFaultThatAReadMeets(t *testing.T) {
	for _, test := range []struct {
		name  string
		code  int32
		stays bool
	}{
		{"an I/O error", sqlite3.SQLITE_IOERR_READ, false},
		{"damage", sqlite3.SQLITE_CORRUPT, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDisk(t)
			db := openNotes(t, tempPath(t), sqldb.OnDisk(testOptions(t), d.name))
			ctx := context.Background()
			for _, name := range []string{"a", "b"} { // the second makes the readers forget what they have read
				if err := db.Write(ctx, insert(name)); err != nil {
					t.Fatal(err)
				}
			}
			d.fail("read", "-wal", test.code)
			d.fail("read", ".db", test.code)
			err := db.Read(ctx, func(tx *sqldb.Tx) error {
				_, err := sqldb.All(tx, scanText, "SELECT body FROM note")
				return err
			})
			if !errors.Is(err, sqldb.ErrStorage) || d.failed("read", "-wal")+d.failed("read", ".db") == 0 {
				t.Fatalf("the read was answered %v", err)
			}
			d.heal()
			if err := db.Ready(ctx); test.stays != errors.Is(err, sqldb.ErrStorage) {
				t.Errorf("ready answers %v", err)
			}
			if err := db.Write(ctx, insert("c")); test.stays != errors.Is(err, sqldb.ErrStorage) {
				t.Errorf("a write is answered %v", err)
			}
			want := []string{"a", "b", "c"}
			if test.stays {
				want = want[:2]
			}
			for range 5 { // reading goes on, with every reader
				if got := names(t, db); !slices.Equal(got, want) {
					t.Errorf("read are %v", got)
				}
			}
		})
	}
}

// TestAFaultOfOneWritesReadingHurtsNoOther: SQLite takes back the whole transaction when a SELECT meets an I/O error.
func TestAFaultOfOneWritesReadingHurtsNoOther(t *testing.T) {
	for name, own := range map[string]error{"it returns the error": nil, "it swallows the error": errMine} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDisk(t)
				db := openNotes(t, tempPath(t), sqldb.OnDisk(testOptions(t), d.name))
				ctx := context.Background()
				for i := range 10 { // more than the writer's cache holds
					err := db.Write(ctx, func(tx *sqldb.Tx) error {
						_, err := tx.Exec("INSERT INTO note (name, body) VALUES ($1, $2)", string(rune('0'+i)), strings.Repeat("x", 1<<20))
						return err
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				errs := together(db, []context.Context{ctx, ctx, ctx}, insert("first"), func(tx *sqldb.Tx) error {
					d.fail("read", "-wal", sqlite3.SQLITE_IOERR_READ)
					d.fail("read", ".db", sqlite3.SQLITE_IOERR_READ)
					defer d.heal()
					_, err := sqldb.All(tx, scanText, "SELECT body FROM note")
					if own != nil {
						err = own
					}
					return err
				}, insert("third"))
				if errs[0] != nil || errs[2] != nil || !errors.Is(errs[1], sqldb.ErrStorage) {
					t.Errorf("answered %v", errs)
				}
				if d.failed("read", "-wal")+d.failed("read", ".db") < 2 {
					t.Error("the fault did not happen twice: with the group, and alone")
				}
				if got := names(t, db); !slices.Contains(got, "first") || !slices.Contains(got, "third") {
					t.Errorf("stored are %v", got)
				}
			})
		})
	}
}

// TestTheLogIsMovedIntoTheDatabase, so that it does not grow for ever.
func TestTheLogIsMovedIntoTheDatabase(t *testing.T) {
	d := newDisk(t)
	db := openNotes(t, tempPath(t), sqldb.OnDisk(testOptions(t), d.name))
	before := d.count("sync", ".db")
	const pages = 50
	writes := sqldb.CheckpointPages/pages + 2
	for i := range writes {
		err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO note (name, body) VALUES ($1, $2)", strconv.Itoa(i), strings.Repeat("x", pages<<12))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if d.count("sync", ".db") == before {
		t.Errorf("%d writes of %d pages each, and no checkpoint", writes, pages)
	}
}
