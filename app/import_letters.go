package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest"
)

// letterImport imports dead letters of imported files again: Kafka has no topic to
// publish them to. Those of a page are one commit, which is fenced if another has
// placed one of them, so each is placed once.
type letterImport struct {
	*imports
	letters deadLetters
	matched int
	skipped map[string]int
}

// deadLetters imports the letters of one file, or of all.
func (m *imports) deadLetters(ctx context.Context) error {
	w := &letterImport{imports: m, letters: deadLetters{store: m.catalog, archive: m.archive}, skipped: map[string]int{}}
	filter := modelwatch.DeadLetterFilter{Reason: m.opts.Reason, Page: modelwatch.Page{Limit: replayLetters}}
	if m.opts.DeadLetters == allImported {
		filter.TopicPrefix = ingest.ImportTopic
	} else {
		filter.Topic = m.opts.DeadLetters
	}
	for {
		letters, next, err := m.catalog.DeadLetters(ctx, filter)
		if err != nil {
			return err
		}
		if err := w.page(ctx, letters); err != nil {
			return err
		}
		if filter.Cursor = next; next == "" {
			return w.print(m.opts.Streams.Out)
		}
	}
}

// meant is whether the flags are about a letter: how to read all files says one model.
func (w *letterImport) meant(letter *modelwatch.DeadLetter) bool {
	return w.opts.DeadLetters != allImported || letter.Model == "" || letter.Model == w.opts.Model
}

// page imports those of a page of letters that can be.
func (w *letterImport) page(ctx context.Context, letters []modelwatch.DeadLetter) error {
	var batch []ingest.LetterReplay
	size := 0
	for _, letter := range letters {
		if !w.meant(&letter) {
			continue
		}
		w.matched++
		why := letter.Replayable()
		var value []byte
		if why == "" {
			var err error
			value, err = w.letters.Value(ctx, letter)
			if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
				why, err = "gone", nil
			}
			if err != nil {
				return err
			}
		}
		if why != "" {
			w.skipped[why]++
			continue
		}
		batch = append(batch, ingest.LetterReplay{Letter: letter, Value: value})
		if size += len(value); size >= replayBytes {
			if err := w.place(ctx, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
	}
	return w.place(ctx, batch)
}

// place queues letters, which ingest then settles.
func (w *letterImport) place(ctx context.Context, batch []ingest.LetterReplay) error {
	if !w.opts.DryRun && len(batch) > 0 {
		letters := make([]modelwatch.DeadLetter, len(batch))
		for i, l := range batch {
			letters[i] = l.Letter
		}
		queued, err := w.catalog.QueueReplays(ctx, letters)
		if err != nil {
			return err
		}
		ours := map[int64]bool{}
		for _, l := range queued {
			ours[l.ID] = true
		}
		before := len(batch)
		batch = slices.DeleteFunc(batch, func(l ingest.LetterReplay) bool { return !ours[l.Letter.ID] })
		w.skipped["changed"] += before - len(batch)
	}
	if len(batch) == 0 {
		return nil
	}
	e := w.eventImport("replay-"+strings.ToLower(rand.Text()), w.opts.DeadLetters)
	done, err := e.Replay(ctx, batch)
	if err == nil {
		w.add(done)
	}
	return err
}

func (w *letterImport) print(out io.Writer) error {
	verb := "imported again"
	if w.opts.DryRun {
		verb = "would be imported again"
	}
	refused := 0
	for _, n := range w.report.Rejected {
		refused += int(n)
	}
	skipped := 0
	for _, n := range w.skipped {
		skipped += n
	}
	fmt.Fprintf(out, "%d of %d dead letters %s\n", w.matched-refused-skipped, w.matched, verb)
	fmt.Fprintf(out, "%d rows: %d kept in %d data files, %d sampled out\n", w.report.Kept+w.report.SampledOut, w.report.Kept, w.report.Files, w.report.SampledOut)
	for _, reason := range slices.Sorted(maps.Keys(w.report.Rejected)) {
		fmt.Fprintf(out, "%d refused again: %s\n", w.report.Rejected[reason], reason)
	}
	for _, why := range slices.Sorted(maps.Keys(w.skipped)) {
		if n := w.skipped[why]; n > 0 {
			fmt.Fprintf(out, "%d not: %s\n", n, skippedBecause(why))
		}
	}
	return nil
}
