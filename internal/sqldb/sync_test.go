package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"belfry/internal/sqldb"

	sqlite3 "modernc.org/sqlite/lib"
)

// waitingWrites begins writes, which are in the queue when it returns.
func waitingWrites(db *sqldb.DB, answers chan<- error, fns ...func(tx *sqldb.Tx) error) {
	for _, fn := range fns {
		go func() { answers <- db.Write(context.Background(), fn) }()
		synctest.Wait()
	}
}

// TestNobodyIsAnsweredBeforeTheDiskHasTheirWrite while the next group runs already.
func TestNobodyIsAnsweredBeforeTheDiskHasTheirWrite(t *testing.T) {
	for _, test := range []struct {
		name  string
		first []string
	}{{"one alone", []string{"a"}}, {"a group", []string{"a", "b"}}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDisk(t)
				db := openNotes(t, tempPath(t), sqldb.OnDisk(testOptions(t), d.name))
				if err := db.Write(context.Background(), insert("before")); err != nil { // which begins the log, and syncs that
					t.Fatal(err)
				}
				release := hold(db)
				answers := make(chan error, 8)
				for _, name := range test.first {
					waitingWrites(db, answers, insert(name))
				}
				goOn := d.block("sync", "-wal")
				release()
				synctest.Wait()
				ran, saw := false, 0
				waitingWrites(db, answers, func(tx *sqldb.Tx) error { // it changes nothing, but may say what it has seen
					ran = true
					return tx.Row("SELECT COUNT(*) FROM note", nil, &saw)
				})
				if len(answers) != 0 {
					t.Errorf("%d were answered while the disk had nothing", len(answers))
				}
				if beside := len(test.first) > 1; ran != beside {
					t.Errorf("the next one ran while a group was synced: %v", ran)
				}
				goOn()
				for range len(test.first) + 1 {
					if err := <-answers; err != nil {
						t.Error(err)
					}
				}
				if saw != len(test.first)+1 {
					t.Errorf("the next one saw %d notes", saw)
				}
			})
		})
	}
}

// TestAFailedSyncIsAnsweredToTheNextGroupToo because a second sync that succeeds proves nothing.
func TestAFailedSyncIsAnsweredToTheNextGroupToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		opt := sqldb.OnDisk(testOptions(t), d.name)
		fatal := make(chan error, 8)
		opt.Fatal = func(err error) { fatal <- err }
		db := openNotes(t, tempPath(t), opt)
		if err := db.Write(context.Background(), insert("before")); err != nil {
			t.Fatal(err)
		}
		release := hold(db)
		answers := make(chan error, 8)
		waitingWrites(db, answers, insert("a"), insert("b"))
		goOn := d.block("sync", "-wal")
		d.failOnce("sync", "-wal", sqlite3.SQLITE_IOERR_FSYNC)
		release()
		synctest.Wait()
		waitingWrites(db, answers, insert("c"))
		goOn()
		for range 3 {
			if err := <-answers; !errors.Is(err, sqldb.ErrStorage) {
				t.Errorf("answered %v", err)
			}
		}
		if len(fatal) == 0 || d.failed("sync", "-wal") != 1 {
			t.Errorf("%d were told, after %d failures", len(fatal), d.failed("sync", "-wal"))
		}
		if got := names(t, db); !slices.Contains(got, "before") {
			t.Errorf("stored are %v", got)
		}
	})
}

// TestClosingEndsWhileAGroupWaitsForTheOneBefore because the signal of the end must not be taken by whoever waits for more writes.
func TestClosingEndsWhileAGroupWaitsForTheOneBefore(t *testing.T) {
	for _, first := range [][]string{{"a"}, {"a", "b"}} {
		synctest.Test(t, func(t *testing.T) {
			d := newDisk(t)
			db := openNotes(t, tempPath(t), sqldb.OnDisk(testOptions(t), d.name))
			if err := db.Write(context.Background(), insert("before")); err != nil {
				t.Fatal(err)
			}
			release := hold(db)
			answers := make(chan error, 8)
			for _, name := range first {
				waitingWrites(db, answers, insert(name))
			}
			goOn := d.block("sync", "-wal")
			release()
			synctest.Wait()
			waitingWrites(db, answers, insert("c"))
			closed := make(chan error)
			go func() { closed <- db.Close() }()
			synctest.Wait()
			goOn()
			if err := <-closed; err != nil {
				t.Error(err)
			}
			for range len(first) + 1 {
				if err := <-answers; err != nil && !errors.Is(err, sqldb.ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
}

// TestALargeWriteIsOnTheDiskWhenItIsAnswered makes one that does not fit into SQLite's cache and changes pages again that are in
// the log already.
func TestALargeWriteIsOnTheDiskWhenItIsAnswered(t *testing.T) {
	path := tempPath(t)
	db := openNotes(t, path, testOptions(t))
	const rows = 3000
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		for i := range rows {
			if _, err := tx.Exec("INSERT INTO note (name, body) VALUES ($1, $2)", fmt.Sprint(i), strings.Repeat("x", 2000)); err != nil {
				return err
			}
		}
		_, err := tx.Exec("UPDATE note SET body = 'y' WHERE name LIKE '%0'")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, asAfterAKill(t, path)); len(got) != rows {
		t.Errorf("%d notes of %d are there", len(got), rows)
	}
}
