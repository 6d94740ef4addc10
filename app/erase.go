package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// EraseOptions are the flags of modelwatch erase.
type EraseOptions struct {
	Model         string
	IDs           []string
	IDsFile       string // an id a line; "-" is standard input
	DryRun        bool
	Wait          time.Duration // for the rows to be out of readers' sight
	Server, Token string
	Streams       Streams
}

// erasePoll is how often a service is asked how far it has come.
const erasePoll = time.Second

// Erase orders the erasure of rows by their request ids and waits until no reader
// sees them, or, in a dry run, until they are counted.
func Erase(ctx context.Context, opts EraseOptions) error {
	ids, err := erasedIDs(opts)
	if err != nil {
		return err
	}
	client, err := api.NewClient(opts.Server, opts.Token, nil)
	if err != nil {
		return err
	}
	var orders []api.Erasure
	for _, part := range eraseParts(ids) {
		e, err := client.OrderErasure(ctx, opts.Model, api.ErasureBody{IDs: part, DryRun: opts.DryRun})
		if err != nil {
			return err
		}
		orders = append(orders, e)
	}
	bar := progressCount(opts.Streams.Err, len(orders), "erasing")
	defer func() { _ = bar.Finish() }() // a bar that stays is no error
	deadline := time.Now().Add(opts.Wait)
	for i := range orders {
		for orders[i].State == modelwatch.ErasureQueued {
			if time.Now().After(deadline) {
				return modelwatch.Errorf(modelwatch.CodeUnavailable, "erasure %d of model %s is not through after %s: it goes on in the service, as long as one has the role work",
					orders[i].ID, opts.Model, opts.Wait)
			}
			if err := waitFor(ctx, erasePoll); err != nil {
				return err
			}
			if orders[i], err = client.Erasure(ctx, opts.Model, orders[i].ID); err != nil {
				return err
			}
		}
		_ = bar.Add(1) // nor is one that does not move
	}
	return printErasures(opts.Streams.Out, orders, len(ids))
}

func waitFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func printErasures(w io.Writer, orders []api.Erasure, ids int) error {
	var sum api.Erasure
	for _, e := range orders {
		sum.Files, sum.Rows, sum.DeadLetters, sum.DryRun = sum.Files+e.Files, sum.Rows+e.Rows, sum.DeadLetters+e.DeadLetters, e.DryRun
	}
	if sum.DryRun {
		_, err := fmt.Fprintf(w, "%d ids: %d rows in %d data files would be erased\n", ids, sum.Rows, sum.Files)
		return err
	}
	_, err := fmt.Fprintf(w, "%d ids: %d rows erased from %d data files, and %d dead letters; the objects that held them are deleted after archive.delete_after\n",
		ids, sum.Rows, sum.Files, sum.DeadLetters)
	return err
}

// erasedIDs are those of the flags and of the file.
func erasedIDs(opts EraseOptions) ([]string, error) {
	ids := append([]string(nil), opts.IDs...)
	if opts.IDsFile != "" {
		in, _, err := openInput(opts.IDsFile)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			if id := strings.TrimRight(lines.Text(), "\r"); id != "" {
				ids = append(ids, id)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read ids from %s", opts.IDsFile)
		}
	}
	if len(ids) == 0 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "there is no id: give --id or --ids-file")
	}
	return ids, nil
}

// eraseParts cuts ids into parts that one call takes.
func eraseParts(ids []string) (parts [][]string) {
	const maxBytes = 512 << 10
	from, size := 0, 0
	for i, id := range ids {
		if i > from && (i-from >= api.MaxErasedIDs || size+len(id) > maxBytes) {
			parts, from, size = append(parts, ids[from:i]), i, 0
		}
		size += len(id) + 3
	}
	return append(parts, ids[from:])
}
