package sqldbtest

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"belfry/internal/sqldb"
)

// grows are the lines of plans whose cost grows with a table that may be large: all of it is read, or all that was found is
// sorted. To sort what is of one moment (the "last term") is none of them.
var grows = regexp.MustCompile(`^SCAN (e|event|n|notification|delivery|delivery_attempt|event_hour|event_trigram)$|^USE TEMP B-TREE FOR (ORDER BY|GROUP BY|DISTINCT)`)

// WalksIndexes has fn run in a write of which nothing is kept, and wants that SQLite goes about each of its statements along
// indexes; one of them by the index of that name, "" for any.
func WalksIndexes(t *testing.T, db *sqldb.DB, name, index string, fn func(tx *sqldb.Tx) error) {
	t.Helper()
	undo := errors.New("undo")
	used, seen := index == "", ""
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		plans, err := sqldb.Explain(tx, fn)
		if err != nil {
			return err
		}
		for _, p := range plans {
			lines := strings.Join(p.Lines, "\n")
			seen += "\n" + p.Query + "\n" + lines
			for _, line := range p.Lines {
				if grows.MatchString(line) {
					t.Errorf("%s grows: %s\nfor %s", name, lines, p.Query)
				}
				used = used || strings.HasSuffix(line, " INDEX "+index) || strings.Contains(line, " INDEX "+index+" (")
			}
		}
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatalf("%s: %v", name, err)
	}
	if !used {
		t.Errorf("%s: %s is not used:%s", name, index, seen)
	}
}
