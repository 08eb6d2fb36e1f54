package sqldb_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// moment is a row of a list in the order of time: many are of one time.
type moment struct {
	key  string
	at   int64
	kind string
}

func scanMoment(row sqldb.Scanner) (m moment, err error) { return m, row.Scan(&m.key, &m.at, &m.kind) }

// fillMoments makes a table of moments, and answers them in their order.
func fillMoments(t *testing.T, db *sqldb.DB) (all []moment) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		for _, statement := range []string{
			"CREATE TABLE moment (pk TEXT PRIMARY KEY, at BIGINT NOT NULL, kind TEXT NOT NULL)",
			"CREATE INDEX moment_at ON moment (at)", "CREATE INDEX moment_kind ON moment (kind, at)",
		} {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		for i := range 200 {
			m := moment{fmt.Sprintf("k%03d", i*37%200), int64(i*i%97) / 3, []string{"a", "b", "c"}[i%7%3]}
			if _, err := tx.Exec("INSERT INTO moment (pk, at, kind) VALUES ($1, $2, $3)", m.key, m.at, m.kind); err != nil {
				return err
			}
			all = append(all, m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key, b.key)) })
	return all
}

// passSome passes as many rows of all as it may and somebody wants, in whole times.
func passSome(all []moment, fewer int64) func(*sqldb.Tx, bool, int64) (int64, int64, error) {
	return func(_ *sqldb.Tx, desc bool, offset int64) (edge, passed int64, err error) {
		for at := range int64(40) {
			if desc {
				at = 40 - at
			}
			before := int64(0)
			for _, m := range all {
				if desc && m.at >= at || !desc && m.at < at {
					before++
				}
			}
			if before <= offset-min(fewer, offset) {
				edge, passed = at, before
			}
		}
		return edge, passed, nil
	}
}

// TestWalkedPagesAreThoseOfAllRows reads pages along indexes, and out of a list of all rows.
func TestWalkedPagesAreThoseOfAllRows(t *testing.T) {
	sqldbtest.EachURL(t, func(t *testing.T, url string) {
		db := openNotes(t, url, testOptions(t))
		rows := fillMoments(t, db)
		rapid.Check(t, func(rt *rapid.T) {
			desc, kinds := rapid.Bool().Draw(rt, "desc"), rapid.SampledFrom([]string{"", "a", "ab", "abc", "x"}).Draw(rt, "kinds")
			size, page := rapid.SampledFrom([]int64{1, 3, 20, 150, 300}).Draw(rt, "size"), rapid.Int64Range(0, 12).Draw(rt, "page")
			list := sqldb.List{Columns: "m.pk, m.at, m.kind", From: "moment m", Walk: &sqldb.Walk{By: "m.at", Key: "m.pk", Desc: desc},
				CountUpTo: rapid.SampledFrom([]int64{0, 50}).Draw(rt, "up to"), Exact: rapid.Bool().Draw(rt, "exact"),
				Window: func(int64) (int64, int64, error) { return size * page, size, nil },
			}
			all := slices.DeleteFunc(slices.Clone(rows), func(m moment) bool { return kinds != "" && !slices.Contains([]rune(kinds), rune(m.kind[0])) })
			if kinds == "" {
				list.Walk.Paths = []sqldb.Path{{Index: "moment_at"}}
			}
			for _, kind := range kinds {
				list.Walk.Paths = append(list.Walk.Paths, sqldb.Path{Index: "moment_kind", Condition: "m.kind = ?", Args: []any{string(kind)}})
			}
			if from := rapid.Int64Range(0, 10).Draw(rt, "from"); from > 5 {
				list.Where.Add("m.at >= ?", from)
				all = slices.DeleteFunc(all, func(m moment) bool { return m.at < from })
			} else if rapid.Bool().Draw(rt, "pass") {
				list.Walk.Pass = passSome(slices.Clone(all), rapid.Int64Range(0, 20).Draw(rt, "fewer"))
			}
			if desc {
				slices.Reverse(all)
			}
			want := sqldb.Page[moment]{Rows: []moment{}, Count: int64(len(all)), Offset: size * page}
			if end := min(size*(page+1), want.Count); size*page < end {
				want.Rows, want.More = all[size*page:end], end < want.Count
				if list.CountUpTo > 0 && !list.Exact && want.Count > list.CountUpTo { // known to be more than the page, if there is more
					want.Count = max(list.CountUpTo, end+map[bool]int64{true: 1}[want.More])
				}
			} else if list.CountUpTo > 0 && !list.Exact {
				want.Count = min(want.Count, list.CountUpTo)
			}
			var got sqldb.Page[moment]
			err := db.Read(t.Context(), func(tx *sqldb.Tx) (err error) {
				got, err = sqldb.Select(tx, list, scanMoment)
				return err
			})
			if err != nil {
				rt.Fatal(err)
			}
			if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(moment{})); diff != "" {
				rt.Fatal(diff)
			}
		})
	})
}

// TestALastPageIsReadFromTheEnd passes nothing of what comes before it.
func TestALastPageIsReadFromTheEnd(t *testing.T) {
	db := openNotes(t, tempPath(t), testOptions(t))
	rows := fillMoments(t, db)
	asked := int64(math.MaxInt64)
	list := sqldb.List{Columns: "m.pk, m.at, m.kind", From: "moment m", Window: func(count int64) (int64, int64, error) { return count - 5, 10, nil },
		Walk: &sqldb.Walk{By: "m.at", Key: "m.pk", Paths: []sqldb.Path{{Index: "moment_at"}}, Pass: func(_ *sqldb.Tx, _ bool, offset int64) (int64, int64, error) {
			asked = offset
			return 0, 0, nil
		}}}
	err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		page, err := sqldb.Select(tx, list, scanMoment)
		if diff := gocmp.Diff(rows[len(rows)-5:], page.Rows, gocmp.AllowUnexported(moment{})); diff != "" || asked != math.MaxInt64 {
			t.Errorf("it passed %d rows; %s", asked, diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
