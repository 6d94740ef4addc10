package ingest

import "time"

// pauseReason says why no partition is read: they are all read by one goroutine.
type pauseReason string

// Why reading stands still. Of a flush, the first three say what it waits for.
const (
	pauseMemory      pauseReason = "memory"       // the buffers are full, and the flush that empties them gets on
	pauseUpload      pauseReason = "upload"       // the same, and the archive does not take its objects
	pauseCatalog     pauseReason = "catalog"      // the same, and the catalog does not take its intents or its commit
	pauseDeadLetters pauseReason = "dead_letters" // the same, and kafka.dead_letter_topic does not take its copies
	pauseSchema      pauseReason = "schema"       // the catalog or a schema registry does not answer about a record
	pauseReset       pauseReason = "reset"        // reading goes back to the last commit, after a back-off if it was fenced
)

var pauseReasons = []pauseReason{pauseMemory, pauseUpload, pauseCatalog, pauseDeadLetters, pauseSchema, pauseReset}

// pauseOf is the reason of a wait for a flush whose step fails; "": none does.
func pauseOf(step string) pauseReason {
	switch step {
	case "":
		return pauseMemory
	case "upload":
		return pauseUpload
	case "produce":
		return pauseDeadLetters
	}
	return pauseCatalog
}

// pausing is a time in which no partition is read; reason "": they are.
type pausing struct {
	reason pauseReason
	since  time.Time
}

// setPaused takes note of why reading stands still from now on; "": it goes on.
// Said again, the time so far is counted. It needs mu.
func (c *Consumer) setPaused(reason pauseReason) {
	now := time.Now()
	if old := c.paused; old.reason != "" {
		c.metrics.pausedSeconds.WithLabelValues(string(old.reason)).Add(now.Sub(old.since).Seconds())
		c.metrics.paused.WithLabelValues(string(old.reason)).Set(0)
	}
	c.paused = pausing{reason, now}
	if reason != "" {
		c.metrics.paused.WithLabelValues(string(reason)).Set(1)
	}
}

// whilePaused runs what reading waits for.
func (c *Consumer) whilePaused(reason pauseReason, wait func()) {
	c.notePaused(reason)
	defer c.notePaused("")
	wait()
}

func (c *Consumer) notePaused(reason pauseReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setPaused(reason)
}

// countPause counts what of a pause has passed, so that a long one is not counted
// at its end only.
func (c *Consumer) countPause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setPaused(c.paused.reason)
}

// awaitFlight waits until the flight or ctx ends. Meanwhile setStalled says
// what the flight waits for.
func (c *Consumer) awaitFlight(done <-chan struct{}, stop <-chan struct{}) {
	c.mu.Lock()
	c.awaiting = true
	c.setPaused(pauseOf(c.stalledAt))
	c.mu.Unlock()
	select {
	case <-done:
	case <-stop:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awaiting = false
	c.setPaused("")
}

// setStalled takes note of the step at which a flush does not get on, and why;
// "" when it does.
func (c *Consumer) setStalled(step, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalledAt, c.stalled = step, why
	if c.awaiting {
		c.setPaused(pauseOf(step))
	}
}

// oldestUncommitted is the age in seconds of the oldest record that was read and
// is in no commit yet; 0 if there is none.
func (c *Consumer) oldestUncommitted() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := c.since
	if c.flight != nil && !c.flight.since.IsZero() {
		since = c.flight.since
	}
	if since.IsZero() {
		return 0
	}
	return time.Since(since).Seconds()
}
