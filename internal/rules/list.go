package rules

import (
	"slices"

	"belfry/internal/sqldb"
)

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
