package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"belfry/internal/drf"
	"belfry/internal/listing"
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

// topPerUser counts how often applications were used, by default in logins (which name none, as in authentik).
func (s *server) topPerUser(w http.ResponseWriter, r *http.Request) error {
	q, err := topList.Parse(r)
	if err != nil {
		return err
	}
	n, ok := q.Int("top_n")
	if !ok {
		n = 15
	}
	var uses []applicationUse
	err = s.db.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		uses, err = topApplications(tx, actionOf(q), n)
		return err
	})
	if err != nil {
		return err
	}
	return applicationUseSerializer.WriteAll(w, r, uses)
}

// actionOf is the action that a statistic is about, login where none is given.
func actionOf(q *drf.Query) string {
	if action, ok := q.Text("action"); ok {
		return action
	}
	return "login"
}

// volume counts events by time. Without history_days it answers authentik 2024.6's shape, with it the later one.
func (s *server) volume(w http.ResponseWriter, r *http.Request) error {
	q, err := volumeList.Parse(r)
	if err != nil {
		return err
	}
	if _, later := drf.Param(r, "history_days"); later {
		return s.volumeByAction(w, r, q)
	}
	return s.writeBins(w, r, volumeBins, volumeStep, func(tx *sqldb.Tx, since int64) (selection, error) { return selectMatches(tx, q, since) })
}

// writeBins answers a chart of 2024.6, the newest bin first. events selects what it shows from since on.
func (s *server) writeBins(w http.ResponseWriter, r *http.Request, bins int, step int64, events func(tx *sqldb.Tx, since int64) (selection, error)) error {
	var points []point
	err := s.readSearch(r.Context(), func(tx *sqldb.Tx) error {
		points = newPoints(tx.Now(), bins, step)
		selected, err := events(tx, points[bins-1].End-step)
		if err != nil {
			return err
		}
		return countBins(tx, selected, points, step)
	})
	if err != nil {
		return err
	}
	return pointSerializer.WriteAll(w, r, points)
}

const (
	defaultHistory = 7  // days
	longestHistory = 60 // days
)

// volumeByAction answers the shape of 2025.6: time, action, count, without empty bins.
func (s *server) volumeByAction(w http.ResponseWriter, r *http.Request, q *drf.Query) error {
	days, ok := q.Int("history_days")
	if !ok {
		days = defaultHistory
	}
	var counts []actionCount
	err := s.readSearch(r.Context(), func(tx *sqldb.Tx) error {
		since := floorTo(tx.Now()-min(days, longestHistory)*dayMicros, hourMicros)
		selected, err := selectMatches(tx, q, since)
		if err != nil {
			return err
		}
		counts, err = countByAction(tx, selected, since)
		return err
	})
	if err != nil {
		return err
	}
	return actionCountSerializer.WriteAll(w, r, counts)
}

// perMonth counts the events of one action over four weeks, by day. query narrows them by further
// filters of the list, as a JSON object.
func (s *server) perMonth(w http.ResponseWriter, r *http.Request) error {
	q, err := monthList.Parse(r)
	if err != nil {
		return err
	}
	action := actionOf(q)
	var filters []listing.Filter
	if query, ok := q.Text("query"); ok {
		var narrow map[string]json.RawMessage
		if json.Unmarshal([]byte(query), &narrow) != nil || narrow == nil || !jsontext.Value(query).IsValid() { // the latter refuses repeated keys too
			return drf.Invalid("query", "Value must be valid JSON: an object of fields and their values.")
		}
		for _, name := range slices.Sorted(maps.Keys(narrow)) {
			f, err := monthFilter(name, drf.JSON(narrow[name]))
			if err != nil {
				return err
			}
			filters = append(filters, f)
		}
	}
	return s.writeBins(w, r, monthBins, monthStep, func(tx *sqldb.Tx, _ int64) (selection, error) {
		chosen, err := chooseEvents(tx, append(filters, listing.Equals("e.action", "event_action", action)))
		return selection{Selection: chosen, actions: actionSet{names: []string{action}}, counted: len(filters) == 0}, err
	})
}

// monthFilters are the fields that per_month's query may name, in Django's spelling, their columns, and their indexes where
// there are some.
var monthFilters = map[string][2]string{
	"app": {"e.app"}, "client_ip": {"e.client_ip", "event_client_ip"}, "user__pk": {"e.user_pk"}, "user__username": {"e.username", "event_username"},
	"context__authorized_application__pk": {"e.application_pk", "event_application_pk"}, "context__model__app": {"e.model_app"},
	"context__model__model_name": {"e.model_name"}, "context__model__pk": {"e.model_pk", "event_model_pk"}, "brand__name": {"e.brand_name"},
}

// monthFilter is one condition of per_month's query.
func monthFilter(name string, asked drf.JSON) (listing.Filter, error) {
	column, ok := monthFilters[name]
	if !ok {
		return listing.Filter{}, drf.Invalid("query", "Cannot resolve the field "+drf.Repr(drf.JSON(quote(name)))+".")
	}
	if name == "user__pk" {
		n := integer(asked)
		if n == nil {
			return listing.Filter{}, drf.Invalid("query", "The value of user__pk must be an integer.")
		}
		return listing.Equals(column[0], column[1], *n), nil
	}
	value := textOrInteger(asked)
	if value == nil || strings.Contains(*value, "\x00") {
		return listing.Filter{}, drf.Invalid("query", "The value of "+name+" must be a string without null characters.")
	}
	return listing.Equals(column[0], column[1], *value), nil
}

// stats counts people, and events since some moments. People are those of all the events that the filters let pass.
func (s *server) stats(w http.ResponseWriter, r *http.Request) error {
	q, err := statsList.Parse(r)
	if err != nil {
		return err
	}
	steps, err := parseSteps(q.Texts("count_steps"))
	if err != nil {
		return err
	}
	var stats eventStats
	err = s.readSearch(r.Context(), func(tx *sqldb.Tx) error {
		selected, err := selectMatches(tx, q, math.MinInt64)
		if err != nil {
			return err
		}
		if stats.UniqueUsers, err = countUsers(tx, selected); err != nil {
			return err
		}
		out := []byte{'{'}
		for i, step := range steps {
			n, err := selected.countBetween(tx, tx.Now()-step.micros, forever)
			if err != nil {
				return err
			}
			if i > 0 {
				out = append(out, ',')
			}
			out = strconv.AppendInt(append(drf.AppendString(out, step.key), ':'), n, 10)
		}
		stats.CountStep = drf.JSON(append(out, '}'))
		return nil
	})
	if err != nil {
		return err
	}
	return eventStatsSerializer.Write(w, r, http.StatusOK, &stats)
}

// step is how far a count looks back, and the key that it is answered under.
type step struct {
	key    string
	micros int64
}

// maxSteps bounds what one request may have counted.
const maxSteps = 50

// parseSteps reads durations as authentik writes them. What is answered is the text without its equals signs; two that
// differ in those only are one.
func parseSteps(texts []string) (steps []step, err error) {
	if len(texts) > maxSteps {
		return nil, drf.Invalid("count_steps", fmt.Sprintf("Ensure this field has no more than %d elements.", maxSteps))
	}
	errs, wrong := drf.NewErrors(), drf.NewErrors()
	for i, text := range texts {
		micros, ok := parseDuration(text)
		if !ok {
			wrong.Add(strconv.Itoa(i), text+" is not in the correct format of 'hours=3;minutes=1'.")
		}
		key := strings.ReplaceAll(text, "=", "")
		if !slices.ContainsFunc(steps, func(s step) bool { return s.key == key }) {
			steps = append(steps, step{key, micros})
		}
	}
	errs.Nest("count_steps", wrong)
	return steps, errs.Err()
}

// durationUnits are the names that a duration may hold, in microseconds.
var durationUnits = map[string]float64{
	"microseconds": 1, "milliseconds": 1000, "seconds": float64(secondMicros), "minutes": 60 * float64(secondMicros),
	"hours": float64(hourMicros), "days": float64(dayMicros), "weeks": 7 * float64(dayMicros),
}

// longestStep is as far as anybody can look back: a thousand years.
const longestStep = 1000 * 366 * float64(dayMicros)

// parseDuration reads a duration such as hours=3;minutes=1.5, in microseconds.
func parseDuration(text string) (micros int64, ok bool) {
	total := 0.0
	for part := range strings.SplitSeq(text, ";") {
		name, number, _ := strings.Cut(part, "=")
		unit, known := durationUnits[strings.ToLower(strings.TrimSpace(name))]
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if !known || err != nil {
			return 0, false
		}
		total += n * unit
	}
	if !(total >= 0 && total <= longestStep) { // not a number is neither
		return 0, false
	}
	return int64(total), true
}
