package api

import (
	"maps"
	"slices"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// Privacy says what of a version's events may be written, and in which form.
type Privacy struct {
	Columns   map[string]string `json:"columns,omitempty" doc:"Rules by column, under its name in tables (_tag_user for a tag): drop, hash (a pseudonym by the deployment's key: the same value has the same everywhere) or truncate:N (the first N characters). They hold for fields that the schema does not name, too." example:"{\"email\":\"hash\",\"zip\":\"truncate:2\",\"note\":\"drop\"}"`
	AllowList bool              `json:"allow_list,omitempty" doc:"Drop every field that the schema does not name, and count it."`
}

// maxPrivacyRules bounds the rules of one version.
const maxPrivacyRules = 1000

func newPrivacy(p modelwatch.Privacy) *Privacy {
	if p.Empty() {
		return nil
	}
	out := &Privacy{AllowList: p.AllowList}
	for column, rule := range p.Columns {
		if out.Columns == nil {
			out.Columns = map[string]string{}
		}
		out.Columns[column] = rule.String()
	}
	return out
}

// domain checks the rules against the schema that they stand in.
func (p *Privacy) domain(f *faults, s *Schema) modelwatch.Privacy {
	out := modelwatch.Privacy{AllowList: p.AllowList}
	if len(p.Columns) > maxPrivacyRules {
		f.add("body.schema.privacy.columns", len(p.Columns), "has more than %d rules", maxPrivacyRules)
		return out
	}
	if p.AllowList && len(s.Features) == 0 {
		f.add("body.schema.privacy.allow_list", true, "drops everything, because the schema names no feature")
	}
	for _, column := range slices.Sorted(maps.Keys(p.Columns)) {
		at := "body.schema.privacy.columns." + column
		rule, err := modelwatch.ParsePrivacyRule(p.Columns[column])
		if err != nil {
			f.add(at, p.Columns[column], "%s", err)
			continue
		}
		if fault := privacyFault(column, rule, s.Features); fault != "" {
			f.add(at, p.Columns[column], "%s", fault)
		}
		if out.Columns == nil {
			out.Columns = map[string]modelwatch.PrivacyRule{}
		}
		out.Columns[column] = rule
	}
	return out
}

// privacyFault says why a column cannot have a rule; "" if it can.
func privacyFault(column string, rule modelwatch.PrivacyRule, features []Feature) string {
	if fault := columnFault(column); fault != "" {
		return fault
	}
	switch {
	case column == modelwatch.ColumnID || column == modelwatch.ColumnGroup:
		return "is hashed for all streams of a model alike, or predictions and labels would not meet: see privacy.hash_ids of the configuration"
	case strings.HasPrefix(column, modelwatch.PrefixTag):
		return ""
	case strings.HasPrefix(column, modelwatch.PrefixAttribution) || strings.HasPrefix(column, modelwatch.PrefixScore):
		if rule.Action != modelwatch.PrivacyDrop {
			return "is a number: it can only be dropped"
		}
		return ""
	case modelwatch.Reserved(column):
		return "is needed by modelwatch: rules are for features, tags and fields of your own"
	}
	for _, feature := range features {
		if feature.Name == column && rule.Action != modelwatch.PrivacyDrop && feature.Type != modelwatch.TypeCategory && feature.Type != modelwatch.TypeText {
			return "is of the type " + string(feature.Type) + ": hash and truncate are for categories and texts"
		}
	}
	return ""
}

// refuseHashes says that a deployment without a key cannot hash. Ingest would drop
// what such a rule covers, which is safe and not what was asked for.
func refuseHashes(p modelwatch.Privacy) error {
	var f faults
	for _, column := range slices.Sorted(maps.Keys(p.Columns)) {
		if p.Columns[column].Action == modelwatch.PrivacyHash {
			f.add("body.schema.privacy.columns."+column, "hash", "needs the key of pseudonyms: set privacy.key in the configuration")
		}
	}
	return f.err("the version")
}
