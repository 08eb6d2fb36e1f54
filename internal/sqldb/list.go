package sqldb

import (
	"database/sql"
	"errors"
	"math"
	"strconv"
)

// List is a page of rows to be read.
type List struct {
	// Columns, From and Join are the SELECT's parts: "e.pk, e.app", "event e", " LEFT JOIN …". What is joined takes no row
	// away and adds none; neither Where nor the order is about it.
	Columns, From, Join string
	Where               Where
	// OrderBy is the whole ORDER BY list, ending in a unique column; no nulls are expected first or last.
	OrderBy string
	// Key is the unique column; with it only the rows of the page are read whole, and what comes before them by what it
	// takes to sort them.
	Key string
	// Walk reads the list along indexes, in the place of OrderBy and Key.
	Walk *Walk
	// Window turns the count into an offset and a limit. It is called once. Where
	// counting stopped at CountUpTo, it is given math.MaxInt64: the end is not known.
	Window func(count int64) (offset, limit int64, err error)
	// Count answers the exact count from elsewhere (a counter); nil counts rows.
	Count func(tx *Tx) (int64, error)
	// AtLeast answers from elsewhere how many rows there are at least; nil where nobody knows. Where that is more than CountUpTo
	// nothing is counted.
	AtLeast func(tx *Tx) (int64, error)
	// CountUpTo bounds the counting of rows; 0 counts all.
	CountUpTo int64
	// Exact counts all rows in spite of CountUpTo, for a window that is measured from the end.
	Exact bool
}

// Page is one page of rows.
type Page[T any] struct {
	Rows []T
	// Count is the number of rows on all pages; where counting was bounded it is a lower bound that
	// is larger than the last row's position while there are More.
	Count int64
	// More says whether a page follows.
	More bool
	// Offset is the number of rows before this page.
	Offset int64
}

// Select reads one page of rows: l's count, its window, its rows (one more
// than the limit, to know More). A page behind the end has its offset and no rows.
func Select[T any](tx *Tx, l List, scan func(Scanner) (T, error)) (Page[T], error) {
	var page Page[T]
	count, exact, err := l.Counted(tx)
	if err != nil {
		return page, err
	}
	known := count
	if !exact {
		known = math.MaxInt64
	}
	offset, limit, err := l.Window(known)
	if err != nil {
		return page, err
	}
	page = Page[T]{Count: count, Offset: offset}
	if l.Walk != nil {
		page.Rows, page.More, err = walk(tx, &l, scan, stretch{offset: offset, limit: limit, count: known})
	} else if page.Rows, err = All(tx, scan, l.sql(tx), l.Where.with(limit+1, offset)...); err == nil {
		page.Rows, page.More = cut(page.Rows, limit)
	}
	if err != nil {
		return page, err
	}
	if !exact && len(page.Rows) > 0 {
		end := offset + int64(len(page.Rows))
		if page.More {
			end++
		}
		page.Count = max(count, end)
	}
	return page, nil
}

// cut cuts the row off that was read to know whether there are more.
func cut[T any](rows []T, limit int64) (page []T, more bool) {
	if int64(len(rows)) > limit {
		return rows[:limit], true
	}
	return rows, false
}

// sql is the text that reads the page by sorting; its last two arguments are LIMIT and OFFSET.
func (l *List) sql(tx *Tx) string {
	next := l.Where.Next()
	order := " ORDER BY " + l.OrderBy
	window := order + " LIMIT $" + strconv.Itoa(next) + " OFFSET $" + strconv.Itoa(next+1)
	if l.Key == "" {
		return "SELECT " + l.Columns + " FROM " + l.From + l.Join + l.Where.SQL() + window
	}
	join := " CROSS JOIN " // which SQLite takes for the order in which to read
	if tx.Postgres() {
		join = " JOIN "
	}
	return "SELECT " + l.Columns + " FROM (SELECT " + l.Key + " AS key FROM " + l.From + l.Where.SQL() + window + ") AS page" +
		join + l.From + " ON " + l.Key + " = page.key" + l.Join + order
}

// Counted answers how many rows there are, as far as they are counted, and whether that is all of them.
func (l *List) Counted(tx *Tx) (count int64, exact bool, err error) {
	if l.Count != nil {
		count, err = l.Count(tx)
		return count, true, err
	}
	if l.CountUpTo <= 0 || l.Exact {
		count, err = l.CountAll(tx)
		return count, true, err
	}
	if l.AtLeast != nil {
		least, err := l.AtLeast(tx)
		if err != nil || least > l.CountUpTo {
			return l.CountUpTo, false, err
		}
	}
	// To pass so many rows takes half of what it takes to count them.
	rows, args := l.Union(tx, "1")
	args = append(args, l.CountUpTo)
	switch err = tx.Row(rows+" LIMIT 1 OFFSET $"+strconv.Itoa(len(args)), args, new(int64)); {
	case err == nil:
		return l.CountUpTo, false, nil
	case !errors.Is(err, sql.ErrNoRows):
		return 0, false, err
	}
	count, err = l.CountAll(tx)
	return count, true, err
}

// CountAll counts the list's rows, all of them.
func (l *List) CountAll(tx *Tx) (count int64, err error) {
	return l.countWhere(tx, l.Where)
}
