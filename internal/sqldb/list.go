package sqldb

import (
	"math"
	"strconv"
)

// List is a page of rows to be read.
type List struct {
	// Columns and From are the SELECT's parts: "e.pk, e.app" and "event e LEFT JOIN …".
	Columns, From string
	Where         Where
	// OrderBy is the whole ORDER BY list, ending in a unique column; no nulls are expected first or last.
	OrderBy string
	// Window turns the count into an offset and a limit. It is called once. Where
	// counting stopped at CountUpTo, it is given math.MaxInt64: the end is not known.
	Window func(count int64) (offset, limit int64, err error)
	// Count answers the exact count from elsewhere (a counter); nil counts rows.
	Count func(tx *Tx) (int64, error)
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
	count, exact, err := l.count(tx)
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
	rows, err := All(tx, scan, l.sql(), append(l.Where.Args()[:len(l.Where.Args()):len(l.Where.Args())], limit+1, offset)...)
	if err != nil {
		return page, err
	}
	page = Page[T]{Rows: rows, Count: count, Offset: offset}
	if page.More = int64(len(rows)) > limit; page.More {
		page.Rows = rows[:limit]
	}
	if !exact && len(rows) > 0 {
		page.Count = max(count, offset+int64(len(rows)))
	}
	return page, nil
}

// sql is the text that reads the page; its last two arguments are LIMIT and OFFSET.
func (l *List) sql() string {
	next := l.Where.Next()
	return "SELECT " + l.Columns + " FROM " + l.From + l.Where.SQL() + " ORDER BY " + l.OrderBy +
		" LIMIT $" + strconv.Itoa(next) + " OFFSET $" + strconv.Itoa(next+1)
}

// count answers how many rows there are, and whether that is all of them.
func (l *List) count(tx *Tx) (count int64, exact bool, err error) {
	if l.Count != nil {
		count, err = l.Count(tx)
		return count, true, err
	}
	from := l.From + l.Where.SQL()
	if l.CountUpTo <= 0 || l.Exact {
		err = tx.Row("SELECT count(*) FROM "+from, l.Where.Args(), &count)
		return count, true, err
	}
	query := "SELECT count(*) FROM (SELECT 1 FROM " + from + " LIMIT $" + strconv.Itoa(l.Where.Next()) + ") AS counted"
	args := append(l.Where.Args()[:len(l.Where.Args()):len(l.Where.Args())], l.CountUpTo+1)
	if err = tx.Row(query, args, &count); err != nil {
		return 0, false, err
	}
	return min(count, l.CountUpTo), count <= l.CountUpTo, nil
}
