package drf

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	msgTime = "Datetime has wrong format. Use one of these formats instead: " +
		"YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
	msgTimeRange = "Datetime value out of range."
)

// FormatTime writes UTC microseconds as DRF does: Z, and 6 digits only when they are not all zero.
// Years run from 1 to 9999, as everything that this package reads as a time does.
func FormatTime(micros int64) string { return string(appendTime(nil, micros)) }

func appendTime(dst []byte, micros int64) []byte {
	t := time.UnixMicro(micros).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(appendDigits(dst, year, 4), '-')
	dst = append(appendDigits(dst, int(month), 2), '-')
	dst = append(appendDigits(dst, day, 2), 'T')
	dst = append(appendDigits(dst, hour, 2), ':')
	dst = append(appendDigits(dst, minute, 2), ':')
	dst = appendDigits(dst, second, 2)
	if micro := t.Nanosecond() / 1000; micro != 0 {
		dst = appendDigits(append(dst, '.'), micro, 6)
	}
	return append(dst, 'Z')
}

// appendDigits appends a number with leading zeros.
func appendDigits(dst []byte, n, width int) []byte {
	start := len(dst)
	dst = append(dst, "000000"[:width]...)
	for i := start + width - 1; i >= start; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}

// timePattern is Django's: groups are year, month, day, hour, minute, second, fraction, zone.
var timePattern = regexp.MustCompile(
	`^(\d{4})-(\d{1,2})-(\d{1,2})[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,6})\d{0,6})?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?$`)

var datePattern = regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})$`)

// parseTime reads a moment, in UTC microseconds; without a zone it is UTC. The second answer is what is wrong, or "".
func parseTime(text string) (int64, string) {
	m := timePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, msgTime
	}
	var n [6]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1])
	}
	year, month, day, hour, minute, second := n[0], n[1], n[2], n[3], n[4], n[5]
	offset, ok := parseZone(m[8])
	if !ok || year == 0 || hour > 23 || minute > 59 || second > 59 {
		return 0, msgTime
	}
	micro, _ := strconv.Atoi((m[7] + "000000")[:6])
	t := time.Date(year, time.Month(month), day, hour, minute, second, micro*1000, time.UTC)
	// time.Date carries the 31st of April over to May, and Python refuses it.
	if t.Day() != day || int(t.Month()) != month {
		return 0, msgTime
	}
	t = t.Add(-offset)
	if t.Year() < 1 || t.Year() > 9999 {
		return 0, msgTimeRange
	}
	return t.UnixMicro(), ""
}

// parseZone reads Z, +HH, +HHMM or +HH:MM as the distance from UTC, which is less than a day.
func parseZone(zone string) (time.Duration, bool) {
	if zone == "" || zone == "Z" {
		return 0, true
	}
	digits := strings.ReplaceAll(zone[1:], ":", "")
	hours, _ := strconv.Atoi(digits[:2])
	minutes, _ := strconv.Atoi(digits[2:])
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if zone[0] == '-' {
		return -offset, offset < 24*time.Hour
	}
	return offset, offset < 24*time.Hour
}
