package table

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// missingText reports whether a text stands for no value, in a column of any type.
func missingText(s string) bool {
	switch s {
	case "", "null", "NULL", "Null", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "None", "<NA>":
		return true
	}
	return false
}

// infiniteText reports whether a text spells an infinity: a number, but an invalid one.
func infiniteText(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return strings.EqualFold(s, "inf") || strings.EqualFold(s, "infinity")
}

// numberSyntax reports whether a text is a decimal number: sign, digits,
// fraction, exponent. Hexadecimal and underscores, which strconv knows, are text.
func numberSyntax(s string) bool {
	i, digits := 0, 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		digits++
	}
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
			digits++
		}
	}
	if digits == 0 || i == len(s) {
		return digits > 0
	}
	if s[i] != 'e' && s[i] != 'E' {
		return false
	}
	if i++; i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	start := i
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
	}
	return i == len(s) && i > start
}

// parseNumber reads a number. One too large for a float is an infinity.
func parseNumber(s string) (float64, bool) {
	if !numberSyntax(s) {
		if infiniteText(s) {
			if s[0] == '-' {
				return math.Inf(-1), true
			}
			return math.Inf(1), true
		}
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil || math.IsInf(v, 0)
}

// boolSyntax reports whether a text is taken for a boolean without being declared one.
func boolSyntax(s string) bool {
	switch s {
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return true
	}
	return false
}

// parseBool reads a boolean of a column declared to hold them.
func parseBool(s string) (value, ok bool) {
	switch s {
	case "true", "True", "TRUE", "1", "1.0":
		return true, true
	case "false", "False", "FALSE", "0", "0.0":
		return false, true
	}
	return false, false
}

// parseTime reads an RFC 3339 timestamp as microseconds: with a T or a space,
// a zone or none, which is UTC, or a date alone.
func parseTime(s string) (int64, bool) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	layout := time.RFC3339Nano
	switch {
	case len(s) == 10:
		layout = time.DateOnly
	case s[10] == ' ':
		layout = "2006-01-02 15:04:05.999999999Z07:00"
	}
	t, err := time.Parse(layout, s)
	if err != nil && len(s) > 10 {
		t, err = time.Parse(strings.TrimSuffix(layout, "Z07:00"), s)
	}
	if err != nil {
		return 0, false
	}
	return t.UnixMicro(), true
}

// epoch reads a Unix time whose unit is told by its size: seconds up to the
// year 5138, then milliseconds, microseconds, nanoseconds.
func epoch(v float64) (int64, bool) {
	switch a := math.Abs(v); {
	case !(a < 1e20):
		return 0, false
	case a < 1e11:
		return int64(math.Round(v * 1e6)), true
	case a < 1e14:
		return int64(math.Round(v * 1e3)), true
	case a < 1e17:
		return int64(math.Round(v)), true
	default:
		return int64(math.Round(v / 1e3)), true
	}
}

// parseDeclaredTime reads a time of a column declared to hold them.
func parseDeclaredTime(s string) (int64, bool) {
	if t, ok := parseTime(s); ok {
		return t, true
	}
	if v, ok := parseNumber(s); ok {
		return epoch(v)
	}
	return 0, false
}

func timeText(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano) }
