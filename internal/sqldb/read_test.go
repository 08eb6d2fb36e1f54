package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// endless is a SELECT of many numbers that costs next to nothing a row, and its variant with a filter
// gives one row at once and then searches for ever.
const (
	endless     = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000000) SELECT count(*) FROM n"
	endlessNext = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000000) SELECT i FROM n WHERE i = 1 OR i < 0"
)

func TestAReadSeesOneSnapshot(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		ctx := context.Background()
		if err := db.Write(ctx, insert("a")); err != nil {
			t.Fatal(err)
		}
		count := func(tx *sqldb.Tx) (n int) {
			if err := tx.Row("SELECT count(*) FROM note", nil, &n); err != nil {
				t.Error(err)
			}
			return n
		}
		err := db.Read(ctx, func(tx *sqldb.Tx) error {
			before := count(tx)
			if err := db.Write(ctx, insert("b")); err != nil {
				t.Error(err)
			}
			if after := count(tx); before != 1 || after != 1 {
				t.Errorf("a read counted %d and then %d", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(t, db); len(got) != 2 {
			t.Errorf("the next read sees %v", got)
		}
	})
}

// TestAReadIsStopped at its limit or with its caller, at the first row and at a later one, and the reader is good for the next.
func TestAReadIsStopped(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		opt := testOptions(t)
		opt.ReadTimeout = 250 * time.Millisecond
		db := openNotes(t, url, opt)
		for query, rounds := range map[string]int{endless: 1, endlessNext: 5} { // 5 is more often than there are readers
			read := func(ctx context.Context) error {
				return db.Read(ctx, func(tx *sqldb.Tx) error {
					_, err := sqldb.All(tx, func(row sqldb.Scanner) (n int64, err error) { return n, row.Scan(&n) }, query)
					return fmt.Errorf("wrapped: %w", err)
				})
			}
			for range rounds {
				begin := time.Now()
				if err := read(context.Background()); !errors.Is(err, sqldb.ErrTimeout) {
					t.Errorf("answered %v, want ErrTimeout", err)
				}
				if took := time.Since(begin); took > 3*time.Second {
					t.Errorf("stopped after %s", took)
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			if err := read(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sqldb.ErrTimeout) {
				t.Errorf("answered %v, want the caller's own end", err)
			}
		}
		if err := db.Ready(context.Background()); err != nil {
			t.Errorf("a slow read made the storage bad: %v", err)
		}
		if err := db.Write(context.Background(), insert("a")); err != nil {
			t.Error(err)
		}
		if got := names(t, db); len(got) != 1 {
			t.Errorf("read %v", got)
		}
	})
}

// TestAReadThatMustNotGoOnDoesNot begin another statement, even when it ignored the error of the last.
func TestAReadThatMustNotGoOnDoesNot(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		ctx, cancel := context.WithCancel(context.Background())
		err := db.Read(ctx, func(tx *sqldb.Tx) error {
			cancel()
			var n int
			return tx.Row("SELECT count(*) FROM note", nil, &n)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("answered %v", err)
		}
	})
}

// TestAPanicStaysInItsTransaction, a read or a write, and its stack is in the log once.
func TestAPanicStaysInItsTransaction(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		log := &records{}
		opt := testOptions(t)
		opt.Log = log.logger()
		db := openNotes(t, url, opt)
		for range 2 * 16 { // more often than there are connections
			for name, run := range map[string]func(context.Context, func(*sqldb.Tx) error) error{"read": db.Read, "write": db.Write} {
				log.reset()
				err := run(context.Background(), func(tx *sqldb.Tx) error {
					if _, err := tx.Query("SELECT name FROM note"); err != nil { // left open
						t.Error(err)
					}
					panic("oh")
				})
				if err == nil || !strings.Contains(err.Error(), "oh") || strings.Contains(err.Error(), "goroutine") {
					t.Fatalf("a %s was answered %v", name, err)
				}
				if text := log.text(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "read_test.go") {
					t.Fatalf("logged: %s", text)
				}
			}
		}
		if err := db.Write(context.Background(), insert("a")); err != nil {
			t.Fatal(err)
		}
		if got := names(t, db); !slices.Equal(got, []string{"a"}) {
			t.Errorf("stored are %v", got)
		}
	})
}

// TestAReadDoesNotWrite on either database.
func TestAReadDoesNotWrite(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		if err := db.Read(context.Background(), insert("a")); err == nil {
			t.Error("a read wrote")
		}
		if got := names(t, db); len(got) != 0 {
			t.Errorf("stored are %v", got)
		}
	})
}

// TestATransactionCarriesOneResult, and none when it has ended.
func TestATransactionCarriesOneResult(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		ctx := context.Background()
		var kept *sqldb.Tx
		err := db.Write(ctx, func(tx *sqldb.Tx) error {
			kept = tx
			if err := errors.Join(insert("a")(tx), insert("b")(tx)); err != nil {
				return err
			}
			rows, err := tx.Query("SELECT name FROM note")
			if err != nil {
				return err
			}
			rows.Next()
			if err := insert("c")(tx); err == nil {
				t.Error("a statement ran while the rows of another were open")
			}
			if err := rows.Close(); err != nil {
				return err
			}
			return insert("d")(tx)
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(ctx, func(*sqldb.Tx) error {
			if err := insert("late")(kept); err == nil {
				t.Error("a statement of a write that had ended ran in another one")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Read(ctx, func(tx *sqldb.Tx) error { kept = tx; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := kept.Query("SELECT name FROM note"); err == nil {
			t.Error("a statement ran in a read that had ended")
		}
		if got := names(t, db); !slices.Equal(got, []string{"a", "b", "d"}) {
			t.Errorf("stored are %v", got)
		}
	})
}

// TestManyAtOnce hammers one database with reads and writes; every write that was answered is there, once.
func TestManyAtOnce(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		var wg sync.WaitGroup
		const writers, each = 16, 25
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					ctx, cancel := context.WithCancel(context.Background())
					if i%5 == 4 {
						cancel()
					}
					name := fmt.Sprintf("%02d %02d", w, i)
					err := db.Write(ctx, func(tx *sqldb.Tx) error {
						if err := insert(name)(tx); err != nil || i%5 != 3 {
							return err
						}
						return errMine
					})
					if want := map[int]error{3: errMine, 4: context.Canceled}[i%5]; !errors.Is(err, want) {
						t.Errorf("write %s: %v", name, err)
					}
					cancel()
				}
			})
			wg.Go(func() {
				for range each {
					err := db.Read(context.Background(), func(tx *sqldb.Tx) error {
						var n, m int
						return errors.Join(tx.Row("SELECT count(*) FROM note", nil, &n), tx.Row("SELECT count(*) FROM note", nil, &m), differ(n, m))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := len(names(t, db)); n != writers*each*3/5 {
			t.Errorf("%d notes, want %d", n, writers*each*3/5)
		}
	})
}

func differ(n, m int) error {
	if n != m {
		return fmt.Errorf("one snapshot counted %d and %d", n, m)
	}
	return nil
}

// TestStatementsAreKeptWithinBounds however many texts there are.
func TestStatementsAreKeptWithinBounds(t *testing.T) {
	db := openNotes(t, tempPath(t), testOptions(t))
	err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
		for i := range 2 * sqldb.StatementLimit {
			var n int
			if err := tx.Row(fmt.Sprintf("SELECT %d", i), nil, &n); err != nil || n != i {
				return fmt.Errorf("%d: %d, %w", i, n, err)
			}
		}
		if n := sqldb.Statements(db); n > sqldb.StatementLimit { // asked in the writer's goroutine
			t.Errorf("%d statements are kept", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAQuickReadDoesNotWaitForLongOnes however many there are.
func TestAQuickReadDoesNotWaitForLongOnes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		const many = 12 // more than there are readers on SQLite
		ctx, cancel := context.WithCancel(context.Background())
		begun := make(chan struct{}, many)
		var all sync.WaitGroup
		for range many {
			all.Go(func() {
				_ = db.Read(ctx, func(*sqldb.Tx) error { // ends with ctx
					begun <- struct{}{}
					<-ctx.Done()
					return nil
				})
			})
		}
		for range 4 {
			<-begun
		}
		var one int
		err := db.ReadQuick(context.Background(), func(tx *sqldb.Tx) error { return tx.Row("SELECT 1", nil, &one) })
		if err != nil || one != 1 {
			t.Errorf("answered %d, %v", one, err)
		}
		cancel()
		all.Wait()
	})
}
