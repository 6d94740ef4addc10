package modelwatch_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/modelwatch/modelwatch"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "15m": 15 * time.Minute, "1h": time.Hour, "7d": 7 * day, "15d": 15 * day, "2w": 14 * day,
		"1d12h": 36 * time.Hour, "1w1d1h1m1s1ms": 8*day + time.Hour + time.Minute + time.Second + time.Millisecond, "250ms": 250 * time.Millisecond,
		"106751d": 106751 * day,
	} {
		if got, err := modelwatch.ParseDuration(text); err != nil || got != want {
			t.Errorf("modelwatch.ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "h", "1", "01", "1.5h", "-1h", "+1h", "1h ", " 1h", "1H", "1y", "1h1d", "1h1h", "1mh", "1m1", "1d-1h", "1²h",
		"106752d", "9223372036854775808s", "106751d24h",
	} {
		if got, err := modelwatch.ParseDuration(text); err == nil {
			t.Errorf("modelwatch.ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": 0, "15m": 15 * time.Minute, "90m": 90 * time.Minute, "1h": time.Hour, "36h": 36 * time.Hour, "1d": 24 * time.Hour,
		"15d": 360 * time.Hour, "1500ms": 1500*time.Millisecond + time.Microsecond,
	} {
		if got := modelwatch.FormatDuration(d); got != want {
			t.Errorf("modelwatch.FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestDurationRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1<<43).Draw(t, "ms")) * time.Millisecond
		got, err := modelwatch.ParseDuration(modelwatch.FormatDuration(d))
		if err != nil || got != d {
			t.Fatalf("%v came back as %v, %v", d, got, err)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{"15m", "1d12h", "9223372036854775807ms", "1h1h", "m"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := modelwatch.ParseDuration(text)
		if err != nil {
			return
		}
		if again, err := modelwatch.ParseDuration(modelwatch.FormatDuration(d)); err != nil || again != d || d < 0 {
			t.Errorf("%q is %v, which comes back as %v, %v", text, d, again, err)
		}
	})
}
