package ingest

import (
	"math"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/modelwatch/modelwatch"
)

// The limits of what traffic alone may make known. They bound memory and the
// catalog whatever producers send; what is beyond them is kept in _extra.
const (
	maxFeatures     = 2000
	maxClasses      = 1000
	maxAttributions = 2000
	maxTags         = 32
	maxNameBytes    = 256 // of a feature, class or tag
)

// cellType is how the values of a column are read and stored.
type cellType uint8

const (
	cellNumber cellType = iota
	cellCategory
	cellText
	cellBoolean
	cellTimestamp
	cellVector
	// cellByValue is a prediction or label whose type nobody has declared: a
	// number is stored as a number, all else as a category, in files apart.
	cellByValue
	// cellPrivate is a column that a privacy rule covers. It is stored as its base.
	cellPrivate
)

func cellTypeOf(t modelwatch.FeatureType) cellType {
	switch t {
	case modelwatch.TypeNumber:
		return cellNumber
	case modelwatch.TypeCategory:
		return cellCategory
	case modelwatch.TypeText:
		return cellText
	case modelwatch.TypeBoolean:
		return cellBoolean
	case modelwatch.TypeTimestamp:
		return cellTimestamp
	case modelwatch.TypeVector:
		return cellVector
	}
	return cellByValue
}

func (t cellType) featureType() modelwatch.FeatureType {
	return [...]modelwatch.FeatureType{
		modelwatch.TypeNumber, modelwatch.TypeCategory, modelwatch.TypeText,
		modelwatch.TypeBoolean, modelwatch.TypeTimestamp, modelwatch.TypeVector, "",
	}[t]
}

// column is one column that events of a version may fill. What each event needs
// comes first.
type column struct {
	key  string    // in its section of the event, as JSON: `"amount":`; "" where that needs escapes
	foot [2]uint64 // the last 16 bytes of key, behind zeros if it is shorter
	// follow is the column that came after this one in the last event: producers
	// keep their order, so the next name is usually found by one comparison.
	follow   int32
	typ      cellType
	bounded  bool
	min, max float64 // of numbers: what is declared, else all that is finite

	base     cellType               // as it is stored: typ, but for cellPrivate
	declared bool                   // stands in every file of predictions, even if no row has a value
	name     string                 // in tables: "amount", "_attr_amount"
	label    []byte                 // name as JSON, for _invalid
	rule     modelwatch.PrivacyRule // of cellPrivate
}

func (c *column) setKey(key string) {
	c.key = key
	var foot [valueAt]byte
	for i := range min(len(key), valueAt) {
		foot[valueAt-1-i] = key[len(key)-1-i]
	}
	c.foot = [2]uint64{load(foot[:], 0), load(foot[:], 8)}
}

// keyMasks mark the bytes of a foot that are of a key of so many bytes: others are before
// it in the event. Without a key it is all of them: no event has so many NULs.
var keyMasks = func() (masks [valueAt + 1][2]uint64) {
	masks[0] = [2]uint64{math.MaxUint64, math.MaxUint64}
	for n := 1; n <= valueAt; n++ {
		masks[n][1] = math.MaxUint64 << (64 - 8*min(n, 8))
		if n > 8 {
			masks[n][0] = math.MaxUint64 << (64 - 8*(n-8))
		}
	}
	return masks
}()

// endsBefore reports that the last 16 bytes of the key are before the value.
func (c *column) endsBefore(v *window) bool {
	mask := &keyMasks[min(len(c.key), valueAt)]
	return (v.word(0)^c.foot[0])&mask[0]|(v.word(8)^c.foot[1])&mask[1] == 0
}

// beginsAt reports that what a longer key has before its last 16 bytes is at i.
func (c *column) beginsAt(d []byte, i int) bool {
	n := len(c.key) - valueAt
	return string(d[i:i+n]) == c.key[:n]
}

// The columns that every layout begins with.
const (
	slotScore int32 = iota
	slotPredicted
	slotLabel
	slotGroup
	slotWeight
	coreSlots
)

// sectionID names an object of the event whose members are columns.
type sectionID uint8

const (
	sectionFeatures sectionID = iota
	sectionScores
	sectionAttributions
	sectionTags
	sectionCount
	sectionCore // not an object: the core columns, for growth
)

// section maps the members of one object of the event to columns.
type section struct {
	index map[string]int32 // by field name
	first int32            // see column.follow
	open  bool             // members that are not known may become columns
	limit int
}

// layout is the columns of one version as the decoder needs them. A layout
// belongs to one consumer: reading events writes its hints.
type layout struct {
	columns  []column
	sections [sectionCount]section
	version  *version // nil in a layout that is only a guess
	labels   bool     // of label rows: no sections
	private  *privacy // nil: there are no rules
	byValue  bool     // a row was kept whose prediction or label had no declared type
}

func newLayout(v *version, labels bool) *layout {
	s := &v.stored.Schema
	l := &layout{version: v, labels: labels, private: v.private}
	l.core(modelwatch.ColumnScore, cellNumber)
	l.core(modelwatch.ColumnPredicted, cellTypeOf(s.Predicted))
	l.core(modelwatch.ColumnLabel, cellTypeOf(s.Label))
	l.core(modelwatch.ColumnGroup, cellCategory)
	l.core(modelwatch.ColumnWeight, cellNumber)
	grows := v.grows
	l.sections = [sectionCount]section{
		sectionFeatures:     {first: -1, limit: maxFeatures, open: grows},
		sectionScores:       {first: -1, limit: maxClasses, open: grows || len(s.Classes) == 0},
		sectionAttributions: {first: -1, limit: maxAttributions, open: true},
		sectionTags:         {first: -1, limit: maxTags, open: true},
	}
	for i := range l.sections {
		l.sections[i].index = map[string]int32{}
		l.sections[i].open = l.sections[i].open && !labels
	}
	if !labels {
		l.add(s)
	}
	return l
}

func (l *layout) core(name string, typ cellType) {
	l.columns = append(l.columns, column{name: name, label: quote(name), typ: typ, follow: -1, min: -math.MaxFloat64, max: math.MaxFloat64})
	l.cover(&l.columns[len(l.columns)-1])
}

// cover makes a column private if a rule covers it.
func (l *layout) cover(c *column) {
	c.base = c.typ
	if rule, ok := l.private.rule(c.name); ok {
		c.typ, c.rule = cellPrivate, rule
	}
}

// add appends the columns of the schema that the layout does not have yet.
func (l *layout) add(s *modelwatch.Schema) {
	for _, f := range s.Features {
		l.addFeature(f)
	}
	for _, c := range s.Classes {
		l.addMember(sectionScores, c, cellNumber)
	}
	for _, a := range s.Attributions {
		l.addMember(sectionAttributions, a, cellNumber)
	}
	for _, t := range s.Tags {
		l.addMember(sectionTags, t, cellCategory)
	}
}

func (l *layout) addFeature(f modelwatch.Feature) {
	i := l.addMember(sectionFeatures, f.Name, cellTypeOf(f.Type))
	c := &l.columns[i]
	c.declared = c.rule.Action != modelwatch.PrivacyDrop
	c.min, c.max = -math.MaxFloat64, math.MaxFloat64
	if f.Minimum != nil {
		c.bounded, c.min = true, *f.Minimum
	}
	if f.Maximum != nil {
		c.bounded, c.max = true, *f.Maximum
	}
}

// addMember returns the column of a section's member, appending it if need be.
func (l *layout) addMember(id sectionID, field string, typ cellType) int32 {
	sec := &l.sections[id]
	if i, ok := sec.index[field]; ok {
		return i
	}
	i := int32(len(l.columns))
	c := column{name: columnPrefix(id) + field, typ: typ, follow: -1, min: -math.MaxFloat64, max: math.MaxFloat64}
	c.label = quote(c.name)
	if q := quote(field); len(q) == len(field)+2 {
		c.setKey(string(q) + ":")
	}
	l.cover(&c)
	if l.private.closed() && !l.private.admits(c.name) {
		// An inherited allow-list does not name what was learnt from traffic before.
		c.typ, c.rule = cellPrivate, modelwatch.PrivacyRule{Action: modelwatch.PrivacyDrop}
	}
	l.columns = append(l.columns, c)
	sec.index[field] = i
	return i
}

// extends reports whether the layout can take on schema s without changing the
// type or the bounds of a column that it has.
func (l *layout) extends(s *modelwatch.Schema) bool {
	kept := 0
	for _, f := range s.Features {
		i, ok := l.sections[sectionFeatures].index[f.Name]
		if !ok {
			continue
		}
		kept++
		if l.columns[i].base != cellTypeOf(f.Type) || l.columns[i].bounded || f.Minimum != nil || f.Maximum != nil {
			return false
		}
	}
	return kept == len(l.sections[sectionFeatures].index) && l.fits(slotPredicted, s.Predicted) && l.fits(slotLabel, s.Label)
}

// fits reports whether a column may get the type without meeting rows, in files
// that are being filled, for which it had another.
func (l *layout) fits(slot int32, t modelwatch.FeatureType) bool {
	old := l.columns[slot].typ
	return old == cellTypeOf(t) || old == cellByValue && !l.byValue
}

// extend takes on a schema that extends allows.
func (l *layout) extend(s *modelwatch.Schema) {
	for slot, t := range map[int32]modelwatch.FeatureType{slotPredicted: s.Predicted, slotLabel: s.Label} {
		l.columns[slot].typ, l.columns[slot].base = cellTypeOf(t), cellTypeOf(t)
	}
	if !l.labels {
		l.add(s)
	}
}

func columnPrefix(id sectionID) string {
	switch id {
	case sectionScores:
		return modelwatch.PrefixScore
	case sectionAttributions:
		return modelwatch.PrefixAttribution
	case sectionTags:
		return modelwatch.PrefixTag
	}
	return ""
}

// admits reports whether a member that is not known may become a column.
func (l *layout) admits(id sectionID, field []byte, more int) bool {
	sec := &l.sections[id]
	if !sec.open || len(field) == 0 || len(field) > maxNameBytes || len(sec.index)+more >= sec.limit {
		return false
	}
	if id == sectionFeatures && field[0] == '_' {
		return false // the name of a column of ours
	}
	if l.private != nil && !l.private.admits(columnPrefix(id)+string(field)) {
		return false
	}
	if id == sectionAttributions && l.version != nil && !l.version.grows {
		_, known := l.sections[sectionFeatures].index[string(field)]
		return known
	}
	return true
}

// growth is a column that an event brings and the schema does not have.
type growth struct {
	section sectionID
	field   string
	typ     modelwatch.FeatureType
}

// grown returns the schema with the growths that it has not; what it has stays.
func grown(s modelwatch.Schema, growths []growth) modelwatch.Schema {
	s.Features = slices.Clone(s.Features)
	for _, g := range growths {
		switch g.section {
		case sectionFeatures:
			i, ok := slices.BinarySearchFunc(s.Features, g.field, func(f modelwatch.Feature, n string) int { return strings.Compare(f.Name, n) })
			if !ok {
				s.Features = slices.Insert(s.Features, i, modelwatch.Feature{Name: g.field, Type: g.typ})
			}
		case sectionScores:
			s.Classes = insert(s.Classes, g.field)
		case sectionAttributions:
			s.Attributions = insert(s.Attributions, g.field)
		case sectionTags:
			s.Tags = insert(s.Tags, g.field)
		case sectionCore:
			growCore(&s, g)
		}
	}
	return s
}

func growCore(s *modelwatch.Schema, g growth) {
	t := &s.Score
	switch g.field {
	case modelwatch.ColumnPredicted:
		t = &s.Predicted
	case modelwatch.ColumnLabel:
		t = &s.Label
	}
	if *t == "" {
		*t = g.typ
	}
}

// insert returns a sorted copy with the name in it.
func insert(names []string, name string) []string {
	i, ok := slices.BinarySearch(names, name)
	if ok {
		return names
	}
	return slices.Insert(slices.Clone(names), i, name)
}

// quote returns the name as a JSON string.
func quote(name string) []byte {
	q, _ := jsontext.AppendQuote(nil, name) // what is not UTF-8 is replaced
	return q
}
