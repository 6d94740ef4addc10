package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// DeadLetter is a record that could not be placed.
type DeadLetter struct {
	ID        int64                       `json:"id"`
	Topic     string                      `json:"topic"`
	Partition int32                       `json:"partition"`
	Offset    int64                       `json:"offset"`
	Reason    modelwatch.DeadLetterReason `json:"reason"`
	Detail    string                      `json:"detail" doc:"What was expected, what was found, where."`
	Model     string                      `json:"model,omitempty" doc:"Absent where it could not be read."`
	Key       []byte                      `json:"key,omitempty" doc:"The record's key."`
	Value     []byte                      `json:"value,omitempty" doc:"The record's bytes."`
	Time      *time.Time                  `json:"time,omitempty" doc:"The record's time."`
	CreatedAt time.Time                   `json:"created_at"`
}

func newDeadLetter(d modelwatch.DeadLetter) DeadLetter {
	return DeadLetter{
		ID: d.ID, Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Reason: d.Reason, Detail: d.Detail,
		Model: d.Model, Key: d.Key, Value: d.Value, Time: optionalTime(d.Time), CreatedAt: d.CreatedAt.UTC(),
	}
}

func (s *Server) registerDeadLetters() {
	call(s, huma.Operation{
		OperationID: "list-dead-letters", Method: http.MethodGet, Path: "/v1/dead-letters", Tags: []string{"events"},
		Summary:     "List the records that could not be placed",
		Description: "With the reason and the bytes, the newest first.",
	}, s.listDeadLetters)
}

func (s *Server) listDeadLetters(ctx context.Context, in *struct {
	Model  string `query:"model"`
	Reason string `query:"reason"`
	Topic  string `query:"topic"`
	SpanQuery
	PageQuery
}) (*listOutput[DeadLetter], error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	letters, next, err := s.opts.Store.DeadLetters(ctx, DeadLetterFilter{
		Page: in.page(), Model: in.Model, Reason: modelwatch.DeadLetterReason(in.Reason), Topic: in.Topic, From: in.From, To: in.To,
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return &listOutput[DeadLetter]{Body: newList(letters, next, newDeadLetter)}, nil
}
