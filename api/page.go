package api

import (
	"net/url"
	"time"

	"github.com/modelwatch/modelwatch"
)

// The media types that are spoken here.
const (
	jsonMediaType = "application/json"
	csvMediaType  = "text/csv"
	textMediaType = "text/plain; charset=utf-8"
)

// List is one page of a collection.
type List[T any] struct {
	Items      []T    `json:"items" nullable:"false"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Ask for the next page with it. Absent on the last page."`
}

func newList[D, T any](items []D, next string, convert func(D) T) List[T] {
	l := List[T]{Items: make([]T, len(items)), NextCursor: next}
	for i, item := range items {
		l.Items[i] = convert(item)
	}
	return l
}

type listOutput[T any] struct {
	Body List[T]
}

// PageQuery are the parameters of every list.
type PageQuery struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many items at most."`
	Cursor string `query:"cursor" maxLength:"1000" doc:"next_cursor of the page before."`
}

func (p PageQuery) page() Page { return Page{Limit: p.Limit, Cursor: p.Cursor} }

// SpanQuery are the optional ends of a time filter.
type SpanQuery struct {
	From time.Time `query:"from" doc:"Only what ends after this time."`
	To   time.Time `query:"to" doc:"Only what starts before this time."`
}

func (s SpanQuery) check() error {
	if !s.From.IsZero() && !s.To.IsZero() && !s.From.Before(s.To) {
		var f faults
		f.add("query.to", s.To, "must be after from")
		return f.err("the time filter")
	}
	return nil
}

// RequiredSpan is the ends of a span that must be given.
type RequiredSpan struct {
	Start time.Time `query:"start" required:"true" doc:"Where the span starts."`
	End   time.Time `query:"end" required:"true" doc:"Where it ends; this instant is no longer part of it."`
}

func (s RequiredSpan) window(longest time.Duration) (modelwatch.Window, error) {
	var f faults
	switch {
	case !s.Start.Before(s.End):
		f.add("query.end", s.End, "must be after start")
	case s.End.Sub(s.Start) > longest:
		f.add("query.end", s.End, "must be at most %s after start", modelwatch.FormatDuration(longest))
	}
	return modelwatch.Window{Start: s.Start.UTC(), End: s.End.UTC()}, f.err("the time span")
}

// Window is a half-open span of event time.
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end" doc:"This instant is no longer part of the window."`
}

func newWindow(w modelwatch.Window) Window { return Window{Start: w.Start.UTC(), End: w.End.UTC()} }

// resourcePath joins the segments of a path, escaped.
func resourcePath(segments ...string) string {
	path := "/v1"
	for _, s := range segments {
		path += "/" + url.PathEscape(s)
	}
	return path
}

// optionalTime is nil for the zero time, which JSON must not show.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
