package format_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/modelwatch/modelwatch/ingest/format"
)

// TestBinaryBounds: what the bytes of one record become is bounded, and a record that
// is beyond it is refused before it is read.
func TestBinaryBounds(t *testing.T) {
	const most = 4_000_000
	f, err := format.New("kserve", format.Options{})
	if err != nil {
		t.Fatal(err)
	}
	record := func(datatype string, shape string, n int) *format.Record {
		text := fmt.Sprintf(`{"inputs":[{"name":"x","shape":%s,"datatype":%q,"parameters":{"binary_data_size":%d}}]}`, shape, datatype, n)
		return &format.Record{
			Value:   append([]byte(text), make([]byte, n)...),
			Headers: []format.Header{{Key: "ce_type", Value: []byte("a.request")}, {Key: "ce_id", Value: []byte("r")}},
		}
	}
	if got := decode(t, f, record("UINT8", fmt.Sprintf("[1,%d]", most), most)); !strings.HasPrefix(got, `{"kind":"input","id":"r","features":{"f0":[0,0,`) {
		t.Errorf("got %.200s, want one vector", got)
	}
	for _, tt := range []struct {
		datatype, shape, want string
		bytes                 int
	}{
		{"BOOL", "[1,10000000]", "! too_large: tensor \"x\": there are more than 4000000 values", 10_000_000},
		{"BYTES", "[1,4000001]", "! too_large: tensor \"x\": there are more than 4000000 values", 4 * (most + 1)},
		{"UINT8", "[50001]", "! too_large: the record has 50001 rows, at most 50000 are read", 50_001},
	} {
		r := record(tt.datatype, tt.shape, tt.bytes)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := decode(t, f, r)
		runtime.ReadMemStats(&after)
		if strings.TrimSpace(got) != tt.want {
			t.Errorf("%s %s: got %.200s, want %s", tt.datatype, tt.shape, got, tt.want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; tt.datatype == "BOOL" && used > 100<<20 {
			t.Errorf("%d MB were allocated for what is refused", used>>20)
		}
	}
}
