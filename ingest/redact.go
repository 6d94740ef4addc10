package ingest

import (
	"context"
	"time"

	"github.com/modelwatch/modelwatch"
)

// PrivacyOptions say what of the rules is the deployment's.
type PrivacyOptions struct {
	// Key is the key of pseudonyms. Without one, what is to be hashed is dropped.
	Key modelwatch.PrivacyKey
	// HashIDs names the models, with a trailing * for any end, whose ids and groups
	// are pseudonyms, in predictions, attributions and labels alike.
	HashIDs []string
	// KeepUnparsed keeps the bytes of dead letters in which the values that rules
	// cover cannot be found. Otherwise only their size and checksum are kept.
	KeepUnparsed bool
}

// private knows the rules of all models that have any: those of a record that has
// no place, and of labels that name no version.
type private struct {
	options  PrivacyOptions
	registry Registry
	ttl      time.Duration
	loaded   time.Time // zero: never
	models   map[string]modelPrivacy
}

// modelPrivacy are the rules of all versions of a model, and all that they name.
type modelPrivacy struct {
	rules  modelwatch.Privacy
	schema modelwatch.Schema
}

func (x *private) hashes(model string) bool { return modelwatch.MatchesModel(x.options.HashIDs, model) }

// load reads the rules again when they are old.
func (x *private) load(ctx context.Context) error {
	if !x.loaded.IsZero() && time.Since(x.loaded) < x.ttl {
		return nil
	}
	versions, err := x.registry.PrivateVersions(ctx)
	if err != nil {
		return err
	}
	x.models, x.loaded = map[string]modelPrivacy{}, time.Now()
	for _, v := range versions {
		m := x.models[v.Model]
		m.rules = m.rules.Merge(v.Schema.Privacy)
		m.schema.Features = append(m.schema.Features, v.Schema.Features...)
		m.schema.Classes = append(m.schema.Classes, v.Schema.Classes...)
		m.schema.Attributions = append(m.schema.Attributions, v.Schema.Attributions...)
		m.schema.Tags = append(m.schema.Tags, v.Schema.Tags...)
		x.models[v.Model] = m
	}
	return nil
}

// rulesOf returns the rules of a version. One that nobody has registered, and
// labels that name none, have those of all versions of their model: what is not
// to be written must not be because a producer has counted its version up.
func (x *private) rulesOf(ctx context.Context, v *modelwatch.Version) (modelwatch.Privacy, error) {
	if v.Registered && v.Name != "" {
		return v.Schema.Privacy, nil
	}
	err := x.load(ctx)
	return x.models[v.Model].rules.Merge(v.Schema.Privacy), err
}

// compile makes the rules of a version what the decoder needs. The names that an
// inherited allow-list lets through are those of all versions that have rules.
func (x *private) compile(v *modelwatch.Version, rules modelwatch.Privacy) *privacy {
	schema := v.Schema
	if !v.Registered || v.Name == "" {
		schema = x.models[v.Model].schema
	}
	return newPrivacy(rules, &schema, x.options.Key, x.hashes(v.Model))
}

// redact replaces what a dead letter may not hold. parsed says that its bytes are
// an event of modelwatch's own, in which names can be found. An error means that
// the catalog could not be asked.
//
// The rules of a record are those of all versions of its model, because it may not
// say of which it is. If its model cannot be told, and any model has rules, they
// may be meant for it.
func (x *private) redact(ctx context.Context, d *modelwatch.DeadLetter, parsed bool) error {
	if err := x.load(ctx); err != nil {
		return err
	}
	if len(x.models) == 0 && len(x.options.HashIDs) == 0 || x.public(d.Model) {
		return nil
	}
	if parsed && d.Model != "" && !d.Truncated {
		m := x.models[d.Model]
		if p := newPrivacy(m.rules, &m.schema, x.options.Key, x.hashes(d.Model)); p != nil {
			if value, ok := p.event(nil, d.Value); ok {
				d.Value = value
				x.strip(d)
				return nil
			}
		}
	}
	if x.options.KeepUnparsed {
		return nil
	}
	d.Value, d.Truncated = nil, true
	d.Detail = "the record cannot be read, and nothing of it is kept or quoted, because there are privacy rules that may cover it"
	x.strip(d)
	return nil
}

// public reports that a model has no rules.
func (x *private) public(model string) bool {
	_, ruled := x.models[model]
	return model != "" && !ruled && !x.hashes(model)
}

// strip leaves out what stands beside the value: a key is usually an id, and
// headers may hold anything.
func (x *private) strip(d *modelwatch.DeadLetter) {
	d.Redacted, d.Key = true, nil
	kept := d.Headers[:0]
	for _, h := range d.Headers {
		if h.Key == headerModel || h.Key == headerVersion {
			kept = append(kept, h)
		}
	}
	d.Headers = kept
}
