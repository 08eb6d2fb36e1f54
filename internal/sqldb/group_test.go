package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"

	"belfry/internal/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// noteSchema is a schema of the tests' own.
const noteSchema = `-- migration 1: notes
CREATE TABLE note (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE remark (name TEXT PRIMARY KEY, note TEXT NOT NULL REFERENCES note (name));
CREATE TABLE late (name TEXT PRIMARY KEY, note TEXT NOT NULL REFERENCES note (name) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE tag (a TEXT NOT NULL, b BIGINT NOT NULL, UNIQUE (b, a));
`

// testOptions are those of a database with notes.
func testOptions(t *testing.T) sqldb.Options {
	return sqldb.Options{Schema: noteSchema, ApplicationID: 0x74657374, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
}

// openNotes opens a SQLite database of notes that is closed at the end.
func openNotes(t *testing.T, path string, opt sqldb.Options) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, opt)
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

func tempPath(t *testing.T) string { return filepath.Join(t.TempDir(), "notes.db") }

// insert is a write of one note.
func insert(name string) func(tx *sqldb.Tx) error {
	return func(tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO note (name, body) VALUES ($1, $2)", name, "text of "+name)
		return err
	}
}

// names reads the names of all notes.
func names(t *testing.T, db *sqldb.DB) []string {
	t.Helper()
	var list []string
	err := db.Read(context.Background(), func(tx *sqldb.Tx) (err error) {
		list, err = sqldb.All(tx, scanText, "SELECT name FROM note ORDER BY name")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func scanText(row sqldb.Scanner) (text string, err error) {
	err = row.Scan(&text)
	return text, err
}

// hold keeps the writer busy until release is called, so that what is written meanwhile is one group.
func hold(db *sqldb.DB) (release func()) {
	gate, begun := make(chan struct{}), make(chan struct{})
	go db.Write(context.Background(), func(*sqldb.Tx) error {
		close(begun)
		<-gate
		return nil
	})
	<-begun
	return func() { close(gate) }
}

// together runs writes in one group and answers their errors. It must be called in a bubble of synctest.
func together(db *sqldb.DB, ctxs []context.Context, fns ...func(tx *sqldb.Tx) error) []error {
	release := hold(db)
	errs := make([]error, len(fns))
	done := make(chan struct{})
	for i, fn := range fns {
		go func() {
			errs[i] = db.Write(ctxs[i], fn)
			done <- struct{}{}
		}()
		synctest.Wait() // it is in the queue
	}
	release()
	for range fns {
		<-done
	}
	return errs
}

var errMine = errors.New("an error of the caller's own")

// TestOneWriteNeverHurtsTheOthersOfItsGroup has three writes in one group, the
// middle one of which goes wrong; the other two are stored and answered.
func TestOneWriteNeverHurtsTheOthersOfItsGroup(t *testing.T) {
	fill := func(tx *sqldb.Tx) error {
		var pages int
		if err := tx.Row("PRAGMA max_page_count = 1", nil, &pages); err != nil { // SQLite takes the present size
			return err
		}
		_, err := tx.Exec("INSERT INTO note (name, body) VALUES ($1, $2)", "big", strings.Repeat("x", 1<<20))
		return err
	}
	for _, test := range []struct {
		name   string
		middle func(tx *sqldb.Tx) error
		want   func(err error) bool
		keeps  bool // what the middle one wrote stays
	}{
		{name: "it succeeds", middle: func(tx *sqldb.Tx) error { return nil },
			want: func(err error) bool { return err == nil }, keeps: true},
		{name: "it returns an error", middle: func(tx *sqldb.Tx) error { return errMine },
			want: func(err error) bool { return err == errMine }},
		{name: "it panics", middle: func(tx *sqldb.Tx) error { panic("oh") },
			want: func(err error) bool { return err != nil && strings.Contains(err.Error(), "oh") }},
		{name: "it breaks a unique constraint", middle: insert("middle"),
			want: func(err error) bool { _, ok := errors.AsType[*sqldb.UniqueError](err); return ok }},
		{name: "it breaks a constraint and goes on", middle: func(tx *sqldb.Tx) error {
			_ = insert("middle")(tx)
			return insert("more")(tx)
		}, want: func(err error) bool { return err == nil }, keeps: true},
		{name: "it breaks a constraint that is checked at the end", middle: func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO late (name, note) VALUES ('l', 'none')")
			return err
		}, want: func(err error) bool {
			_, ok := errors.AsType[*sqldb.ForeignKeyError](err)
			return ok && !errors.Is(err, sqldb.ErrStorage)
		}},
		{name: "its SQL is wrong", middle: func(tx *sqldb.Tx) error { _, err := tx.Exec("INSERT INTO nothing VALUES (1)"); return err },
			want: func(err error) bool { return err != nil && !errors.Is(err, sqldb.ErrStorage) }},
		{name: "it leaves rows open", middle: func(tx *sqldb.Tx) error {
			_, err := tx.Query("INSERT INTO note (name, body) VALUES ('x', ''), ('y', '') RETURNING name")
			return err
		}, want: func(err error) bool { return err == nil }, keeps: true},
		{name: "it fills the disk", middle: fill, want: func(err error) bool {
			full, ok := errors.AsType[*sqlite.Error](err)
			return errors.Is(err, sqldb.ErrStorage) && ok && full.Code() == sqlite3.SQLITE_FULL
		}},
		{name: "it fills the disk and returns its own error", middle: func(tx *sqldb.Tx) error { _ = fill(tx); return errMine },
			want: func(err error) bool { return errors.Is(err, sqldb.ErrStorage) && errors.Is(err, errMine) }},
		{name: "it fills the disk and says nothing", middle: func(tx *sqldb.Tx) error { _ = fill(tx); return nil },
			want: func(err error) bool { return errors.Is(err, sqldb.ErrStorage) }},
		{name: "it fills the disk and goes on", middle: func(tx *sqldb.Tx) error { _ = fill(tx); return insert("after")(tx) },
			want: func(err error) bool { return errors.Is(err, sqldb.ErrStorage) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openNotes(t, tempPath(t), testOptions(t))
				ctx := context.Background()
				runs := 0
				errs := together(db, []context.Context{ctx, ctx, ctx},
					func(tx *sqldb.Tx) error { runs++; return insert("first")(tx) },
					func(tx *sqldb.Tx) error { return errors.Join(insert("middle")(tx), test.middle(tx)) },
					insert("third"))
				if errs[0] != nil || errs[2] != nil {
					t.Errorf("the innocent were answered %v and %v", errs[0], errs[2])
				}
				if err := unjoin(errs[1]); !test.want(err) {
					t.Errorf("the middle one was answered %v", err)
				}
				got := names(t, db)
				if !slices.Contains(got, "first") || !slices.Contains(got, "third") || slices.Contains(got, "after") || slices.Contains(got, "middle") != test.keeps {
					t.Errorf("stored are %v", got)
				}
				// Whoever fails after it has written has the group run once more.
				if want := map[bool]int{false: 2, true: 1}[test.keeps]; runs != want {
					t.Errorf("the first ran %d times, want %d", runs, want)
				}
				if err := db.Write(ctx, insert("later")); err != nil {
					t.Errorf("a later write: %v", err)
				}
			})
		})
	}
}

// TestAWriteThatFailsBeforeItWritesCostsTheOthersNothing as most do that fail: what they are about is not there, or is
// there already.
func TestAWriteThatFailsBeforeItWritesCostsTheOthersNothing(t *testing.T) {
	for name, middle := range map[string]func(tx *sqldb.Tx) error{
		"it finds nothing": func(tx *sqldb.Tx) error {
			var body string
			return tx.Row("SELECT body FROM note WHERE name = 'none'", nil, &body)
		},
		"its only statement fails": insert("first"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openNotes(t, tempPath(t), testOptions(t))
				ctx := context.Background()
				runs := 0
				errs := together(db, []context.Context{ctx, ctx, ctx},
					func(tx *sqldb.Tx) error { runs++; return insert("first")(tx) }, middle, insert("third"))
				if errs[0] != nil || errs[1] == nil || errs[2] != nil {
					t.Errorf("they were answered %v", errs)
				}
				if got := names(t, db); !slices.Equal(got, []string{"first", "third"}) || runs != 1 {
					t.Errorf("stored are %v, after %d runs", got, runs)
				}
			})
		})
	}
}

// unjoin takes the one error out of an errors.Join.
func unjoin(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) == 1 {
		return joined.Unwrap()[0]
	}
	return err
}

func TestAWriteThatIsCancelledWhileItWaitsIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openNotes(t, tempPath(t), testOptions(t))
		release := hold(db)
		ctx, cancel := context.WithCancel(context.Background())
		answers := make(chan error, 3)
		go func() { answers <- db.Write(context.Background(), insert("first")) }()
		synctest.Wait()
		dropped := make(chan error)
		go func() { dropped <- db.Write(ctx, insert("middle")) }()
		synctest.Wait()
		go func() { answers <- db.Write(context.Background(), insert("third")) }()
		synctest.Wait()
		cancel()
		if err := <-dropped; err != context.Canceled { // while the writer is still held
			t.Errorf("the cancelled write was answered %v", err)
		}
		release()
		for range 2 {
			if err := <-answers; err != nil {
				t.Errorf("an innocent write: %v", err)
			}
		}
		if got := names(t, db); !slices.Equal(got, []string{"first", "third"}) {
			t.Errorf("stored are %v", got)
		}
	})
}

func TestAWriteThatHasBegunRunsToItsEnd(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		ctx, cancel := context.WithCancel(context.Background())
		err := db.Write(ctx, func(tx *sqldb.Tx) error {
			cancel()
			return insert("begun")(tx)
		})
		if err != nil {
			t.Errorf("answered %v", err)
		}
		if got := names(t, db); !slices.Equal(got, []string{"begun"}) {
			t.Errorf("stored are %v", got)
		}
		if err := db.Write(ctx, insert("late")); err != context.Canceled {
			t.Errorf("a write of a request that is over was answered %v", err)
		}
	})
}

func TestAFullQueueRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openNotes(t, tempPath(t), testOptions(t))
		release := hold(db)
		answers := make(chan error, sqldb.QueueLimit)
		for i := range sqldb.QueueLimit {
			go func() { answers <- db.Write(context.Background(), insert(fmt.Sprint(i))) }()
		}
		synctest.Wait()
		begin := time.Now()
		if err := db.Write(context.Background(), insert("one too many")); err != sqldb.ErrOverloaded {
			t.Errorf("answered %v, want ErrOverloaded", err)
		}
		if time.Since(begin) != 0 {
			t.Error("it waited")
		}
		release()
		for range sqldb.QueueLimit {
			if err := <-answers; err != nil {
				t.Fatal(err)
			}
		}
		if n := len(names(t, db)); n != sqldb.QueueLimit {
			t.Errorf("%d notes, want %d", n, sqldb.QueueLimit)
		}
	})
}

func TestCloseRefusesWhatWaitsAndEndsWhatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := tempPath(t)
		db := openNotes(t, path, testOptions(t))
		gate, begun := make(chan struct{}), make(chan struct{})
		running, waiting, closed := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() {
			running <- db.Write(context.Background(), func(tx *sqldb.Tx) error {
				close(begun)
				<-gate
				return insert("running")(tx)
			})
		}()
		<-begun
		go func() { waiting <- db.Write(context.Background(), insert("waiting")) }()
		synctest.Wait()
		go func() { closed <- db.Close() }()
		synctest.Wait()
		if err := db.Write(context.Background(), insert("late")); err != sqldb.ErrClosed {
			t.Errorf("a write after Close: %v", err)
		}
		if err := db.Read(context.Background(), func(*sqldb.Tx) error { return nil }); err != sqldb.ErrClosed {
			t.Errorf("a read after Close: %v", err)
		}
		close(gate)
		if err := <-running; err != nil {
			t.Errorf("the write that had begun: %v", err)
		}
		if err := <-waiting; err != sqldb.ErrClosed {
			t.Errorf("the write that waited: %v", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		again := openNotes(t, path, testOptions(t))
		if got := names(t, again); !slices.Equal(got, []string{"running"}) {
			t.Errorf("stored are %v", got)
		}
	})
}

func TestNowNeverStandsStillNorGoesBack(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		opt := testOptions(t)
		var clock atomic.Int64
		clock.Store(1_000_000)
		opt.Clock = func() time.Time { return time.UnixMicro(clock.Load()) }
		opt.Floor = func(tx *sqldb.Tx) (floor int64, err error) {
			err = tx.Row("SELECT coalesce(max(b), 0) FROM tag", nil, &floor)
			return floor, err
		}
		db := openNotes(t, url, opt)
		last := int64(0)
		write := func() {
			t.Helper()
			err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
				if tx.Now() <= last {
					t.Errorf("now is %d after %d", tx.Now(), last)
				}
				last = tx.Now()
				_, err := tx.Exec("INSERT INTO tag (a, b) VALUES ($1, $2)", "now", tx.Now())
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		write()
		write() // the clock stands
		clock.Store(10)
		write() // it went back
		if err := db.Read(context.Background(), func(tx *sqldb.Tx) error {
			if tx.Now() < last {
				t.Errorf("a read's now is %d after %d", tx.Now(), last)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		clock.Store(5_000_000)
		write()
		if last != 5_000_000 {
			t.Errorf("now is %d when the clock says 5000000", last)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		clock.Store(10) // it went back while the program was down
		db = openNotes(t, url, opt)
		write()
	})
}
