package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"belfry/internal/sqldb"
)

// hourPart is a part of the counters by the hour.
type hourPart struct {
	from  string
	where sqldb.Where
}

// hours are the counters by the hour of the actions, all the same how many each hour has: the past first, which is added up
// where no action is asked for.
func (a actionSet) hours(tx *sqldb.Tx) ([]hourPart, error) {
	if !a.all {
		part := hourPart{from: "event_hour"}
		// Of several actions the hours are to come in their order: of an expression there is no index.
		column := "action"
		if len(a.names) > 1 {
			column = "action || ''"
		}
		a.limit(&part.where, column)
		return []hourPart{part}, nil
	}
	end, err := pastEnd(tx, "")
	past, live := hourPart{from: "(SELECT start AS hour, count, span FROM event_past) AS past"}, hourPart{from: "event_hour"}
	past.where.Add("span = ?", spanHour)
	live.where.Add("hour >= ?", end)
	return []hourPart{past, live}, err
}

// hoursAtOnce is how many counters by the hour are read at once by whoever looks for an hour.
const hoursAtOnce = 200

// passHours finds the hour in which the event number offset of some actions stands: how many there are in the hours
// before it, which begin, or end, at edge. See [sqldb.Walk].
func passHours(tx *sqldb.Tx, actions actionSet, desc bool, offset int64) (edge, passed int64, err error) {
	parts, err := actions.hours(tx)
	if err != nil {
		return 0, 0, err
	}
	if edge = math.MinInt64; desc {
		edge = math.MaxInt64
		slices.Reverse(parts)
	}
	for _, part := range parts {
		for more := true; more; {
			hours, err := part.next(tx, desc, edge)
			if err != nil {
				return 0, 0, err
			}
			for _, h := range hours {
				if passed+h[1] > offset {
					return edge, passed, nil
				}
				passed += h[1]
				if edge = h[0]; !desc {
					edge += hourMicros
				}
			}
			more = len(hours) == hoursAtOnce
		}
	}
	return edge, passed, nil
}

// next answers the next hours beyond edge, and how many events each has.
func (p hourPart) next(tx *sqldb.Tx, desc bool, edge int64) ([][2]int64, error) {
	order := "hour"
	if desc {
		order = "hour DESC"
		p.where.Add("hour < ?", edge)
	} else {
		p.where.Add("hour >= ?", edge)
	}
	hours, err := sqldb.All(tx, scanPair, "SELECT hour, SUM(count) FROM "+p.from+p.where.SQL()+" GROUP BY hour ORDER BY "+order+" LIMIT "+strconv.Itoa(hoursAtOnce),
		p.where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("look for an hour by its counter: %w", err)
	}
	return hours, nil
}

// atLeast is how many events there are in whole hours from start on and before end; of no more hours than are quickly read.
func (a actionSet) atLeast(tx *sqldb.Tx, start, end int64) (n int64, err error) {
	start, end = max(start, -forever/2), min(end, forever/2)
	parts, err := a.hours(tx)
	for _, part := range parts {
		part.where.Add("hour < ?", floorTo(end, hourMicros))
		hours, err := part.next(tx, false, floorTo(start-1, hourMicros)+hourMicros)
		if err != nil {
			return 0, err
		}
		for _, h := range hours {
			n += h[1]
		}
	}
	return n, err
}

// between answers counters of the hours from start on and before end, in no order; an hour may have several.
func (a actionSet) between(tx *sqldb.Tx, start, end int64) (hours [][2]int64, err error) {
	parts, err := a.hours(tx)
	for _, part := range parts {
		part.where.Add("hour >= ?", start)
		part.where.Add("hour < ?", end)
		some, err := sqldb.All(tx, scanPair, "SELECT hour, count FROM "+part.from+part.where.SQL(), part.where.Args()...)
		if err != nil {
			return nil, fmt.Errorf("read counters by the hour: %w", err)
		}
		hours = append(hours, some...)
	}
	return hours, err
}
