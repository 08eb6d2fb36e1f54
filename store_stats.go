package main

import (
	"fmt"

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

// countBins counts the events that q asks for in bins of step, the newest first. The first bin lies
// ahead of now and is empty: authentik's chart has it. Bins end on whole hours.
func countBins(tx *sqldb.Tx, where sqldb.Where, counted bool, bins int, step int64) ([]point, error) {
	end := floorTo(tx.Now(), hourMicros) + hourMicros
	start := end - int64(bins-1)*step
	points := make([]point, bins)
	for i := range points {
		points[i].End = end + step - int64(i)*step
	}
	column, from, sum := "e.created", "event e", "COUNT(*)"
	if counted {
		column, from, sum = "e.hour", "event_hour e", "SUM(e.count)"
	}
	where.Add(column+" >= ?", start)
	where.Add(column+" < ?", end)
	args := append(where.Args(), start, step)
	bin := fmt.Sprintf("(%s - $%d) / $%d", column, len(args)-1, len(args))
	counts, err := sqldb.All(tx, scanPair, "SELECT "+bin+", "+sum+" FROM "+from+where.SQL()+" GROUP BY 1", args...)
	if err != nil {
		return nil, fmt.Errorf("count events by time: %w", err)
	}
	for _, c := range counts {
		points[bins-1-int(c[0])].Count = c[1]
	}
	return points, nil
}

// scanPair reads two integers.
func scanPair(row sqldb.Scanner) (pair [2]int64, err error) {
	err = row.Scan(&pair[0], &pair[1])
	return pair, err
}

// volumeBin is the width of a bin of the later volume chart; bins begin at 00, 06, 12 and 18 UTC.
const volumeBin = 6 * hourMicros

// countByAction counts events from since on, by bin of six hours and action, without empty ones.
func countByAction(tx *sqldb.Tx, where sqldb.Where, counted bool, since int64) ([]actionCount, error) {
	column, from, sum := "e.created", "event e", "COUNT(*)"
	if counted && since%hourMicros == 0 {
		column, from, sum = "e.hour", "event_hour e", "SUM(e.count)"
	}
	where.Add(column+" >= ?", since)
	args := append(where.Args(), volumeBin)
	width := fmt.Sprintf("$%d", len(args))
	return sqldb.All(tx, func(row sqldb.Scanner) (c actionCount, err error) {
		err = row.Scan(&c.Time, &c.Action, &c.Count)
		return c, err
	}, "SELECT ("+column+" / "+width+") * "+width+", e.action, "+sum+" FROM "+from+where.SQL()+
		" GROUP BY 1, 2 HAVING "+sum+" > 0 ORDER BY 1, 2", args...)
}

// topApplications counts the events of one action by application, the most used first.
func topApplications(tx *sqldb.Tx, action string, n int64) ([]applicationUse, error) {
	return sqldb.All(tx, func(row sqldb.Scanner) (u applicationUse, err error) {
		err = row.Scan(&u.Application, &u.Events, &u.Users)
		return u, err
	}, `SELECT e.application, COUNT(*), COUNT(DISTINCT e.user_pk) FROM event e
		WHERE e.action = $1 AND e.application IS NOT NULL
		GROUP BY e.application ORDER BY 2 DESC, 1 LIMIT $2`, action, n)
}

// countUsers counts the people whose events pass.
func countUsers(tx *sqldb.Tx, where sqldb.Where) (n int64, err error) {
	if err = tx.Row("SELECT COUNT(DISTINCT e.user_pk) FROM event e"+where.SQL(), where.Args(), &n); err != nil {
		return 0, fmt.Errorf("count users of events: %w", err)
	}
	return n, nil
}

// countSince counts the events that pass and are not older than since. Where the hourly counters cover the filter only
// the rest of the first hour is counted row by row.
func countSince(tx *sqldb.Tx, where sqldb.Where, counted bool, since int64) (n int64, err error) {
	whole := int64(0)
	if counted {
		first := floorTo(since-1, hourMicros) + hourMicros
		hours := where
		hours.Add("e.hour >= ?", first)
		if err = tx.Row("SELECT COALESCE(SUM(e.count), 0) FROM event_hour e"+hours.SQL(), hours.Args(), &whole); err != nil {
			return 0, fmt.Errorf("sum events by hour: %w", err)
		}
		where.Add("e.created < ?", first)
	}
	where.Add("e.created >= ?", since)
	if err = tx.Row("SELECT COUNT(*) FROM event e"+where.SQL(), where.Args(), &n); err != nil {
		return 0, fmt.Errorf("count events: %w", err)
	}
	return whole + n, nil
}
