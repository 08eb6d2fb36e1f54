package sqldb

import (
	"slices"
	"strconv"
	"strings"
)

// Walk is how a list is read in the order of one column, along indexes that hold it in that order: what comes before the
// page is passed in the indexes alone, and a page in the latter half is read from the end where that is known.
type Walk struct {
	// By is the column, of integers, and Key a unique one that decides between equals, in the same direction. Both are
	// among the list's Columns.
	By, Key string
	Desc    bool
	// Paths are the ways to the rows. Together they lead to all of them, and to none twice.
	Paths []Path
	// Pass says how many of the rows that come first need not be walked, because they are known to be those before edge: when
	// descending those whose By is edge or more, else those whose By is less. Nil passes none.
	Pass func(tx *Tx, desc bool, offset int64) (edge, passed int64, err error)
}

// Path is a way to some rows of a list.
type Path struct {
	// Index is the one that SQLite uses: it has no statistics to choose by, and is not to depend on any. "" leaves it the choice.
	Index string
	// Condition says which rows they are, with Args as for Where.Add; "" means all.
	Condition string
	Args      []any
}

// stretch is the rows of a list that a page holds. The count is math.MaxInt64 where it is not known.
type stretch struct{ offset, limit, count int64 }

// walk reads the rows of a stretch, and whether there are more behind it.
func walk[T any](tx *Tx, l *List, scan func(Scanner) (T, error), s stretch) (rows []T, more bool, err error) {
	if s.offset >= s.count {
		return []T{}, false, nil
	}
	w := *l.Walk
	start, limit := s.offset, s.limit+1
	if fromEnd := s.offset > s.count/2; fromEnd {
		limit = min(s.limit, s.count-s.offset)
		start = s.count - s.offset - limit
		w.Desc = !w.Desc
		defer func() {
			slices.Reverse(rows)
			more = s.offset+limit < s.count
		}()
	}
	where, skip, found, err := l.seek(tx, &w, start)
	if err != nil || !found {
		return []T{}, false, err
	}
	text, args := l.union(tx, l.Columns, l.Join, where)
	args = append(args, limit, skip)
	order := w.direction(l.position(w.By)) + ", " + w.direction(l.position(w.Key))
	rows, err = All(tx, scan, text+" ORDER BY "+order+" LIMIT $"+strconv.Itoa(len(args)-1)+" OFFSET $"+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, false, err
	}
	rows, more = cut(rows, s.limit)
	return rows, more, nil
}

// seek finds where the row number start stands: the conditions under which few rows come before it, and how many do; false
// where there is no such row.
func (l *List) seek(tx *Tx, w *Walk, start int64) (where Where, skip int64, found bool, err error) {
	where = l.Where
	if start > 0 && w.Pass != nil {
		edge, passed, err := w.Pass(tx, w.Desc, start)
		if err != nil {
			return where, 0, false, err
		}
		if passed > 0 {
			where.Add(w.By+w.compare(" < ?", " >= ?"), edge)
			start -= passed
		}
	}
	if start == 0 {
		return where, 0, true, nil
	}
	text, args := l.union(tx, w.By, "", where)
	args = append(args, start-1)
	around, err := All(tx, scanInteger, text+" ORDER BY "+w.direction(1)+" LIMIT 2 OFFSET $"+strconv.Itoa(len(args)), args...)
	if err != nil || len(around) < 2 {
		return where, 0, false, err
	}
	at := around[1]
	if around[0] == at { // equals come before it
		before := where
		before.Add(w.By+w.compare(" > ?", " < ?"), at)
		passed, err := l.countWhere(tx, before)
		if err != nil {
			return where, 0, false, err
		}
		skip = start - passed
	}
	where.Add(w.By+w.compare(" <= ?", " >= ?"), at)
	return where, skip, true, nil
}

// compare is how By compares when descending, or ascending.
func (w *Walk) compare(descending, ascending string) string {
	if w.Desc {
		return descending
	}
	return ascending
}

// direction orders by the column of that number.
func (w *Walk) direction(column int) string {
	return strconv.Itoa(column) + w.compare(" DESC", "")
}

// position is the number of a column among those of the list.
func (l *List) position(column string) int {
	for i, c := range strings.Split(l.Columns, ",") {
		if strings.TrimSpace(c) == column {
			return i + 1
		}
	}
	panic("sqldb: " + column + " is not a column of the list")
}

// Union is a query that reads columns of all rows of the list, path by path, and its arguments.
func (l *List) Union(tx *Tx, columns string) (query string, args []any) {
	return l.union(tx, columns, "", l.Where)
}

// union is the text that reads columns of all rows under where, path by path, and its arguments.
func (l *List) union(tx *Tx, columns, join string, where Where) (text string, args []any) {
	selects, args := l.selects(tx, columns, join, where)
	return strings.Join(selects, " UNION ALL "), args
}

// selects are the queries of a union. Their arguments are numbered as those of one text.
func (l *List) selects(tx *Tx, columns, join string, where Where) (selects []string, args []any) {
	paths := []Path{{}}
	if l.Walk != nil {
		paths = l.Walk.Paths
	}
	args = where.args
	for _, p := range paths {
		one, from := Where{where.conditions, args}, l.From
		if p.Condition != "" {
			one.Add(p.Condition, p.Args...)
		}
		if p.Index != "" {
			from += tx.By(p.Index)
		}
		selects, args = append(selects, "SELECT "+columns+" FROM "+from+join+one.SQL()), one.args
	}
	return selects, args[:len(args):len(args)]
}

// countWhere counts the list's rows under other conditions.
func (l *List) countWhere(tx *Tx, where Where) (count int64, err error) {
	selects, args := l.selects(tx, "count(*)", "", where)
	err = tx.Row("SELECT ("+strings.Join(selects, ") + (")+")", args, &count)
	return count, err
}

func scanInteger(row Scanner) (n int64, err error) { return n, row.Scan(&n) }
