package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// DeadLetter is a record that could not be placed.
type DeadLetter struct {
	ID         int64                       `json:"id"`
	Topic      string                      `json:"topic" doc:"Of a line of an imported file: file: and its name."`
	Partition  int32                       `json:"partition"`
	Offset     int64                       `json:"offset" doc:"Of an imported file: the line, or the row of a table."`
	Reason     modelwatch.DeadLetterReason `json:"reason"`
	Detail     string                      `json:"detail" doc:"What was expected, what was found, where."`
	Model      string                      `json:"model,omitempty" doc:"Absent where it could not be read."`
	State      modelwatch.DeadLetterState  `json:"state" enum:"open,queued,produced,replayed" doc:"How far it has come on its way back. An open one was never replayed, or was refused again."`
	Key        []byte                      `json:"key,omitempty" doc:"The record's key."`
	Headers    []DeadLetterHeader          `json:"headers,omitempty" doc:"The record's headers."`
	Value      []byte                      `json:"value,omitempty" doc:"The record's bytes. Absent where they are large: ask for the value, or for JSON lines."`
	ValueBytes int64                       `json:"value_bytes" doc:"Their number, as they were received."`
	SHA256     string                      `json:"sha256,omitempty" doc:"Their checksum, as they were received."`
	Truncated  bool                        `json:"truncated,omitempty" doc:"Not all of the record was kept: it cannot be replayed."`
	Redacted   bool                        `json:"redacted,omitempty" doc:"Values that privacy rules cover were replaced before it was kept."`
	Time       *time.Time                  `json:"time,omitempty" doc:"The record's time."`
	CreatedAt  time.Time                   `json:"created_at"`
	ReplayedAt *time.Time                  `json:"replayed_at,omitempty" doc:"When the state changed last, if there was a replay."`
}

// DeadLetterHeader is one header of a record.
type DeadLetterHeader struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

func newDeadLetter(d modelwatch.DeadLetter) DeadLetter {
	out := DeadLetter{
		ID: d.ID, Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Reason: d.Reason, Detail: d.Detail,
		Model: d.Model, State: d.State, Key: d.Key, Value: d.Value, ValueBytes: d.Size, SHA256: d.Checksum, Truncated: d.Truncated, Redacted: d.Redacted,
		Time: optionalTime(d.Time), CreatedAt: d.CreatedAt.UTC(), ReplayedAt: optionalTime(d.ReplayedAt),
	}
	for _, h := range d.Headers {
		out.Headers = append(out.Headers, DeadLetterHeader(h))
	}
	return out
}

// DeadLetterQuery selects dead letters.
type DeadLetterQuery struct {
	Model  string                     `query:"model"`
	Reason string                     `query:"reason"`
	Topic  string                     `query:"topic"`
	State  modelwatch.DeadLetterState `query:"state" enum:"open,queued,produced,replayed"`
	SpanQuery
}

func (q DeadLetterQuery) filter() (DeadLetterFilter, error) {
	f := DeadLetterFilter{Model: q.Model, Reason: modelwatch.DeadLetterReason(q.Reason), Topic: q.Topic, State: q.State, From: q.From, To: q.To}
	if f.Reason != "" {
		if err := f.Reason.Check(); err != nil {
			return f, err
		}
	}
	return f, q.check()
}

// DeadLetterCount is the number of dead letters of one reason and state.
type DeadLetterCount struct {
	Reason modelwatch.DeadLetterReason `json:"reason"`
	State  modelwatch.DeadLetterState  `json:"state"`
	Count  int64                       `json:"count"`
	Bytes  int64                       `json:"bytes" doc:"Of their values, as they were received."`
}

// DeadLetterSummary counts dead letters.
type DeadLetterSummary struct {
	Total int64             `json:"total"`
	Items []DeadLetterCount `json:"items" nullable:"false"`
}

// ReplayRequest selects the letters to be published again.
type ReplayRequest struct {
	Model  string                      `json:"model,omitempty"`
	Reason modelwatch.DeadLetterReason `json:"reason,omitempty"`
	Topic  string                      `json:"topic,omitempty"`
	State  modelwatch.DeadLetterState  `json:"state,omitempty" enum:"open,queued,produced" doc:"Absent: open and queued. A letter that is produced is on its way; it is published again only when this says so, and placed once all the same."`
	From   *time.Time                  `json:"from,omitempty" doc:"Written at this time or later."`
	To     *time.Time                  `json:"to,omitempty" doc:"Written before this time."`
	DryRun bool                        `json:"dry_run,omitempty" doc:"Only count."`
	Limit  int                         `json:"limit,omitempty" minimum:"1" maximum:"1000" default:"100" doc:"How many letters this call looks at, the newest first."`
	Cursor string                      `json:"cursor,omitempty" maxLength:"1000" doc:"next_cursor of the call before."`
}

// ReplayResult says what one call has done.
type ReplayResult struct {
	Matched    int            `json:"matched" doc:"Letters that this call has looked at."`
	Replayed   int            `json:"replayed" doc:"Those that were published again; with dry_run those that would be."`
	Skipped    map[string]int `json:"skipped" doc:"The others by why: replayed, produced, truncated, empty, gone (its bytes), topic (they are of none that is read), file (they are lines of an imported file, which modelwatch import --dead-letters places), changed (meanwhile)."`
	NextCursor string         `json:"next_cursor,omitempty" doc:"There are more: call again with it."`
}

func (r ReplayRequest) filter() (DeadLetterFilter, error) {
	q := DeadLetterQuery{
		Model: r.Model, Reason: string(r.Reason), Topic: r.Topic, State: r.State, SpanQuery: SpanQuery{From: deref(r.From), To: deref(r.To)},
	}
	f, err := q.filter()
	f.Page = Page{Limit: r.Limit, Cursor: r.Cursor}
	return f, err
}

func (s *Server) registerDeadLetters() {
	const path = deadLettersPath
	stream(s, huma.Operation{
		OperationID: "list-dead-letters", Method: http.MethodGet, Path: path, Tags: []string{"events"},
		Summary: "List the records that could not be placed",
		Description: `With the reason and the bytes, the newest first. With Accept: application/x-ndjson the answer is a letter a line, each with
all its bytes, and holds everything that matches unless limit is given.`,
	}, s.listDeadLetters)
	s.operation(path, http.MethodGet).Responses["200"].Content = map[string]*huma.MediaType{
		jsonMediaType:  {Schema: s.schemaOf(List[DeadLetter]{}, "")},
		linesMediaType: {Schema: &huma.Schema{Type: huma.TypeString}},
	}
	call(s, huma.Operation{
		OperationID: "count-dead-letters", Method: http.MethodGet, Path: path + "/summary", Tags: []string{"events"},
		Summary: "Count the records that could not be placed, by reason and state",
	}, s.countDeadLetters)
	call(s, huma.Operation{
		OperationID: "get-dead-letter", Method: http.MethodGet, Path: path + "/{id}", Tags: []string{"events"},
		Summary: "Show a record that could not be placed",
	}, s.getDeadLetter)
	call(s, huma.Operation{
		OperationID: "get-dead-letter-value", Method: http.MethodGet, Path: path + "/{id}/value", Tags: []string{"events"},
		Summary: "Download the bytes of a record that could not be placed",
	}, s.getDeadLetterValue)
	s.operation(path+"/{id}/value", http.MethodGet).Responses["200"].Content = map[string]*huma.MediaType{
		binaryMediaType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}
	call(s, huma.Operation{
		OperationID: "replay-dead-letters", Method: http.MethodPost, Path: path + "/replay", Tags: []string{"events"},
		Summary: "Publish records again that could not be placed",
		Description: `To the topics that they came from, after what was wrong has been mended. Each is placed once, however often it is published.
One that is refused again is open again, with the new reason. Calling again after an error is safe.`,
	}, s.replayDeadLetters)
}

const (
	linesMediaType  = "application/x-ndjson"
	binaryMediaType = "application/octet-stream"
	// linesPage is how many letters are read at a time for JSON lines.
	linesPage = 200
)

func (s *Server) listDeadLetters(ctx context.Context, in *struct {
	Accept string `header:"Accept" hidden:"true"`
	DeadLetterQuery
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"How many items at most: 100 if not given, and all of them in JSON lines."`
	Cursor string `query:"cursor" maxLength:"1000" doc:"next_cursor of the page before."`
}) (*feedOutput, error) {
	filter, err := in.filter()
	if err != nil {
		return nil, err
	}
	return feed[modelwatch.DeadLetter, DeadLetter]{
		what: "dead letters", convert: newDeadLetter,
		list: func(ctx context.Context, p Page) ([]modelwatch.DeadLetter, string, error) {
			filter.Page = p
			return s.opts.Store.DeadLetters(ctx, filter)
		},
		mediaType: linesMediaType, batch: linesPage,
		open: func(w io.Writer, alive func()) func(context.Context, []modelwatch.DeadLetter) error {
			out := json.NewEncoder(w)
			return func(ctx context.Context, letters []modelwatch.DeadLetter) error {
				for _, d := range letters {
					alive()
					if err := s.writeLetter(ctx, out, d); err != nil {
						return err
					}
				}
				return nil
			}
		},
	}.answer(ctx, s, in.Accept, Page{Limit: in.Limit, Cursor: in.Cursor})
}

// writeLetter writes a letter with all its bytes.
func (s *Server) writeLetter(ctx context.Context, out *json.Encoder, d modelwatch.DeadLetter) (err error) {
	line := newDeadLetter(d)
	line.Value, err = s.letterValue(ctx, d)
	if err != nil && modelwatch.ErrorCode(err) != modelwatch.CodeNotFound { // its object is gone: what is known is shown
		return err
	}
	return out.Encode(line)
}

// letterValue returns the bytes that are kept of a letter.
func (s *Server) letterValue(ctx context.Context, d modelwatch.DeadLetter) ([]byte, error) {
	if d.Object.Key == "" {
		return d.Value, nil
	}
	return s.opts.DeadLetters.Value(ctx, d)
}

func (s *Server) countDeadLetters(ctx context.Context, in *DeadLetterQuery) (*struct{ Body DeadLetterSummary }, error) {
	filter, err := in.filter()
	if err != nil {
		return nil, err
	}
	counts, err := s.opts.Store.CountDeadLetters(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("count dead letters: %w", err)
	}
	out := DeadLetterSummary{Items: make([]DeadLetterCount, len(counts))}
	for i, c := range counts {
		out.Items[i] = DeadLetterCount(c)
		out.Total += c.Count
	}
	return &struct{ Body DeadLetterSummary }{out}, nil
}

// DeadLetterPath is the path of a dead letter.
type DeadLetterPath struct {
	ID int64 `path:"id" minimum:"1" doc:"Its id, as lists show it."`
}

func (s *Server) getDeadLetter(ctx context.Context, in *DeadLetterPath) (*struct{ Body DeadLetter }, error) {
	d, err := s.opts.Store.DeadLetter(ctx, in.ID)
	if err != nil {
		return nil, fmt.Errorf("read dead letter: %w", err)
	}
	return &struct{ Body DeadLetter }{newDeadLetter(d)}, nil
}

type deadLetterValueOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (s *Server) getDeadLetterValue(ctx context.Context, in *DeadLetterPath) (*deadLetterValueOutput, error) {
	d, err := s.opts.Store.DeadLetter(ctx, in.ID)
	if err != nil {
		return nil, fmt.Errorf("read dead letter: %w", err)
	}
	value, err := s.letterValue(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("read the bytes of dead letter %d: %w", in.ID, err)
	}
	name := strconv.FormatInt(in.ID, 10)
	// The bytes are anybody's: a browser must neither guess what they are nor show them.
	return &deadLetterValueOutput{ContentType: binaryMediaType, Disposition: `attachment; filename="dead-letter-` + name + `.bin"`, Body: value}, nil
}

func (s *Server) replayDeadLetters(ctx context.Context, in *struct{ Body ReplayRequest }) (*struct{ Body ReplayResult }, error) {
	filter, err := in.Body.filter()
	if err != nil {
		return nil, err
	}
	if filter.Limit == 0 {
		filter.Limit = 100
	}
	result, err := s.opts.DeadLetters.Replay(ctx, filter, in.Body.DryRun)
	if err != nil {
		return nil, fmt.Errorf("replay dead letters: %w", err)
	}
	return &struct{ Body ReplayResult }{result}, nil
}
