package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// memory is what a process has in memory, in bytes.
type memory struct{ now, most int64 }

// memoryOf asks Linux for the memory of a process.
func memoryOf(pid int) (m memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	_, err1 := fmt.Sscanf(field(string(text), "VmRSS"), "%d kB", &m.now)
	_, err2 := fmt.Sscanf(field(string(text), "VmHWM"), "%d kB", &m.most)
	m.now, m.most = m.now<<10, m.most<<10
	return m, errors.Join(err1, err2)
}

// processorTime is what a process has used of the processors, to a hundredth of a second.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold anything; the 14th and 15th fields count from before it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat says %q", pid, text)
	}
	var user, system int64
	_, err1 := fmt.Sscan(fields[11], &user)
	_, err2 := fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
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
