package app

import (
	"testing"
	"time"
)

func TestSimulatedClockRunsFasterUntilItCatchesUp(t *testing.T) {
	t.Parallel()
	wall := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	c := newSimulatedClock(func() time.Time { return wall }, wall.Add(-time.Hour), 60)
	if got := c.Now(); !got.Equal(wall.Add(-time.Hour)) {
		t.Errorf("starts at %s", got)
	}
	if got := c.Until(c.Now().Add(10 * time.Minute)); got != 10*time.Second {
		t.Errorf("ten simulated minutes take %s, want 10s", got)
	}
	wall = wall.Add(30 * time.Second)
	if got, want := c.Now(), wall.Add(-time.Hour+30*time.Minute-30*time.Second); !got.Equal(want) {
		t.Errorf("after 30 s: %s, want %s", got, want)
	}
	wall = wall.Add(10 * time.Minute)
	if got := c.Now(); !got.Equal(wall) {
		t.Errorf("after it has caught up: %s, want the wall clock %s", got, wall)
	}
	if got := c.Until(wall.Add(time.Minute)); got != time.Minute {
		t.Errorf("a minute then takes %s", got)
	}
}
