package sqldb

import (
	"slices"
	"strings"
	"sync/atomic"
)

// Watch counts the writes that concern some tables, for whoever remembers what they hold.
type Watch struct {
	db     *DB
	tables []string
	writes atomic.Int64
}

// Watch begins to count the writes that concern the tables. What changes in them because of a
// foreign key to another table does not count: such a table is named too. A watch is there to stay.
func (db *DB) Watch(tables ...string) *Watch {
	w := &Watch{db: db, tables: tables}
	for {
		before := db.watches.Load()
		after := append(slices.Clone(db.watched()), w)
		if db.watches.CompareAndSwap(before, &after) {
			return w
		}
	}
}

// watched are the watches that there are.
func (db *DB) watched() []*Watch {
	if all := db.watches.Load(); all != nil {
		return *all
	}
	return nil
}

// Writes answers how many there have been. What is read of the tables after that was asked is as new as the number: it
// holds as long as the number does. On PostgreSQL, where other nodes write too, nobody knows.
func (w *Watch) Writes() (writes int64, known bool) { return w.writes.Load(), !w.db.Postgres() }

// note notes the watches that a statement concerns.
func (tx *Tx) note(query string) {
	if len(tx.concerned) == len(tx.watches) {
		return
	}
	if strings.HasPrefix(query, "SELECT ") { // as nearly all that read begin
		return
	}
	table, writes := target(query)
	for _, w := range tx.watches {
		if writes && (table == "" || slices.Contains(w.tables, table)) && !slices.Contains(tx.concerned, w) {
			tx.concerned = append(tx.concerned, w)
		}
	}
}

// target is the table that a statement writes into; "" where it may be any.
func target(query string) (table string, writes bool) {
	verb, rest := word(query)
	switch strings.ToUpper(verb) {
	case "SELECT":
		return "", false
	case "UPDATE":
	case "INSERT", "DELETE":
		_, rest = word(rest) // INTO, FROM
	default:
		return "", true
	}
	table, _ = word(rest)
	return table, true
}

// word cuts the first word off a statement.
func word(query string) (first, rest string) {
	query = strings.TrimLeft(query, " \t\r\n")
	end := strings.IndexAny(query, " \t\r\n(")
	if end < 0 {
		end = len(query)
	}
	return query[:end], query[end:]
}
