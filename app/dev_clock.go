package app

import (
	"sync"
	"time"
)

// simulatedClock is the event time of dev: it starts in the past, runs faster
// than the wall clock, and becomes the wall clock once it has caught up with it,
// so that no event ever comes from the future.
type simulatedClock struct {
	now   func() time.Time // the wall clock
	speed float64

	mu    sync.Mutex
	wall  time.Time // when event was the event time
	event time.Time
}

func newSimulatedClock(now func() time.Time, start time.Time, speed float64) *simulatedClock {
	return &simulatedClock{now: now, speed: speed, wall: now(), event: start}
}

// Now returns the event time.
func (c *simulatedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := c.now()
	event := c.event.Add(time.Duration(float64(wall.Sub(c.wall)) * c.speed))
	if event.After(wall) {
		return wall.UTC()
	}
	return event.UTC()
}

// Until returns how long it takes on the wall clock until the event time is t.
func (c *simulatedClock) Until(t time.Time) time.Duration {
	event := c.Now()
	if !t.After(event) {
		return 0
	}
	wall := c.now()
	if !event.Before(wall.Add(-time.Second)) {
		return t.Sub(event)
	}
	return time.Duration(float64(t.Sub(event)) / c.speed)
}
