package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/api"
	"github.com/modelwatch/modelwatch/profile"
)

// sageMakerStatistics is the statistics.json that a baseline job of SageMaker Model
// Monitor writes, as far as it is of use.
type sageMakerStatistics struct {
	Dataset struct {
		ItemCount float64 `json:"item_count"`
	} `json:"dataset"`
	Features []sageMakerFeature `json:"features"`
}

type sageMakerFeature struct {
	Name         string            `json:"name"`
	InferredType string            `json:"inferred_type"`
	Completeness *float64          `json:"completeness"` // of a constraints file
	Numbers      *sageMakerNumbers `json:"numerical_statistics"`
	Texts        *sageMakerTexts   `json:"string_statistics"`
}

type sageMakerCommon struct {
	Present float64 `json:"num_present"`
	Missing float64 `json:"num_missing"`
}

type sageMakerNumbers struct {
	Common       sageMakerCommon `json:"common"`
	Mean         float64         `json:"mean"`
	SD           float64         `json:"std_dev"`
	Distribution struct {
		KLL struct {
			Buckets []struct {
				Lower float64 `json:"lower_bound"`
				Upper float64 `json:"upper_bound"`
				Count float64 `json:"count"`
			} `json:"buckets"`
		} `json:"kll"`
	} `json:"distribution"`
}

type sageMakerTexts struct {
	Common       sageMakerCommon `json:"common"`
	Distribution struct {
		Categorical struct {
			Buckets []struct {
				Value string  `json:"value"`
				Count float64 `json:"count"`
			} `json:"buckets"`
		} `json:"categorical"`
	} `json:"distribution"`
}

// maxStatistics bounds a statistics file that is read from a bucket.
const maxStatistics = 32 << 20

// statisticsAt returns the text of the object, nil if it is no statistics file but,
// for example, JSON lines.
func (b *baselines) statisticsAt(ctx context.Context, uri string) ([]byte, error) {
	object, err := b.object(ctx, uri)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	if object.Size() > maxStatistics {
		return nil, nil
	}
	text, err := io.ReadAll(io.NewSectionReader(object, 0, object.Size()))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", uri, err)
	}
	if !isStatistics(text) {
		return nil, nil
	}
	return text, nil
}

// isStatistics tells a statistics file from JSON lines.
func isStatistics(text []byte) bool {
	var fields struct{ Features, Dataset, Version json.RawMessage }
	return json.Unmarshal(text, &fields) == nil && len(fields.Features) > 0 && len(fields.Dataset)+len(fields.Version) > 0
}

// registerStatistics registers a baseline that is a profile alone.
func (b *baselines) registerStatistics(ctx context.Context, version modelwatch.Version, r api.RegisterRequest) (modelwatch.Baseline, *api.BaselineDetail, error) {
	sum := sha256.Sum256(r.Statistics)
	baseline := modelwatch.Baseline{
		Model: r.Model, Version: r.Version, URI: r.URI, ContentSHA256: hex.EncodeToString(sum[:]),
		Status: modelwatch.BaselineReady, CreatedAt: b.now().UTC().Truncate(time.Microsecond),
	}
	mapping := spoolOptions(version, r.Mapping).Mapping
	baseline.ID = baselineID(baseline, mapping)
	if known, err := b.catalog.Baseline(ctx, r.Model, r.Version, baseline.ID); err == nil && known.Status == modelwatch.BaselineReady {
		detail, err := b.Detail(ctx, known)
		return known, detail, err
	}
	text, err := b.protectStatistics(version, r.Statistics)
	if err != nil {
		return modelwatch.Baseline{}, nil, err
	}
	read, err := readStatistics(text, mapping, version)
	if err != nil {
		return modelwatch.Baseline{}, nil, err
	}
	baseline.Rows = read.rows
	return b.complete(ctx, version, baseline, read.schema, read.set)
}

// statistics are what a statistics file says.
type statistics struct {
	schema modelwatch.Schema
	set    *profile.Set
	rows   int64
	faults []modelwatch.FieldError
}

// readStatistics makes a profile of a statistics file: the KLL buckets of a number
// are its drift bins, with exact counts; the values of a text column are its
// categories. Features without values in the file are left out.
func readStatistics(text []byte, mapping modelwatch.ColumnMapping, version modelwatch.Version) (*statistics, error) {
	var file sageMakerStatistics
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&file); err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "the statistics file cannot be read")
	}
	s := &statistics{schema: modelwatch.Schema{Columns: mapping}, set: &profile.Set{}, rows: int64(max(0, min(file.Dataset.ItemCount, math.MaxInt64/2)))}
	profiles := map[string]*profile.Profile{}
	for i := range file.Features {
		f, at := &file.Features[i], fmt.Sprintf("body.features[%d]", i)
		if _, dup := profiles[f.Name]; dup || f.Name == "" || modelwatch.Reserved(f.Name) {
			s.fault(at+".name", f.Name, "must be a name that no other feature has and that does not begin with an underscore")
			continue
		}
		typ, p, err := f.profile()
		switch {
		case err != nil:
			s.fault(at, f.Name, "%v", err)
		case p != nil:
			profiles[f.Name] = p
			s.rows = max(s.rows, p.Rows())
			s.declare(at, f.Name, typ, version)
		}
	}
	if len(s.faults) == 0 && len(profiles) == 0 {
		s.fault("body.features", nil, "has no feature with statistics")
	}
	if len(s.faults) > 0 {
		return nil, &modelwatch.Error{Code: modelwatch.CodeInvalid, Message: "the statistics file cannot be a baseline", Fields: s.faults}
	}
	s.schema.SortFeatures()
	for _, c := range s.schema.Profiled() {
		s.set.Columns = append(s.set.Columns, profile.SetColumn{Column: c, Profile: profiles[c.Name]})
	}
	return s, nil
}

func (s *statistics) fault(at string, value any, format string, args ...any) {
	s.faults = append(s.faults, modelwatch.FieldError{Location: at, Value: value, Message: fmt.Sprintf(format, args...)})
}

// declare makes a feature a column of the schema: the mapping says which is the
// score, the prediction or the label, which has no profile.
func (s *statistics) declare(at, name string, typ modelwatch.FeatureType, version modelwatch.Version) {
	switch m := s.schema.Columns; name {
	case m.Score:
		s.schema.Score = typ
		return
	case m.Predicted:
		s.schema.Predicted = typ
		return
	case m.Label:
		s.schema.Label = typ
		return
	case m.ID, m.Time, m.Group, m.Weight:
		return
	}
	f := modelwatch.Feature{Name: name, Type: typ}
	if declared, ok := version.Schema.Feature(name); ok && version.Registered {
		if declared.Type != typ {
			s.fault(at, name, "is a %s in the version's schema and a %s in the statistics", declared.Type, typ)
		}
		f = declared
	}
	s.schema.Features = append(s.schema.Features, f)
}

// profile makes the profile of a feature, nil if the file knows nothing of it.
func (f *sageMakerFeature) profile() (modelwatch.FeatureType, *profile.Profile, error) {
	switch {
	case f.Numbers != nil:
		p, err := f.Numbers.profile()
		return modelwatch.TypeNumber, p, err
	case f.Texts != nil:
		p, err := f.Texts.profile()
		return modelwatch.TypeCategory, p, err
	case f.Completeness != nil:
		return "", nil, fmt.Errorf("has limits and no distribution: this is a constraints file; send the statistics.json that the same baseline job wrote")
	}
	return "", nil, nil
}

func (n *sageMakerNumbers) profile() (*profile.Profile, error) {
	h := profile.Histogram{Mean: n.Mean, SD: n.SD}
	for i, b := range n.Distribution.KLL.Buckets {
		count, err := whole(b.Count)
		if err != nil {
			return nil, fmt.Errorf("bucket %d: %w", i, err)
		}
		if i == 0 {
			h.Bounds = append(h.Bounds, b.Lower)
		} else if last := h.Bounds[i]; !near(b.Lower, last) {
			return nil, fmt.Errorf("bucket %d begins at %v, the one before ends at %v", i, b.Lower, last)
		}
		h.Bounds, h.Counts = append(h.Bounds, b.Upper), append(h.Counts, count)
	}
	var err error
	if h.Absent, err = whole(n.Common.Missing); err != nil {
		return nil, fmt.Errorf("num_missing: %w", err)
	}
	if len(h.Counts) == 0 {
		if n.Common.Present > 0 {
			return nil, fmt.Errorf("has no distribution.kll.buckets: run the baseline job with distributions")
		}
		h.Bounds, h.Counts = []float64{0, 0}, []int64{0}
	}
	return profile.FromHistogram(h)
}

// near reports whether two bounds are the same but for the rounding of whoever
// computed them.
func near(a, b float64) bool {
	return a == b || math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b))
}

func (t *sageMakerTexts) profile() (*profile.Profile, error) {
	var values []profile.CategoryCount
	var named int64
	for i, b := range t.Distribution.Categorical.Buckets {
		count, err := whole(b.Count)
		if err != nil {
			return nil, fmt.Errorf("bucket %d: %w", i, err)
		}
		values, named = append(values, profile.CategoryCount{Value: b.Value, Count: count}), named+count
	}
	present, errPresent := whole(t.Common.Present)
	absent, errAbsent := whole(t.Common.Missing)
	if err := cmp.Or(errPresent, errAbsent); err != nil {
		return nil, fmt.Errorf("common: %w", err)
	}
	return profile.FromCategories(slices.Clip(values), max(present-named, 0), absent)
}

// whole reads a count, which the file writes as 3.0.
func whole(x float64) (int64, error) {
	const most = 1 << 53
	if x != math.Trunc(x) || x < 0 || x > most {
		return 0, fmt.Errorf("%v is not a count", x)
	}
	return int64(x), nil
}
