package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/modelwatch/modelwatch"
)

// MaxErasedIDs is how many ids one erasure may name.
const MaxErasedIDs = 10_000

// Erasure is an order to erase the rows of request ids, and how far it has come.
type Erasure struct {
	ID          int64                   `json:"id"`
	Model       string                  `json:"model"`
	State       modelwatch.ErasureState `json:"state" enum:"queued,erased,done" doc:"erased: no reader sees the rows any more. done: the objects that held them are deleted, too."`
	DryRun      bool                    `json:"dry_run"`
	IDs         int64                   `json:"ids" doc:"How many ids it names. They are not kept."`
	Files       int64                   `json:"files" doc:"Data files that held such rows."`
	Rows        int64                   `json:"rows"`
	DeadLetters int64                   `json:"dead_letters" doc:"Dead letters that carried such an id; a dry run does not count them."`
	CreatedAt   time.Time               `json:"created_at"`
	ErasedAt    *time.Time              `json:"erased_at,omitempty"`
	FinishedAt  *time.Time              `json:"finished_at,omitempty"`
}

func newErasure(e modelwatch.Erasure) Erasure {
	return Erasure{
		ID: e.ID, Model: e.Model, State: e.State, DryRun: e.DryRun, IDs: e.IDs, Files: e.Files, Rows: e.Rows, DeadLetters: e.DeadLetters,
		CreatedAt: e.CreatedAt.UTC(), ErasedAt: optionalTime(e.ErasedAt), FinishedAt: optionalTime(e.FinishedAt),
	}
}

// ErasureBody is what an erasure is ordered with.
type ErasureBody struct {
	IDs    []string `json:"ids" minItems:"1" maxItems:"10000" doc:"Request ids, as producers send them, also where they are kept as pseudonyms."`
	DryRun bool     `json:"dry_run,omitempty" doc:"Only count the rows."`
}

type erasureOutput struct {
	Location string `header:"Location"`
	Body     Erasure
}

func (s *Server) registerErasures() {
	const path = "/v1/models/{model}/erasures"
	call(s, huma.Operation{
		OperationID: "order-erasure", Method: http.MethodPost, Path: path, Tags: []string{"models"},
		Summary: "Erase the rows of request ids",
		Description: `Predictions, labels and attributions of these ids go from the archive, of every version and time, with the dead letters that carry
such an id. The objects that held them are rewritten in the background: poll the Location. Profiles that were derived of them go, too; counts,
measurements and registered baselines stay.

The order stands: rows of these ids that come later, or are replayed, are erased when the archive is next looked through. Only a keyed hash of
each id is kept for that, and with privacy.key one of its pseudonym: rows are found whether or not their model's ids are hashed.`,
		DefaultStatus: http.StatusAccepted,
	}, s.orderErasure)
	call(s, huma.Operation{
		OperationID: "list-erasures", Method: http.MethodGet, Path: path, Tags: []string{"models"},
		Summary: "List the erasures of a model, the newest first",
	}, s.listErasures)
	call(s, huma.Operation{
		OperationID: "get-erasure", Method: http.MethodGet, Path: path + "/{id}", Tags: []string{"models"},
		Summary: "Show how far an erasure has come",
	}, s.getErasure)
}

func (s *Server) orderErasure(ctx context.Context, in *struct {
	ModelPath
	Body ErasureBody
}) (*erasureOutput, error) {
	var stones []modelwatch.Tombstone
	var f faults
	for i, id := range in.Body.IDs {
		if id == "" {
			f.add(fmt.Sprintf("body.ids[%d]", i), id, "must not be empty")
		}
		stones = append(stones, s.opts.Tombstones(in.Model, id)...)
	}
	if err := f.err("the erasure"); err != nil {
		return nil, err
	}
	e, err := s.opts.Store.AddErasure(ctx, modelwatch.Erasure{Model: in.Model, IDs: int64(len(in.Body.IDs)), DryRun: in.Body.DryRun}, stones)
	if err != nil {
		return nil, fmt.Errorf("order erasure: %w", err)
	}
	return &erasureOutput{
		Location: "/v1/models/" + url.PathEscape(e.Model) + "/erasures/" + strconv.FormatInt(e.ID, 10), Body: newErasure(e),
	}, nil
}

func (s *Server) listErasures(ctx context.Context, in *struct {
	ModelPath
	PageQuery
}) (*listOutput[Erasure], error) {
	list, next, err := s.opts.Store.Erasures(ctx, in.Model, in.page())
	if err != nil {
		return nil, fmt.Errorf("list erasures: %w", err)
	}
	return &listOutput[Erasure]{Body: newList(list, next, newErasure)}, nil
}

func (s *Server) getErasure(ctx context.Context, in *struct {
	ModelPath
	ID int64 `path:"id"`
}) (*struct{ Body Erasure }, error) {
	e, err := s.opts.Store.Erasure(ctx, in.Model, in.ID)
	if err != nil {
		return nil, fmt.Errorf("read erasure: %w", err)
	}
	return &struct{ Body Erasure }{newErasure(e)}, nil
}
