package ingest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/table"
)

// fakeCatalog keeps the promises of Ledger and Registry in memory.
type fakeCatalog struct {
	mu       sync.Mutex
	versions map[[2]string]modelwatch.Version
	cursors  map[string]modelwatch.Cursor // by group and partition
	owners   map[string]string
	intents  map[string]string
	claims   map[string]modelwatch.IngestIntent // by key
	commits  map[string]modelwatch.IngestCommit
	replays  map[modelwatch.RecordID]modelwatch.ReplayState
	order    []string                // of commits
	fail     func(step string) error // asked before each call
	after    func(step string) error // asked after it: a lost answer
	grows    int                     // calls of GrowSchema that changed something
	changed  chan struct{}           // closed and replaced with each commit
}

func newFakeCatalog() *fakeCatalog {
	return &fakeCatalog{
		versions: map[[2]string]modelwatch.Version{}, cursors: map[string]modelwatch.Cursor{}, owners: map[string]string{},
		intents: map[string]string{}, claims: map[string]modelwatch.IngestIntent{}, commits: map[string]modelwatch.IngestCommit{}, replays: map[modelwatch.RecordID]modelwatch.ReplayState{}, changed: make(chan struct{}),
	}
}

func (c *fakeCatalog) enter(step string) (leave func(*error), err error) {
	c.mu.Lock()
	if c.fail != nil {
		if err := c.fail(step); err != nil {
			c.mu.Unlock()
			return nil, err
		}
	}
	return func(err *error) {
		if *err == nil && c.after != nil {
			*err = c.after(step)
		}
		c.mu.Unlock()
	}, nil
}

func cursorKey(group string, p modelwatch.Partition) string {
	return fmt.Sprintf("%s/%x/%d", group, p.TopicID, p.Partition)
}

func (c *fakeCatalog) TakePartitions(_ context.Context, group, owner string, parts []modelwatch.Partition) (out map[modelwatch.Partition]modelwatch.Cursor, err error) {
	leave, err := c.enter("take")
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	out = map[modelwatch.Partition]modelwatch.Cursor{}
	for _, p := range parts {
		k := cursorKey(group, p)
		cursor, ok := c.cursors[k]
		if ok {
			cursor.Epoch++
		} else {
			cursor = modelwatch.Cursor{Next: -1, LeaderEpoch: -1}
		}
		c.cursors[k], c.owners[k], out[p] = cursor, owner, cursor
	}
	return out, nil
}

func (c *fakeCatalog) IntendIngest(_ context.Context, intent modelwatch.IngestIntent) (err error) {
	leave, err := c.enter("intend")
	if err != nil {
		return err
	}
	defer leave(&err)
	for _, k := range intent.Keys {
		if c.intents[k] != "" {
			return modelwatch.Errorf(modelwatch.CodeConflict, "intent %s exists", k)
		}
	}
	if err := c.checkCursors(intent.Group, intent.Ranges); err != nil {
		return err
	}
	for _, k := range intent.Keys {
		c.intents[k] = "pending"
		c.claims[k] = intent
	}
	return nil
}

// checkCursors is the compare of compare-and-set.
func (c *fakeCatalog) checkCursors(group string, ranges []modelwatch.Range) error {
	for _, r := range ranges {
		if have := c.cursors[cursorKey(group, r.Partition)]; have.Next != r.From || have.Epoch != r.Epoch {
			return modelwatch.Errorf(modelwatch.CodeFenced, "cursor %v, commit %v", have, r)
		}
	}
	return nil
}

func (c *fakeCatalog) CommitIngest(_ context.Context, commit modelwatch.IngestCommit) (err error) {
	leave, err := c.enter("commit")
	if err != nil {
		return err
	}
	defer leave(&err)
	if _, ok := c.commits[commit.ID]; ok {
		return nil
	}
	for _, r := range commit.Ranges {
		if r.To < r.Start() || r.To < 0 {
			return modelwatch.Errorf(modelwatch.CodeInternal, "range [%d,%d)", r.From, r.To)
		}
	}
	if err := c.checkCursors(commit.Group, commit.Ranges); err != nil {
		return err
	}
	for _, f := range commit.Files {
		if c.intents[f.Key] != "pending" {
			return modelwatch.Errorf(modelwatch.CodeFenced, "intent of %s is %q", f.Key, c.intents[f.Key])
		}
	}
	for i := range commit.DeadLetters {
		if key := commit.DeadLetters[i].Object.Key; key != "" && c.intents[key] == "" {
			return modelwatch.Errorf(modelwatch.CodeFenced, "intent of %s is missing", key)
		}
	}
	for _, r := range commit.Replays {
		if state, ok := c.replays[r.Record]; !ok || state.State == modelwatch.DeadLetterReplayed {
			return modelwatch.Errorf(modelwatch.CodeFenced, "replay %s is %q", r.Record, state.State)
		}
	}
	for _, r := range commit.Replays {
		state := c.replays[r.Record]
		state.State = modelwatch.DeadLetterReplayed
		if r.Reason != "" {
			state.State = modelwatch.DeadLetterOpen
		}
		c.replays[r.Record] = state
	}
	for _, r := range commit.Ranges {
		k := cursorKey(commit.Group, r.Partition)
		c.cursors[k] = modelwatch.Cursor{Next: r.To, Epoch: c.cursors[k].Epoch, LeaderEpoch: r.LeaderEpoch}
	}
	for _, f := range commit.Files {
		c.intents[f.Key] = "registered"
	}
	c.commits[commit.ID] = commit
	c.order = append(c.order, commit.ID)
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

func (c *fakeCatalog) Replay(_ context.Context, record modelwatch.RecordID) (state modelwatch.ReplayState, ok bool, err error) {
	leave, err := c.enter("replay")
	if err != nil {
		return state, false, err
	}
	defer leave(&err)
	state, ok = c.replays[record]
	return state, ok, nil
}

// queue makes a replay known.
func (c *fakeCatalog) queue(record modelwatch.RecordID, kept bool) {
	c.queueAs(record, modelwatch.ReplayState{State: modelwatch.DeadLetterQueued, Kept: kept})
}

func (c *fakeCatalog) queueAs(record modelwatch.RecordID, state modelwatch.ReplayState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replays[record] = state
}

func (c *fakeCatalog) EnsureVersion(_ context.Context, model, version string) (v modelwatch.Version, err error) {
	leave, err := c.enter("ensure")
	if err != nil {
		return v, err
	}
	defer leave(&err)
	k := [2]string{model, version}
	if _, ok := c.versions[k]; !ok {
		c.versions[k] = modelwatch.Version{Model: model, Name: version, SamplingRate: 1, SchemaRevision: 1}
	}
	return c.versions[k], nil
}

func (c *fakeCatalog) Version(_ context.Context, model, version string) (v modelwatch.Version, err error) {
	leave, err := c.enter("version")
	if err != nil {
		return v, err
	}
	defer leave(&err)
	v, ok := c.versions[[2]string{model, version}]
	if !ok {
		return v, modelwatch.Errorf(modelwatch.CodeNotFound, "no version %q of %q", version, model)
	}
	return v, nil
}

func (c *fakeCatalog) GrowSchema(_ context.Context, model, version string, from int64, s modelwatch.Schema) (v modelwatch.Version, err error) {
	leave, err := c.enter("grow")
	if err != nil {
		return v, err
	}
	defer leave(&err)
	k := [2]string{model, version}
	v = c.versions[k]
	if v.SchemaRevision != from {
		return v, modelwatch.Errorf(modelwatch.CodeConflict, "revision %d, not %d", v.SchemaRevision, from)
	}
	v.Schema, v.SchemaRevision = s, from+1
	c.versions[k] = v
	c.grows++
	return v, nil
}

func (c *fakeCatalog) PrivateVersions(context.Context) (out []modelwatch.Version, err error) {
	leave, err := c.enter("private")
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	for _, v := range c.versions {
		if !v.Schema.Privacy.Empty() {
			out = append(out, v)
		}
	}
	return out, nil
}

// put registers a version.
func (c *fakeCatalog) put(v modelwatch.Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := [2]string{v.Model, v.Name}
	v.Registered, v.SchemaRevision = true, c.versions[k].SchemaRevision+1
	if v.SamplingRate == 0 {
		v.SamplingRate = 1
	}
	c.versions[k] = v
}

func (c *fakeCatalog) version(model, version string) modelwatch.Version {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.versions[[2]string{model, version}]
}

func (c *fakeCatalog) setFail(f func(step string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = f
}

// ledger returns the commits in order.
func (c *fakeCatalog) ledger() []modelwatch.IngestCommit {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]modelwatch.IngestCommit, 0, len(c.order))
	for _, id := range c.order {
		out = append(out, c.commits[id])
	}
	return out
}

// await waits until the ledger satisfies what is asked.
func (c *fakeCatalog) await(ctx context.Context, ok func([]modelwatch.IngestCommit) bool) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if ok(c.ledger()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fakeArchive keeps chunks under their keys.
type fakeArchive struct {
	mu      sync.Mutex
	objects map[string]*table.Chunk
	letters map[string][]byte
	fail    func(key string) error
	after   func(key string) error // asked after it: a lost answer
}

func newFakeArchive() *fakeArchive {
	return &fakeArchive{objects: map[string]*table.Chunk{}, letters: map[string][]byte{}}
}

func fakeKey(s modelwatch.FileSpec) string {
	return strings.Join([]string{string(s.Kind), s.Model, s.Version, s.Hour.Format("2006-01-02T15"), s.Unique}, "|")
}

func (a *fakeArchive) WriteDataFile(_ context.Context, spec modelwatch.FileSpec, rows table.Rows) (modelwatch.DataFile, error) {
	c := chunkOf(rows)
	a.mu.Lock()
	defer a.mu.Unlock()
	key := fakeKey(spec)
	if a.fail != nil {
		if err := a.fail(key); err != nil {
			return modelwatch.DataFile{}, err
		}
	}
	if err := checkChunk(c); err != nil {
		return modelwatch.DataFile{}, err
	}
	a.objects[key] = c
	if a.after != nil {
		if err := a.after(key); err != nil {
			return modelwatch.DataFile{}, err
		}
	}
	times := c.Column(modelwatch.ColumnTime).Ints
	return modelwatch.DataFile{
		Key: key, Kind: spec.Kind, Model: spec.Model, Version: spec.Version, Rows: int64(c.Rows), Bytes: int64(c.Rows), CommitID: spec.CommitID,
		MinTime: microsTime(slices.Min(times)), MaxTime: microsTime(slices.Max(times)), SamplingRate: spec.SamplingRate, SchemaRevision: spec.SchemaRevision,
	}, nil
}

func (a *fakeArchive) WriteDeadLetters(_ context.Context, key string, body []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		if err := a.fail(key); err != nil {
			return err
		}
	}
	a.letters[key] = body
	return nil
}

// letter returns the value of a dead letter, wherever it lies.
func (a *fakeArchive) letter(d modelwatch.DeadLetter) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.Object.Key == "" {
		return d.Value
	}
	return a.letters[d.Object.Key][d.Object.Offset:][:d.Object.Length]
}

func (a *fakeArchive) setFail(f func(key string) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail = f
}

func (a *fakeArchive) remove(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.objects, key)
}

func (a *fakeArchive) chunk(key string) *table.Chunk {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objects[key]
}

// chunkOf copies rows into a chunk.
func chunkOf(rows table.Rows) *table.Chunk {
	n := rows.Len()
	out := &table.Chunk{Rows: n}
	for i := range rows.Infos() {
		c := rows.Part(i, 0, n)
		c.Valid, c.Floats, c.Ints, c.Bools = slices.Clone(c.Valid), slices.Clone(c.Floats), slices.Clone(c.Ints), slices.Clone(c.Bools)
		c.Dict, c.Index, c.Vectors = slices.Clone(c.Dict), slices.Clone(c.Index), slices.Clone(c.Vectors)
		if len(c.Floats)+len(c.Ints)+len(c.Bools)+len(c.Index)+len(c.Vectors) == 0 { // missing in all rows
			c.Valid, c.Dict, c.Index = make([]bool, n), []string{""}, make([]int32, n)
		}
		out.Columns = append(out.Columns, c)
	}
	return out
}

// chunk returns the rows of a sealed builder.
func (b *builder) chunk() *table.Chunk { return chunkOf(b.sorted()) }

// checkChunk checks what every data file must be: columns of one length, sorted
// by rank, each name once.
func checkChunk(c *table.Chunk) error {
	if c.Rows == 0 || !slices.IsSorted(c.Column(modelwatch.ColumnRank).Ints) {
		return fmt.Errorf("%d rows, sorted by rank: %v", c.Rows, slices.IsSorted(c.Column(modelwatch.ColumnRank).Ints))
	}
	seen := map[string]bool{}
	for i := range c.Columns {
		col := &c.Columns[i]
		n := len(col.Floats) + len(col.Ints) + len(col.Bools) + len(col.Index) + len(col.Vectors)
		if n != c.Rows || col.Valid != nil && len(col.Valid) != c.Rows || seen[col.Name] || col.Type == "" {
			return fmt.Errorf("column %q of type %q has %d values, %d valid, of %d rows", col.Name, col.Type, n, len(col.Valid), c.Rows)
		}
		seen[col.Name] = true
		for i, at := range col.Index {
			if !col.Missing(i) && int(at) >= len(col.Dict) {
				return fmt.Errorf("column %q: index %d of %d", col.Name, at, len(col.Dict))
			}
		}
	}
	return nil
}

// cell renders one value of a chunk, "-" where it is missing.
func cell(c *table.Chunk, name string, row int) string {
	col := c.Column(name)
	if col == nil {
		return "absent"
	}
	if col.Missing(row) {
		return "-"
	}
	switch {
	case col.Floats != nil:
		return fmt.Sprint(col.Floats[row])
	case col.Ints != nil:
		return fmt.Sprint(col.Ints[row])
	case col.Bools != nil:
		return fmt.Sprint(col.Bools[row])
	case col.Vectors != nil:
		return fmt.Sprint(col.Vectors[row])
	}
	return col.Text(row)
}

// keptIDs counts the rows of each id in the registered files of a kind.
func keptIDs(c *fakeCatalog, a *fakeArchive, kind modelwatch.Kind) map[string]int {
	out := map[string]int{}
	for _, commit := range c.ledger() {
		for _, f := range commit.Files {
			if f.Kind != kind {
				continue
			}
			ids := a.chunk(f.Key).Column(modelwatch.ColumnID)
			for i := range ids.Index {
				out[ids.Text(i)]++
			}
		}
	}
	return out
}

// checkTiling checks that the ranges of each partition follow each other without
// gap or overlap, and returns how far each goes.
func checkTiling(commits []modelwatch.IngestCommit) (map[modelwatch.Partition]int64, error) {
	next := map[modelwatch.Partition]int64{}
	for _, commit := range commits {
		ranges := slices.Clone(commit.Ranges)
		slices.SortFunc(ranges, func(a, b modelwatch.Range) int { return cmp.Compare(a.From, b.From) })
		for _, r := range ranges {
			at, ok := next[r.Partition]
			if !ok {
				at = -1
			}
			if r.From != at {
				return nil, fmt.Errorf("partition %d: range [%d,%d) after %d", r.Partition.Partition, r.From, r.To, at)
			}
			next[r.Partition] = r.To
		}
	}
	return next, nil
}
