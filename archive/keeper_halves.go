package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
)

// HalfFiles is the part of the catalog that knows which halves of predictions
// are waiting.
type HalfFiles interface {
	// HalfFiles returns the files of inputs and of outputs that readers see, at most
	// limit of them: by model and version, and by place.
	HalfFiles(ctx context.Context, limit int) ([]modelwatch.DataFile, error)
}

// HalvesOptions say how long the halves of a prediction look for each other.
type HalvesOptions struct {
	// Apart is how far the event times of an input and its output may be apart;
	// default 1 hour.
	Apart time.Duration
	// Patience is how long a half waits in the archive; default twice Apart. Then it
	// is a prediction that lacks the rest.
	Patience time.Duration
	// TargetBytes bounds the files of each side that are joined at once; default 64 MiB.
	TargetBytes int64
}

// Bounds of a round: the files that it looks at, and how often.
const (
	maxHalfFiles  = 10_000
	maxHalfPasses = 50
)

// joinHalves makes predictions of the inputs and outputs that have arrived since
// the last round. Only then do readers see them: whatever reads predictions need
// not know that some have come in two parts.
func (k *Keeper) joinHalves(ctx context.Context) error {
	for range maxHalfPasses {
		again, err := k.joinPass(ctx)
		if err != nil || !again {
			return err
		}
	}
	return nil
}

// joinPass looks at all halves once. Again says that something was joined: what is
// left of these files may belong to others.
func (k *Keeper) joinPass(ctx context.Context) (again bool, err error) {
	files, err := k.opts.Ledger.HalfFiles(ctx, maxHalfFiles)
	if err != nil {
		return false, fmt.Errorf("join halves: %w", err)
	}
	var errs []error
	for len(files) > 0 {
		n := slices.IndexFunc(files, func(f modelwatch.DataFile) bool { return f.Model != files[0].Model || f.Version != files[0].Version })
		if n < 0 {
			n = len(files)
		}
		more, err := k.joinVersion(ctx, files[:n])
		again = again || more
		if err != nil {
			errs = append(errs, fmt.Errorf("join halves of model %q, version %q: %w", files[0].Model, files[0].Version, err))
		}
		files = files[n:]
	}
	return again, errors.Join(errs...)
}

// joinVersion joins the halves of one model version: inputs of one hour and rate
// with outputs near them, as many at a time as fit. Where nothing more is to be
// joined, halves that have waited for long are given up.
func (k *Keeper) joinVersion(ctx context.Context, files []modelwatch.DataFile) (again bool, err error) {
	byKind := map[modelwatch.Kind][]modelwatch.DataFile{}
	for _, f := range files {
		byKind[f.Kind] = append(byKind[f.Kind], f)
	}
	inputs, outputs := byKind[modelwatch.KindInput], byKind[modelwatch.KindOutput]
	slices.SortStableFunc(inputs, func(x, y modelwatch.DataFile) int {
		return cmp.Or(x.MinTime.Truncate(time.Hour).Compare(y.MinTime.Truncate(time.Hour)), cmp.Compare(x.SamplingRate, y.SamplingRate))
	})
	for len(inputs) > 0 {
		batch := k.upTo(inputs, samePartition)
		inputs = inputs[len(batch):]
		used, err := k.joinInputs(ctx, batch, outputs)
		if err != nil {
			return false, err
		}
		again = again || len(used) > 0
		outputs = slices.DeleteFunc(outputs, func(f modelwatch.DataFile) bool { return slices.Contains(used, f.ID) })
	}
	if again {
		return true, nil
	}
	return false, k.giveUp(ctx, files)
}

// joinInputs joins inputs with the first outputs that hold some of theirs, and
// returns the ids of these. They are files of the past then: what is left of them
// comes in the next pass.
func (k *Keeper) joinInputs(ctx context.Context, inputs, outputs []modelwatch.DataFile) (used []int64, err error) {
	for near := k.near(inputs, outputs); len(near) > 0; {
		done, tried, err := k.joinOnce(ctx, Halves{Inputs: inputs, Outputs: k.upTo(near, nil)})
		if err != nil || done {
			return tried, err
		}
		tried = append(tried, near[0].ID) // so that it ends
		near = slices.DeleteFunc(near, func(f modelwatch.DataFile) bool { return slices.Contains(tried, f.ID) })
	}
	return nil, nil
}

// giveUp makes predictions of halves that were registered long ago: their other
// halves are not among those that are here.
func (k *Keeper) giveUp(ctx context.Context, files []modelwatch.DataFile) error {
	before := k.opts.Now().Add(-k.opts.Halves.Patience)
	for _, f := range files {
		if !f.CreatedAt.Before(before) {
			continue
		}
		h := Halves{GiveUp: true}
		if h.Inputs = []modelwatch.DataFile{f}; f.Kind == modelwatch.KindOutput {
			h.Inputs, h.Outputs = nil, h.Inputs
		}
		if _, _, err := k.joinOnce(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

func samePartition(x, y *modelwatch.DataFile) bool {
	return x.SamplingRate == y.SamplingRate && x.MinTime.Truncate(time.Hour).Equal(y.MinTime.Truncate(time.Hour))
}

// upTo returns the first files that are alike, up to the target size.
func (k *Keeper) upTo(files []modelwatch.DataFile, alike func(x, y *modelwatch.DataFile) bool) []modelwatch.DataFile {
	sum := int64(0)
	for i := range files {
		if sum += files[i].Bytes; i > 0 && (sum > k.opts.Halves.TargetBytes || alike != nil && !alike(&files[0], &files[i])) {
			return files[:i]
		}
	}
	return files
}

// near returns the outputs among which those of the inputs may be.
func (k *Keeper) near(inputs, outputs []modelwatch.DataFile) (out []modelwatch.DataFile) {
	from, to := inputs[0].MinTime, inputs[0].MaxTime
	for _, f := range inputs {
		if f.MinTime.Before(from) {
			from = f.MinTime
		}
		if f.MaxTime.After(to) {
			to = f.MaxTime
		}
	}
	from, to = from.Add(-k.opts.Halves.Apart), to.Add(k.opts.Halves.Apart)
	for _, f := range outputs {
		if !f.MaxTime.Before(from) && !f.MinTime.After(to) {
			out = append(out, f)
		}
	}
	return out
}

// joinOnce replaces files of halves by what has become of them, and returns the ids
// of those that took part. If nothing has become of them, they stay as they are.
func (k *Keeper) joinOnce(ctx context.Context, h Halves) (done bool, of []int64, err error) {
	started := time.Now()
	out, err := k.opts.Archive.JoinHalves(ctx, unique("h"), h, k.opts.Compaction.Memory)
	if errors.Is(err, modelwatch.ErrDataFileGone) {
		return false, idsOf(slices.Concat(h.Inputs, h.Outputs)), nil // replaced, and the list is old
	}
	if err != nil {
		return false, nil, err
	}
	of = idsOf(out.Of)
	if out.Matched+out.Alone == 0 {
		return false, of, nil
	}
	if err := k.at(PointRewritten); err != nil {
		return false, nil, err
	}
	r := modelwatch.Replacement{ID: unique("r"), Owner: k.opts.Owner, Reason: "halves", Retired: of, Volumes: out.Volumes}
	for _, f := range out.Files {
		file, err := k.upload(ctx, f)
		if err != nil {
			return false, nil, err
		}
		r.Files = append(r.Files, file)
	}
	err = insist(ctx, func() error { return k.opts.Ledger.ReplaceDataFiles(ctx, r) })
	if modelwatch.ErrorCode(err) == modelwatch.CodeFenced {
		return false, of, nil // another has been faster
	}
	if err != nil {
		return false, nil, err
	}
	k.metrics.joined.Add(float64(out.Matched))
	k.metrics.alone.Add(float64(out.Alone))
	first := out.Of[0]
	k.opts.Log.InfoContext(ctx, "halves of predictions joined", "model", first.Model, "version", first.Version, "files", len(of),
		"matched", out.Matched, "given_up", out.Alone, "took", time.Since(started))
	return true, of, k.at(PointReplaced)
}
