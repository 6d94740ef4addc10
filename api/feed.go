package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/danielgtaylor/huma/v2/negotiation"
)

// feed is a list in two forms: pages of JSON and, where the client prefers it, a
// stream of another media type, of everything that matches unless there is a limit.
type feed[D, T any] struct {
	what    string // in plural
	list    func(context.Context, Page) (items []D, next string, err error)
	convert func(D) T // for JSON

	mediaType, charset string // of the stream
	batch              int    // how many items the stream reads at a time
	// open returns what writes items to the stream. It calls alive before each
	// piece of work whose time must not count as standing still.
	open func(w io.Writer, alive func()) func(context.Context, []D) error
}

type feedOutput struct {
	Body func(huma.Context)
}

// answer reads the first page, whose error the client can still be told, and
// returns what writes the answer.
func (f feed[D, T]) answer(ctx context.Context, s *Server, accept string, page Page) (*feedOutput, error) {
	streamed := negotiation.SelectQValueFast(accept, []string{jsonMediaType, f.mediaType}) == f.mediaType
	limited := page.Limit > 0
	switch {
	case limited:
	case streamed:
		page.Limit = f.batch
	default:
		page.Limit = 100
	}
	var next string
	items, err := inTime(ctx, func(ctx context.Context) (items []D, err error) {
		items, next, err = f.list(ctx, page)
		return items, err
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", f.what, err)
	}
	if !streamed {
		list := newList(items, next, f.convert)
		return &feedOutput{func(hc huma.Context) {
			hc.SetHeader("Content-Type", jsonMediaType)
			hc.SetStatus(http.StatusOK)
			s.cutOff(hc.Context(), s.api.Marshal(hc.BodyWriter(), jsonMediaType, list))
		}}, nil
	}
	if page.Cursor = next; limited {
		page.Cursor = ""
	}
	return &feedOutput{func(hc huma.Context) { f.stream(hc, s, items, page) }}, nil
}

// stream writes items and, while the page has a cursor, those of the pages after it.
func (f feed[D, T]) stream(hc huma.Context, s *Server, items []D, page Page) {
	_, w := humachi.Unwrap(hc)
	control := http.NewResponseController(w)
	hc.SetHeader("Content-Type", f.mediaType+f.charset)
	hc.SetStatus(http.StatusOK)
	write := f.open(hc.BodyWriter(), func() {
		// A writer that knows no deadlines, as in tests, has none to be moved.
		_ = control.SetWriteDeadline(time.Now().Add(streamIdle))
	})
	for {
		s.cutOff(hc.Context(), write(hc.Context(), items))
		if page.Cursor == "" {
			return
		}
		var err error
		items, page.Cursor, err = f.list(hc.Context(), page)
		s.cutOff(hc.Context(), err)
	}
}

// cutOff ends an answer that has begun and cannot be completed: the connection
// is broken, because a short answer would look like a whole one.
func (s *Server) cutOff(ctx context.Context, err error) {
	if err == nil {
		return
	}
	if ctx.Err() == nil {
		_ = s.problem(ctx, err) // logs it; the status has gone out already
	}
	panic(http.ErrAbortHandler)
}
