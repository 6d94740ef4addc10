package table

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"github.com/modelwatch/modelwatch"
)

// tickRows is how often a pass looks whether to stop and reports how far it is.
const tickRows = 4_096

// defaultMaxColumns is the most columns that a spooled file may have unless the options say otherwise.
const defaultMaxColumns = 10_000

// SpoolOptions say what is known of a source beforehand.
type SpoolOptions struct {
	// Schema declares types and ranges; nil infers every type. Columns that it
	// does not name are inferred.
	Schema *modelwatch.Schema
	// Mapping says which column plays which part; its zero value is that of the Schema.
	Mapping modelwatch.ColumnMapping
	// TempDir holds the temporary files; "" is the system's.
	TempDir string
	// MaxColumns is the most columns that are taken; 0 is 10,000.
	MaxColumns int
	// Progress, if set, is called now and then, from one goroutine, with the
	// bytes read (of the unpacked source; of each pass) and the rows written.
	Progress func(bytes, rows int64)
}

func (o *SpoolOptions) mapping() modelwatch.ColumnMapping {
	if o.Mapping == (modelwatch.ColumnMapping{}) && o.Schema != nil {
		return o.Schema.Columns
	}
	return o.Mapping
}

func (o *SpoolOptions) maxColumns() int {
	if o.MaxColumns > 0 {
		return o.MaxColumns
	}
	return defaultMaxColumns
}

// Spooled is a table file of any form turned into a local Parquet file of ours.
// Close removes it.
type Spooled struct {
	Path    string
	Rows    int64
	Columns []ColumnInfo
	Schema  modelwatch.Schema // declared and inferred
	Skipped []Skipped         // columns left out, and why
	Mixed   []Mixed           // columns of inferred type with numbers among words
	SHA256  string            // of the source's bytes as they came, lower-case hex

	file *os.File
}

// Reader opens the spooled file. It is valid until Close.
func (s *Spooled) Reader() (*Reader, error) {
	stat, err := s.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read spooled file: %w", err)
	}
	return OpenParquet(s.file, stat.Size())
}

// Close removes the file.
func (s *Spooled) Close() error {
	err := s.file.Close()
	if rerr := os.Remove(s.Path); err == nil {
		err = rerr
	}
	return err
}

// Spool turns a Parquet, CSV or JSON-lines file, packed with gzip or zstd or
// not, into a local Parquet file with declared or inferred types and our column
// names. Memory is bounded whatever the size of the source.
//
// A text stands for a missing value if it is empty, null, NULL, NA, N/A, NaN,
// None or <NA>, in a column of any type but the id, where only the empty text
// does. A value that does not fit its declared type, or lies outside its
// declared range, is invalid: it is missing in its column and stands, as
// received, in "_invalid": {"amount":"abc","age":150}, a number there only if
// the range is what it does not fit. A NaN or an infinity in a double of a
// Parquet file stays where it is: whoever counts takes it for invalid.
//
// Types that are not declared are inferred from every row of CSV and JSON
// lines: number, if all values are decimal numbers or infinities; boolean, if
// all are true or false; timestamp, if all are RFC 3339; vector, for JSON arrays
// of numbers; else category. The column mapped as id is a category whatever it
// looks like. In a JSON line, a string is never a number, and a nested object or
// array is invalid, but in a vector; a column of nothing else is skipped.
//
// Errors name the file, and the line or column where there is one.
func Spool(ctx context.Context, src Source, opts SpoolOptions) (_ *Spooled, err error) {
	in, err := openSource(ctx, src, opts.TempDir)
	if err != nil {
		return nil, err
	}
	defer func() { in.remove() }()
	f, err := os.CreateTemp(opts.TempDir, "modelwatch-*.parquet")
	if err != nil {
		return nil, fmt.Errorf("create temporary file: %w", err)
	}
	s := &spooler{ctx: ctx, in: in, opts: opts, out: bufio.NewWriterSize(f, 1<<20),
		result: Spooled{Path: f.Name(), SHA256: in.sum, file: f}}
	defer func() {
		if err != nil {
			_ = s.result.Close() // the error that led here says more
		}
	}()
	switch in.format {
	case FormatParquet:
		err = s.parquet()
	case FormatJSONLines:
		err = s.jsonLines()
	default:
		err = s.csv()
	}
	if err != nil {
		return nil, err
	}
	return &s.result, nil
}

// spooler is one call of Spool.
type spooler struct {
	ctx    context.Context
	in     *input
	opts   SpoolOptions
	out    *bufio.Writer
	writer *Writer
	layout *layout
	result Spooled
}

func (s *spooler) tick(bytes, rows int64) error {
	if s.opts.Progress != nil {
		s.opts.Progress(bytes, rows)
	}
	return s.ctx.Err()
}

func (s *spooler) csv() error {
	p := &csvPass{in: s.in, most: s.opts.maxColumns()}
	r, done, err := s.in.open(s.ctx, true)
	if err != nil {
		return err
	}
	defer done()
	c, counted, err := p.open(r)
	if err != nil {
		return err
	}
	if err := p.name(); err != nil {
		return err
	}
	if s.layout, err = newLayout(s.in.name, p.names, s.opts); err != nil {
		return err
	}
	s.layout.skipped = p.skipped
	if !s.layout.declared() {
		if err := p.infer(c, counted, s.tick); err != nil {
			return err
		}
	}
	s.infer(p.states, p.byName)
	return s.build(p.rows)
}

func (s *spooler) jsonLines() error {
	p := &jsonPass{in: s.in, most: s.opts.maxColumns()}
	r, done, err := s.in.open(s.ctx, true)
	if err != nil {
		return err
	}
	defer done()
	if err := p.infer(r, s.tick); err != nil {
		return err
	}
	if s.layout, err = newLayout(s.in.name, p.names, s.opts); err != nil {
		return err
	}
	s.infer(p.states, p.byName)
	return s.build(p.rows)
}

// infer gives the columns without a type that which their values allow.
func (s *spooler) infer(states []inference, places map[string]int) {
	s.layout.infer(func(source string) (modelwatch.FeatureType, bool) {
		n := &states[places[source]]
		t, ok := n.result()
		if m, is := n.mixed(source, t); ok && is {
			s.result.Mixed = append(s.result.Mixed, m)
		}
		return t, ok
	})
}

// start begins the result once the layout is known.
func (s *spooler) start() (err error) {
	s.result.Columns, s.result.Schema, s.result.Skipped = s.layout.columns(), s.layout.resultSchema(), s.layout.skipped
	s.writer, err = NewWriter(s.out, s.result.Columns, nil)
	return err
}

// finish completes the result.
func (s *spooler) finish() error {
	if err := s.writer.Close(); err != nil {
		return err
	}
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	s.result.Rows = s.writer.Rows()
	return nil
}
