// Package listing reads pages of a table by what a list's query asks for: it joins the manners of drf with
// the queries of sqldb, which know nothing of each other.
package listing

import (
	"fmt"
	"slices"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// Table says how one table is listed. It is for tables that are small: a search reads all rows that pass the filters.
type Table[T any] struct {
	// Columns, From and PK are parts of the SELECT; PK ends every ordering.
	Columns, From, PK string
	// Text is the expression that ?search= looks at. Terms have no white space, so that it may join columns by one.
	Text string
	// Exact are the filters of kind text, choice and uuid that name one value of a column: name, column.
	Exact [][2]string
	// Orders are the expressions behind the names that ?ordering= takes. None is ever null: the databases
	// do not agree on where nulls stand.
	Orders map[string]string
	// Scan reads Columns.
	Scan func(sqldb.Scanner) (T, error)

	kept   string // a column, "" for none
	passes func(text string) bool
}

// Keeping is the table of those rows only whose text in the column passes: a filter that the databases would not
// decide alike, and that reads all rows as a search does.
func (t *Table[T]) Keeping(column string, passes func(text string) bool) *Table[T] {
	kept := *t
	kept.kept, kept.passes = column, passes
	return &kept
}

// Page reads the page that q asks for, of the rows in where. Filters that are not Exact are where's.
func (t *Table[T]) Page(tx *sqldb.Tx, q *drf.Query, where sqldb.Where) (sqldb.Page[T], error) {
	for _, filter := range t.Exact {
		if value, ok := q.Text(filter[0]); ok {
			where.Add(filter[1]+" = ?", value)
		}
	}
	read := t.search
	if len(q.Search) == 0 && t.kept == "" {
		read = t.all
	}
	page, err := read(tx, q, sqldb.List{
		Columns: t.Columns, From: t.From, Where: where, OrderBy: OrderBy(q.Order, t.Orders, t.PK), Window: q.Window,
	})
	if err != nil {
		return page, fmt.Errorf("list %s: %w", t.From, err)
	}
	return page, nil
}

func (t *Table[T]) all(tx *sqldb.Tx, _ *drf.Query, l sqldb.List) (sqldb.Page[T], error) {
	return sqldb.Select(tx, l, t.Scan)
}

// search reads the page of those rows whose text has every term, and that are kept. It folds in Go, because the databases do not
// agree on case: the text of every row is read, the whole row only for the page.
func (t *Table[T]) search(tx *sqldb.Tx, q *drf.Query, l sqldb.List) (page sqldb.Page[T], err error) {
	kept := "''"
	if t.kept != "" {
		kept = t.kept
	}
	texts, err := sqldb.All(tx, scanText, "SELECT "+t.PK+", "+t.Text+", "+kept+" FROM "+l.From+l.Where.SQL()+" ORDER BY "+l.OrderBy, l.Where.Args()...)
	if err != nil {
		return page, err
	}
	keys := []any{}
	for _, row := range texts {
		if hasAll(drf.Fold(row.text), q.Search) && (t.kept == "" || t.passes(row.kept)) {
			keys = append(keys, row.key)
		}
	}
	page.Count = int64(len(keys))
	offset, limit, err := q.Window(page.Count)
	if err != nil {
		return page, err
	}
	end := min(offset+limit, page.Count)
	page.Offset, page.More = offset, end < page.Count
	var where sqldb.Where
	where.In(t.PK, keys[offset:end]...)
	page.Rows, err = sqldb.All(tx, t.Scan, "SELECT "+t.Columns+" FROM "+t.From+where.SQL()+" ORDER BY "+l.OrderBy, where.Args()...)
	return page, err
}

// keyed is a row's key, an integer or a uuid, its text, and what decides whether it is kept.
type keyed struct {
	key        any
	text, kept string
}

func scanText(row sqldb.Scanner) (k keyed, err error) {
	err = row.Scan(&k.key, &k.text, &k.kept)
	return k, err
}

// hasAll reports whether every term, folded already, is part of text.
func hasAll(text string, terms []string) bool {
	return !slices.ContainsFunc(terms, func(term string) bool { return !strings.Contains(text, term) })
}

// OrderBy is the ORDER BY list of an ordering. It ends in the key, in the last direction, so that pages never
// overlap and one index serves.
func OrderBy(order []drf.Order, expressions map[string]string, pk string) string {
	var terms []string
	direction := ""
	for _, o := range order {
		direction = ""
		if o.Desc {
			direction = " DESC"
		}
		terms = append(terms, expressions[o.Name]+direction)
		if expressions[o.Name] == pk {
			return strings.Join(terms, ", ")
		}
	}
	return strings.Join(append(terms, pk+direction), ", ")
}

// Info is what the envelope of a list says of a page.
func Info[T any](q *drf.Query, page sqldb.Page[T]) drf.PageInfo {
	return drf.PageInfo{Size: q.Size, Offset: page.Offset, Count: page.Count, More: page.More}
}

// Args are values as the arguments of a query.
func Args[T any](values []T) []any {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return args
}
