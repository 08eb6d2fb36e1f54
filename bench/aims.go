package main

import (
	"fmt"
	"strings"
)

// The sizes of a log that the aims are about.
const (
	small  = 10_000
	medium = 1_000_000
	large  = 10_000_000
)

// aim is a figure that Belfry wants to reach: got is answered by rows of this run.
type aim struct {
	what   string
	format string // of the figures
	least  bool   // want is the least, not the most
	want   float64
	got    func(m measured) (float64, bool)
}

// measured are the rows of a run.
type measured []*row

// number is one number of what a row has measured; ok is false where it has not.
func (m measured) number(name string, connections int, of func(sample) float64) (n float64, ok bool) {
	r := find(m, name, connections)
	if r == nil || len(r.samples) == 0 {
		return 0, false
	}
	return of(median(r.samples)), true
}

// The numbers of a sample.
func rateOf(s sample) float64  { return s.Rate }
func p95Of(s sample) float64   { return milliseconds(s.P95) }
func p99Of(s sample) float64   { return milliseconds(s.P99) }
func rssOf(s sample) float64   { return megabytes(s.RSS) }
func valueOf(s sample) float64 { return s.Value }

// single is one number of one row.
func single(name string, connections int, of func(sample) float64) func(measured) (float64, bool) {
	return func(m measured) (float64, bool) { return m.number(name, connections, of) }
}

// against is one number of a row against the same of another.
func against(name, other string, connections int, of func(sample) float64) func(measured) (float64, bool) {
	return func(m measured) (float64, bool) {
		return ratio(find(m, name, connections), find(m, other, connections), of)
	}
}

// growth is the p95 with most events against that with the fewest.
func growth(name string) func(measured) (float64, bool) {
	return against(sizedName(name, large), sizedName(name, small), 1, p95Of)
}

// worst is the greatest of some figures, all of which must be there.
func worst(of ...func(measured) (float64, bool)) func(measured) (float64, bool) {
	return func(m measured) (most float64, ok bool) {
		for _, one := range of {
			n, ok := one(m)
			if !ok {
				return 0, false
			}
			most = max(most, n)
		}
		return most, true
	}
}

// aims are what Belfry wants to reach.
func aims() (all []aim) {
	add := func(what, format string, want float64, least bool, got func(measured) (float64, bool)) {
		all = append(all, aim{what, format, least, want, got})
	}
	for _, n := range []struct {
		connections int
		share       float64
	}{{64, 0.45}, {256, 0.55}} {
		what := fmt.Sprintf("%s, %d connections, of the ceiling", seenRow, n.connections)
		add(what+": rate (goal: 0.6)", "%.2f", n.share, true, against(seenRow, seenCeiling, n.connections, rateOf))
		add(what+": p99", "%.1f ×", 3, false, against(seenRow, seenCeiling, n.connections, p99Of))
	}
	add(seenRow+", 1 connection, of the ceiling with an fsync each", "%.2f", 0.7, true, against(seenRow, syncCeiling, 1, rateOf))
	add(unmatchedRow+", 64 connections, of the ceiling", "%.2f", 0.4, true, against(unmatchedRow, eventCeiling, 64, rateOf))
	add(matchedRow+", 64 connections, of the ceiling", "%.2f", 0.3, true, against(matchedRow, eventCeiling, 64, rateOf))
	add("Batch of 1,000, of SQLite's inserts of the same rows", "%.2f", 0.6, true, against(batchRow, insertRow, 1, rateOf))
	add("PATCH seen beside batches: p99", "%.0f ms", 100, false, single(besideRow, besideClients, p99Of))
	for _, name := range []string{firstPage, byAction, byUser, byAddress, byTime, volumeRow, volumeDays, countRow} {
		add(name+": p95 with 10 million events against 10 thousand", "%.1f ×", 2, false, growth(name))
	}
	add(deepPage+" (1,000 of 100); 1 million events: p95", "%.1f ms", 30, false, single(sizedName(deepPage, medium), 1, p95Of))
	add("Search for a word; 1 million events: p95", "%.1f ms", 50, false,
		worst(single(sizedName(oftenSearch, medium), 1, p95Of), single(sizedName(seldomSearch, medium), 1, p95Of)))
	add("Search for three letters; 1 million events: p95", "%.1f ms", 150, false,
		worst(single(sizedName(oftenThree, medium), 1, p95Of), single(sizedName(seldomThree, medium), 1, p95Of)))
	add("1,000 live readers, 100 events a second: lag p99", "%.0f ms", 250, false, single(manyRow, 0, p99Of))
	add("1,000 live readers, 100 events a second: RSS", "%.0f MB", 150, false, single(manyRow, 0, rssOf))
	add("Deliveries a second to 32 receivers, all logged", "%.0f", 2000, true, single(receiversRow, 0, rateOf))
	add("RSS when idle; new database", "%.1f MB", 30, false, single(idleRow+newOne, 0, valueOf))
	add("RSS when idle; 10 million events", "%.1f MB", 60, false, single(sizedName(idleRow, large), 0, valueOf))
	add("Binary, stripped", "%.1f MB", 25, false, single(binaryRow, 0, valueOf))
	add("Start to ready; new database", "%.0f ms", 150, false, single(startRow+newOne, 0, valueOf))
	add("Start to ready; 10 million events", "%.0f ms", 500, false, single(sizedName(startRow, large), 0, valueOf))
	add("On disk for an event of 600 bytes; 1 million events", "%.0f B", 2200, false, single(sizedName(diskRow, medium), 0, valueOf))
	return all
}

// writeAims writes what was aimed at, what this run has measured, and whether it holds; and what has not been measured, where
// all of it is wanted.
func writeAims(out *strings.Builder, rows []*row, whole bool) {
	lines := [][]string{{"Aim", "Wanted", "Measured", ""}}
	for _, a := range aims() {
		sign := "≤ "
		if a.least {
			sign = "≥ "
		}
		line := []string{a.what, sign + fmt.Sprintf(a.format, a.want), "", "not measured"}
		got, ok := a.got(rows)
		if ok {
			line[2], line[3] = fmt.Sprintf(a.format, got), "does not hold"
			if a.least && got >= a.want || !a.least && got <= a.want {
				line[3] = "holds"
			}
		}
		if ok || whole {
			lines = append(lines, line)
		}
	}
	if len(lines) > 1 {
		writeLines(out, lines)
	}
}
