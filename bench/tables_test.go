package main

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

// measuredRow is a row with one sample.
func measuredRow(name string, connections int, s sample) *row {
	return &row{name: name, connections: connections, samples: []sample{s}}
}

func TestAimsAreComparedWithTheRowsOfTheRun(t *testing.T) {
	const ms = time.Millisecond
	rows := []*row{
		measuredRow(seenCeiling, 64, sample{Rate: 1000, P99: 2 * ms}), measuredRow(seenRow, 64, sample{Rate: 450, P99: 7 * ms}),
		measuredRow(seenCeiling, 256, sample{Rate: 1000, P99: 2 * ms}), measuredRow(seenRow, 256, sample{Rate: 549, P99: 6 * ms}),
		measuredRow(syncCeiling, 1, sample{Rate: 100}), measuredRow(seenRow, 1, sample{Rate: 70}),
		measuredRow(insertRow, 0, sample{Rate: 100}), measuredRow(batchRow, 1, sample{Rate: 59}),
		measuredRow(besideRow, besideClients, sample{P99: 100 * ms}),
		measuredRow(sizedName(firstPage, small), 1, sample{P95: 2 * ms}), measuredRow(sizedName(firstPage, large), 1, sample{P95: 4 * ms}),
		measuredRow(sizedName(firstPage, large), 64, sample{P95: 40 * ms}),
		measuredRow(sizedName(oftenSearch, medium), 1, sample{P95: 50 * ms}), measuredRow(sizedName(seldomSearch, medium), 1, sample{P95: 51 * ms}),
		measuredRow(sizedName(oftenThree, medium), 1, sample{P95: 1 * ms}),
		measuredRow(manyRow, 0, sample{P99: 250 * ms, RSS: 151e6}), measuredRow(receiversRow, 0, sample{Rate: 1999}),
		measuredRow(idleRow+newOne, 0, sample{Value: 30}), measuredRow(sizedName(startRow, large), 0, sample{Value: 501}),
		{name: binaryRow},
	}
	var out strings.Builder
	writeAims(&out, rows, true)
	for what, want := range map[string]string{
		`PATCH seen, 64 connections, of the ceiling: rate \(goal: 0.6\)`:  `≥ 0.45 \| +0.45 \| +holds`,
		`PATCH seen, 64 connections, of the ceiling: p99`:                 `≤ 3.0 × \| +3.5 × \| +does not hold`,
		`PATCH seen, 256 connections, of the ceiling: rate \(goal: 0.6\)`: `≥ 0.55 \| +0.55 \| +does not hold`,
		`PATCH seen, 256 connections, of the ceiling: p99`:                `≤ 3.0 × \| +3.0 × \| +holds`,
		`PATCH seen, 1 connection, of the ceiling with an fsync each`:     `≥ 0.70 \| +0.70 \| +holds`,
		`POST event, no rule matches, 64 connections, of the ceiling`:     `≥ 0.40 \| +\| +not measured`,
		`Batch of 1,000, of SQLite's inserts of the same rows`:            `≥ 0.60 \| +0.59 \| +does not hold`,
		`PATCH seen beside batches: p99`:                                  `≤ 100 ms \| +100 ms \| +holds`,
		`Events, first page: p95 with 10 million events against 10 th.*d`: `≤ 2.0 × \| +2.0 × \| +holds`,
		`Volume: p95 with 10 million events against 10 thousand`:          `≤ 2.0 × \| +\| +not measured`,
		`Search for a word; 1 million events: p95`:                        `≤ 50.0 ms \| +51.0 ms \| +does not hold`,
		`Search for three letters; 1 million events: p95`:                 `≤ 150.0 ms \| +\| +not measured`,
		`1,000 live readers, 100 events a second: lag p99`:                `≤ 250 ms \| +250 ms \| +holds`,
		`1,000 live readers, 100 events a second: RSS`:                    `≤ 150 MB \| +151 MB \| +does not hold`,
		`Deliveries a second to 32 receivers, all logged`:                 `≥ 2000 \| +1999 \| +does not hold`,
		`RSS when idle; new database`:                                     `≤ 30.0 MB \| +30.0 MB \| +holds`,
		`Start to ready; 10 million events`:                               `≤ 500 ms \| +501 ms \| +does not hold`,
		`Binary, stripped`:                                                `≤ 25.0 MB \| +\| +not measured`,
	} {
		if !regexp.MustCompile(`\n\| ` + what + ` +\| +` + want + ` \|\n`).MatchString(out.String()) {
			t.Errorf("%s: no %s in\n%s", what, want, out.String())
		}
	}
	out.Reset()
	if writeAims(&out, rows[:2], false); strings.Count(out.String(), "\n") != 1+2+2 {
		t.Errorf("where not all is measured, it says\n%s", out.String())
	}
}

// TestEveryAimIsAboutARowThatIsMeasured compares the aims with a run of all rows: a row that has another name would never be
// looked at.
func TestEveryAimIsAboutARowThatIsMeasured(t *testing.T) {
	o, err := parse(nil, &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	rows := newBench(t.Context(), o, t.TempDir()).rows()
	for _, r := range rows {
		r.samples = []sample{{Rate: 1, P50: 1, P95: 1, P99: 1, RSS: 1, Value: 1}}
	}
	for _, a := range aims() {
		if _, ok := a.got(rows); !ok {
			t.Errorf("%s: no row", a.what)
		}
	}
	names := map[string]bool{}
	for _, r := range rows {
		if names[r.title()] {
			t.Errorf("two rows are %s", r.title())
		}
		names[r.title()] = true
		if r.ceiling != "" && find(rows, r.ceiling, r.connections) == nil {
			t.Errorf("%s is compared with nothing", r.title())
		}
	}
}

func TestWhatIsNotMeasuredIsSaid(t *testing.T) {
	b := &bench{options: options{events: []int{small, large}}, notes: []string{"no strace"}}
	rows := []*row{
		{name: "one", connections: 1, err: leftOut("it is not there")}, {name: "one", connections: 64, err: leftOut("it is not there")},
		{name: "two", err: leftOut("it is not there")}, {name: "three", err: errors.New("got 500")},
		measuredRow(sizedName(firstPage, small), 1, sample{Rate: 10, P95: 2 * time.Millisecond}), measuredRow(sizedName(firstPage, large), 1, sample{Rate: 9, P95: 3 * time.Millisecond}),
		measuredRow(sizedName(volumeRow, small), 1, sample{Rate: 10, P95: 2 * time.Millisecond}), {name: sizedName(volumeRow, large), connections: 1, err: leftOut("too long")},
		measuredRow("four", 1, sample{Rate: 1, Load: 1e6}), {name: "a figure", unit: "MB", samples: []sample{{Value: 12.34}}},
	}
	var out strings.Builder
	if err := b.print(&out, rows); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n- it is not there. Therefore not measured, or no longer: one · two\n", "\n- WRONG: got 500. Therefore not measured, or no longer: three\n", "\n- no strace\n",
		"\n- too long. Therefore not measured, or no longer: Volume; 10 million events\n", "\n- a figure: 12.3 MB\n",
		"what ended it: four, 1 connection\n",
		"\n| Events, first page   |               2.00 |              3.00 |               1.50 |\n",
		"\n| Volume               |               2.00 |                   |                    |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if err := wrongAnswers(rows); err == nil || !strings.Contains(err.Error(), "three: got 500") || strings.Contains(err.Error(), "two") {
		t.Errorf("wrong answers: %v", err)
	}
}

func TestTheCommandLineIsRefusedWhereNothingCanBeMeasured(t *testing.T) {
	for _, args := range []string{"-runs 0", "-time 0s", "x", "-connections 0", "-connections 1,x", "-connections 1001", "-events 9999", "-events x", "-only (", "-quick -connections 256"} {
		if o, err := parse(strings.Fields(args), &strings.Builder{}); err == nil {
			t.Errorf("%s: %+v", args, o)
		}
	}
	o, err := parse([]string{"-quick", "-runs", "2", "-connections", "8,1,8"}, &strings.Builder{})
	if err != nil || o.runs != 2 || o.time != 200*time.Millisecond || len(o.connections) != 2 || o.connections[0] != 1 || o.events[1] != 50_000 {
		t.Errorf("%+v %v", o, err)
	}
}
