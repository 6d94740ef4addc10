package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/modelwatch/modelwatch"
)

// A run is a temporary file with rows in the order of ranks, a compact form
// that is read with a small buffer, so that any number of data files can be
// merged in steps.

const runBuffer = 64 << 10

// Flags of a row in a run.
const (
	runHasValue = 1 << iota
	runHasScore
	runHasGroup
	runHasFields // scores of classes or segments
)

// spill writes what is left of a merger to a run, closes it and returns the
// run's path. It takes the result of opening the merger, error included.
func (m *merging) spill(in *merger, err error) (string, error) {
	if err != nil {
		return "", err
	}
	path, err := m.write(in)
	return path, errors.Join(err, in.close())
}

func (m *merging) write(in *merger) (_ string, err error) {
	if m.dir == "" {
		if m.dir, err = os.MkdirTemp(m.archive.opts.TempDir, "modelwatch-join-"); err != nil {
			return "", modelwatch.Wrap(modelwatch.CodeUnavailable, err, "merge data files: make a temporary folder")
		}
	}
	m.runs++
	f, err := os.Create(filepath.Join(m.dir, strconv.Itoa(m.runs)))
	if err != nil {
		return "", modelwatch.Wrap(modelwatch.CodeUnavailable, err, "merge data files: make a temporary file")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, runBuffer)
	if err := writeRows(w, in); err != nil {
		return "", err
	}
	if err := w.Flush(); err != nil {
		return "", modelwatch.Wrap(modelwatch.CodeUnavailable, err, "merge data files: write %s", f.Name())
	}
	return f.Name(), nil
}

func writeRows(w *bufio.Writer, in *merger) error {
	var buf []byte
	for {
		group, err := in.next()
		if err != nil || len(group) == 0 {
			return err
		}
		for i := range group {
			buf = appendRow(buf[:0], &group[i])
			if _, err := w.Write(buf); err != nil {
				return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "merge data files: write a temporary file")
			}
		}
	}
}

func (m *merging) cleanUp() error {
	if m.dir == "" {
		return nil
	}
	if err := os.RemoveAll(m.dir); err != nil {
		return fmt.Errorf("remove temporary folder: %w", err)
	}
	return nil
}

func appendRow(b []byte, r *row) []byte {
	flags := byte(0)
	if r.hasValue {
		flags |= runHasValue
	}
	if r.hasScore {
		flags |= runHasScore
	}
	if r.hasGroup {
		flags |= runHasGroup
	}
	if len(r.scores)+len(r.segments) > 0 {
		flags |= runHasFields
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(r.rank))
	b = binary.AppendVarint(b, r.time)
	b = binary.AppendVarint(b, r.file)
	b = binary.AppendVarint(b, r.seq)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.weight))
	b = appendString(b, r.id)
	if r.hasValue {
		b = appendString(b, r.text)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.value))
	}
	if r.hasScore {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.score))
	}
	if r.hasGroup {
		b = appendString(b, r.group)
	}
	if len(r.scores)+len(r.segments) > 0 {
		b = appendFields(b, r)
	}
	return b
}

func appendFields(b []byte, r *row) []byte {
	b = binary.AppendUvarint(b, uint64(len(r.scores)))
	for _, x := range r.scores {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	b = binary.AppendUvarint(b, uint64(len(r.segments)))
	for _, s := range r.segments {
		b = appendString(b, s)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func openRuns(paths []string, better func(a, b *row) bool) (*merger, error) {
	return newMerger(better, len(paths), func(i int) (source, error) {
		f, err := os.Open(paths[i])
		if err != nil {
			return nil, fmt.Errorf("open temporary file: %w", err)
		}
		return &runSource{file: f, r: bufio.NewReaderSize(f, runBuffer)}, nil
	})
}

// runSource reads a run back. The first error of a row ends it.
type runSource struct {
	file *os.File
	r    *bufio.Reader
	row  row
	err  error
	buf  []byte // of bytes
	text textCache
}

func (s *runSource) current() *row { return &s.row }

func (s *runSource) Close() error { return s.file.Close() }

func (s *runSource) advance() (bool, error) {
	flags, err := s.r.ReadByte()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read temporary file: %w", err)
	}
	s.row = row{
		hasValue: flags&runHasValue != 0, hasScore: flags&runHasScore != 0,
		rank: int64(s.uvarint()), time: s.varint(), file: s.varint(), seq: s.varint(),
		weight: s.float(), id: string(s.bytes()),
	}
	if s.row.hasValue {
		s.row.text = s.text.of(s.bytes())
		s.row.value = s.float()
	}
	if s.row.hasScore {
		s.row.score = s.float()
	}
	if s.row.hasGroup = flags&runHasGroup != 0; s.row.hasGroup {
		s.row.group = string(s.bytes())
	}
	if flags&runHasFields != 0 {
		s.fields()
	}
	if s.err != nil {
		return false, fmt.Errorf("read temporary file: %w", s.err)
	}
	return true, nil
}

func (s *runSource) fields() {
	for n := s.uvarint(); n > 0 && s.err == nil; n-- {
		s.row.scores = append(s.row.scores, s.float())
	}
	for n := s.uvarint(); n > 0 && s.err == nil; n-- {
		s.row.segments = append(s.row.segments, s.text.of(s.bytes()))
	}
}

func (s *runSource) uvarint() uint64 {
	x, err := binary.ReadUvarint(s.r)
	s.note(err)
	return x
}

func (s *runSource) varint() int64 {
	x, err := binary.ReadVarint(s.r)
	s.note(err)
	return x
}

func (s *runSource) float() float64 {
	var b [8]byte
	_, err := io.ReadFull(s.r, b[:])
	s.note(err)
	return math.Float64frombits(binary.LittleEndian.Uint64(b[:]))
}

// bytes returns what a length and that many bytes hold, until the next call.
func (s *runSource) bytes() []byte {
	n := int(s.uvarint())
	if s.err != nil {
		return nil
	}
	s.buf = slices.Grow(s.buf[:0], n)[:n]
	_, err := io.ReadFull(s.r, s.buf)
	s.note(err)
	return s.buf
}

func (s *runSource) note(err error) {
	if s.err == nil && err != nil {
		s.err = err
	}
}

// textCache keeps one copy of each class: there are few, and millions of rows.
type textCache map[string]string

func (c *textCache) of(b []byte) string {
	if s, ok := (*c)[string(b)]; ok {
		return s
	}
	s := string(b)
	if *c == nil {
		*c = make(textCache)
	}
	if len(*c) < maxTexts {
		(*c)[s] = s
	}
	return s
}
