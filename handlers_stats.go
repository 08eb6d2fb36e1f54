package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// The charts of 2024.6: a week in bins of eight hours, four weeks in bins of a day. Both begin with one
// bin that lies ahead and is empty.
const (
	volumeBins = 22
	volumeStep = 8 * hourMicros
	monthBins  = 29
	monthStep  = dayMicros
)

// volume counts events by time. Without history_days it answers authentik 2024.6's shape, with it the later one.
func (s *server) volume(w http.ResponseWriter, r *http.Request) error {
	q, err := eventList.Parse(r)
	if err != nil {
		return err
	}
	if _, later := drf.Param(r, "history_days"); later {
		return s.volumeByAction(w, r, q)
	}
	where, counted := eventFilter(q)
	return s.writeBins(w, r, where, counted, volumeBins, volumeStep)
}

// writeBins answers a chart of 2024.6: x_cord in milliseconds, y_cord a count, the newest first.
func (s *server) writeBins(w http.ResponseWriter, r *http.Request, where sqldb.Where, counted bool, bins int, step int64) error {
	var points []point
	err := s.db.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		points, err = countBins(tx, where, counted, bins, step)
		return err
	})
	if err != nil {
		return err
	}
	out := []byte{'['}
	for i, p := range points {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(append(out, `{"x_cord":`...), p.End/1000, 10)
		out = strconv.AppendInt(append(out, `,"y_cord":`...), p.Count, 10)
		out = append(out, '}')
	}
	return drf.WriteJSON(w, r, http.StatusOK, append(out, ']'))
}

const (
	defaultHistory = 7  // days
	longestHistory = 60 // days
)

// volumeByAction answers the shape of 2025.6: time, action, count, without empty bins.
func (s *server) volumeByAction(w http.ResponseWriter, r *http.Request, q *drf.Query) error {
	days, err := strconv.ParseInt(param(r, "history_days", strconv.Itoa(defaultHistory)), 10, 32)
	if err != nil || days < 0 {
		return drf.Invalid("history_days", "A valid integer is required.")
	}
	where, counted := eventFilter(q)
	var counts []actionCount
	err = s.db.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		since := floorTo(tx.Now()-min(days, longestHistory)*dayMicros, hourMicros)
		counts, err = countByAction(tx, where, counted, since)
		return err
	})
	if err != nil {
		return err
	}
	out := []byte{'['}
	for i, c := range counts {
		if i > 0 {
			out = append(out, ',')
		}
		out = drf.AppendString(append(out, `{"time":`...), drf.FormatTime(c.Time))
		out = drf.AppendString(append(out, `,"action":`...), c.Action)
		out = strconv.AppendInt(append(out, `,"count":`...), c.Count, 10)
		out = append(out, '}')
	}
	return drf.WriteJSON(w, r, http.StatusOK, append(out, ']'))
}

// perMonth counts the events of one action over four weeks, by day. query narrows them by further
// filters of the list, as a JSON object.
func (s *server) perMonth(w http.ResponseWriter, r *http.Request) error {
	action, err := actionOf(r)
	if err != nil {
		return err
	}
	where := sqldb.Where{}
	where.Add("e.action = ?", action)
	counted := true
	if query := param(r, "query", ""); query != "" {
		narrow := members(drf.JSON(query))
		if narrow == nil || !jsontext.Value(query).IsValid() { // the latter refuses repeated keys too
			return drf.Invalid("query", "Value must be valid JSON: an object of fields and their values.")
		}
		for _, name := range slices.Sorted(maps.Keys(narrow)) {
			if err := narrowMonth(&where, name, narrow[name]); err != nil {
				return err
			}
			counted = false
		}
	}
	return s.writeBins(w, r, where, counted, monthBins, monthStep)
}

// monthFilters are the fields that per_month's query may name, in Django's spelling, and their columns.
var monthFilters = map[string]string{
	"app": "app", "client_ip": "client_ip", "user__pk": "user_pk", "user__username": "username",
	"context__authorized_application__pk": "application_pk", "context__model__app": "model_app",
	"context__model__model_name": "model_name", "context__model__pk": "model_pk", "brand__name": "brand_name",
}

// narrowMonth adds one condition of per_month's query.
func narrowMonth(where *sqldb.Where, name string, raw json.RawMessage) error {
	column, ok := monthFilters[name]
	if !ok {
		return drf.Invalid("query", "Cannot resolve the field "+drf.Repr(drf.JSON(quote(name)))+".")
	}
	if column == "user_pk" {
		n := integer(raw)
		if n == nil {
			return drf.Invalid("query", "The value of user__pk must be an integer.")
		}
		where.Add("e.user_pk = ?", *n)
		return nil
	}
	value := textOrInteger(raw)
	if value == nil || strings.Contains(*value, "\x00") {
		return drf.Invalid("query", "The value of "+name+" must be a string without null characters.")
	}
	where.Add("e."+column+" = ?", *value)
	return nil
}
