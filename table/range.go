package table

import (
	"encoding/binary"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
)

// IntRange is the least and the greatest value of an integer column in a row
// group, as the statistics state them. Known is false where they state none.
type IntRange struct {
	Min, Max int64
	Known    bool
}

// The statistics of a footer, which a Reader does not keep.
type (
	rangeGroup struct {
		Columns thrift.Slice[rangeChunk] `thrift:"1,required"`
	}
	rangeChunk struct {
		MetaData struct {
			Statistics struct {
				Max []byte `thrift:"5"`
				Min []byte `thrift:"6"`
			} `thrift:"12,optional"`
		} `thrift:"3,optional"`
	}
)

// IntRanges reads the ranges of an integer column, one for each row group, from
// the footer. A column that is not one of 64-bit integers has none.
func (r *Reader) IntRanges(column string) (ranges []IntRange, err error) {
	defer recoverAs(&err, "read parquet footer")
	ranges = make([]IntRange, len(r.groups))
	at, ok := r.byName[column]
	if !ok || r.fields[at].kind != parquet.Int64 || r.fields[at].unsigned {
		return ranges, nil
	}
	footer, err := readFooter(r.at, r.size)
	if err != nil {
		return nil, err
	}
	var protocol thrift.CompactProtocol
	var groups []rangeGroup
	if err := thrift.NewDecoder(protocol.NewReaderFromBytes(footer.text[footer.from:footer.to])).Decode(&groups); err != nil {
		return nil, readError(err, "read parquet footer")
	}
	for i := range min(len(groups), len(ranges)) {
		s := &groups[i].Columns[r.fields[at].leaf].MetaData.Statistics
		if len(s.Min) == 8 && len(s.Max) == 8 {
			ranges[i] = IntRange{int64(binary.LittleEndian.Uint64(s.Min)), int64(binary.LittleEndian.Uint64(s.Max)), true}
		}
	}
	return ranges, nil
}
