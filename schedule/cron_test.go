package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/schedule"
)

func TestValidateCron(t *testing.T) {
	t.Parallel()
	tests := []struct{ expr, zone, want string }{
		{"*/15 * * * *", "UTC", ""},
		{"0 6 * * *", "Europe/Berlin", ""},
		{"0 6 * * MON-FRI", "", ""},
		{"@hourly", "UTC", ""},
		{"0 0 29 2 *", "UTC", ""},
		{"0 0 31 12 *", "UTC", ""},
		{"0 0 30 2 *", "UTC", "never fires"},
		{"0 0 31 2,4,6,9,11 *", "UTC", "never fires"},
		{"", "UTC", "has 0 fields"},
		{"hourly", "UTC", "has 1 fields"},
		{"@everysecond", "UTC", "has 1 fields"},
		{"@often", "UTC", "not valid"},
		{"* * * * * *", "UTC", "has 6 fields"},
		{"0 0 1 1 * 2030", "UTC", "has 6 fields"},
		{"60 * * * *", "UTC", "not valid"},
		{"*/0 * * * *", "UTC", "not valid"},
		{"0 25 * * *", "UTC", "not valid"},
		{"a b c d e", "UTC", "not valid"},
		{"0 6 * * *", "Mars/Olympus", `time zone "Mars/Olympus" is not known`},
		{"0 6 * * *", "Local", "time zone"},
		{"0 6 * * *", "../../etc/passwd", "time zone"},
	}
	for _, test := range tests {
		err := schedule.ValidateCron(test.expr, test.zone)
		if test.want == "" {
			if err != nil {
				t.Errorf("%q in %q: %v", test.expr, test.zone, err)
			}
			continue
		}
		if modelwatch.ErrorCode(err) != modelwatch.CodeInvalid || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q in %q: %v, want an invalid that says %q", test.expr, test.zone, err, test.want)
		}
	}
}

func jobOf(expr, zone string, window time.Duration) modelwatch.Job {
	return modelwatch.Job{Model: "fraud", Name: "hourly", Kind: modelwatch.JobDrift, Cron: expr, Timezone: zone, Window: window, Versions: []string{"*"}}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	const layout = "2006-01-02T15:04Z07:00"
	tests := []struct {
		name, expr, zone, from, until string
		want                          []string // ends, in the zone
	}{
		{"every quarter", "*/15 * * * *", "UTC", "2026-11-21T10:00Z", "2026-11-21T11:00Z",
			[]string{"2026-11-21T10:15Z", "2026-11-21T10:30Z", "2026-11-21T10:45Z", "2026-11-21T11:00Z"}},
		{"from is excluded, until included", "0 * * * *", "UTC", "2026-11-21T10:00Z", "2026-11-21T12:00Z",
			[]string{"2026-11-21T11:00Z", "2026-11-21T12:00Z"}},
		{"between two", "0 * * * *", "UTC", "2026-11-21T10:01Z", "2026-11-21T10:59Z", nil},
		{"in a zone", "0 6 * * *", "Asia/Kolkata", "2026-11-20T12:00Z", "2026-11-22T12:00Z",
			[]string{"2026-11-21T06:00+05:30", "2026-11-22T06:00+05:30"}},

		// Berlin, 29 March 2026: 02:00 becomes 03:00. 25 October: 03:00 becomes 02:00.
		{"daily at a skipped time", "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", "2026-03-30T12:00Z",
			[]string{"2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"}},
		{"daily at a repeated time", "30 2 * * *", "Europe/Berlin", "2026-10-24T00:00Z", "2026-10-26T12:00Z",
			[]string{"2026-10-24T02:30+02:00", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"}},
		{"daily at the hour of the change", "0 3 * * *", "Europe/Berlin", "2026-10-24T12:00Z", "2026-10-25T12:00Z",
			[]string{"2026-10-25T03:00+01:00"}},
		{"hourly over a skipped hour", "0 * * * *", "Europe/Berlin", "2026-03-28T23:30Z", "2026-03-29T02:30Z",
			[]string{"2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"}},
		{"off the hour over a skipped hour", "5 * * * *", "Europe/Berlin", "2026-03-28T23:30Z", "2026-03-29T02:30Z",
			[]string{"2026-03-29T01:05+01:00", "2026-03-29T03:05+02:00", "2026-03-29T04:05+02:00"}},
		{"hourly over a repeated hour", "0 * * * *", "Europe/Berlin", "2026-10-24T23:30Z", "2026-10-25T02:30Z",
			[]string{"2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"}},
		{"halves over a repeated hour", "*/30 * * * *", "Europe/Berlin", "2026-10-24T23:50Z", "2026-10-25T02:10Z",
			[]string{"2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00", "2026-10-25T03:00+01:00"}},
		{"every second hour over a skipped one", "0 */2 * * *", "Europe/Berlin", "2026-03-28T22:30Z", "2026-03-29T02:30Z",
			[]string{"2026-03-29T00:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"}},
		{"every second hour over a repeated one", "0 */2 * * *", "Europe/Berlin", "2026-10-24T21:30Z", "2026-10-25T03:30Z",
			[]string{"2026-10-25T00:00+02:00", "2026-10-25T02:00+02:00", "2026-10-25T04:00+01:00"}},
		{"midnight that is skipped", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00Z", "2018-11-05T12:00Z",
			[]string{"2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00"}},
		{"from within the repeated hour", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:45Z", "2026-10-25T12:00Z", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			from, until := parse(t, layout, test.from), parse(t, layout, test.until)
			zone, err := time.LoadLocation(test.zone)
			if err != nil {
				t.Fatal(err)
			}
			windows, err := schedule.Windows(jobOf(test.expr, test.zone, time.Hour), from, until)
			if err != nil {
				t.Fatal(err)
			}
			var have []string
			for _, w := range windows {
				have = append(have, w.End.In(zone).Format(layout))
				if w.Duration() != time.Hour || w.End.Location() != time.UTC {
					t.Errorf("window %v: want an hour, in UTC", w)
				}
			}
			if diff := cmp.Diff(test.want, have); diff != "" {
				t.Errorf("ends (-want +have):\n%s", diff)
			}
		})
	}
}

func parse(t *testing.T, layout, s string) time.Time {
	t.Helper()
	at, err := time.Parse(layout, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

// TestWindowsInParts: however a span is cut, by MaxWindows or by the moments of
// planning, the windows are the same.
func TestWindowsInParts(t *testing.T) {
	t.Parallel()
	base := time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		expr := rapid.SampledFrom([]string{"*/5 * * * *", "7 * * * *", "30 2 * * *", "0 */2 * * *", "*/20 1-3 * * *", "0 0 * * 0"}).Draw(t, "expression")
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"}).Draw(t, "zone")
		job := jobOf(expr, zone, time.Hour)
		until := base.Add(time.Duration(rapid.IntRange(1, 20*24*60).Draw(t, "minutes")) * time.Minute)
		var whole, parts []time.Time
		for from := base; ; {
			windows := windowsOf(t, job, from, until)
			for _, w := range windows {
				whole = append(whole, w.End)
			}
			if len(windows) < schedule.MaxWindows {
				break
			}
			from = whole[len(whole)-1]
		}
		for from := base; from.Before(until); {
			to := from.Add(time.Duration(rapid.IntRange(1, 48*60).Draw(t, "step")) * time.Minute)
			if to.After(until) {
				to = until
			}
			for _, w := range windowsOf(t, job, from, to) {
				parts = append(parts, w.End)
			}
			from = to
		}
		if diff := cmp.Diff(whole, parts); diff != "" {
			t.Fatalf("windows in parts (-whole +parts):\n%s", diff)
		}
		if !slices.IsSortedFunc(whole, time.Time.Compare) || len(slices.Compact(slices.Clone(whole))) != len(whole) {
			t.Fatalf("windows out of order or doubled: %v", whole)
		}
	})
}

func windowsOf(t *rapid.T, job modelwatch.Job, from, until time.Time) []modelwatch.Window {
	windows, err := schedule.Windows(job, from, until)
	if err != nil {
		t.Fatal(err)
	}
	return windows
}
