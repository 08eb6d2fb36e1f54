package sqldb

import (
	"strconv"
	"strings"
)

// Where collects conditions joined by AND. The zero value is no condition. A copy may be added to without changing the other.
type Where struct {
	conditions []string
	args       []any
}

// Add adds a condition whose arguments are written as ?; they are numbered $n in order.
// A ? means an argument wherever it stands, so text constants belong into args.
// It panics when the number of ? differs from that of args.
func (w *Where) Add(condition string, args ...any) {
	if strings.Count(condition, "?") != len(args) {
		panic("sqldb: the condition " + strconv.Quote(condition) + " has another number of arguments than were given")
	}
	all := w.args[:len(w.args):len(w.args)]
	var b strings.Builder
	for _, arg := range args {
		before, after, _ := strings.Cut(condition, "?")
		all = append(all, arg)
		b.WriteString(before)
		b.WriteString("$")
		b.WriteString(strconv.Itoa(len(all)))
		condition = after
	}
	b.WriteString(condition)
	w.conditions, w.args = append(w.conditions[:len(w.conditions):len(w.conditions)], b.String()), all
}

// In adds "column IN (…)"; no values means no row.
func (w *Where) In(column string, values ...any) {
	if len(values) == 0 {
		w.Add("1 = 0")
		return
	}
	w.Add(column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", values...)
}

// SQL is "" or " WHERE …"; Args are its arguments.
func (w *Where) SQL() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE (" + strings.Join(w.conditions, ") AND (") + ")"
}

// Args are the arguments of SQL, $1 first.
func (w *Where) Args() []any { return w.args }

// Next is the number of the first argument after those of SQL.
func (w *Where) Next() int { return len(w.args) + 1 }

// Then is no condition yet, for a further part of the same text: its arguments are numbered after those of w, and come after them.
func (w *Where) Then() Where { return Where{args: w.args} }

// with are the arguments of SQL and those of what follows it.
func (w *Where) with(more ...any) []any { return append(w.args[:len(w.args):len(w.args)], more...) }

// EscapeLike escapes %, _ and \ for LIKE … ESCAPE '\'.
func EscapeLike(s string) string {
	return likeEscaper.Replace(s)
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
