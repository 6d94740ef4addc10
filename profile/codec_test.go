package profile

import (
	"bytes"
	"math"
	"math/rand/v2"
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
		{modelwatch.Column{Column: "amount", Name: "amount", Subject: modelwatch.SubjectFeature, Type: modelwatch.TypeNumber, Maximum: &limit}, number(r.NormFloat64, 3000)},
		{modelwatch.Column{Column: "count", Name: "count", Subject: modelwatch.SubjectFeature, Type: modelwatch.TypeNumber}, number(func() float64 { return float64(r.IntN(5)) }, 100)},
		{modelwatch.Column{Column: "empty", Type: modelwatch.TypeNumber}, New(NewNumberGrid(nil))},
		{modelwatch.Column{Column: "country", Type: modelwatch.TypeCategory}, category},
		{modelwatch.Column{Column: "flag", Type: modelwatch.TypeBoolean}, flag},
		{modelwatch.Column{Column: "note", Type: modelwatch.TypeText}, text},
	}}
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

func FuzzDecode(f *testing.F) {
	small := &Set{Columns: sampleSet(1).Columns[1:]} // without the column of 2,000 cuts, which is slow to build
	f.Add(mustEncode(f, small))
	for _, c := range small.Columns {
		f.Add(mustEncode(f, &Set{Columns: []SetColumn{c}}))
	}
	f.Add(mustEncode(f, small.Empty()))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		if !bytes.Equal(data, mustEncode(t, s)) {
			t.Fatal("decoded bytes are not the encoding of what was decoded")
		}
		for _, c := range s.Columns {
			checkReadable(t, c.Profile)
		}
		twice := s.Clone()
		if err := twice.Merge(s); err != nil {
			t.Fatal(err)
		}
	})
}

func checkReadable(t *testing.T, p *Profile) {
	mean, _ := p.Mean()
	sd, _ := p.SD()
	median, _ := p.Quantile(0.5)
	below, above := p.Tails()
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
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := set.DecodeCounts(data)
		if err == nil && !bytes.Equal(data, s.AppendCounts(nil)) {
			t.Fatal("decoded bytes are not the encoding of what was decoded")
		}
	})
}
