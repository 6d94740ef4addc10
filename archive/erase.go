package archive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// Erasures is the part of the catalog that knows what is to be erased.
type Erasures interface {
	// Tombstones returns the ids of the erasures that stand, or of those that only
	// count and have not done so.
	Tombstones(ctx context.Context, dryRun bool) ([]modelwatch.Tombstone, error)
	// UnerasedFiles returns files of a model that may hold rows of its erasures up to
	// a number, MarkErased notes that they hold none.
	UnerasedFiles(ctx context.Context, model string, until int64, limit int) ([]modelwatch.DataFile, error)
	MarkErased(ctx context.Context, ids []int64, until int64) error
	// UnerasedLetters and EraseLetters are the same for dead letters: erased are by
	// id, with the erasure that each is of.
	UnerasedLetters(ctx context.Context, until int64, limit int) ([]modelwatch.DeadLetter, error)
	EraseLetters(ctx context.Context, erased map[int64]int64, kept []int64, until int64) error
	FinishDryRun(ctx context.Context, e modelwatch.Erasure) error
	// SettleErasures moves on the erasures that nothing is left to do for.
	SettleErasures(ctx context.Context) (moved int64, err error)
	DataFiles(ctx context.Context, f modelwatch.DataFileFilter) ([]modelwatch.DataFile, error)
}

// eraseBatch is how many files, or dead letters, are looked at between two notes
// of how far that has come.
const eraseBatch = 200

// graves are tombstones in the order of ranks.
type graves struct {
	stones []modelwatch.Tombstone
	until  int64 // the newest erasure among them
}

func newGraves(stones []modelwatch.Tombstone) graves {
	g := graves{stones: slices.Clone(stones)}
	slices.SortFunc(g.stones, func(x, y modelwatch.Tombstone) int {
		return cmp.Or(cmp.Compare(x.Rank, y.Rank), cmp.Compare(x.Erasure, y.Erasure))
	})
	for _, s := range g.stones {
		g.until = max(g.until, s.Erasure)
	}
	return g
}

func gravesByModel(stones []modelwatch.Tombstone) map[string]graves {
	of := map[string][]modelwatch.Tombstone{}
	for _, s := range stones {
		of[s.Model] = append(of[s.Model], s)
	}
	out := map[string]graves{}
	for model, stones := range of {
		out[model] = newGraves(stones)
	}
	return out
}

// from is the place of the first tombstone whose rank is not less.
func (g graves) from(rank int64) int {
	i, _ := slices.BinarySearchFunc(g.stones, rank, func(s modelwatch.Tombstone, r int64) int { return cmp.Compare(s.Rank, r) })
	return i
}

// within reports whether there is a tombstone in a range of ranks.
func (g graves) within(least, greatest int64) bool {
	i := g.from(least)
	return i < len(g.stones) && g.stones[i].Rank <= greatest
}

// of returns the first erasure that an id is of. Its digest is computed only where
// the rank agrees.
func (g graves) of(salt modelwatch.Salt, model string, rank int64, id string) (erasure int64, ok bool) {
	digest := ""
	for i := g.from(rank); i < len(g.stones) && g.stones[i].Rank == rank; i++ {
		if digest == "" {
			digest = modelwatch.EraseDigest(salt, id)
		}
		if s := &g.stones[i]; s.Digest == digest && (model == "" || s.Model == model) {
			return s.Erasure, true
		}
	}
	return 0, false
}

// buried counts the rows of a file that are to be erased, by erasure. Only row
// groups are read whose range of ranks a tombstone falls into.
func (a *Archive) buried(ctx context.Context, f modelwatch.DataFile, g graves, salt modelwatch.Salt) (rows map[int64]int64, err error) {
	if !g.within(0, modelwatch.RankLimit(f.SamplingRate)) {
		return nil, nil
	}
	r, closer, err := a.OpenDataFile(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	ranges, err := r.IntRanges(modelwatch.ColumnRank)
	if err != nil {
		return nil, fmt.Errorf("read data file %s: %w", f.Key, err)
	}
	groups := []int{}
	for i, s := range ranges {
		if !s.Known || g.within(s.Min, s.Max) {
			groups = append(groups, i)
		}
	}
	rows = map[int64]int64{}
	err = r.ScanGroups(ctx, groups, []string{modelwatch.ColumnRank, modelwatch.ColumnID}, func(c *table.Chunk) error {
		for i, rank := range c.Columns[0].Ints {
			if erasure, ok := g.of(salt, f.Model, rank, c.Columns[1].Text(i)); ok {
				rows[erasure]++
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read data file %s: %w", f.Key, err)
	}
	return rows, nil
}

// erase removes the rows of erased ids, from files that were there before and from
// those that have come since, and the dead letters that carry such an id.
func (k *Keeper) erase(ctx context.Context) error {
	if err := k.countErasures(ctx); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	stones, err := k.opts.Ledger.Tombstones(ctx, false)
	if err != nil || len(stones) == 0 {
		return err
	}
	for model, g := range gravesByModel(stones) {
		if err := k.eraseModel(ctx, model, g); err != nil {
			return fmt.Errorf("erase from model %s: %w", model, err)
		}
	}
	if err := k.eraseLetters(ctx, newGraves(stones)); err != nil {
		return fmt.Errorf("erase dead letters: %w", err)
	}
	moved, err := k.opts.Ledger.SettleErasures(ctx)
	if moved > 0 {
		k.opts.Log.InfoContext(ctx, "erasures moved on", "erasures", moved)
	}
	return err
}

// eraseModel goes through the files that may hold erased rows. One that cannot be
// read does not keep the others from being gone through.
func (k *Keeper) eraseModel(ctx context.Context, model string, g graves) error {
	tried := map[int64]error{}
	for {
		files, err := k.opts.Ledger.UnerasedFiles(ctx, model, g.until, eraseBatch+len(tried))
		if err != nil {
			return err
		}
		var clean []int64
		progress := false
		for _, f := range files {
			if _, again := tried[f.ID]; again {
				continue
			}
			progress = true
			rows, err := k.opts.Archive.buried(ctx, f, g, k.opts.Salt)
			if err == nil && len(rows) == 0 {
				clean = append(clean, f.ID)
				continue
			}
			if err == nil {
				err = k.eraseFile(ctx, f, g, rows)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			tried[f.ID] = err
		}
		if err := k.opts.Ledger.MarkErased(ctx, clean, g.until); err != nil {
			return err
		}
		if !progress {
			return stillListed(files, tried)
		}
	}
}

// stillListed joins the errors of files that are in force. One that was replaced
// meanwhile has a successor, which was looked at in its turn.
func stillListed(files []modelwatch.DataFile, tried map[int64]error) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, tried[f.ID])
	}
	return errors.Join(errs...)
}

// eraseFile puts a file without the erased rows in the place of one; where none
// is left, nothing.
func (k *Keeper) eraseFile(ctx context.Context, f modelwatch.DataFile, g graves, rows map[int64]int64) error {
	drop := func(rank int64, id string) bool {
		_, ok := g.of(k.opts.Salt, f.Model, rank, id)
		return ok
	}
	out, err := k.opts.Archive.Rewrite(ctx, unique("e"), []modelwatch.DataFile{f}, RewriteOptions{Memory: k.opts.Compaction.Memory, Drop: drop})
	if err == nil {
		_, err = k.replace(ctx, out, modelwatch.Replacement{Reason: "erasure", Retired: []int64{f.ID}, ErasedUntil: g.until, Erased: rows})
	}
	if err != nil {
		return err
	}
	k.metrics.erasedRows.Add(float64(out.Dropped))
	k.opts.Log.InfoContext(ctx, "rows erased", "model", f.Model, "version", f.Version, "kind", f.Kind, "replaced", f.Key, "rows", out.Dropped)
	return nil
}

// eraseLetters deletes the dead letters that carry an erased id.
func (k *Keeper) eraseLetters(ctx context.Context, g graves) error {
	for {
		letters, err := k.opts.Ledger.UnerasedLetters(ctx, g.until, eraseBatch)
		if err != nil || len(letters) == 0 {
			return err
		}
		erased, kept := map[int64]int64{}, []int64{}
		for i := range letters {
			erasure, ok, err := k.letterOf(ctx, &letters[i], g)
			if err != nil {
				return err
			}
			if !ok {
				kept = append(kept, letters[i].ID)
				continue
			}
			if err := k.opts.Archive.blank(ctx, letters[i].Object); err != nil {
				return err
			}
			erased[letters[i].ID] = erasure
		}
		if err := k.opts.Ledger.EraseLetters(ctx, erased, kept, g.until); err != nil {
			return err
		}
		k.metrics.erasedLetters.Add(float64(len(erased)))
	}
}

// letterOf returns the erasure that a dead letter is of: an erased id is its key or
// a header, or stands in its JSON as a text or a number.
func (k *Keeper) letterOf(ctx context.Context, d *modelwatch.DeadLetter, g graves) (erasure int64, ok bool, err error) {
	of := func(id []byte) bool {
		erasure, ok = g.of(k.opts.Salt, d.Model, modelwatch.Rank(k.opts.Salt, id), string(id))
		return ok
	}
	if of(d.Key) || slices.ContainsFunc(d.Headers, func(h modelwatch.RecordHeader) bool { return of(h.Value) }) {
		return erasure, true, nil
	}
	value := d.Value
	if d.Object.Key != "" {
		value, err = k.opts.Archive.ReadPart(ctx, d.Object)
		if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, err
		}
	}
	return erasure, eachScalar(value, of), nil
}

// eachScalar calls f for the texts and numbers of JSON values, as far as the bytes
// are JSON, until it returns true.
func eachScalar(value []byte, f func(text []byte) bool) bool {
	d := jsontext.NewDecoder(bytes.NewReader(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		token, err := d.ReadToken()
		if err != nil {
			return false
		}
		if kind := token.Kind(); (kind == '"' || kind == '0') && f([]byte(token.String())) {
			return true
		}
	}
}

// blank writes zeros over a part of an object, which others have parts of too.
func (a *Archive) blank(ctx context.Context, p modelwatch.ObjectPart) error {
	if p.Key == "" {
		return nil
	}
	body, err := a.bucket.Read(ctx, p.Key)
	if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	clear(body[min(p.Offset, int64(len(body))):min(p.Offset+p.Length, int64(len(body)))])
	return a.bucket.Put(ctx, p.Key, bytes.NewReader(body), int64(len(body)))
}

// countErasures does the work of dry runs: it counts.
func (k *Keeper) countErasures(ctx context.Context) error {
	stones, err := k.opts.Ledger.Tombstones(ctx, true)
	if err != nil || len(stones) == 0 {
		return err
	}
	counts := map[int64]*modelwatch.Erasure{}
	for _, s := range stones {
		counts[s.Erasure] = &modelwatch.Erasure{ID: s.Erasure, Model: s.Model, DryRun: true}
	}
	for model, g := range gravesByModel(stones) {
		files, err := k.opts.Ledger.DataFiles(ctx, modelwatch.DataFileFilter{Model: model})
		if err != nil {
			return err
		}
		for _, f := range files {
			rows, err := k.opts.Archive.buried(ctx, f, g, k.opts.Salt)
			if err != nil && !errors.Is(err, modelwatch.ErrDataFileGone) {
				return err
			}
			for erasure, n := range rows {
				counts[erasure].Files++
				counts[erasure].Rows += n
			}
		}
	}
	for _, e := range counts {
		if err := k.opts.Ledger.FinishDryRun(ctx, *e); err != nil {
			return err
		}
	}
	return nil
}
