package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// point is how many events fall into one bin of a chart, which ends at End (UTC microseconds).
type point struct{ End, Count int64 }

// actionCount is how many events of an action fall into the bin that begins at Time.
type actionCount struct {
	Time   int64
	Action string
	Count  int64
}

// applicationUse is how often an application was used, and by how many people.
type applicationUse struct {
	Application drf.JSON
	Events      int64
	Users       int64
}

// newPoints are bins of step until now, the newest first, that count nothing yet. The first bin lies
// ahead of now and stays empty: authentik's chart has it. Bins end on whole hours.
func newPoints(now int64, bins int, step int64) []point {
	end := floorTo(now, hourMicros) + hourMicros
	points := make([]point, bins)
	for i := range points {
		points[i].End = end + step - int64(i)*step
	}
	return points
}

// countBins counts the events of a selection into bins of step.
func countBins(tx *sqldb.Tx, s selection, points []point, step int64) (err error) {
	switch {
	case s.listed: // to list it again for every bin would take longer
		return countListed(tx, s, points, step)
	case s.counted:
		end := points[0].End - step
		hours, err := s.actions.between(tx, points[len(points)-1].End-step, end)
		for _, h := range hours {
			points[1+(end-1-h[0])/step].Count += h[1]
		}
		return err
	}
	for i := 1; i < len(points) && err == nil; i++ {
		points[i].Count, err = s.countBetween(tx, points[i].End-step, points[i].End)
	}
	return err
}

func countListed(tx *sqldb.Tx, s selection, points []point, step int64) error {
	end := points[0].End - step
	s.Where.Add("e.created >= ?", points[len(points)-1].End-step)
	s.Where.Add("e.created < ?", end)
	events := s.events()
	query, args := events.Union(tx, "e.created")
	args = append(args, end-1, step)
	bin := fmt.Sprintf("($%d - created) / $%d", len(args)-1, len(args))
	counts, err := sqldb.All(tx, scanPair, "SELECT "+bin+", COUNT(*) FROM ("+query+") AS found GROUP BY 1", args...)
	if err != nil {
		return fmt.Errorf("count events by time: %w", err)
	}
	for _, c := range counts {
		points[1+c[0]].Count = c[1]
	}
	return nil
}

// forever is the end of all time.
const forever = math.MaxInt64

// countBetween counts the events of a selection from start on and before end: by the counters where they cover it, and
// what is not a whole hour at the beginning row by row.
func (s selection) countBetween(tx *sqldb.Tx, start, end int64) (n int64, err error) {
	rows := end
	if s.counted {
		rows = floorTo(start-1, hourMicros) + hourMicros
		hours, err := s.actions.between(tx, rows, end)
		if err != nil {
			return 0, err
		}
		for _, h := range hours {
			n += h[1]
		}
	}
	if rows <= start {
		return n, nil
	}
	s.Where.Add("e.created >= ?", start)
	s.Where.Add("e.created < ?", rows)
	events := s.events()
	rest, err := events.CountAll(tx)
	if err != nil {
		return 0, fmt.Errorf("count events by time: %w", err)
	}
	return n + rest, nil
}

// scanPair reads two integers.
func scanPair(row sqldb.Scanner) (pair [2]int64, err error) {
	err = row.Scan(&pair[0], &pair[1])
	return pair, err
}

// volumeBin is the width of a bin of the later volume chart; bins begin at 00, 06, 12 and 18 UTC.
const volumeBin = 6 * hourMicros

// countByAction counts events from since on, by bin of six hours and action, without empty ones.
func countByAction(tx *sqldb.Tx, s selection, since int64) ([]actionCount, error) {
	if s.counted {
		return s.actions.byBin(tx, since)
	}
	s.Where.Add("e.created >= ?", since)
	events := s.events()
	query, args := events.Union(tx, "e.created, e.action, 1 AS count")
	args = append(args, volumeBin)
	width := "$" + strconv.Itoa(len(args))
	counts, err := sqldb.All(tx, scanTimedCount, "SELECT (created / "+width+") * "+width+", action, SUM(count) FROM ("+query+") AS counted"+
		" GROUP BY 1, 2 HAVING SUM(count) > 0 ORDER BY 1, 2", args...)
	if err != nil {
		return nil, fmt.Errorf("count events by time and action: %w", err)
	}
	return counts, nil
}

// byBin is countByAction by the counters of the actions: of whole bins of the past by what they add up to, and of others by the
// hour. They are few, and put together in less time than the database takes to group them.
func (a actionSet) byBin(tx *sqldb.Tx, since int64) (counts []actionCount, err error) {
	end, err := pastEnd(tx, "")
	if err != nil {
		return nil, err
	}
	whole := floorTo(since-1, volumeBin) + volumeBin
	var first sqldb.Where
	first.Add("hour >= ?", since)
	first.Add("hour < ?", whole)
	a.limit(&first, "action || ''") // see hours
	past := first.Then()
	past.Add("span = ?", spanBin)
	past.Add("start >= ?", whole)
	a.limit(&past, "action || ''")
	live := past.Then()
	live.Add("hour >= ?", max(whole, end))
	a.limit(&live, "action || ''")
	parts, err := sqldb.All(tx, scanTimedCount, "SELECT hour, action, count FROM event_hour"+first.SQL()+" UNION ALL SELECT start, action, count FROM event_past"+past.SQL()+
		" UNION ALL SELECT hour, action, count FROM event_hour"+live.SQL(), live.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read counters by time and action: %w", err)
	}
	for i := range parts {
		parts[i].Time = floorTo(parts[i].Time, volumeBin)
	}
	slices.SortFunc(parts, func(a, b actionCount) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), strings.Compare(a.Action, b.Action))
	})
	for _, p := range parts {
		if n := len(counts); n > 0 && counts[n-1].Time == p.Time && counts[n-1].Action == p.Action {
			counts[n-1].Count += p.Count
		} else {
			counts = append(counts, p)
		}
	}
	return slices.DeleteFunc(counts, func(c actionCount) bool { return c.Count <= 0 }), nil
}

func scanTimedCount(row sqldb.Scanner) (c actionCount, err error) {
	return c, row.Scan(&c.Time, &c.Action, &c.Count)
}

// topApplications counts the events of one action by application, the most used first.
func topApplications(tx *sqldb.Tx, action string, n int64) ([]applicationUse, error) {
	return sqldb.All(tx, func(row sqldb.Scanner) (u applicationUse, err error) {
		return u, row.Scan(&u.Application, &u.Events, &u.Users)
	}, `SELECT application, SUM(count), COUNT(NULLIF(user_pk, '')) FROM event_application
		WHERE action = $1 GROUP BY application ORDER BY 2 DESC, 1 LIMIT $2`, action, n)
}

// countUsers counts the people whose events are selected.
func countUsers(tx *sqldb.Tx, s selection) (n int64, err error) {
	events := s.events()
	query, args := events.Union(tx, "e.user_pk")
	if err = tx.Row("SELECT COUNT(DISTINCT user_pk) FROM ("+query+") AS people", args, &n); err != nil {
		return 0, fmt.Errorf("count users of events: %w", err)
	}
	return n, nil
}
