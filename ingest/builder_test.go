package ingest

import (
	"testing"
)

// What a batch is taken to hold is about what its slices take in memory: the budget is made of it.
func TestBatchBytes(t *testing.T) {
	t.Parallel()
	v, records := wide(20_000)
	bundle := setupDecoder(t, v)
	for _, r := range records {
		row, rejected, err := bundle.decoder.decode(t.Context(), r)
		if err != nil || rejected != nil {
			t.Fatal(err, rejected)
		}
		bundle.batch.add(&bundle.decoder.event, row)
	}
	var held int64
	for _, f := range bundle.batch.files() {
		held += int64(cap(f.ids.bytes) + 8*cap(f.ids.ends) + 8*cap(f.stage.words))
		for _, w := range []*words{&f.times, &f.received, &f.ranks} {
			held += w.held()
		}
		for i := range f.set {
			held += f.set[i].held()
		}
		for i := range f.columns {
			held += f.columns[i].held()
		}
	}
	if got := bundle.batch.bytes; float64(got) < 0.9*float64(held) || float64(got) > 1.3*float64(held) {
		t.Errorf("a batch of %d bytes takes %d", got, held)
	} else {
		t.Logf("a batch of %d bytes takes %d", got, held)
	}
}

func (w *words) held() (bytes int64) {
	for _, p := range w.pages[w.born:] {
		bytes += int64(8 * cap(p))
	}
	return bytes
}
