package ingest

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A parser that remembers dates reads every text as one without memory.
func TestTimeParser(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p timeParser
		date := rapid.SampledFrom([]string{"2026-11-21", "2026-11-22", "2026-02-29", "2024-02-29", "0001-01-01", "2026-1-1", "2026/11/21", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", ""})
		rest := rapid.SampledFrom([]string{"", "T10:00:00Z", " 10:00", "t23:59:59.123456789+05:30", "T24:00:00Z", "T", "x10:00", "T10:00:00.Z", "\x00"})
		for range rapid.IntRange(1, 10).Draw(t, "texts") {
			text := []byte(date.Draw(t, "date") + rest.Draw(t, "rest"))
			got, ok := p.parse(text)
			if want, wantOK := parseTime(text); ok != wantOK || ok && got != want {
				t.Fatalf("%q: %d, %v, want %d, %v", text, got, ok, want, wantOK)
			}
		}
	})
}

// TestSecondsOf compares with the standard library: all times of a day, and texts of which
// a byte is another.
func TestSecondsOf(t *testing.T) {
	t.Parallel()
	check := func(text []byte) {
		want, err := time.Parse(time.TimeOnly, string(text))
		got, ok := secondsOf(load(text, 0))
		if midnight := want.Truncate(24 * time.Hour); ok != (err == nil) || ok && got != int64(want.Sub(midnight)/time.Second) {
			t.Fatalf("%q: got %d, %v, want %v (%v)", text, got, ok, want, err)
		}
	}
	for second := range 24 * 3600 {
		text := time.Unix(int64(second), 0).UTC().AppendFormat(nil, time.TimeOnly)
		check(text)
		if second%601 != 0 {
			continue
		}
		for i, was := range text {
			for c := range 256 {
				text[i] = byte(c)
				check(text)
			}
			text[i] = was
		}
	}
}
