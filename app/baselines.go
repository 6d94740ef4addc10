package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/drift"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/profile"
	"github.com/modelwatch/modelwatch/table"
)

// baselines registers training sets: spool, infer or check the schema, freeze
// the grids, profile, store, and make it known, in this order, so that what the
// catalog knows is complete.
type baselines struct {
	catalog *catalog.Catalog
	engine  *engine.Engine
	bucket  archive.Bucket
	cfg     ArchiveConfig // for URIs of other buckets
	now     func() time.Time

	privacyKey modelwatch.PrivacyKey
	hashIDs    []string // see PrivacyConfig
}

// Register implements api.Baselines.
func (b *baselines) Register(ctx context.Context, r api.RegisterRequest) (modelwatch.Baseline, *api.BaselineDetail, error) {
	version, err := b.version(ctx, r)
	if err != nil {
		return modelwatch.Baseline{}, nil, err
	}
	if r.Statistics == nil && strings.HasSuffix(r.URI, ".json") {
		if r.Statistics, err = b.statisticsAt(ctx, r.URI); err != nil {
			return modelwatch.Baseline{}, nil, err
		}
	}
	if r.Statistics != nil {
		return b.registerStatistics(ctx, version, r)
	}
	spooled, err := b.spool(ctx, version, r)
	if err != nil {
		return modelwatch.Baseline{}, nil, err
	}
	defer func() { _ = spooled.Close() }() // a temporary file that stays is no error of the request
	if err := b.protect(ctx, version, spooled, baselineProtection(&version, r.Window != nil)); err != nil {
		return modelwatch.Baseline{}, nil, err
	}
	if spooled.Rows == 0 {
		return modelwatch.Baseline{}, nil, modelwatch.Errorf(modelwatch.CodeInvalid, "the baseline has no rows: send at least one row beside the header")
	}
	baseline := modelwatch.Baseline{
		Model: r.Model, Version: r.Version, URI: r.URI, ContentSHA256: spooled.SHA256, Rows: spooled.Rows,
		Status: modelwatch.BaselineReady, CreatedAt: b.now().UTC().Truncate(time.Microsecond),
	}
	baseline.ID = baselineID(baseline, spooled.Schema.Columns)
	if known, err := b.catalog.Baseline(ctx, r.Model, r.Version, baseline.ID); err == nil && known.Status == modelwatch.BaselineReady {
		detail, err := b.Detail(ctx, known)
		return known, detail, err
	}
	set, err := b.freeze(ctx, spooled)
	if err != nil {
		return modelwatch.Baseline{}, nil, err
	}
	if err := b.storeRows(ctx, &baseline, spooled); err != nil {
		return modelwatch.Baseline{}, nil, err
	}
	return b.complete(ctx, version, baseline, spooled.Schema, set)
}

// complete stores the profile and makes the baseline known.
func (b *baselines) complete(ctx context.Context, version modelwatch.Version, baseline modelwatch.Baseline, schema modelwatch.Schema, set *profile.Set) (modelwatch.Baseline, *api.BaselineDetail, error) {
	if err := b.storeProfile(ctx, &baseline, set); err != nil {
		return modelwatch.Baseline{}, nil, err
	}
	if err := b.adoptSchema(ctx, version, schema); err != nil {
		return modelwatch.Baseline{}, nil, err
	}
	if err := b.catalog.PutBaseline(ctx, baseline); err != nil {
		return modelwatch.Baseline{}, nil, fmt.Errorf("register baseline: %w", err)
	}
	return baseline, baselineDetail(set), nil
}

// spool turns what is registered into a local file with the columns of a baseline.
func (b *baselines) spool(ctx context.Context, version modelwatch.Version, r api.RegisterRequest) (*table.Spooled, error) {
	if r.Window != nil {
		return b.spoolWindow(ctx, version, *r.Window)
	}
	source, closeSource, err := b.source(ctx, r.Body, r.ContentType, r.URI)
	if err != nil {
		return nil, err
	}
	defer closeSource()
	return table.Spool(ctx, source, spoolOptions(version, r.Mapping))
}

// version returns the version that the baseline is for. A version of a known
// model need not have been put before: its baseline says what it is.
func (b *baselines) version(ctx context.Context, r api.RegisterRequest) (modelwatch.Version, error) {
	v, err := b.catalog.Version(ctx, r.Model, r.Version)
	if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
		if _, err := b.catalog.Model(ctx, r.Model); err != nil {
			return v, err
		}
		v, err = modelwatch.Version{Model: r.Model, Name: r.Version, SamplingRate: 1}, nil
	}
	if err == nil && !v.Registered {
		var rules modelwatch.Schema
		rules, err = b.inherited(ctx, r.Model)
		v.Schema.Privacy = rules.Privacy
	}
	return v, err
}

// spoolOptions lets a request say only what is new: the rest of the mapping is
// the version's.
func spoolOptions(v modelwatch.Version, mapping modelwatch.ColumnMapping) table.SpoolOptions {
	known := v.Schema.Columns
	opts := table.SpoolOptions{Mapping: modelwatch.ColumnMapping{
		ID: cmp.Or(mapping.ID, known.ID), Time: cmp.Or(mapping.Time, known.Time), Score: cmp.Or(mapping.Score, known.Score),
		Predicted: cmp.Or(mapping.Predicted, known.Predicted), Label: cmp.Or(mapping.Label, known.Label),
		Group: cmp.Or(mapping.Group, known.Group), Weight: cmp.Or(mapping.Weight, known.Weight),
	}}
	if v.Registered && len(v.Schema.Features) > 0 {
		opts.Schema = &v.Schema
	}
	return opts
}

// source makes a request's body, or the object that it names, a table source.
func (b *baselines) source(ctx context.Context, body io.Reader, contentType, uri string) (table.Source, func(), error) {
	if uri == "" {
		format := table.FormatOf(contentType, "")
		return table.Source{Name: "the upload", Format: format, Open: func() (io.ReadCloser, error) { return io.NopCloser(body), nil }}, func() {}, nil
	}
	object, err := b.object(ctx, uri)
	if err != nil {
		return table.Source{}, nil, err
	}
	return table.Source{Name: uri, ReaderAt: object, Size: object.Size()}, func() { object.Close() }, nil
}

// object opens an object of any bucket.
func (b *baselines) object(ctx context.Context, uri string) (archive.Object, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "s3" || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "uri %q is not of the form s3://bucket/key: upload other files as the body", uri)
	}
	cfg := b.cfg.bucket()
	cfg.URI = "s3://" + u.Host
	bucket, err := archive.OpenBucket(ctx, cfg)
	if err != nil {
		return nil, err
	}
	object, err := bucket.Open(ctx, strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", uri, err)
	}
	return object, nil
}

// baselineID is the same for the same content, read in the same way.
func baselineID(b modelwatch.Baseline, m modelwatch.ColumnMapping) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %s %q", b.Model, b.Version, b.ContentSHA256, m))
	return "bl_" + hex.EncodeToString(sum[:8])
}

// baselineWorkers is how many columns of an upload are profiled at the same
// time. Each may hold all its values, so it must not grow with the machine.
const baselineWorkers = 2

func (b *baselines) freeze(ctx context.Context, spooled *table.Spooled) (*profile.Set, error) {
	reader, err := spooled.Reader()
	if err != nil {
		return nil, err
	}
	set, err := engine.BuildBaseline(ctx, reader, spooled.Schema.Profiled(), engine.BuildOptions{Workers: baselineWorkers, Weight: engine.WeightColumn(reader)})
	if err != nil {
		return nil, fmt.Errorf("profile baseline: %w", err)
	}
	return set, nil
}

// folder is where a baseline's objects are. Their keys are the baseline's own: a
// second try writes the same again.
func (b *baselines) folder(baseline *modelwatch.Baseline) string {
	return path.Join("baselines", url.PathEscape(baseline.Model), url.PathEscape(baseline.Version))
}

func (b *baselines) storeProfile(ctx context.Context, baseline *modelwatch.Baseline, set *profile.Set) error {
	baseline.ProfileKey = path.Join(b.folder(baseline), baseline.ID+".profile")
	encoded, err := set.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encode profile: %w", err)
	}
	if err := b.bucket.Put(ctx, baseline.ProfileKey, bytes.NewReader(encoded), int64(len(encoded))); err != nil {
		return fmt.Errorf("store profile: %w", err)
	}
	return nil
}

func (b *baselines) storeRows(ctx context.Context, baseline *modelwatch.Baseline, spooled *table.Spooled) error {
	baseline.DataKey = path.Join(b.folder(baseline), baseline.ID+".parquet")
	f, err := os.Open(spooled.Path)
	if err != nil {
		return fmt.Errorf("store baseline: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("store baseline: %w", err)
	}
	if err := b.bucket.Put(ctx, baseline.DataKey, f, info.Size()); err != nil {
		return fmt.Errorf("store baseline: %w", err)
	}
	return nil
}

// adoptSchema gives the version the baseline's schema where it has none of its
// own. What traffic has already shown beyond the training set stays known.
func (b *baselines) adoptSchema(ctx context.Context, v modelwatch.Version, inferred modelwatch.Schema) error {
	inferred.Score = cmp.Or(inferred.Score, v.Schema.Score)
	inferred.Predicted = cmp.Or(inferred.Predicted, v.Schema.Predicted)
	inferred.Label = cmp.Or(inferred.Label, v.Schema.Label)
	declared := v.Registered && len(v.Schema.Features) > 0
	if declared && v.Schema.Score == inferred.Score && v.Schema.Predicted == inferred.Predicted && v.Schema.Label == inferred.Label {
		return nil
	}
	schema := inferred
	if declared {
		schema = v.Schema
		schema.Score, schema.Predicted, schema.Label = inferred.Score, inferred.Predicted, inferred.Label
	}
	schema.Tags, schema.Attributions, schema.Privacy = v.Schema.Tags, v.Schema.Attributions, v.Schema.Privacy
	v.Schema = schema
	if _, _, err := b.catalog.PutVersion(ctx, v); err != nil {
		return fmt.Errorf("adopt the baseline's schema: %w", err)
	}
	return nil
}

// Detail implements api.Baselines.
func (b *baselines) Detail(ctx context.Context, baseline modelwatch.Baseline) (*api.BaselineDetail, error) {
	set, err := b.Profile(ctx, baseline)
	if err != nil {
		return nil, err
	}
	return baselineDetail(set), nil
}

// Profile reads the frozen profile of a baseline.
func (b *baselines) Profile(ctx context.Context, baseline modelwatch.Baseline) (*profile.Set, error) {
	encoded, err := b.bucket.Read(ctx, baseline.ProfileKey)
	if err != nil {
		return nil, fmt.Errorf("read profile of baseline %s: %w", baseline.ID, err)
	}
	set, err := profile.Decode(encoded)
	if err != nil {
		return nil, fmt.Errorf("decode profile of baseline %s: %w", baseline.ID, err)
	}
	return set, nil
}

// shownQuantiles are the quantiles that the API shows of a number.
var shownQuantiles = []float64{0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99} //nolint:gochecknoglobals // a constant

func baselineDetail(set *profile.Set) *api.BaselineDetail {
	detail := &api.BaselineDetail{}
	for _, c := range set.Columns {
		p := c.Profile
		col := api.BaselineColumn{
			Name: c.Name, Type: c.Type, Subject: c.Subject, Bins: apiBins(p.Grid()), Counts: p.BinCounts(), Missing: p.Missing(), Invalid: p.Invalid(),
		}
		if p.Grid().Kind() == profile.KindNumber {
			for _, q := range shownQuantiles {
				if v, ok := p.Quantile(q); ok {
					col.Quantiles = append(col.Quantiles, api.Quantile{Q: q, Value: v})
				}
			}
			col.Mean, col.Minimum, col.Maximum = optional(p.Mean()), optional(p.Min()), optional(p.Max())
		}
		detail.Columns = append(detail.Columns, col)
		if c.View != modelwatch.ViewValue {
			continue // the column itself has them
		}
		ratios := drift.Measure(p, p, []string{drift.MissingRatio, drift.InvalidRatio}, drift.Options{MinimumRows: 1})
		for _, v := range ratios {
			detail.Measurements = append(detail.Measurements, api.NewMeasurement(modelwatch.Measurement{Value: v, Subject: c.Subject, Name: c.Name}))
		}
	}
	return detail
}

func apiBins(g *profile.Grid) []api.Bin {
	var bins []api.Bin
	for _, bin := range g.Bins() {
		switch {
		case bin.Other:
			bins = append(bins, api.OtherBin())
		case g.Kind() == profile.KindNumber:
			bins = append(bins, api.NumberBin(bin.Upper))
		default:
			bins = append(bins, api.ValueBin(bin.Value))
		}
	}
	return bins
}

func optional(v float64, ok bool) *float64 {
	if !ok {
		return nil
	}
	return &v
}

// Distribution implements api.Distributions: one column of a window on the bins
// of its version's newest baseline.
func (s *service) Distribution(ctx context.Context, model, version, column string, w modelwatch.Window) (*api.Distribution, error) {
	baseline, err := s.catalog.LatestBaseline(ctx, model, version)
	if err != nil {
		return nil, err
	}
	set, err := s.baselines().Profile(ctx, baseline)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(set.Columns, func(c profile.SetColumn) bool { return c.Name == column })
	if i < 0 {
		return nil, modelwatch.Errorf(modelwatch.CodeNotFound, "baseline %s of %s %s has no column %q", baseline.ID, model, version, column)
	}
	col := set.Columns[i]
	current, err := s.windowProfile(ctx, modelwatch.DataFileFilter{Model: model, Version: version, Kind: modelwatch.KindPrediction, Window: w}, set)
	if err != nil {
		return nil, err
	}
	return &api.Distribution{
		Model: model, Version: version, Name: column, Type: col.Type, Subject: col.Subject, Window: api.Window{Start: w.Start, End: w.End},
		Bins:     apiBins(col.Profile.Grid()),
		Baseline: apiCounts(baseline.ID, col.Profile), Current: apiCounts("", current.Columns[i].Profile),
	}, nil
}

// windowProfile profiles the files of a window, listing them once more if one was
// replaced so long ago that its object is gone.
func (s *service) windowProfile(ctx context.Context, f modelwatch.DataFileFilter, like *profile.Set) (*profile.Set, error) {
	for attempt := 1; ; attempt++ {
		files, err := s.catalog.DataFiles(ctx, f)
		if err != nil {
			return nil, err
		}
		set, _, err := s.engine.WindowProfile(ctx, files, f.Window, like)
		if !errors.Is(err, modelwatch.ErrDataFileGone) || attempt == 2 {
			return set, err
		}
	}
}

func apiCounts(id string, p *profile.Profile) api.Counts {
	return api.Counts{ID: id, Rows: p.Rows(), Missing: p.Missing(), Invalid: p.Invalid(), Counts: p.BinCounts()}
}

func (s *service) baselines() *baselines {
	return &baselines{
		catalog: s.catalog, engine: s.engine, bucket: s.archive.Bucket(), cfg: s.cfg.Archive, now: time.Now,
		privacyKey: modelwatch.PrivacyKey(s.cfg.Privacy.Key), hashIDs: s.cfg.Privacy.HashIDs,
	}
}
