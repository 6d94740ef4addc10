package profile

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/modelwatch/modelwatch"
)

// sampleSet holds a column of every kind.
func sampleSet(seed uint64) *Set {
	r := rand.New(rand.NewPCG(seed, 1))
	number := func(f func() float64, n int) *Profile {
		base, values := make([]float64, n), make([]float64, 50)
		for i := range base {
			base[i] = f()
		}
		for i := range values {
			values[i] = 2 * f()
		}
		p := New(NewNumberGrid(base))
		p.AddFloats(append(values, math.NaN(), -1e9, 1e300), nil)
		return p
	}
	category := New(NewCategoryGrid([]CategoryCount{{"DE", 5}, {"", 3}, {"FR", 3}}))
	category.AddCategories([]string{"DE", "XX", "FR"}, []int32{0, 0, 1, 2}, nil)
	flag := New(NewBooleanGrid())
	flag.AddBools([]bool{true, false, true}, []bool{true, true, false})
	text := New(NewPresenceGrid())
	text.AddPresence(4, []bool{true, false, true, false})
	text.AddInvalid(1)
	limit := 3.5
	return &Set{Columns: []SetColumn{
		{Column: modelwatch.Column{Column: "amount", Name: "amount", Subject: modelwatch.SubjectFeature, Type: modelwatch.TypeNumber, Maximum: &limit}, Profile: number(r.NormFloat64, 3000)},
		{Column: modelwatch.Column{Column: "count", Name: "count", Subject: modelwatch.SubjectFeature, Type: modelwatch.TypeNumber}, Profile: number(func() float64 { return float64(r.IntN(5)) }, 100)},
		{Column: modelwatch.Column{Column: "empty", Type: modelwatch.TypeNumber}, Profile: New(NewNumberGrid(nil))},
		{Column: modelwatch.Column{Column: "country", Type: modelwatch.TypeCategory}, Profile: category},
		{Column: modelwatch.Column{Column: "flag", Type: modelwatch.TypeBoolean}, Profile: flag},
		{Column: modelwatch.Column{Column: "note", Type: modelwatch.TypeText}, Profile: text},
	}}
}

// weightedSet is sampleSet with rows of weights beside, and views.
func weightedSet(seed uint64) *Set {
	s := sampleSet(seed)
	weights := []float64{0.5, 3, 1e-12, 1e12, 1, math.NaN()}
	for i, c := range s.Columns {
		switch c.Profile.Grid().Kind() {
		case KindNumber:
			c.Profile.AddFloatsWeighted([]float64{1, -2.5, math.Inf(1), 1e300, 5e-324, 7}, []bool{true, true, true, true, true, true}, weights)
		case KindCategory:
			c.Profile.AddCategoriesWeighted([]string{"DE", "YY"}, []int32{0, 1, 1, 0, 0, 0}, []bool{true, true, false, true, true, true}, weights)
		case KindBoolean:
			c.Profile.AddBoolsWeighted([]bool{true, false, true, true, true, true}, nil, weights)
		default:
			c.Profile.AddPresenceWeighted(nil, weights)
		}
		c.Profile.AddInvalidWeighted([]float64{0.25})
		c.Profile.AddOutOfRangeWeighted([]float64{0.25})
		s.Columns[i].View, s.Columns[i].Dimension, s.Columns[i].Seed = "projection_3", 384, 99
	}
	return s
}

// Profiles that earlier versions wrote are read for ever. The files were written by
// version 1 from sampleSet(1).
func TestDecodeVersion1(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		b, err := os.ReadFile("testdata/v1/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	s := sampleSet(1)
	d, err := Decode(read("set.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mustEncode(t, s), mustEncode(t, d)) {
		t.Error("version 1 of the set decodes to another set")
	}
	if id := string(read("grid_id")); s.GridID() != id || d.GridID() != id {
		t.Errorf("grid ids %s and %s, want %s", s.GridID(), d.GridID(), id)
	}
	c, err := s.DecodeCounts(read("counts.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mustEncode(t, s), mustEncode(t, c)) {
		t.Error("version 1 of the counts decodes to other counts")
	}
}

func TestWeightedRoundTrip(t *testing.T) {
	t.Parallel()
	s := weightedSet(1)
	data := mustEncode(t, s)
	d, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, mustEncode(t, d)) || s.GridID() != d.GridID() {
		t.Error("the decoded set is another")
	}
	for i, c := range d.Columns {
		want := s.Columns[i]
		if c.View != want.View || c.Dimension != want.Dimension || c.Seed != want.Seed || !c.Profile.Weighted() ||
			c.Profile.InvalidWeights() != 1 || c.Profile.Mass() != want.Profile.Mass() || c.Profile.EffectiveCount() != want.Profile.EffectiveCount() {
			t.Errorf("column %d is %+v, want %+v", i, c, want)
		}
		got, _ := c.Profile.SampleSD()
		if sd, _ := want.Profile.SampleSD(); got != sd {
			t.Errorf("column %d: SD %v, want %v", i, got, sd)
		}
	}
	counts, err := s.Empty().DecodeCounts(s.AppendCounts(nil))
	if err != nil || !bytes.Equal(data, mustEncode(t, counts)) {
		t.Errorf("counts do not restore the set: %v", err)
	}
	for n := range data {
		if _, err := Decode(data[:n]); err == nil {
			t.Fatalf("decoded the first %d of %d bytes", n, len(data))
		}
	}
	if err := d.Merge(sampleSet(1)); err == nil {
		t.Error("merged columns with others of their views")
	}
	if s.GridID() == sampleSet(1).GridID() {
		t.Error("the id does not tell views")
	}
}

func mustEncode(t testing.TB, s *Set) []byte {
	t.Helper()
	b, err := s.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCodecRoundTrip(t *testing.T) {
	t.Parallel()
	s := sampleSet(1)
	data := mustEncode(t, s)
	d, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, mustEncode(t, d)) {
		t.Error("the decoded set has another encoding")
	}
	if s.GridID() != d.GridID() {
		t.Errorf("grid %s became %s", s.GridID(), d.GridID())
	}
	for i, c := range d.Columns {
		want := s.Columns[i].Profile
		if c.Column.Column != s.Columns[i].Column.Column || c.Profile.Rows() != want.Rows() || c.Profile.Missing() != want.Missing() {
			t.Errorf("column %q: %d rows, %d missing; want %d, %d", c.Column.Column, c.Profile.Rows(), c.Profile.Missing(), want.Rows(), want.Missing())
		}
		got, _ := c.Profile.SD()
		if sd, _ := want.SD(); got != sd {
			t.Errorf("column %q: SD %v, want %v", c.Column.Column, got, sd)
		}
	}
	if err := d.Merge(s); err != nil {
		t.Errorf("a decoded set does not merge with its origin: %v", err)
	}
}

func TestCountsRoundTrip(t *testing.T) {
	t.Parallel()
	s := sampleSet(1)
	data := s.AppendCounts(nil)
	d, err := s.Empty().DecodeCounts(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mustEncode(t, s), mustEncode(t, d)) {
		t.Error("counts do not restore the set")
	}
	if _, err := sampleSet(2).DecodeCounts(data); err == nil {
		t.Error("counts of another grid were read")
	}
	if n := len(mustEncode(t, s)); len(data) > n/4 {
		t.Errorf("counts take %d bytes, all takes %d", len(data), n)
	}
}

func TestSameDataSameBytes(t *testing.T) {
	t.Parallel()
	if !bytes.Equal(mustEncode(t, sampleSet(3)), mustEncode(t, sampleSet(3))) {
		t.Error("equal sets have different bytes")
	}
	if sampleSet(3).GridID() == sampleSet(4).GridID() {
		t.Error("different grids have the same id")
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	data := mustEncode(t, sampleSet(1))
	for n := range data {
		if _, err := Decode(data[:n]); err == nil {
			t.Fatalf("decoded the first %d of %d bytes", n, len(data))
		}
	}
	tests := []struct {
		name string
		data []byte
	}{
		{"other version", append([]byte{versionSet + 1}, data[1:]...)},
		{"more after the end", append(bytes.Clone(data), 0)},
		{"varint too long", []byte{versionSet, 0x80, 0x00}},
		{"more columns than bytes", []byte{versionSet, 0xff, 0xff, 0xff, 0xff, 0x0f}},
	}
	for _, tt := range tests {
		if _, err := Decode(tt.data); err == nil {
			t.Errorf("%s: decoded", tt.name)
		}
	}
}

// What is written a column at a time is what is encoded at once.
func TestWriteSet(t *testing.T) {
	t.Parallel()
	for _, set := range []*Set{{}, weightedSet(1)} {
		want, err := set.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if n, err := set.WriteTo(&got); err != nil || n != int64(len(want)) || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d bytes, error %v; want the %d of MarshalBinary", n, err, len(want))
		}
	}
}

func FuzzDecode(f *testing.F) {
	small := &Set{Columns: sampleSet(1).Columns[1:]} // without the column of 2,000 cuts, which is slow to build
	f.Add(mustEncode(f, small))
	for _, c := range small.Columns {
		f.Add(mustEncode(f, &Set{Columns: []SetColumn{c}}))
	}
	f.Add(mustEncode(f, small.Empty()))
	for _, c := range weightedSet(1).Columns {
		f.Add(mustEncode(f, &Set{Columns: []SetColumn{c}}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		checkCanonical(t, data, mustEncode(t, s), func(b []byte) ([]byte, error) {
			d, err := Decode(b)
			if err != nil {
				return nil, err
			}
			return mustEncode(t, d), nil
		})
		for _, c := range s.Columns {
			checkReadable(t, c.Profile)
		}
		twice := s.Clone()
		if err := twice.Merge(s); err != nil {
			t.Fatal(err)
		}
	})
}

// checkCanonical fails if data of the newest version is not the encoding of what it
// holds, or if that of an older one is not read back from the newest.
func checkCanonical(t *testing.T, data, encoded []byte, again func([]byte) ([]byte, error)) {
	if data[0] == versionSet && !bytes.Equal(data, encoded) {
		t.Fatal("decoded bytes are not the encoding of what was decoded")
	}
	if twice, err := again(encoded); err != nil || !bytes.Equal(twice, encoded) {
		t.Fatalf("the encoding does not decode to the same: %v", err)
	}
}

func checkReadable(t *testing.T, p *Profile) {
	mean, _ := p.Mean()
	sd, _ := p.SD()
	median, _ := p.Quantile(0.5)
	below, above := p.Tails()
	sample, _ := p.SampleSD()
	for _, x := range append(append(p.CellMass(), p.BinMass()...), p.Mass(), p.EffectiveCount(), p.RowMass(), p.EffectiveRows(), p.MissingMass(), p.InvalidMass(), p.OutOfRangeMass(), p.UnseenMass(), sample) {
		if !finite(x) || x < 0 {
			t.Fatalf("a mass of %v", x)
		}
	}
	for _, x := range []float64{mean, sd, median, 1 / (1 + below), 1 / (1 + above)} {
		if !finite(x) || below < 0 || above < 0 {
			t.Fatalf("mean %v, sd %v, median %v, tails %v and %v", mean, sd, median, below, above)
		}
	}
	if p.Rows() < 0 || p.Missing() < 0 || len(p.BinCounts()) != len(p.Grid().Bins()) {
		t.Fatalf("%d rows, %d missing", p.Rows(), p.Missing())
	}
}

func FuzzDecodeCounts(f *testing.F) {
	set := &Set{Columns: sampleSet(1).Columns[1:]}
	f.Add(set.AppendCounts(nil))
	f.Add(set.Empty().AppendCounts(nil))
	f.Add(weightedSet(1).AppendCounts(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := set.DecodeCounts(data)
		if err != nil {
			return
		}
		checkCanonical(t, data, s.AppendCounts(nil), func(b []byte) ([]byte, error) {
			d, err := set.DecodeCounts(b)
			if err != nil {
				return nil, err
			}
			return d.AppendCounts(nil), nil
		})
	})
}
