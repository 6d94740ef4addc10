package app

import (
	"context"
	"time"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

// keep adds the keeper of the archive.
func (s *service) keep() {
	c := s.cfg.Archive
	k := archive.NewKeeper(archive.KeeperOptions{
		Archive: s.archive, Ledger: s.catalog, Owner: s.owner, Salt: s.salt, Lease: time.Duration(s.cfg.Work.Lease), DeleteAfter: time.Duration(c.DeleteAfter),
		Compaction: archive.CompactionOptions{
			Off: !c.Compaction.Enabled, MinAge: time.Duration(c.Compaction.MinAge), TargetBytes: int64(c.Compaction.TargetSize), Derive: s.mergeProfiles,
		},
		Retention: archive.RetentionOptions{Commits: time.Duration(s.cfg.Retention.Commits), Measurements: time.Duration(s.cfg.Retention.Measurements)},
		EventNow:  s.eventNow, Log: s.log, Registerer: s.registry,
	})
	s.back = append(s.back, part{"keeper", k.Run})
}

// mergeProfiles makes the stored profiles of a compacted file from those of the
// files it is made of, on the grids of its version's newest baseline.
func (s *service) mergeProfiles(ctx context.Context, of []modelwatch.DataFile, merged modelwatch.DataFile) error {
	if merged.Kind != modelwatch.KindPrediction {
		return nil
	}
	baseline, err := s.catalog.LatestBaseline(ctx, merged.Model, merged.Version)
	if modelwatch.ErrorCode(err) == modelwatch.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	like, err := s.baselines().Profile(ctx, baseline)
	if err != nil {
		return err
	}
	return s.engine.MergeProfiles(ctx, of, merged, like)
}
