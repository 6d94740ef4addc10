package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
)

// DeadLetterOptions are the flags of modelwatch dead-letters.
type DeadLetterOptions struct {
	Server, Token string
	Format        string // table, json or ndjson
	Filter        modelwatch.DeadLetterFilter
	// Limit is how many letters are listed at most; 0: all.
	Limit int
	// Output is the file that the bytes of a letter go to; "" is standard output.
	Output  string
	DryRun  bool
	Streams Streams
}

func (o DeadLetterOptions) client() (*api.Client, error) {
	return api.NewClient(o.Server, o.Token, nil)
}

// ListDeadLetters prints letters, the newest first.
func ListDeadLetters(ctx context.Context, o DeadLetterOptions) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	var letters []api.DeadLetter
	for d, err := range api.All(func(page api.Page) (api.List[api.DeadLetter], error) {
		if o.Limit > 0 {
			page.Limit = min(page.Limit, o.Limit-len(letters))
		}
		o.Filter.Page = page
		return client.DeadLetters(ctx, o.Filter)
	}) {
		if err != nil {
			return err
		}
		letters = append(letters, d)
		if len(letters) == o.Limit {
			break
		}
	}
	return writeItems(o.Streams.Out, o.Format, letters,
		"ID\tTOPIC\tPARTITION\tOFFSET\tREASON\tSTATE\tMODEL\tBYTES\tRECEIVED\tDETAIL", func(d api.DeadLetter) string {
			return fmt.Sprintf("%d\t%s\t%d\t%d\t%s\t%s\t%s\t%d\t%s\t%s", d.ID, printable(d.Topic), d.Partition, d.Offset, d.Reason, d.State,
				printable(orText(d.Model, "-")), d.ValueBytes, d.CreatedAt.UTC().Format(time.DateTime), printable(d.Detail))
		})
}

// CountDeadLetters prints how many letters there are, by reason and state.
func CountDeadLetters(ctx context.Context, o DeadLetterOptions) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	summary, err := client.CountDeadLetters(ctx, o.Filter)
	if err != nil {
		return err
	}
	return writeItems(o.Streams.Out, o.Format, summary.Items, "REASON\tSTATE\tCOUNT\tBYTES", func(c api.DeadLetterCount) string {
		return fmt.Sprintf("%s\t%s\t%d\t%d", c.Reason, c.State, c.Count, c.Bytes)
	})
}

// GetDeadLetter prints a letter, or with raw writes the bytes that are kept of it.
func GetDeadLetter(ctx context.Context, id int64, raw bool, o DeadLetterOptions) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	if raw {
		value, err := client.DeadLetterValue(ctx, id)
		if err != nil {
			return err
		}
		return o.writeBytes(value)
	}
	d, err := client.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(o.Streams.Out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

func (o DeadLetterOptions) writeBytes(value []byte) (err error) {
	out := o.Streams.Out
	if o.Output != "" {
		f, err := os.Create(o.Output)
		if err != nil {
			return modelwatch.Wrap(modelwatch.CodeInvalid, err, "write the bytes")
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	_, err = out.Write(value)
	return err
}

// ReplayDeadLetters publishes letters again, page by page, and prints what became
// of them.
func ReplayDeadLetters(ctx context.Context, o DeadLetterOptions) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	f := o.Filter
	request := api.ReplayRequest{
		Model: f.Model, Reason: f.Reason, Topic: f.Topic, State: f.State, From: timeOrNil(f.From), To: timeOrNil(f.To), DryRun: o.DryRun,
	}
	total := api.ReplayResult{Skipped: map[string]int{}}
	for {
		result, err := client.ReplayDeadLetters(ctx, request)
		if err != nil {
			return errors.Join(o.writeReplay(total), err)
		}
		total.Matched += result.Matched
		total.Replayed += result.Replayed
		for why, n := range result.Skipped {
			total.Skipped[why] += n
		}
		if request.Cursor = result.NextCursor; request.Cursor == "" {
			return o.writeReplay(total)
		}
	}
}

func (o DeadLetterOptions) writeReplay(r api.ReplayResult) error {
	if o.Format != "table" {
		return json.NewEncoder(o.Streams.Out).Encode(r)
	}
	verb := "published again"
	if o.DryRun {
		verb = "would be published again"
	}
	_, err := fmt.Fprintf(o.Streams.Out, "%d of %d dead letters %s\n", r.Replayed, r.Matched, verb)
	for _, why := range slices.Sorted(maps.Keys(r.Skipped)) {
		_, werr := fmt.Fprintf(o.Streams.Out, "%d not: %s\n", r.Skipped[why], skippedBecause(why))
		err = errors.Join(err, werr)
	}
	return err
}

func skippedBecause(why string) string {
	switch why {
	case "replayed":
		return "they have found their place"
	case "produced":
		return "they are on their way; --state produced publishes them once more"
	case "truncated":
		return "not all of their bytes were kept"
	case "empty":
		return "they have no bytes"
	case "gone":
		return "the object that held their bytes is gone"
	case "topic":
		return "they are of no topic that is read: it has left kafka.sources"
	case "file":
		return "they are lines of an imported file: modelwatch import --dead-letters places them"
	case "changed":
		return "somebody else replays them"
	}
	return why
}

// writeItems prints a list as a table, as one JSON array, or a line of JSON each.
func writeItems[T any](w io.Writer, format string, items []T, head string, row func(T) string) error {
	switch format {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		if items == nil {
			items = []T{}
		}
		return encoder.Encode(items)
	case "ndjson":
		encoder := json.NewEncoder(w)
		for _, item := range items {
			if err := encoder.Encode(item); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, head) // an error comes back from Flush
	for _, item := range items {
		fmt.Fprintln(table, row(item))
	}
	return table.Flush()
}

// printable keeps what producers have written from moving a terminal's cursor.
func printable(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
