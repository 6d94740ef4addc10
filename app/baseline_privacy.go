package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/ingest"
	"github.com/modelwatch/modelwatch/table"
)

// protection is what protect is told of a table beside the version's rules.
type protection struct {
	// archived says that the rows come from the archive: pseudonyms stand already.
	archived bool
	// closed drops what the version's schema does not name.
	closed bool
}

// baselineProtection is that of a baseline: where nobody has said what the features
// are, the baseline does.
func baselineProtection(v *modelwatch.Version, archived bool) protection {
	return protection{archived: archived, closed: v.Schema.Privacy.AllowList && v.Registered && len(v.Schema.Features) > 0}
}

// protect takes out of a table what privacy rules cover, before anything of it is
// profiled or stored. Values that traffic has as pseudonyms are the same
// pseudonyms here, so that the two can be compared. In archived rows they stand
// already, but for what was written before there was a rule.
func (b *baselines) protect(ctx context.Context, v modelwatch.Version, spooled *table.Spooled, p protection) error {
	rules := b.columnRules(v, spooled.Columns)
	dropped := func(name string) bool {
		rule, ruled := rules[name]
		switch {
		case ruled:
			return rule.Action == modelwatch.PrivacyDrop || rule.Action == modelwatch.PrivacyHash && len(b.privacyKey) == 0
		case name == modelwatch.ColumnExtra: // anything may stand in it
			return !p.archived && !v.Schema.Privacy.Empty()
		}
		return p.closed && !named(&v.Schema, name)
	}
	if len(rules) == 0 && !slices.ContainsFunc(spooled.Columns, func(c table.ColumnInfo) bool { return dropped(c.Name) }) {
		return nil
	}
	columns := slices.DeleteFunc(slices.Clone(spooled.Columns), func(c table.ColumnInfo) bool { return dropped(c.Name) })
	for _, c := range columns {
		if _, ruled := rules[c.Name]; ruled && c.Type != modelwatch.TypeCategory && c.Type != modelwatch.TypeText {
			return modelwatch.Errorf(modelwatch.CodeInvalid, "column %q has the type %s: the privacy rule %s takes categories and texts", c.Name, c.Type, rules[c.Name])
		}
	}
	err := spooled.Rewrite(ctx, columns, func(c *table.Chunk) (*table.Chunk, error) {
		out := &table.Chunk{Rows: c.Rows}
		for _, col := range c.Columns {
			if dropped(col.Name) {
				continue
			}
			if rule, ruled := rules[col.Name]; ruled {
				b.protectColumn(&col, rule, p.archived)
			} else if col.Name == modelwatch.ColumnInvalid {
				if err := forgetInvalid(&col, rules); err != nil {
					return nil, err
				}
			}
			out.Columns = append(out.Columns, col)
		}
		return out, nil
	})
	if err != nil {
		return fmt.Errorf("carry out privacy rules: %w", err)
	}
	spooled.Schema.Features = slices.DeleteFunc(spooled.Schema.Features, func(f modelwatch.Feature) bool { return dropped(f.Name) })
	for prefix, names := range prefixed(&spooled.Schema) {
		*names = slices.DeleteFunc(*names, func(name string) bool { return dropped(prefix + name) })
	}
	spooled.Schema.Privacy = v.Schema.Privacy
	return nil
}

// prefixed are the names of a schema whose columns have a prefix.
func prefixed(s *modelwatch.Schema) map[string]*[]string {
	return map[string]*[]string{modelwatch.PrefixScore: &s.Classes, modelwatch.PrefixAttribution: &s.Attributions, modelwatch.PrefixTag: &s.Tags}
}

// named reports whether a column is one that a schema names, or one that every
// table may have.
func named(s *modelwatch.Schema, column string) bool {
	for prefix, names := range prefixed(s) {
		if name, ok := strings.CutPrefix(column, prefix); ok {
			return slices.Contains(*names, name)
		}
	}
	_, ok := s.Feature(column)
	return ok || modelwatch.Reserved(column)
}

// inherited are the rules of a version that nobody has registered: those of all
// versions of its model that have any, with all names that they let through.
func (b *baselines) inherited(ctx context.Context, model string) (s modelwatch.Schema, err error) {
	versions, err := b.catalog.PrivateVersions(ctx)
	for _, v := range versions {
		if v.Model == model {
			s.Privacy = s.Privacy.Merge(v.Schema.Privacy)
			s.Features = append(s.Features, v.Schema.Features...)
			s.Classes = append(s.Classes, v.Schema.Classes...)
			s.Attributions = append(s.Attributions, v.Schema.Attributions...)
			s.Tags = append(s.Tags, v.Schema.Tags...)
		}
	}
	s.SortFeatures()
	return s, err
}

// columnRules are the rules of a version's columns, ids of the deployment included.
func (b *baselines) columnRules(v modelwatch.Version, columns []table.ColumnInfo) map[string]modelwatch.PrivacyRule {
	rules := map[string]modelwatch.PrivacyRule{}
	for _, c := range columns {
		if rule, ok := v.Schema.Privacy.Columns[c.Name]; ok {
			rules[c.Name] = rule
		} else if (c.Name == modelwatch.ColumnID || c.Name == modelwatch.ColumnGroup) && modelwatch.MatchesModel(b.hashIDs, v.Model) {
			rules[c.Name] = modelwatch.PrivacyRule{Action: modelwatch.PrivacyHash}
		}
	}
	return rules
}

// protectColumn replaces the texts of a column. Texts that become the same are one
// entry of the dictionary.
func (b *baselines) protectColumn(col *table.Column, rule modelwatch.PrivacyRule, archived bool) {
	places, dict, moved := map[string]int32{}, []string{}, make([]int32, len(col.Dict))
	for i, text := range col.Dict {
		if !archived || !modelwatch.IsPseudonym([]byte(text)) {
			text = b.protectText(rule, text)
		}
		at, ok := places[text]
		if !ok {
			at = int32(len(dict))
			places[text], dict = at, append(dict, text)
		}
		moved[i] = at
	}
	index := make([]int32, len(col.Index))
	for i, at := range col.Index {
		if !col.Missing(i) {
			index[i] = moved[at]
		}
	}
	col.Dict, col.Index = dict, index
}

// protectText applies hash or truncate to a text.
func (b *baselines) protectText(rule modelwatch.PrivacyRule, text string) string {
	if rule.Action == modelwatch.PrivacyHash {
		return b.privacyKey.Pseudonym(text)
	}
	return string(rule.Truncate([]byte(text)))
}

// protectStatistics is protect for a statistics file: what is left are the features
// that no rule covers, and the counts of those whose values have pseudonyms.
func (b *baselines) protectStatistics(v modelwatch.Version, text []byte) ([]byte, error) {
	if len(v.Schema.Privacy.Columns) == 0 {
		return text, nil
	}
	var file sageMakerStatistics
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "the statistics file cannot be read")
	}
	features := file.Features[:0]
	for _, f := range file.Features {
		rule, ruled := v.Schema.Privacy.Columns[f.Name]
		unkeyed := rule.Action == modelwatch.PrivacyHash && len(b.privacyKey) == 0
		if ruled && (rule.Action == modelwatch.PrivacyDrop || unkeyed || f.Texts == nil) {
			continue
		}
		if ruled {
			buckets, places := f.Texts.Distribution.Categorical.Buckets[:0], map[string]int{}
			for _, bucket := range f.Texts.Distribution.Categorical.Buckets {
				bucket.Value = b.protectText(rule, bucket.Value)
				at, ok := places[bucket.Value]
				if !ok {
					places[bucket.Value] = len(buckets)
					buckets = append(buckets, bucket)
					continue
				}
				buckets[at].Count += bucket.Count
			}
			f.Texts.Distribution.Categorical.Buckets = buckets
		}
		features = append(features, f)
	}
	file.Features = features
	return json.Marshal(file)
}

// forgetInvalid takes the values of covered columns out of _invalid.
func forgetInvalid(col *table.Column, rules map[string]modelwatch.PrivacyRule) error {
	dict := make([]string, len(col.Dict))
	for i, text := range col.Dict {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			return fmt.Errorf("read invalid values: %w", err)
		}
		for name := range rules {
			delete(members, name)
		}
		kept, err := json.Marshal(members)
		if err != nil {
			return fmt.Errorf("write invalid values: %w", err)
		}
		dict[i] = string(kept)
	}
	col.Dict = dict
	return nil
}

// privacy is what of the configuration ingest needs to carry rules out.
func (c *Config) privacy() ingest.PrivacyOptions {
	return ingest.PrivacyOptions{Key: modelwatch.PrivacyKey(c.Privacy.Key), HashIDs: c.Privacy.HashIDs, KeepUnparsed: c.DeadLetters.KeepUnparsed}
}
