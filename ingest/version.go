package ingest

import (
	"context"
	"log/slog"
	"time"

	"github.com/modelwatch/modelwatch"
)

// What traffic alone may make known, per process.
const (
	maxUnregisteredModels   = 1000
	maxUnregisteredVersions = 5000
)

// defaultVersion is the version of predictions and attributions that name none.
const defaultVersion = "0"

// version is a model version as the decoder sees it. A change of its schema
// that is more than new columns makes a new one, so rows of different schemas
// or sampling rates never meet in one data file.
type version struct {
	model, name string
	stored      modelwatch.Version
	rates       []rateStep // the earliest first; never empty
	rows        *layout
	labels      *layout
	loaded      time.Time
	used        bool // since it was loaded
	// grows: traffic adds features to the schema. So it is while nobody has said
	// what the features are: the version is not registered, or was registered
	// without any. Of the latter this process remembers that they come from traffic.
	grows   bool
	frozen  bool // the catalog does not let it grow
	rules   modelwatch.Privacy
	private *privacy // nil: there are no rules
}

// versions is what the decoder knows of the catalog: a cache that follows it
// within its time to live.
type versions struct {
	registry Registry
	rate     float64 // of versions that nobody has registered
	ttl      time.Duration
	log      *slog.Logger

	models map[string]map[string]*version
	queue  []*version // all of models, those to refresh soonest first
	last   *version   // that was found, one of models: the next event's, probably

	unregisteredModels   map[string]int // versions of each
	unregisteredVersions int
	private              *private
	missing              map[string]time.Time // names that the catalog does not know, and when it was asked
}

func newVersions(registry Registry, rate float64, ttl time.Duration, log *slog.Logger, p PrivacyOptions) *versions {
	return &versions{
		registry: registry, rate: rate, ttl: ttl, log: log,
		models:             map[string]map[string]*version{},
		unregisteredModels: map[string]int{},
		missing:            map[string]time.Time{},
		private:            &private{options: p, registry: registry, ttl: ttl},
	}
}

// find returns a version that is in the cache. Only labels may name none.
func (vs *versions) find(model, name []byte, labels bool) *version {
	if vs.foundLast(model, name) {
		return vs.last
	}
	if len(name) == 0 && !labels {
		return vs.models[string(model)][defaultVersion]
	}
	v := vs.models[string(model)][string(name)]
	if v != nil {
		vs.last = v
	}
	return v
}

// foundLast reports that these are the names of the version that was found last. So
// they are names that a version may have.
func (vs *versions) foundLast(model, name []byte) bool {
	return vs.last != nil && len(name) > 0 && string(name) == vs.last.name && string(model) == vs.last.model
}

// peek is find for an event that is half read.
func (vs *versions) peek(kind, model, name []byte) *layout {
	labels := string(kind) == string(modelwatch.KindLabel)
	v := vs.find(model, name, labels)
	switch {
	case v == nil || len(kind) == 0:
		return nil
	case labels:
		return v.labels
	}
	return v.rows
}

// load makes a version known that find has not found. The failure says that it
// may not become known.
func (vs *versions) load(ctx context.Context, model, name string, labels bool) (*version, *failure, error) {
	if name == "" && !labels {
		name = defaultVersion
	}
	if fail, err := vs.refuse(ctx, model, name); fail != nil || err != nil {
		return nil, fail, err
	}
	stored, err := vs.registry.EnsureVersion(ctx, model, name)
	if err != nil {
		return nil, nil, err
	}
	v, err := vs.admit(ctx, model, name, stored)
	if err == nil && !stored.Registered {
		vs.log.Info("model version known from its traffic", "model", model, "version", name)
	}
	return v, nil, err
}

// admit takes a version of the catalog into the cache.
func (vs *versions) admit(ctx context.Context, model, name string, stored modelwatch.Version) (*version, error) {
	rules, err := vs.private.rulesOf(ctx, &stored)
	if err != nil {
		return nil, err
	}
	v := vs.compile(model, name, stored, rules)
	if vs.models[v.model] == nil {
		vs.models[v.model] = map[string]*version{}
	}
	vs.models[v.model][v.name] = v
	vs.queue = append(vs.queue, v)
	if !stored.Registered {
		vs.unregisteredModels[v.model]++
		vs.unregisteredVersions++
	}
	return v, nil
}

// lookUp returns a version that the catalog knows, nil if it does not: unlike
// load it makes none known.
func (vs *versions) lookUp(ctx context.Context, model, name []byte, labels bool) (*version, error) {
	if v := vs.find(model, name, labels); v != nil {
		return v, nil
	}
	if len(name) == 0 && !labels {
		name = []byte(defaultVersion)
	}
	stored, err := vs.ask(ctx, string(model), string(name))
	if err != nil || stored == nil {
		return nil, err
	}
	return vs.admit(ctx, string(model), string(name), *stored)
}

// ask reads a version from the catalog, nil if there is none, and does so again
// only when that answer is old.
func (vs *versions) ask(ctx context.Context, model, name string) (*modelwatch.Version, error) {
	key := model + "\x00" + name
	if at, ok := vs.missing[key]; ok && time.Since(at) < vs.ttl {
		return nil, nil
	}
	stored, err := vs.registry.Version(ctx, model, name)
	if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
		if len(vs.missing) >= maxUnregisteredVersions {
			clear(vs.missing)
		}
		vs.missing[key] = time.Now()
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &stored, nil
}

// refuse says why a version may not become known: the limits are reached, and
// nobody has registered it.
func (vs *versions) refuse(ctx context.Context, model, name string) (*failure, error) {
	_, known := vs.unregisteredModels[model]
	if vs.unregisteredVersions < maxUnregisteredVersions && (known || len(vs.unregisteredModels) < maxUnregisteredModels) {
		return nil, nil
	}
	if stored, err := vs.ask(ctx, model, name); err != nil || stored != nil {
		return nil, err
	}
	return failf(modelwatch.DeadTooManyModels, "model %q, version %q is not registered, and %d models with %d versions that are not either are the most",
		model, name, maxUnregisteredModels, maxUnregisteredVersions), nil
}

func (vs *versions) compile(model, name string, stored modelwatch.Version, rules modelwatch.Privacy) *version {
	v := &version{model: model, name: name, stored: stored, rules: rules, loaded: time.Now()}
	v.private = vs.private.compile(&stored, rules)
	v.grows = name != "" && (!stored.Registered || len(stored.Schema.Features) == 0)
	v.rates = vs.steps(&stored)
	v.rows, v.labels = newLayout(v, false), newLayout(v, true)
	return v
}

// refreshAtOnce bounds how long a refresh keeps the consumer from its work.
const refreshAtOnce = 16

// refresh follows changes of the catalog: registrations, new schemas and rates,
// columns that other replicas have found. What cannot be read stays as it is.
func (vs *versions) refresh(ctx context.Context) {
	for range min(refreshAtOnce, len(vs.queue)) {
		v := vs.queue[0]
		if time.Since(v.loaded) < vs.ttl {
			return
		}
		vs.queue = append(vs.queue[1:], v)
		if !v.used {
			v.loaded = time.Now()
			continue
		}
		if err := vs.reload(ctx, v); err != nil {
			v.loaded = time.Now()
			vs.log.Warn("cannot refresh the schema of a model version", "model", v.model, "version", v.name, "err", err)
			return
		}
	}
}

// reload reads a version again. It may no longer be the one that find returns.
func (vs *versions) reload(ctx context.Context, v *version) error {
	stored := v.stored
	if v.name != "" { // nobody registers the nameless version of labels
		var err error
		stored, err = vs.registry.Version(ctx, v.model, v.name)
		if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
			vs.forget(v)
			return nil
		}
		if err != nil {
			return err
		}
	}
	rules, err := vs.private.rulesOf(ctx, &stored)
	if err != nil {
		return err
	}
	vs.apply(v, stored, rules)
	return nil
}

// apply takes over what the catalog holds now.
func (vs *versions) apply(v *version, stored modelwatch.Version, rules modelwatch.Privacy) {
	v.loaded, v.used = time.Now(), false
	old := &v.stored
	v.rates = vs.steps(&stored) // files are apart by rate, so the version may stay
	same := rules.Equal(v.rules)
	if stored.SchemaRevision == old.SchemaRevision && stored.Registered == old.Registered && same {
		v.stored = stored
		return
	}
	if stored.Registered == old.Registered && same && v.rows.extends(&stored.Schema) && v.labels.fits(slotLabel, stored.Schema.Label) {
		v.stored = stored
		v.rows.extend(&stored.Schema)
		v.labels.extend(&stored.Schema)
		return
	}
	vs.forget(v)
	fresh := vs.compile(v.model, v.name, stored, rules)
	if vs.models[v.model] == nil {
		vs.models[v.model] = map[string]*version{}
	}
	vs.models[v.model][v.name] = fresh
	vs.queue = append(vs.queue, fresh)
	if !stored.Registered {
		vs.unregisteredModels[v.model]++
		vs.unregisteredVersions++
	}
	vs.log.Info("model version has changed", "model", v.model, "version", v.name, "schema_revision", stored.SchemaRevision,
		"registered", stored.Registered, "sampling_rate", stored.SamplingRate)
}

func (vs *versions) forget(v *version) {
	if vs.last == v {
		vs.last = nil
	}
	delete(vs.models[v.model], v.name)
	if len(vs.models[v.model]) == 0 {
		delete(vs.models, v.model)
	}
	for i, q := range vs.queue {
		if q == v {
			vs.queue = append(vs.queue[:i:i], vs.queue[i+1:]...)
			break
		}
	}
	if !v.stored.Registered {
		vs.unregisteredVersions--
		if vs.unregisteredModels[v.model]--; vs.unregisteredModels[v.model] == 0 {
			delete(vs.unregisteredModels, v.model)
		}
	}
}

// growAttempts bounds the race with other replicas that grow the same schema.
const growAttempts = 10

// grow makes columns of what an event brought. Where the user has said what the
// features are, only this process knows of them: scores by class, attributions of
// known features and tags need no declaration, and the schema stays as it was
// written. Afterwards the event is to be parsed again, with what find returns then.
func (vs *versions) grow(ctx context.Context, v *version, growths []growth) error {
	if !v.grows {
		for _, g := range growths {
			v.rows.addMember(g.section, g.field, cellTypeOf(g.typ))
		}
		return nil
	}
	for range growAttempts {
		stored, err := vs.registry.GrowSchema(ctx, v.model, v.name, v.stored.SchemaRevision, grown(v.stored.Schema, growths))
		switch modelwatch.ErrorCode(err) {
		case "":
			vs.apply(v, stored, v.rules)
			return nil
		case modelwatch.CodeConflict:
			if err := vs.reload(ctx, v); err != nil {
				return err
			}
			if vs.models[v.model][v.name] != v {
				return nil
			}
		case modelwatch.CodeUnavailable, modelwatch.CodeInternal:
			return err
		default:
			v.frozen = true
			vs.log.Error("cannot add columns to a schema; they are kept as extra fields", "model", v.model, "version", v.name, "err", err)
			return nil
		}
	}
	return modelwatch.Errorf(modelwatch.CodeUnavailable, "schema of model %q, version %q changed %d times while columns were added", v.model, v.name, growAttempts)
}
