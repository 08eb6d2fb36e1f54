package listing

import (
	"fmt"
	"strings"

	"belfry/internal/sqldb"
)

// Filter is a condition that rows pass, and the ways to those that do; none where there is no index.
type Filter struct {
	Condition string
	Args      []any
	Paths     []sqldb.Path
}

// Equals is the filter that a column has a value. index is the column's, "" for none.
func Equals(column, index string, value any) Filter {
	f := Filter{Condition: column + " = ?", Args: []any{value}}
	if index != "" {
		f.Paths = []sqldb.Path{{Index: index, Condition: f.Condition, Args: f.Args}}
	}
	return f
}

// OneOf is the filter that a column has one of some values, with a way to each. index is the column's.
func OneOf[T any](column, index string, values []T) Filter {
	if len(values) == 0 {
		return Filter{Condition: "1 = 0", Paths: []sqldb.Path{{Condition: "1 = 0"}}}
	}
	f := Filter{Condition: column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")", Args: Args(values)}
	for _, value := range f.Args {
		f.Paths = append(f.Paths, sqldb.Path{Index: index, Condition: column + " = ?", Args: []any{value}})
	}
	return f
}

// Selection is the rows that filters let pass, and how they are found.
type Selection struct {
	All   sqldb.Where // all conditions
	Paths []sqldb.Path
	Where sqldb.Where // those conditions that the paths do not see to
}

// Choose finds the rows of a table by the filter that leaves the fewest of them, as far as they are counted: of several
// that leave countUpTo or more by the first. Where there is no index for a filter, index holds all rows.
func Choose(tx *sqldb.Tx, from, index string, filters []Filter, countUpTo int64) (s Selection, err error) {
	chosen, err := leavesFewest(tx, from, filters, countUpTo)
	if err != nil {
		return s, fmt.Errorf("look how many rows of %s a filter leaves: %w", from, err)
	}
	s.Paths = []sqldb.Path{{Index: index}}
	for i, f := range filters {
		s.All.Add(f.Condition, f.Args...)
		if i == chosen {
			s.Paths = f.Paths
		} else {
			s.Where.Add(f.Condition, f.Args...)
		}
	}
	return s, nil
}

// leavesFewest is the place of the filter to find the rows by; -1 for none.
func leavesFewest(tx *sqldb.Tx, from string, filters []Filter, fewest int64) (chosen int, err error) {
	var indexed []int
	for i, f := range filters {
		if len(f.Paths) > 0 {
			indexed = append(indexed, i)
		}
	}
	if len(indexed) == 0 {
		return -1, nil
	}
	chosen = indexed[0]
	if len(indexed) == 1 {
		return chosen, nil
	}
	for _, i := range indexed {
		passed := sqldb.List{From: from, Walk: &sqldb.Walk{Paths: filters[i].Paths}, CountUpTo: fewest}
		n, exact, err := passed.Counted(tx)
		if err != nil {
			return -1, err
		}
		if exact && n < fewest {
			chosen, fewest = i, n
		}
	}
	return chosen, nil
}
