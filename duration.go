package modelwatch

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// durationUnits are the units of durations, the largest first.
var durationUnits = [...]struct {
	suffix string
	size   time.Duration
}{
	{"w", 7 * day}, {"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond},
}

// ParseDuration reads a duration such as "15m", "1h", "7d" or "1d12h": whole
// numbers with the units w, d, h, m, s and ms, the larger unit first, each at
// most once. A day is 24 hours, a week seven days. "0" is accepted without a unit.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	rest, unit := s, 0
	var total time.Duration
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, badDuration(s)
		}
		rest = rest[digits:]
		suffix := rest[:len(rest)-len(strings.TrimLeft(rest, "wdhms"))]
		for unit < len(durationUnits) && durationUnits[unit].suffix != suffix {
			unit++
		}
		if unit == len(durationUnits) {
			return 0, badDuration(s)
		}
		size := durationUnits[unit].size
		if n > int64((math.MaxInt64-total)/size) {
			return 0, fmt.Errorf("duration %q is longer than 292 years", s)
		}
		total += time.Duration(n) * size
		rest = rest[len(suffix):]
		unit++
	}
	if s == "" {
		return 0, badDuration(s)
	}
	return total, nil
}

func badDuration(s string) error {
	return fmt.Errorf("%q is not a duration: write whole numbers with the units d, h, m or s, for example 15m, 1h or 7d", s)
}

// FormatDuration writes a duration in the largest unit that divides it: "7d",
// "36h", "90m". ParseDuration reads it back, for anything in whole milliseconds;
// finer parts are cut off. Weeks are written as days.
func FormatDuration(d time.Duration) string {
	d = d.Truncate(time.Millisecond)
	for _, u := range durationUnits[1:] {
		if d != 0 && d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.suffix
		}
	}
	return "0s"
}
