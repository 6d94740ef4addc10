package ingest

import (
	"math"
	"strconv"
	"time"
	"unsafe"
)

// parseTime reads RFC 3339 text as microseconds since 1970. It also takes what
// languages print by default: a space or a small t between date and time, no
// zone (then it is UTC), no seconds, and a date alone (its midnight). A fraction
// beyond microseconds is cut.
func parseTime(b []byte) (int64, bool) {
	date, ok := parseDate(b)
	if !ok || len(b) == dateBytes {
		return date, ok
	}
	return parseOnDate(date, b[dateBytes:])
}

// dateBytes is the length of a date.
const dateBytes = len("2006-01-02")

// parseDate reads the date that text begins with, as its midnight.
func parseDate(b []byte) (int64, bool) {
	year, ok1 := digits(b, 0, 4)
	month, ok2 := digits(b, 5, 2)
	day, ok3 := digits(b, 8, 2)
	if !ok1 || !ok2 || !ok3 || b[4] != '-' || b[7] != '-' || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	return daysSince1970(year, month, day) * microsPerDay, true
}

// parseOnDate reads what follows a date, which is not nothing.
func parseOnDate(date int64, b []byte) (int64, bool) {
	if c := b[0]; c != 'T' && c != 't' && c != ' ' {
		return 0, false
	}
	clock, rest, ok := parseClock(b[1:])
	if !ok {
		return 0, false
	}
	zone, ok := parseZone(rest)
	return date + clock - zone, ok
}

// timeParser is parseTime for times of which most have the date of the one before.
type timeParser struct {
	text  [dateBytes]byte // of the last date
	date  int64
	known bool // there was one
}

func (p *timeParser) parse(b []byte) (int64, bool) {
	if len(b) <= dateBytes {
		return parseTime(b)
	}
	if !p.known || string(b[:dateBytes]) != string(p.text[:]) {
		date, ok := parseDate(b)
		if !ok {
			return 0, false
		}
		p.date, p.known = date, true
		copy(p.text[:], b)
	}
	return parseOnDate(p.date, b[dateBytes:])
}

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86_400 * microsPerSecond
)

// parseClock reads hh:mm[:ss[.f]] and returns what follows.
func parseClock(b []byte) (micros int64, rest []byte, ok bool) {
	if len(b) >= len("15:04:05") {
		if seconds, ok := secondsOf(load(b, 0)); ok {
			return parseFraction(seconds*microsPerSecond, b[len("15:04:05"):])
		}
	}
	hour, ok1 := digits(b, 0, 2)
	minute, ok2 := digits(b, 3, 2)
	if !ok1 || !ok2 || b[2] != ':' || hour > 23 || minute > 59 || len(b) > 5 && b[5] == ':' {
		return 0, nil, false
	}
	return (hour*3600 + minute*60) * microsPerSecond, b[5:], true
}

// secondsOf reads hh:mm:ss.
func secondsOf(w uint64) (seconds int64, ok bool) {
	const clock = 0x3030_3a_3030_3a_3030 // 00:00:00
	w ^= clock
	if (w|(w+0x7676_7f_7676_7f_7676))&0x8080808080808080 != 0 { // a digit above 9, or no colon
		return 0, false
	}
	w = w*10 + w>>8 // each byte with the next
	hour, minute, second := int64(w&0xff), int64(w>>24&0xff), int64(w>>48&0xff)
	return hour*3600 + minute*60 + second, hour <= 23 && minute <= 59 && second <= 59
}

// parseFraction reads a point or a comma and digits, if that follows, and adds them to the
// seconds before.
func parseFraction(micros int64, b []byte) (_ int64, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '.' && b[0] != ',' {
		return micros, b, true
	}
	i, unit := 1, int64(microsPerSecond)
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		unit /= 10
		micros += int64(b[i]-'0') * unit
	}
	return micros, b[i:], i > 1
}

// parseZone reads nothing, Z, or ±hh[[:]mm], as microseconds east of UTC.
func parseZone(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') {
		return 0, true
	}
	if b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hour, ok := digits(b, 1, 2)
	var minute int64
	switch {
	case len(b) == 6 && b[3] == ':':
		minute, ok = digits(b, 4, 2)
	case len(b) == 5:
		minute, ok = digits(b, 3, 2)
	case len(b) != 3:
		ok = false
	}
	if !ok || hour > 23 || minute > 59 {
		return 0, false
	}
	zone := (hour*3600 + minute*60) * microsPerSecond
	if b[0] == '-' {
		zone = -zone
	}
	return zone, true
}

func digits(b []byte, at, n int) (int64, bool) {
	if len(b) < at+n {
		return 0, false
	}
	var v int64
	for _, c := range b[at : at+n] {
		if c-'0' > 9 {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, true
}

func daysIn(year, month int64) int64 {
	if month == 2 {
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (month+month>>3)&1
}

// daysSince1970 counts days of the Gregorian calendar, in eras of 400 years
// that begin in March, so that leap days come last.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return era*146_097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719_468
}

// epochTime reads a number as a time since 1970, in the unit that its magnitude
// tells: below 10^11 seconds (until the year 5138), then milli-, micro- and
// nanoseconds.
func epochTime(f float64, raw []byte) (int64, bool) {
	a := math.Abs(f)
	if a >= 1e20 {
		return 0, false
	}
	if n, err := strconv.ParseInt(unsafe.String(unsafe.SliceData(raw), len(raw)), 10, 64); err == nil {
		switch {
		case a < 1e11:
			return n * microsPerSecond, true
		case a < 1e14:
			return n * 1000, true
		case a < 1e17:
			return n, true
		}
		return n / 1000, true
	}
	switch {
	case a < 1e11:
		f *= microsPerSecond
	case a < 1e14:
		f *= 1000
	case a >= 1e17:
		f /= 1000
	}
	return int64(math.Round(f)), true
}

func microsTime(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
