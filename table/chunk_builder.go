package table

import (
	"io"

	"github.com/modelwatch/modelwatch"
)

// A chunk is written, full or not, when it has gathered chunkBytes of text. The
// source's bytes say when that is worth looking at.
const (
	chunkBytes = 32 << 20
	lookBytes  = 4 << 20
)

// chunkBuilder gathers rows from texts into chunks and writes them.
type chunkBuilder struct {
	s        *spooler
	builders []*builder
	merged   *builder // of an "_invalid" column of the source's own; nil if there is none
	bySource map[string]*builder
	invalid  *invalids
	limit    int
	rows     int
	total    int64
	looked   int64 // bytes of the source when the size was last looked at
}

// build runs the second pass into the result.
func (s *spooler) build(pass func(io.Reader, *chunkBuilder) error) error {
	if err := s.start(); err != nil {
		return err
	}
	b := &chunkBuilder{s: s, bySource: map[string]*builder{}, invalid: &invalids{}, limit: s.writer.limit}
	for _, t := range s.layout.targets {
		col := newBuilder(t, b.invalid, min(b.limit, RowGroupRows))
		b.bySource[t.source] = col
		if t.info.Name == modelwatch.ColumnInvalid {
			b.merged = col
			continue
		}
		b.builders = append(b.builders, col)
	}
	r, done, err := s.in.open(s.ctx, true)
	if err != nil {
		return err
	}
	defer done()
	if err := pass(r, b); err != nil {
		return err
	}
	return s.finish()
}

// endRow completes a row: columns that it did not name are missing.
func (b *chunkBuilder) endRow(bytes int64) error {
	b.rows++
	for _, c := range b.builders {
		if c.rows < b.rows {
			c.addMissing()
		}
	}
	b.mergeInvalid()
	b.invalid.end()
	if b.rows >= b.limit || bytes-b.looked >= lookBytes && b.text(bytes) >= chunkBytes {
		return b.flush(bytes)
	}
	if b.rows%tickRows == 0 {
		return b.s.tick(bytes, b.total+int64(b.rows))
	}
	return nil
}

// text is how many bytes of text and vectors the chunk holds.
func (b *chunkBuilder) text(bytes int64) (n int) {
	b.looked = bytes
	for _, c := range b.builders {
		n += len(c.words.arena) + 4*c.elements
	}
	return n + b.invalid.size
}

// mergeInvalid takes over what the source's own "_invalid" column says of the row.
func (b *chunkBuilder) mergeInvalid() {
	m := b.merged
	if m == nil {
		return
	}
	if m.rows > 0 && m.col.Valid[0] {
		b.invalid.merge(m.words.word(int(m.col.Index[0])))
	}
	m.reset()
}

// flush writes the chunk.
func (b *chunkBuilder) flush(bytes int64) error {
	chunk := Chunk{Rows: b.rows}
	for _, c := range b.builders {
		chunk.Columns = append(chunk.Columns, c.finish())
	}
	chunk.Columns = append(chunk.Columns, b.invalid.column())
	if err := b.s.writer.Write(&chunk); err != nil {
		return err
	}
	for _, c := range b.builders {
		c.reset()
	}
	b.total += int64(b.rows)
	b.rows, b.looked = 0, bytes
	return b.s.tick(bytes, b.total)
}
