package schedule

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/adhocore/gronx"

	"github.com/modelwatch/modelwatch"
)

// MaxWindows bounds what Windows returns at a time.
const MaxWindows = 1000

// searchStart and searchYears bound the search for a first tick. The expression
// has no year, so what does not fire from here within five years, which hold a
// 29 February, never does.
var searchStart = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

const searchYears = 5

// ValidateCron reports what is wrong with a cron expression in a time zone: five
// fields (minute, hour, day of month, month, day of week) or a name such as
// @hourly, a zone of the IANA database, and at least one time at which it fires.
func ValidateCron(expr, timezone string) error {
	if _, err := loadZone(timezone); err != nil {
		return err
	}
	fields := strings.Fields(expr)
	named := len(fields) == 1 && strings.HasPrefix(fields[0], "@") && !strings.EqualFold(fields[0], "@everysecond")
	switch {
	case len(fields) != 5 && !named:
		return modelwatch.Errorf(modelwatch.CodeInvalid, "cron expression %q has %d fields, five are needed: minute, hour, day of month, month, day of week", expr, len(fields))
	case !gronx.IsValid(expr):
		return modelwatch.Errorf(modelwatch.CodeInvalid, "cron expression %q is not valid: write for example \"*/15 * * * *\" for every quarter of an hour, \"0 6 * * 1\" for Mondays at six", expr)
	}
	next, err := gronx.NextTickAfter(expr, searchStart, true)
	if err != nil || next.After(searchStart.AddDate(searchYears, 0, 0)) {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "cron expression %q never fires: no date of the next %d years matches it", expr, searchYears)
	}
	return nil
}

func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if name == "Local" { // differs from machine to machine
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "time zone %q: name one of the IANA database, for example UTC or Europe/Berlin", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "time zone %q is not known: name one of the IANA database, for example UTC or Europe/Berlin", name)
	}
	return zone, nil
}

// ticks returns the times at which a cron expression fires in (after, until],
// oldest first, at most limit of them.
//
// The expression speaks of wall-clock time. Where a zone changes its clocks, a
// tick that is skipped happens at the moment of the change, and one whose time
// comes twice happens the first time: a daily job runs once on each day. An
// expression for every hour ("*" in the hour field) follows real time instead:
// it fires in both of the repeated hours and not for the skipped one. So no
// window is lost and none is doubled.
func ticks(expr string, zone *time.Location, after, until time.Time, limit int) ([]time.Time, error) {
	if !after.Before(until) || limit <= 0 {
		return nil, nil
	}
	hourly := everyHour(expr)
	margin := changeMargin(zone, after, until)
	var out []time.Time
	last := wall(until.In(zone)).Add(margin)
	for at, incl := wall(after.In(zone)).Add(-margin), true; ; incl = false {
		next, err := gronx.NextTickAfter(expr, at, incl)
		if err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "cron expression %q", expr)
		}
		if next.After(last) {
			break
		}
		for _, t := range instants(next, zone, hourly) {
			if t.After(after) && !t.After(until) {
				out = append(out, t)
			}
		}
		if len(out) >= limit && last.After(next.Add(margin)) {
			last = next.Add(margin) // only what may still sort before the limit
		}
		at = next
	}
	slices.SortFunc(out, func(a, b time.Time) int { return a.Compare(b) })
	out = slices.CompactFunc(out, time.Time.Equal)
	return out[:min(limit, len(out))], nil
}

// changeMargin is by how much wall-clock order may differ from real order
// between the two times: nothing in a zone that does not change its clocks then.
func changeMargin(zone *time.Location, after, until time.Time) time.Duration {
	const most = 3 * time.Hour
	_, end := after.Add(-most).In(zone).ZoneBounds()
	if end.IsZero() || end.After(until.Add(most)) {
		return 0
	}
	return most
}

// everyHour reports whether the hour field matches every hour.
func everyHour(expr string) bool {
	segments, err := gronx.Segments(expr)
	return err == nil && len(segments) > 2 && (segments[2] == "*" || segments[2] == "*/1" || segments[2] == "?")
}

// wall returns the wall-clock reading of t as if it were UTC.
func wall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// instants returns the moments at which clocks of the zone show the reading w,
// which is given as if it were UTC.
func instants(w time.Time, zone *time.Location, hourly bool) []time.Time {
	t := time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), 0, zone)
	start, end := t.ZoneBounds()
	if c := wall(t).Compare(w); c != 0 { // skipped
		if hourly {
			return nil
		}
		if c > 0 { // read with the offset before the change, so it lies after it
			return []time.Time{start.UTC()}
		}
		return []time.Time{end.UTC()}
	}
	found := []time.Time{t.UTC()}
	for _, other := range []time.Time{start.Add(-time.Second), end} {
		if other.IsZero() || start.IsZero() && other.Before(t) {
			continue
		}
		_, offset := other.In(zone).Zone()
		if again := w.Add(-time.Duration(offset) * time.Second); !again.Equal(t) && wall(again.In(zone)).Equal(w) {
			found = append(found, again.UTC())
		}
	}
	slices.SortFunc(found, func(a, b time.Time) int { return cmp.Compare(a.Unix(), b.Unix()) })
	if !hourly {
		return found[:1]
	}
	return found
}
