package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// print prints all that was measured: what it was measured on, single figures, the table, how much slower a larger log is,
// the aims, and what was left out.
func (b *bench) print(out io.Writer, rows []*row) error {
	var text strings.Builder
	b.writeFigures(&text, rows)
	writeTable(&text, rows)
	b.writeGrowth(&text, rows)
	writeAims(&text, rows, b.only == nil)
	b.writeNotes(&text, rows)
	_, err := io.WriteString(out, text.String())
	return err
}

// writeFigures writes a list of what was measured on, and of the rows that are one figure.
func (b *bench) writeFigures(out *strings.Builder, rows []*row) {
	fmt.Fprintf(out, "- Date: %s\n- Machine: %d CPUs, %s, %s/%s\n- Go: %s\n- Measurements: median of %d, %v each\n", time.Now().Format(time.DateOnly),
		runtime.NumCPU(), cpuModel(), runtime.GOOS, runtime.GOARCH, strings.TrimPrefix(runtime.Version(), "go"), b.runs, b.time)
	for _, r := range rows {
		if r.unit != "" && len(r.samples) > 0 {
			fmt.Fprintf(out, "- %s: %s\n", r.name, figure(median(r.samples).Value, r.unit))
		}
	}
}

// figure writes a number with so many digits as mean something.
func figure(value float64, unit string) string {
	if value < 100 {
		return fmt.Sprintf("%.1f %s", value, unit)
	}
	return fmt.Sprintf("%.0f %s", value, unit)
}

// writeTable writes the rows of rates and times.
func writeTable(out *strings.Builder, rows []*row) {
	lines := [][]string{{"What", "Connections", "Per second", "p50 ms", "p95 ms", "p99 ms", "Of the ceiling", "RSS MB", "Server CPUs", "Clients' CPUs", "Fsyncs a request"}}
	for _, r := range rows {
		if r.unit != "" || len(r.samples) == 0 {
			continue
		}
		s := median(r.samples)
		line := []string{r.name, cell("%d", r.connections), fmt.Sprintf("%.0f", s.Rate), millis(s.P50), millis(s.P95), millis(s.P99), ""}
		if share, ok := ratio(r, find(rows, r.ceiling, r.connections), rateOf); ok {
			line[6] = fmt.Sprintf("%.1f %%", 100*share)
		}
		lines = append(lines, append(line, cell("%.0f", megabytes(s.RSS)), cell("%.2f", s.Server), cell("%.2f", s.Load), cell("%.3f", r.syncs)))
	}
	writeLines(out, lines)
}

// cell writes a number, and nothing for 0: what does not apply.
func cell[N int | float64](format string, n N) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

// writeGrowth writes the p95 of what is asked of every filled database, and the ratio of the largest to the smallest.
func (b *bench) writeGrowth(out *strings.Builder, rows []*row) {
	head := []string{"p95 ms, 1 connection"}
	for _, events := range b.events {
		head = append(head, thousands(events)+" events")
	}
	lines := [][]string{append(head, "Largest / smallest")}
	for _, read := range reads {
		line, all := []string{read.name}, []*row{}
		for _, events := range b.events {
			text := ""
			if r := find(rows, sizedName(read.name, events), 1); r != nil && len(r.samples) > 0 {
				text, all = millis(median(r.samples).P95), append(all, r)
			}
			line = append(line, text)
		}
		growth := ""
		if len(all) == len(b.events) {
			times, _ := ratio(all[len(all)-1], all[0], p95Of)
			growth = fmt.Sprintf("%.2f", times)
		}
		if len(all) > 0 {
			lines = append(lines, append(line, growth))
		}
	}
	if len(lines) > 1 {
		writeLines(out, lines)
	}
}

// writeNotes writes what is missing, and why.
func (b *bench) writeNotes(out *strings.Builder, rows []*row) {
	why := map[string][]string{}
	var reasons []string
	for _, r := range rows {
		if r.err == nil {
			continue
		}
		text := r.err.Error()
		var left leftOut
		if !errors.As(r.err, &left) {
			text = "WRONG: " + text
		}
		if why[text] == nil {
			reasons = append(reasons, text)
		}
		if !slices.Contains(why[text], r.name) {
			why[text] = append(why[text], r.name)
		}
	}
	notes := b.notes
	for _, r := range rows {
		if len(r.samples) > 0 && median(r.samples).Load > float64(runtime.NumCPU())/2 {
			notes = append(notes, "The clients took more than half of the machine, and may have been what ended it: "+r.title())
		}
	}
	for _, reason := range reasons {
		notes = append(notes, fmt.Sprintf("%s. Therefore not measured, or no longer: %s", reason, strings.Join(why[reason], " · ")))
	}
	if len(notes) > 0 {
		fmt.Fprintf(out, "\n- %s\n", strings.Join(notes, "\n- "))
	}
}

// writeLines writes a head and lines as a Markdown table, the first column to the left and the others to the right.
func writeLines(out *strings.Builder, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	out.WriteByte('\n')
	for n, line := range lines {
		fmt.Fprintf(out, "| %-*s |", widths[0], line[0])
		for i, cell := range line[1:] {
			fmt.Fprintf(out, " %*s |", widths[i+1], cell)
		}
		out.WriteByte('\n')
		if n > 0 {
			continue
		}
		out.WriteString("|" + strings.Repeat("-", widths[0]+2) + "|")
		for _, width := range widths[1:] {
			out.WriteString(strings.Repeat("-", width+1) + ":|")
		}
		out.WriteByte('\n')
	}
}

// millis is a time in milliseconds, and nothing for none.
func millis(d time.Duration) string { return cell("%.2f", milliseconds(d)) }

// megabytes is a number of bytes in millions.
func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }
