package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
	"github.com/modelwatch/modelwatch/catalog"
	"github.com/modelwatch/modelwatch/engine"
	"github.com/modelwatch/modelwatch/sink"
)

// The roles a process may have.
const (
	roleIngest = "ingest"
	roleWork   = "work"
	roleAPI    = "api"
)

// service is one process of modelwatch: what its roles share, and the parts
// that run.
type service struct {
	cfg      Config
	roles    []string
	owner    string // unique among replicas and restarts
	log      *slog.Logger
	registry *prometheus.Registry
	life     *lifecycle

	catalog *catalog.Catalog
	archive *archive.Archive
	engine  *engine.Engine
	salt    modelwatch.Salt
	sinks   []sink.Sink

	// eventNow is the clock of windows, delays and maturity. It is the wall
	// clock except under simulated traffic. Leases always follow the wall clock.
	eventNow func() time.Time

	// front stops first, when the process is asked to; back follows once the
	// front is done, so that what the front wrote last is still delivered.
	front, back []part
	ready       []readiness
}

// part is one loop of the process. run blocks until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// readiness is one dependency that must answer.
type readiness struct {
	name  string
	check func(context.Context) error
}

// serviceOptions are what differs between serve and dev.
type serviceOptions struct {
	Roles    []string
	Log      *slog.Logger
	EventNow func() time.Time
	// Sinks are added to those that the configuration turns on.
	Sinks []sink.Sink
}

// newService opens the dependencies. Close what it returns, also after an error.
func newService(ctx context.Context, cfg Config, opts serviceOptions) (*service, error) {
	s := &service{
		cfg: cfg, roles: opts.Roles, log: opts.Log, registry: prometheus.NewRegistry(),
		life: &lifecycle{log: opts.Log}, eventNow: opts.EventNow, sinks: opts.Sinks,
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	s.owner = fmt.Sprintf("%s/%d/%s", host, os.Getpid(), uuid.NewString()[:8])
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := s.openStores(ctx); err != nil {
		return s, errors.Join(err, s.life.close())
	}
	if err := s.openSinks(); err != nil {
		return s, errors.Join(err, s.life.close())
	}
	return s, nil
}

func (s *service) openStores(ctx context.Context) error {
	var err error
	if s.catalog, err = catalog.Open(ctx, s.cfg.Catalog.DSN, s.log); err != nil {
		return err
	}
	s.life.onClose("catalog", 10*time.Second, func(context.Context) error { return s.catalog.Close() })
	applied, err := s.catalog.Migrate(ctx)
	if err != nil {
		return fmt.Errorf("migrate catalog: %w", err)
	}
	if len(applied) > 0 {
		s.log.Info("catalog migrated", "applied", applied)
	}
	bucket, err := archive.OpenBucket(ctx, s.cfg.Archive.bucket())
	if err != nil {
		return err
	}
	s.archive = archive.New(bucket, archive.Options{})
	s.engine = engine.New(s.archive, engine.Options{})
	s.ready = append(s.ready, readiness{"catalog", s.catalog.Check}, readiness{"archive", bucket.Check})
	return errors.Join(s.settleSalt(ctx), s.settlePrivacyKey(ctx))
}

func (a ArchiveConfig) bucket() archive.BucketConfig {
	return archive.BucketConfig{
		URI: a.URI, Endpoint: a.Endpoint, Region: a.Region, PathStyle: a.PathStyle, AccessKey: a.AccessKey, SecretKey: a.SecretKey,
		RoleARN: a.RoleARN, ExternalID: a.ExternalID, Encryption: archive.Encryption(a.Encryption), Checksums: a.Checksums, Dialect: a.Dialect,
	}
}

// saltSetting is the name under which the catalog keeps the salt.
const saltSetting = "sampling.salt"

// settleSalt makes the deployment's salt on its first start. Every process must
// use the same one, so a configured salt that differs from the stored is refused.
func (s *service) settleSalt(ctx context.Context) error {
	wanted := modelwatch.Salt(uuid.New())
	if s.cfg.Sampling.Salt != "" {
		var err error
		if wanted, err = modelwatch.ParseSalt(s.cfg.Sampling.Salt); err != nil {
			return fmt.Errorf("sampling.salt: %w", err)
		}
	}
	stored, err := s.catalog.PutSettingIfAbsent(ctx, saltSetting, wanted.String())
	if err != nil {
		return fmt.Errorf("read the salt: %w", err)
	}
	if s.salt, err = modelwatch.ParseSalt(stored); err != nil {
		return fmt.Errorf("setting %s of the catalog: %w", saltSetting, err)
	}
	if s.cfg.Sampling.Salt != "" && s.salt != wanted {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "sampling.salt differs from the one this catalog was first used with: "+
			"another salt keeps other rows, so predictions and labels would not meet; remove it from the configuration, or use a new catalog")
	}
	return nil
}

// privacySetting is the name under which the catalog keeps what tells the key of
// pseudonyms from others; the key itself is not kept.
const privacySetting = "privacy.key_fingerprint"

// settlePrivacyKey refuses a key that differs from the one that pseudonyms were
// made with: the same value would have two of them, and nothing would meet.
func (s *service) settlePrivacyKey(ctx context.Context) error {
	key := modelwatch.PrivacyKey(s.cfg.Privacy.Key)
	if len(key) == 0 {
		return nil
	}
	stored, err := s.catalog.PutSettingIfAbsent(ctx, privacySetting, key.Fingerprint())
	if err != nil {
		return fmt.Errorf("read the fingerprint of the privacy key: %w", err)
	}
	if stored != key.Fingerprint() {
		return modelwatch.Errorf(modelwatch.CodeInvalid, "privacy.key is not the one that this catalog was first used with: under another key the same value has another pseudonym; "+
			"use the first key, or delete the setting %s of the catalog to begin anew with this one", privacySetting)
	}
	return nil
}

func (s *service) has(role string) bool { return slices.Contains(s.roles, role) }

// run runs every part until ctx ends or one of them fails, then stops in order.
func (s *service) run(ctx context.Context) error {
	backCtx, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	front, frontCtx := errgroup.WithContext(ctx)
	var back errgroup.Group
	for _, p := range s.back {
		back.Go(func() error { return p.start(backCtx) })
	}
	for _, p := range s.front {
		front.Go(func() error { return p.start(frontCtx) })
	}
	frontErr := front.Wait()
	if errors.Is(frontErr, errStop) {
		frontErr = nil
	}
	s.log.Info("stopped taking work in")
	stopBack()
	err := errors.Join(frontErr, back.Wait(), s.life.close())
	s.log.Info("stopped")
	return err
}

// errStop is what a part returns when the user has asked it to stop the process:
// on a terminal in raw mode Ctrl-C is a key and not a signal.
var errStop = errors.New("stopped by the user")

func (p part) start(ctx context.Context) error {
	if err := p.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}
