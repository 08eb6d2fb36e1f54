package identity

import (
	"fmt"
	"slices"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// batch is how many values stand in one IN list: databases bound their number.
const batch = 1000

// firstMissing is the first of the values that no row has in the column; false if there is none.
func firstMissing[K comparable](tx *sqldb.Tx, table, column string, values []K) (missing K, found bool, err error) {
	known := make(map[K]bool, len(values))
	for part := range slices.Chunk(values, batch) {
		var w sqldb.Where
		w.In(column, listing.Args(part)...)
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

// marks is n question marks, separated by commas.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// each runs a query and hands every row to fn.
func each(tx *sqldb.Tx, query string, args []any, fn func(sqldb.Scanner) error) error {
	_, err := sqldb.All(tx, func(s sqldb.Scanner) (struct{}, error) { return struct{}{}, fn(s) }, query, args...)
	return err
}
