package rules

import (
	"fmt"
	"slices"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// table is how a list reads one of the tables of this package, all of which are small.
type table[T any] struct {
	columns, from string
	pk            string            // the column that ends every ordering
	text          string            // the expression that ?search= looks at
	exact         [][2]string       // text, choice and uuid filters, each with its column
	orders        map[string]string // the expression behind each name that ?ordering= takes, never null
	scan          func(sqldb.Scanner) (T, error)
}

// page reads the rows of where that q asks for. Filters that are no text are where's.
func (t *table[T]) page(tx *sqldb.Tx, q *drf.Query, where sqldb.Where) (sqldb.Page[T], error) {
	for _, filter := range t.exact {
		if value, ok := q.Text(filter[0]); ok {
			where.Add(filter[1]+" = ?", value)
		}
	}
	list := sqldb.List{
		Columns: t.columns,
		From:    t.from,
		Where:   where,
		OrderBy: t.orderBy(q.Order),
		Window:  q.Window,
	}
	var page sqldb.Page[T]
	var err error
	if len(q.Search) > 0 {
		page, err = t.search(tx, list, q.Search)
	} else {
		page, err = sqldb.Select(tx, list, t.scan)
	}
	if err != nil {
		return page, fmt.Errorf("list %s: %w", t.from, err)
	}
	return page, nil
}

// search reads the page of those rows whose text has every term. It folds in Go, because the
// databases do not agree on case: the text of every row is read, the whole row only for the page.
func (t *table[T]) search(tx *sqldb.Tx, list sqldb.List, terms []string) (sqldb.Page[T], error) {
	var page sqldb.Page[T]
	texts, err := sqldb.All(tx, scanPair, `SELECT `+t.pk+`, `+t.text+` FROM `+list.From+list.Where.SQL()+
		` ORDER BY `+list.OrderBy, list.Where.Args()...)
	if err != nil {
		return page, err
	}
	found := []any{}
	for _, row := range texts {
		// No term has a space in it, so that a text of several columns may join them by one.
		text := drf.Fold(row[1])
		if !slices.ContainsFunc(terms, func(term string) bool { return !strings.Contains(text, term) }) {
			found = append(found, row[0])
		}
	}
	page.Count = int64(len(found))
	offset, limit, err := list.Window(page.Count)
	if err != nil {
		return page, err
	}
	end := min(offset+limit, page.Count)
	page.Offset, page.More = offset, end < page.Count
	var where sqldb.Where
	where.In(t.pk, found[offset:end]...)
	page.Rows, err = sqldb.All(tx, t.scan, `SELECT `+t.columns+` FROM `+t.from+where.SQL()+` ORDER BY `+list.OrderBy, where.Args()...)
	return page, err
}

// orderBy is the ORDER BY list of an ordering.
func (t *table[T]) orderBy(order []drf.Order) string {
	var list strings.Builder
	for _, o := range order {
		list.WriteString(t.orders[o.Name])
		if o.Desc {
			list.WriteString(" DESC")
		}
		list.WriteString(", ")
	}
	return list.String() + t.pk
}

// scanPair reads a row of two texts.
func scanPair(row sqldb.Scanner) (pair [2]string, err error) {
	err = row.Scan(&pair[0], &pair[1])
	return pair, err
}

// sortedSet is values in ascending order, each once.
func sortedSet(values []string) []string {
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
}

// args are values as arguments of a query.
func args[T any](values []T) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}
