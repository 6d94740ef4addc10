package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/modelwatch/modelwatch/sink"
)

// previewSink stands where Datadog would: it keeps the last points to be shown.
type previewSink struct {
	mu    sync.Mutex
	last  []string
	count int64
}

const previewLength = 6

// Name is that of the sink it stands for, so that jobs name the same.
func (p *previewSink) Name() string { return "datadog" }

// Deliver takes every point.
func (p *previewSink) Deliver(_ context.Context, points []sink.Point) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count += int64(len(points))
	for _, point := range points[max(0, len(points)-previewLength):] {
		p.last = append(p.last, fmt.Sprintf("%s  %-32s %12s  %s", point.Time.Local().Format("15:04:05"), point.Metric, formatNumber(point.Value), strings.Join(point.Tags, " ")))
	}
	p.last = p.last[max(0, len(p.last)-previewLength):]
	return false, nil
}

// recent returns the last points and how many there were.
func (p *previewSink) recent() ([]string, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.last), p.count
}
