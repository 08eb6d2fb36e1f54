package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// describe prints what was measured on, and what is measured once: in a list.
func (b *bench) describe(out io.Writer) error {
	server := b.belfry
	now, err := memoryOf(server.process.Process.Pid)
	if err != nil {
		return err
	}
	facts := [][2]string{
		{"Date", time.Now().Format(time.DateOnly)},
		{"Machine", fmt.Sprintf("%d CPUs, %s, %s", runtime.NumCPU(), cpuModel(), runtime.GOOS+"/"+runtime.GOARCH)},
		{"Go", strings.TrimPrefix(runtime.Version(), "go")},
		{"Measurements", fmt.Sprintf("median of %d, %v each", b.runs, b.time)},
		{"Binary", fmt.Sprintf("%.1f MB", float64(server.size)/1e6)},
		{"Start to ready, new database", fmt.Sprintf("%d ms", server.starts[len(server.starts)/2].Milliseconds())},
		{"Memory when ready", server.atRest.String()},
		{"Memory after all measurements", now.String()},
	}
	for _, f := range facts {
		if _, err := fmt.Fprintf(out, "- %s: %s\n", f[0], f[1]); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(out)
	return err
}

// printTable prints the rows as a table that reads well as text and as Markdown.
func printTable(out io.Writer, rows []*row) error {
	type key struct {
		name        string
		connections int
	}
	ceilings := map[key]float64{}
	for _, r := range rows {
		ceilings[key{r.name, r.connections}] = median(r.samples).Rate
	}
	lines := [][]string{{"What", "Connections", "Per second", "p50 ms", "p95 ms", "p99 ms", "Of the ceiling"}}
	for _, r := range rows {
		s, connections, ratio := median(r.samples), "", ""
		if r.connections > 0 {
			connections = fmt.Sprint(r.connections)
		}
		if r.ceiling != "" {
			ratio = fmt.Sprintf("%.1f %%", 100*s.Rate/ceilings[key{r.ceiling, r.connections}])
		}
		lines = append(lines, []string{r.name, connections, fmt.Sprintf("%.0f", s.Rate), millis(s.P50), millis(s.P95), millis(s.P99), ratio})
	}
	return printLines(out, lines)
}

// printLines prints a head and lines as a Markdown table, the first column to the left and the others to the right.
func printLines(out io.Writer, lines [][]string) error {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var text strings.Builder
	for n, line := range lines {
		fmt.Fprintf(&text, "| %-*s |", widths[0], line[0])
		for i, cell := range line[1:] {
			fmt.Fprintf(&text, " %*s |", widths[i+1], cell)
		}
		text.WriteByte('\n')
		if n > 0 {
			continue
		}
		text.WriteString("|" + strings.Repeat("-", widths[0]+2) + "|")
		for _, width := range widths[1:] {
			text.WriteString(strings.Repeat("-", width+1) + ":|")
		}
		text.WriteByte('\n')
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// millis is a time in milliseconds.
func millis(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }

// memory is what a process has in memory, in KiB.
type memory struct{ now, most int64 }

func (m memory) String() string {
	return fmt.Sprintf("%.0f MiB (at most %.0f MiB)", float64(m.now)/1024, float64(m.most)/1024)
}

// memoryOf asks Linux for the memory of a process.
func memoryOf(pid int) (m memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	_, err1 := fmt.Sscanf(field(string(text), "VmRSS"), "%d kB", &m.now)
	_, err2 := fmt.Sscanf(field(string(text), "VmHWM"), "%d kB", &m.most)
	return m, errors.Join(err1, err2)
}

// cpuModel is the processor's name, as far as Linux knows it.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if model := field(string(text), "model name"); err == nil && model != "" {
		return model
	}
	return "unknown processor"
}

// field is the value of the first line "name: value" of a file of /proc; "" when there is none.
func field(text, name string) string {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
