package format

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/theory/jsonpath"

	"github.com/modelwatch/modelwatch"
)

// PathNames lists the keys of Options.Paths. A dot and a name may follow features,
// scores, tags and attributions: "features.amount" selects one of them.
func PathNames() []string {
	return []string{"rows", "kind", "model", "version", "id", "time", "features", "score", "predicted", "scores", "label", "group", "weight", "tags", "attributions"}
}

// path is a JSONPath expression (RFC 9535), of the record or, where it was written
// with @ instead of $, of a row.
type path struct {
	part, name string
	ofRow      bool
	query      *jsonpath.Path
}

// paths finds the parts of events in any JSON.
type paths struct {
	options *Options
	rows    *jsonpath.Path // nil: the record is the row
	all     []path
}

func newPaths(o *Options) (*paths, error) {
	p := &paths{options: o}
	for key, expression := range o.Paths {
		part, name, _ := strings.Cut(key, ".")
		named := part == "features" || part == "scores" || part == "tags" || part == "attributions"
		if !slices.Contains(PathNames(), part) || strings.Contains(key, ".") && (!named || name == "") {
			return nil, fmt.Errorf("paths: %q is not known; known: %s", key, strings.Join(PathNames(), ", "))
		}
		one := path{part: part, name: name}
		if rest, ok := strings.CutPrefix(expression, "@"); ok {
			one.ofRow, expression = true, "$"+rest
		}
		var err error
		if one.query, err = jsonpath.Parse(expression); err != nil {
			return nil, fmt.Errorf("paths: %s: %q: %w", key, expression, err)
		}
		if part == "rows" {
			p.rows = one.query
			continue
		}
		p.all = append(p.all, one)
	}
	slices.SortFunc(p.all, func(x, y path) int { return strings.Compare(x.part+"."+x.name, y.part+"."+y.name) })
	return p, nil
}

// events makes an event of each row that the paths find in the record.
func (p *paths) events(record Value, events []Event) ([]Event, error) {
	tree := treeOf(record)
	rows := jsonpath.NodeList{tree}
	if p.rows != nil {
		if rows = p.rows.Select(tree); len(rows) == 0 {
			return events, invalid("the path of rows selects nothing")
		}
	}
	for i, node := range rows {
		e := Event{Kind: p.options.Kind}
		byRow := false // the row has an id of its own
		for _, one := range p.all {
			from := tree
			if one.ofRow {
				from = node
			}
			found := one.query.Select(from)
			if len(found) == 0 {
				continue
			}
			if len(found) > 1 {
				return events, invalid("the path of %s selects %d values; it must be one", one.part, len(found))
			}
			byRow = byRow || one.part == "id" && one.ofRow
			if fail := e.takePath(one, valueOf(found[0])); fail != nil {
				return events, fail
			}
		}
		if !byRow {
			e.ID = rowID(e.ID, i, len(rows))
		}
		if e.Kind == "" {
			e.Kind = modelwatch.KindPrediction
		}
		events = append(events, e)
	}
	return events, nil
}

func (e *Event) takePath(p path, v Value) *Failure {
	into := e.section(p.part)
	switch {
	case into != nil && p.name != "":
		*into = append(*into, Member{p.name, v})
	case present(v) == nil:
	case p.part == "scores" && v[0] == '[':
		e.takeScores(v)
	case into != nil && v[0] != '{':
		return invalid("the path of %s selects %s; it must be an object", p.part, describe(v))
	case into != nil:
		*into = append(*into, members(v)...)
	default:
		e.take(p.part, Member{p.part, v})
	}
	return nil
}

// section is the members of an event that have names of the producer's, nil where
// a part is a single value.
func (e *Event) section(part string) *[]Member {
	switch part {
	case "features":
		return &e.Features
	case "tags":
		return &e.Tags
	case "attributions":
		return &e.Attributions
	case "scores":
		return &e.Scores
	}
	return nil
}

// treeOf makes of JSON what jsonpath reads. Numbers stay as they were written.
func treeOf(v Value) any {
	switch v[0] {
	case '{':
		out := map[string]any{}
		walk(v, func(name string, element Value) { out[name] = treeOf(element) })
		return out
	case '[':
		out := []any{}
		walk(v, func(_ string, element Value) { out = append(out, treeOf(element)) })
		return out
	case '"':
		return text(v)
	case 't', 'f':
		return v[0] == 't'
	case 'n':
		return nil
	}
	return json.Number(v)
}

// valueOf is the reverse of treeOf; the members of an object come by name.
func valueOf(node any) Value {
	switch n := node.(type) {
	case nil:
		return Value("null")
	case bool:
		return strconv.AppendBool(nil, n)
	case json.Number:
		return Value(n)
	case string:
		return textValue(n)
	case []any:
		out := Value{'['}
		for i, element := range n {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, valueOf(element)...)
		}
		return append(out, ']')
	case map[string]any:
		out := Value{'{'}
		names := make([]string, 0, len(n))
		for name := range n {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			out = append(appendName(out, 0, name), valueOf(n[name])...)
		}
		return append(out, '}')
	}
	return Value("null")
}

// anyShape makes events of JSON whose shape is configured: by paths, as a flat
// row, or else as the canonical event.
type anyShape struct {
	options *Options
	paths   *paths
}

func newAnyShape(o *Options) (*anyShape, error) {
	s := &anyShape{options: o}
	if len(o.Paths) == 0 {
		if o.Kind != "" && len(o.Columns) == 0 {
			return nil, fmt.Errorf("kind is for events whose shape is configured by paths or columns; the canonical event says it itself")
		}
		return s, nil
	}
	if len(o.Columns) > 0 {
		return nil, fmt.Errorf("paths and columns exclude each other: name the parts by paths")
	}
	var err error
	s.paths, err = newPaths(o)
	return s, err
}

func (s *anyShape) events(v Value, events []Event) ([]Event, error) {
	switch {
	case s.paths != nil:
		return s.paths.events(v, events)
	case v[0] != '{':
		return events, failf(modelwatch.DeadNotObject, "expected a JSON object, found %s", describe(v))
	case len(s.options.Columns) > 0:
		return s.options.flat(Event{}, members(v), events), nil
	}
	return append(events, Event{Raw: v}), nil
}

// anyJSON is the format "json".
type anyJSON struct{ *anyShape }

func newJSON(o *Options) (Format, error) {
	if len(o.Paths)+len(o.Columns) == 0 {
		return nil, fmt.Errorf("format \"json\" needs paths, which say where the parts of an event are, or columns, which say which members of a flat object they are")
	}
	s, err := newAnyShape(o)
	return anyJSON{s}, err
}

func (f anyJSON) Decode(_ context.Context, r *Record, events []Event) ([]Event, error) {
	v, fail := parse(r.Value)
	if fail != nil {
		return events, fail
	}
	return f.events(v, events)
}
