package main

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// counterSlots is how many rows an hour's counter is spread over on PostgreSQL, where writers of
// one row wait for each other. Only the sum over the slots means something.
const counterSlots = 16

const (
	// liveHours are the last hours, whose counters are not added up: they still change with every event.
	liveHours = 6 * hourMicros
	// surelyLive is how young an hour is of which nobody needs to ask. It is far from liveHours because the clocks of the
	// nodes of one PostgreSQL database may differ.
	surelyLive = 3 * hourMicros
	// addedHours is how many hours one write adds up, so that other writers wait briefly.
	addedHours = 7 * dayMicros
)

// tallyKey names a counter: the events of one action in the hour that begins at hour or, where there is an application, the
// uses of it by one user.
type tallyKey struct {
	hour        int64
	action      string
	application string // as the column of event
	user        string // its pk in decimal, "" for none
}

// compare is the order in which counters are written: writes that meet never wait for each other in a circle.
func (k tallyKey) compare(other tallyKey) int {
	return cmp.Or(strings.Compare(k.application, other.application), cmp.Compare(k.hour, other.hour),
		strings.Compare(k.action, other.action), strings.Compare(k.user, other.user))
}

// tally is by how much a write changes the counters. It is left to the end of the transaction, by all who change them: what one
// takes away another may have added just before.
type tally map[tallyKey]int64

// add counts n events like e.
func (t tally) add(e *Event, n int64) {
	t[tallyKey{hour: floorTo(e.Created, hourMicros), action: e.Action}] += n
}

// addUse counts n uses of an application, where the event is one.
func (t tally) addUse(action string, u use, n int64) {
	if u.application == nil {
		return
	}
	key := tallyKey{action: action, application: *u.application}
	if u.userPK != nil {
		key.user = strconv.FormatInt(*u.userPK, 10)
	}
	t[key] += n
}

// use is which application an event is about, nil for none, and who used it.
type use struct {
	application *string
	userPK      *int64
}

func scanUse(row sqldb.Scanner) (u use, err error) {
	return u, row.Scan(&u.application, &u.userPK)
}

// readUse reads the use of an event that is stored.
func readUse(tx *sqldb.Tx, pk string) (use, error) {
	u, err := sqldb.One(tx, scanUse, "SELECT application, user_pk FROM event WHERE pk = $1", pk)
	if err != nil {
		return u, fmt.Errorf("read the application of an event: %w", err)
	}
	return u, nil
}

// Merge implements [sqldb.Summary].
func (t tally) Merge(other sqldb.Summary) {
	for key, n := range other.(tally) {
		t[key] += n
	}
}

// Write adds the tally to the counters. It implements [sqldb.Summary]: while many write, the counters of an hour are written
// once for all of them.
func (t tally) Write(tx *sqldb.Tx) error {
	past, err := t.past(tx)
	if err != nil {
		return err
	}
	slot := 0
	if tx.Postgres() {
		slot = rand.IntN(counterSlots)
	}
	for _, key := range slices.SortedFunc(maps.Keys(t), tallyKey.compare) {
		n := t[key]
		switch {
		case n == 0:
		case key.application != "":
			err = addUses(tx, key, n)
		default:
			_, err = tx.Exec(`INSERT INTO event_hour (hour, action, slot, count) VALUES ($1, $2, $3, $4)
				ON CONFLICT (hour, action, slot) DO UPDATE SET count = event_hour.count + excluded.count`, key.hour, key.action, slot, n)
		}
		if err != nil {
			return fmt.Errorf("count events: %w", err)
		}
	}
	return past.write(tx)
}

// addUses changes how often somebody has used an application. What counts nothing is not kept.
func addUses(tx *sqldb.Tx, key tallyKey, n int64) error {
	var left int64
	err := tx.Row(`INSERT INTO event_application (action, application, user_pk, count) VALUES ($1, $2, $3, $4)
		ON CONFLICT (action, application, user_pk) DO UPDATE SET count = event_application.count + excluded.count RETURNING count`,
		[]any{key.action, key.application, key.user, n}, &left)
	if err == nil && left <= 0 {
		_, err = tx.Exec("DELETE FROM event_application WHERE action = $1 AND application = $2 AND user_pk = $3", key.action, key.application, key.user)
	}
	return err
}

// The spans of event_past: what counters are added up over.
const (
	spanAll  = 0 // an action's of all time
	spanBin  = 1 // an action's of a bin of the later volume chart
	spanHour = 2 // all actions' of an hour
)

// pastKey names what counters add up to.
type pastKey struct {
	span, start int64
	action      string
}

// sums are what counters add up to, or by how much that changes.
type sums map[pastKey]int64

// add adds a counter to all that it is a part of.
func (s sums) add(hour int64, action string, n int64) {
	s[pastKey{spanAll, 0, action}] += n
	s[pastKey{spanBin, floorTo(hour, volumeBin), action}] += n
	s[pastKey{span: spanHour, start: hour}] += n
}

// write adds the sums to event_past, in the order of their keys. What counts nothing is not kept.
func (s sums) write(tx *sqldb.Tx) error {
	for _, key := range slices.SortedFunc(maps.Keys(s), pastKey.compare) {
		var left int64
		err := tx.Row(`INSERT INTO event_past (span, start, action, count) VALUES ($1, $2, $3, $4)
			ON CONFLICT (span, start, action) DO UPDATE SET count = event_past.count + excluded.count RETURNING count`,
			[]any{key.span, key.start, key.action, s[key]}, &left)
		if err == nil && left <= 0 {
			_, err = tx.Exec("DELETE FROM event_past WHERE span = $1 AND start = $2 AND action = $3", key.span, key.start, key.action)
		}
		if err != nil {
			return fmt.Errorf("count events of the past: %w", err)
		}
	}
	return nil
}

func (k pastKey) compare(other pastKey) int {
	return cmp.Or(cmp.Compare(k.span, other.span), cmp.Compare(k.start, other.start), strings.Compare(k.action, other.action))
}

// past is what of the tally belongs to hours that are added up. They stay so until the end of the write.
func (t tally) past(tx *sqldb.Tx) (sums, error) {
	var old []tallyKey
	for key, n := range t {
		if n != 0 && key.application == "" && key.hour < tx.Now()-surelyLive {
			old = append(old, key)
		}
	}
	if len(old) == 0 {
		return nil, nil
	}
	end, err := pastEnd(tx, tx.ForShare())
	past := sums{}
	for _, key := range old {
		if key.hour < end {
			past.add(key.hour, key.action, t[key])
		}
	}
	return past, err
}

// pastEnd is up to which hour the counters are added up.
func pastEnd(tx *sqldb.Tx, lock string) (hour int64, err error) {
	if err = tx.Row("SELECT hour FROM event_past_end WHERE id = 1"+lock, nil, &hour); err != nil {
		return 0, fmt.Errorf("read which counters are added up: %w", err)
	}
	return hour, nil
}

// addUp adds up the counters of hours that have passed, and reports whether there are more of them.
func addUp(tx *sqldb.Tx) (more bool, err error) {
	end, err := pastEnd(tx, tx.ForUpdate())
	if err != nil {
		return false, err
	}
	var first *int64
	if err := tx.Row("SELECT min(hour) FROM event_hour WHERE hour >= $1", []any{end}, &first); err != nil {
		return false, fmt.Errorf("look for the first counter: %w", err)
	}
	last := floorTo(tx.Now(), hourMicros) - liveHours
	if first == nil || *first >= last {
		return false, nil
	}
	until := min(last, *first+addedHours)
	counts, err := sqldb.All(tx, scanTimedCount, "SELECT hour, action, count FROM event_hour WHERE hour >= $1 AND hour < $2", end, until)
	if err != nil {
		return false, fmt.Errorf("read counters to be added up: %w", err)
	}
	past := sums{}
	for _, c := range counts {
		past.add(c.Time, c.Action, c.Count)
	}
	if err := past.write(tx); err != nil {
		return false, err
	}
	if _, err := tx.Exec("UPDATE event_past_end SET hour = $1 WHERE id = 1", until); err != nil {
		return false, fmt.Errorf("note which counters are added up: %w", err)
	}
	return until < last, nil
}

// floorTo rounds down to a multiple of step, below zero too.
func floorTo(micros, step int64) int64 {
	rest := micros % step
	if rest < 0 {
		rest += step
	}
	return micros - rest
}

// actionSet is the actions that a filter lets pass, of those that there are events of; all is every one of them.
type actionSet struct {
	names []string
	all   bool
}

// actionsOf looks up which actions the query's two filters on them let pass.
func actionsOf(tx *sqldb.Tx, q *drf.Query) (actionSet, error) {
	part, ok := q.Text("action")
	names := q.Texts("actions")
	if !ok {
		return actionSet{names, len(names) == 0}, nil
	}
	known, err := knownActions(tx)
	if err != nil {
		return actionSet{}, err
	}
	part = drf.Fold(part)
	return actionSet{names: slices.DeleteFunc(known, func(action string) bool {
		return !strings.Contains(action, part) || len(names) > 0 && !slices.Contains(names, action)
	})}, nil
}

// knownActions are those that there are counters of. There are few: each is looked up for itself.
func knownActions(tx *sqldb.Tx) ([]string, error) {
	known, err := sqldb.All(tx, scanString, `WITH RECURSIVE known (action) AS (
			SELECT min(action) FROM event_hour UNION ALL SELECT (SELECT min(h.action) FROM event_hour h WHERE h.action > known.action)
			FROM known WHERE known.action IS NOT NULL
		) SELECT action FROM known WHERE action IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("look up the actions that there are: %w", err)
	}
	return known, nil
}

func scanString(row sqldb.Scanner) (s string, err error) { return s, row.Scan(&s) }

// limit adds the condition that a column names one of the actions.
func (a actionSet) limit(where *sqldb.Where, column string) {
	if !a.all {
		where.In(column, listing.Args(a.names)...)
	}
}

// countEvents sums the counters of some actions.
func countEvents(tx *sqldb.Tx, actions actionSet) (int64, error) {
	end, err := pastEnd(tx, "")
	if err != nil {
		return 0, err
	}
	var past, live sqldb.Where
	past.Add("span = ?", spanAll)
	actions.limit(&past, "action")
	live.Add("hour >= ?", end)
	actions.limit(&live, "action")
	total := int64(0)
	for _, sum := range []struct {
		table string
		where *sqldb.Where
	}{{"event_past", &past}, {"event_hour", &live}} {
		var n int64
		if err := tx.Row("SELECT COALESCE(SUM(count), 0) FROM "+sum.table+sum.where.SQL(), sum.where.Args(), &n); err != nil {
			return 0, fmt.Errorf("count events: %w", err)
		}
		total += n
	}
	return total, nil
}
