package main

import (
	"belfry/internal/drf"
	"belfry/internal/rules"
)

// none is the patch of what is only answered.
type none struct{}

// applicationUseSerializer writes a line of top_per_user.
var applicationUseSerializer = drf.NewSerializer("EventTopPerUser",
	drf.Object[applicationUse, none]("application", func(u *applicationUse) drf.JSON { return u.Application }, nil),
	drf.Int[applicationUse, none]("counted_events", func(u *applicationUse) int64 { return u.Events }, nil),
	drf.Int[applicationUse, none]("unique_users", func(u *applicationUse) int64 { return u.Users }, nil),
)

// pointSerializer writes a bin of a chart of 2024.6: x_cord in milliseconds, y_cord a count.
var pointSerializer = drf.NewSerializer("Coordinate",
	drf.Int[point, none]("x_cord", func(p *point) int64 { return p.End / 1000 }, nil),
	drf.Int[point, none]("y_cord", func(p *point) int64 { return p.Count }, nil),
)

// actionCountSerializer writes a bin of the chart of 2025.6.
var actionCountSerializer = drf.NewSerializer("EventVolume",
	drf.Time[actionCount, none]("time", func(c *actionCount) int64 { return c.Time }, nil),
	drf.Choice[actionCount, none]("action", rules.EventActions, func(c *actionCount) string { return c.Action }, nil),
	drf.Int[actionCount, none]("count", func(c *actionCount) int64 { return c.Count }, nil),
)

// eventStats is how many people have events, and how many events there are since some moments.
type eventStats struct {
	UniqueUsers int64
	CountStep   drf.JSON // count by step
}

// eventStatsSerializer writes the answer of stats.
var eventStatsSerializer = drf.NewSerializer("EventStats",
	drf.Int[eventStats, none]("unique_users", func(s *eventStats) int64 { return s.UniqueUsers }, nil),
	drf.Object[eventStats, none]("count_step", func(s *eventStats) drf.JSON { return s.CountStep }, nil),
)

// with is a list's spec with further parameters, for what counts the events that the list would show.
func with(spec *drf.ListSpec, more ...drf.Filter) *drf.ListSpec {
	return &drf.ListSpec{Filters: append(more, spec.Filters...), Search: spec.Search}
}

// What the statistics take.
var (
	topList   = &drf.ListSpec{Filters: []drf.Filter{actionName, {Name: "top_n", Kind: drf.FilterCount, Help: "How many; 15 if not given."}}}
	monthList = &drf.ListSpec{Filters: []drf.Filter{actionName,
		{Name: "query", Help: "Further filters, as a JSON object of fields in Django's spelling and their values."}}}
	volumeList = with(eventList, drf.Filter{Name: "history_days", Kind: drf.FilterCount,
		Help: "How many days to look back, 60 at most. With it the answer has the form of 2025.6: EventVolume."})
	statsList = with(eventList, drf.Filter{Name: "count_steps", Kind: drf.FilterTexts, Required: true,
		Help: "How far to look back, such as hours=24 or days=7;hours=12."})
)

// actionName is the filter of the statistics that are about one action.
var actionName = drf.Filter{Name: "action", Kind: drf.FilterText, Help: "The action's whole name; login if not given."}
