package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// noted is names that are written together, and how often they were; a name that is empty cannot be written.
type noted struct {
	names  []string
	writes *int
}

func (n *noted) Merge(other sqldb.Summary) { n.names = append(n.names, other.(*noted).names...) }

func (n *noted) Write(tx *sqldb.Tx) error {
	*n.writes++
	if slices.Contains(n.names, "") {
		return errMine
	}
	_, err := tx.Exec("INSERT INTO note (name, body) VALUES ($1, '')", fmt.Sprint(n.names))
	return err
}

func TestWhatAGroupAddsUpToIsWrittenOnceAndWithoutThoseThatFail(t *testing.T) {
	for _, test := range []struct {
		name    string
		adds    []string // of each write
		fails   int      // which of them fails after it wrote; -1 for none
		refused int      // which of them is answered with the error of the summary; -1 for none
		want    []string
		times   int
	}{
		{"all succeed", []string{"a", "b", "c"}, -1, -1, []string{"[a b c]", "a", "b", "c"}, 1},
		{"one fails", []string{"a", "b", "c"}, 1, -1, []string{"[a c]", "a", "c"}, 1},
		{"one cannot be summarised", []string{"a", "", "c"}, -1, 1, []string{"[a]", "[c]", "a", "c"}, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := openNotes(t, tempPath(t), testOptions(t))
				writes := 0
				var fns []func(tx *sqldb.Tx) error
				for i, name := range test.adds {
					fns = append(fns, func(tx *sqldb.Tx) error {
						tx.AtEnd(&noted{names: []string{name}, writes: &writes})
						err := insert("x" + name)(tx)
						if name != "" {
							err = errors.Join(err, insert(name)(tx))
							_, gone := tx.Exec("DELETE FROM note WHERE name = $1", "x"+name)
							err = errors.Join(err, gone)
						}
						if i == test.fails {
							err = errMine
						}
						return err
					})
				}
				errs := together(db, slices.Repeat([]context.Context{context.Background()}, len(fns)), fns...)
				for i, err := range errs {
					if wrong := i == test.fails || i == test.refused; errors.Is(err, errMine) != wrong || !wrong && err != nil {
						t.Errorf("write %d was answered %v", i, err)
					}
				}
				if got := names(t, db); !slices.Equal(got, test.want) {
					t.Errorf("stored are %q", got)
				}
				if writes != test.times {
					t.Errorf("the summary was written %d times", writes)
				}
			})
		})
	}
}

func TestWhatAWriteAddsUpToIsWrittenOnEachDatabase(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		writes := 0
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			for _, name := range []string{"a", "b"} {
				tx.AtEnd(&noted{names: []string{name}, writes: &writes})
			}
			return nil
		})
		if got := names(t, db); err != nil || writes != 1 || !slices.Equal(got, []string{"[a b]"}) {
			t.Errorf("stored are %q, in %d writes: %v", got, writes, err)
		}
	})
}

// TestWhatIsLeftForTheEndIsOnTheDiskBeforeTheAnswer has a write that does nothing else.
func TestWhatIsLeftForTheEndIsOnTheDiskBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		db := openNotes(t, tempPath(t), sqldb.OnDisk(testOptions(t), d.name))
		if err := db.Write(context.Background(), insert("before")); err != nil {
			t.Fatal(err)
		}
		goOn := d.block("sync", "-wal")
		writes, answers := 0, make(chan error, 1)
		waitingWrites(db, answers, func(tx *sqldb.Tx) error {
			tx.AtEnd(&noted{names: []string{"a"}, writes: &writes})
			return nil
		})
		if len(answers) != 0 || writes != 1 {
			t.Errorf("%d were answered before the disk had what was written %d times", len(answers), writes)
		}
		goOn()
		if err := <-answers; err != nil {
			t.Error(err)
		}
	})
}
