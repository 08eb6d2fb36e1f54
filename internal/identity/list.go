package identity

import (
	"fmt"
	"slices"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// batch is how many values stand in one IN list: databases bound their number.
const batch = 1000

// firstMissing is the first of the values that no row has in the column; false if there is none.
func firstMissing[K comparable](tx *sqldb.Tx, table, column string, values []K) (missing K, found bool, err error) {
	known := make(map[K]bool, len(values))
	for part := range slices.Chunk(values, batch) {
		var w sqldb.Where
		w.In(column, anys(part)...)
		rows, err := sqldb.All(tx, scanOne[K], `SELECT `+column+` FROM `+table+w.SQL(), w.Args()...)
		if err != nil {
			return missing, false, fmt.Errorf("looking for rows of %s: %w", table, err)
		}
		for _, k := range rows {
			known[k] = true
		}
	}
	for _, v := range values {
		if !known[v] {
			return v, true, nil
		}
	}
	return missing, false, nil
}

// checkRefs adds an error for the first of the pks that has no row, in the words of a relation's field.
func checkRefs[K comparable](tx *sqldb.Tx, errs *drf.Errors, field, table string, pks []K) error {
	missing, found, err := firstMissing(tx, table, "pk", pks)
	if found {
		errs.Add(field, drf.InvalidPK(fmt.Sprint(missing)))
	}
	return err
}

// checkChoices refuses a filter that names what does not exist.
func checkChoices[K comparable](tx *sqldb.Tx, filter, table, column string, values []K) error {
	missing, found, err := firstMissing(tx, table, column, values)
	if found {
		return drf.Invalid(filter, fmt.Sprintf("Select a valid choice. %v is not one of the available choices.", missing))
	}
	return err
}

func scanOne[T any](s sqldb.Scanner) (v T, err error) { return v, s.Scan(&v) }

func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// marks is n question marks, separated by commas.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// orderBy writes an ORDER BY list. columns names the column of each ordering; nullable ones are followed by their nulls
// as PostgreSQL does by itself, last when ascending. The list ends in the pk, which makes the order whole.
func orderBy(order []drf.Order, columns map[string]string, nullable, pk string) string {
	var terms []string
	for _, o := range order {
		direction := ""
		if o.Desc {
			direction = " DESC"
		}
		if o.Name == nullable {
			terms = append(terms, columns[o.Name]+" IS NULL"+direction)
		}
		terms = append(terms, columns[o.Name]+direction)
	}
	return strings.Join(append(terms, pk), ", ")
}

// selectPage reads one page of l. Search terms are looked for in Go, because the databases fold case differently:
// then all rows of l are read, though only those that match are kept. The tables of this package are small, and a
// read that takes too long is stopped.
func selectPage[T any](tx *sqldb.Tx, l sqldb.List, scan func(sqldb.Scanner) (T, error), terms []string, text func(*T) []string) (sqldb.Page[T], error) {
	if len(terms) == 0 {
		return sqldb.Select(tx, l, scan)
	}
	var page sqldb.Page[T]
	found := []T{}
	err := each(tx, "SELECT "+l.Columns+" FROM "+l.From+l.Where.SQL()+" ORDER BY "+l.OrderBy, l.Where.Args(), func(s sqldb.Scanner) error {
		row, err := scan(s)
		if err == nil && matches(text(&row), terms) {
			found = append(found, row)
		}
		return err
	})
	if err != nil {
		return page, err
	}
	page.Count = int64(len(found))
	offset, limit, err := l.Window(page.Count)
	if err != nil {
		return page, err
	}
	end := min(offset+limit, page.Count)
	page.Offset, page.Rows, page.More = offset, found[offset:end], end < page.Count
	return page, nil
}

// each runs a query and hands every row to fn.
func each(tx *sqldb.Tx, query string, args []any, fn func(sqldb.Scanner) error) error {
	_, err := sqldb.All(tx, func(s sqldb.Scanner) (struct{}, error) { return struct{}{}, fn(s) }, query, args...)
	return err
}

// matches reports whether every term is part of one of the texts, whatever the case. Terms are folded already.
func matches(texts, terms []string) bool {
	for _, term := range terms {
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(drf.Fold(text), term) }) {
			return false
		}
	}
	return true
}
