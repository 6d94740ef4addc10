package ingest

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// The bounds of what is taken at all.
const (
	maxRecordBytes = 10 << 20
	maxModelBytes  = 200 // of a model's or version's name
	maxIDBytes     = 1024
	maxAhead       = 24 * time.Hour // how far event time may be ahead of the clock
)

var (
	earliest       = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	earliestMicros = earliest.UnixMicro()
)

// The record headers that may stand for fields of the event.
const (
	headerModel   = "modelwatch-model"
	headerVersion = "modelwatch-version"
)

// row is an event that has its place.
type row struct {
	version  *version
	kind     modelwatch.Kind
	id       []byte
	micros   int64 // event time
	received int64 // the record's time
	rank     int64
	rate     float64 // in force for the event
	keep     bool    // the sampling keeps it
}

// rejection is a record that has no place. Model and what follows are set as
// far as they are known, to count it.
type rejection struct {
	failure
	model   string
	version *version // nil: the rejection cannot be attributed
	kind    modelwatch.Kind
	micros  int64
}

// decoder decodes canonical JSON events, the format "modelwatch".
type decoder struct {
	event
	versions  *versions
	salt      modelwatch.Salt
	now       clock
	latest    int64 // that event time may be, when the clock was read last; 0: it was not
	times     timeParser
	last      *layout // of the last event: what the next one probably has, too
	pseudonym []byte  // of the last id, where ids are hashed
	row       row     // what decode returns
	early     row     // kind, id, micros and rank of the event, if it is judged
	judged    bool    // sampledAway has placed the event
	fallback  header  // what the source says where neither event nor headers do
}

func newDecoder(vs *versions, salt modelwatch.Salt, now clock) *decoder {
	none := &version{stored: modelwatch.Version{Registered: true}}
	l := newLayout(none, false)
	l.version = nil
	return &decoder{versions: vs, salt: salt, now: now, last: l}
}

// parseAttempts: a guess, the right layout, and after each growth once more.
const parseAttempts = 5

// decode makes a row of a record, or a rejection. The row, and its cells, which are in
// the decoder's event, stand until the next call. An error means that the catalog could not be asked,
// and says nothing about the record.
func (d *decoder) decode(ctx context.Context, r *kgo.Record) (*row, *rejection, error) {
	out := &d.row
	*out = row{received: r.Timestamp.UnixMicro()}
	d.header = d.headerOf(r)
	if fail := d.measure(r); fail != nil {
		rejected, err := d.reject(ctx, out, fail)
		return out, rejected, err
	}
	l, choose := d.last, layouts(d)
	for attempt := range parseAttempts {
		d.judged = false
		d.frozen = attempt == parseAttempts-1 || l.version != nil && l.version.frozen
		if fail := d.parse(r.Value, l, choose); fail != nil {
			rejected, err := d.reject(ctx, out, fail)
			return out, rejected, err
		}
		fail, err := d.place(ctx, out)
		if err != nil {
			return out, nil, err
		}
		if fail != nil {
			rejected, err := d.reject(ctx, out, fail)
			return out, rejected, err
		}
		l, choose = out.version.rows, nil
		if out.kind == modelwatch.KindLabel {
			l = out.version.labels
		}
		if l != d.layout {
			continue
		}
		if len(d.growths) == 0 {
			if d.sample(out); out.keep && d.sifted {
				continue // whatever was thought of it, it needs its values
			}
			return out, nil, nil
		}
		if err := d.versions.grow(ctx, out.version, d.growths); err != nil {
			return out, nil, err
		}
	}
	return out, nil, modelwatch.Errorf(modelwatch.CodeUnavailable, "schema of model %q, version %q keeps changing", out.version.model, out.version.name)
}

func (d *decoder) peek(kind, model, version []byte) *layout {
	return d.versions.peek(kind, model, version)
}

// sampledAway judges by what place and sample go by, as soon as the event has said
// all of it and its version was found; most producers put it first. Should what follows
// say otherwise, it is no event, or decode reads it again.
func (d *decoder) sampledAway(e *event) bool {
	d.judged = false
	for _, f := range [...]field{fieldKind, fieldModel, fieldVersion, fieldID, fieldTime} {
		if e.fields[f].absent() {
			return false
		}
	}
	if len(e.version()) == 0 {
		return false // it is no name, and the version found is that of events without one
	}
	d.early = row{}
	if d.placeEvent(&d.early) != nil {
		return false
	}
	d.early.rank, d.judged = modelwatch.Rank(d.salt, d.early.id), true
	return d.early.rank >= e.layout.version.rateOf(d.early.kind, d.early.micros).limit
}

// sample decides whether the row is kept.
func (d *decoder) sample(out *row) {
	d.last, out.version.used = d.layout, true
	if p := out.version.private; p != nil && p.ids && !(d.redacted && modelwatch.IsPseudonym(out.id)) {
		d.pseudonym = p.hash.Append(d.pseudonym[:0], out.id)
		out.id, d.judged = d.pseudonym, false // of which the rank is not known
	}
	if !d.judged {
		out.rank = modelwatch.Rank(d.salt, out.id)
	}
	step := out.version.rateOf(out.kind, out.micros)
	out.rate, out.keep = step.rate, out.rank < step.limit
}

func (d *decoder) headerOf(r *kgo.Record) header {
	h := d.fallback
	for _, rh := range r.Headers {
		switch rh.Key {
		case headerModel:
			h.model = rh.Value
		case headerVersion:
			h.version = rh.Value
		}
	}
	return h
}

func (d *decoder) measure(r *kgo.Record) *failure {
	if n := len(r.Value); n > 0 && n <= maxRecordBytes {
		return nil
	}
	d.fields = [fieldCount]value{} // of the record before
	if len(r.Value) == 0 {
		return failf(modelwatch.DeadEmpty, "the record has no value")
	}
	return failf(modelwatch.DeadTooLarge, "the record has %d bytes, at most %d are read", len(r.Value), maxRecordBytes)
}

// place finds out what the event is and where it belongs.
func (d *decoder) place(ctx context.Context, out *row) (*failure, error) {
	if d.judged {
		out.kind, out.id, out.micros, out.rank, out.version = d.early.kind, d.early.id, d.early.micros, d.early.rank, d.layout.version
		return nil, nil
	}
	model, name, fail := d.names()
	if fail != nil {
		return fail, nil
	}
	if fail := d.placeEvent(out); fail != nil {
		return fail, nil
	}
	labels := out.kind == modelwatch.KindLabel
	if out.version = d.versions.find(model, name, labels); out.version != nil {
		return nil, nil
	}
	var err error
	out.version, fail, err = d.versions.load(ctx, string(model), string(name), labels)
	return fail, err
}

func (d *decoder) placeEvent(out *row) *failure {
	kind := &d.fields[fieldKind]
	switch k := modelwatch.Kind(kind.text); {
	case kind.absent():
		return failf(modelwatch.DeadUnknownKind, "kind is absent; it must be prediction, input, output, label or attribution")
	case k == modelwatch.KindPrediction:
		out.kind = modelwatch.KindPrediction
	case k == modelwatch.KindLabel:
		out.kind = modelwatch.KindLabel
	case k == modelwatch.KindAttribution:
		out.kind = modelwatch.KindAttribution
	case k == modelwatch.KindInput:
		out.kind = modelwatch.KindInput
	case k == modelwatch.KindOutput:
		out.kind = modelwatch.KindOutput
	default:
		return failf(modelwatch.DeadUnknownKind, "kind is %s; it must be prediction, input, output, label or attribution", shorten(string(kind.raw)))
	}
	if fail := d.placeTime(out); fail != nil {
		return fail
	}
	id := &d.fields[fieldID]
	out.id = id.name()
	switch {
	case id.absent():
		return failf(modelwatch.DeadNoID, "id is absent; without it the row can neither be sampled nor joined")
	case len(out.id) == 0 || len(out.id) > maxIDBytes:
		return failf(modelwatch.DeadNoID, "id is %s; it must be text of 1 to %d bytes, or a number", d.sized(id), maxIDBytes)
	}
	if label := &d.fields[fieldLabel]; out.kind == modelwatch.KindLabel {
		if label.absent() || label.raw[0] == '{' || label.raw[0] == '[' {
			return failf(modelwatch.DeadNoLabel, "label is %s; it must be text, a number or a boolean", d.sized(label))
		}
	}
	return nil
}

// sized describes a value without repeating what may be long.
func (d *decoder) sized(v *value) string {
	if v.str && len(v.text) > 0 {
		return "text of " + plural(len(v.text), "byte")
	} else if v.str {
		return "empty"
	} else if v.absent() {
		return "absent"
	}
	return describe(v.raw)
}

// names returns the names of the model and the version, both nil-able only
// where they are absent.
func (d *decoder) names() (model, version []byte, fail *failure) {
	m, v := &d.fields[fieldModel], &d.fields[fieldVersion]
	switch {
	case m.absent() && d.header.model == nil:
		return nil, nil, failf(modelwatch.DeadNoModel, "model is absent, and there is no header %s", headerModel)
	case !m.absent() && !m.str:
		return nil, nil, failf(modelwatch.DeadNoModel, "model is %s; it must be text", describe(m.raw))
	}
	model, version = d.model(), d.version()
	if d.versions.foundLast(model, version) {
		return model, version, nil
	}
	if !validName(model) {
		return nil, nil, failf(modelwatch.DeadInvalidName, "model is %q; it must be 1 to %d bytes of UTF-8 without control characters and slashes", shorten(string(model)), maxModelBytes)
	}
	if v.absent() && d.header.version == nil {
		return model, nil, nil
	}
	if !validName(version) {
		return model, nil, failf(modelwatch.DeadInvalidName, "version is %s; it must be 1 to %d bytes of UTF-8 without control characters and slashes", shortRaw(v, version), maxModelBytes)
	}
	return model, version, nil
}

func shortRaw(v *value, name []byte) string {
	if v.absent() {
		return quoteText(shorten(string(name)))
	}
	return shorten(string(v.raw))
}

func validName(name []byte) bool {
	if len(name) == 0 || len(name) > maxModelBytes {
		return false
	}
	for _, c := range name {
		if c < ' ' || c == 0x7f || c == '/' {
			return false
		}
	}
	return utf8.Valid(name)
}

func (d *decoder) placeTime(out *row) *failure {
	t := &d.fields[fieldTime]
	var ok bool
	switch {
	case t.absent():
		out.micros, ok = out.received, true
	case t.str:
		out.micros, ok = d.times.parse(t.text)
	default:
		var s scanner
		s.reset(t.raw)
		if f, raw, number := s.number(); number {
			out.micros, ok = epochTime(f, raw)
		}
	}
	if !ok {
		out.micros = out.received
		return failf(modelwatch.DeadInvalidTime, "time is %s; it must be RFC 3339 text, or a number of seconds or milliseconds since 1970", shorten(string(t.raw)))
	}
	if out.micros < earliestMicros || out.micros > d.latest && out.micros > d.readClock() {
		at := microsTime(out.micros).Format(time.RFC3339)
		out.micros = out.received
		return failf(modelwatch.DeadTimeOutOfSpan, "time is %s; it must be from %s on and not after %s", at, earliest.Format(time.DateOnly), microsTime(d.readClock()).Format(time.RFC3339))
	}
	return nil
}

// readClock is asked about times that were too late when it was read last: it only
// gets later.
func (d *decoder) readClock() int64 {
	d.latest = d.now().Add(maxAhead).UnixMicro()
	return d.latest
}

// reject attributes a failure as far as the event tells and the catalog knows: a
// rejected record makes no model known.
func (d *decoder) reject(ctx context.Context, out *row, fail *failure) (rej *rejection, err error) {
	rej = &rejection{failure: *fail, kind: out.kind, micros: out.micros}
	if rej.kind == "" {
		rej.kind = modelwatch.KindPrediction
		if string(d.fields[fieldKind].text) == string(modelwatch.KindLabel) {
			rej.kind = modelwatch.KindLabel
		}
	}
	if rej.micros < earliest.UnixMicro() {
		rej.micros = max(out.received, earliest.UnixMicro())
	}
	if model := d.model(); validName(model) {
		rej.model = string(model)
		if version := d.version(); len(version) == 0 || validName(version) {
			rej.version, err = d.versions.lookUp(ctx, model, version, rej.kind == modelwatch.KindLabel)
		}
	}
	if err != nil {
		return nil, err
	}
	return rej, nil
}
