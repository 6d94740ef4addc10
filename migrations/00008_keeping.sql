-- +goose Up

ALTER TABLE data_file ADD COLUMN retired_by {{text}} NOT NULL DEFAULT ''; -- compaction, retention, or the erasure
ALTER TABLE data_file ADD COLUMN place BIGINT NOT NULL DEFAULT 0; -- 0: the id
ALTER TABLE data_file ADD COLUMN erased_until BIGINT NOT NULL DEFAULT 0; -- holds no row of the erasures up to this one

CREATE INDEX data_file_retired ON data_file (retired_at, id) WHERE retired_at > 0;
CREATE INDEX data_file_commit ON data_file (commit_id);
CREATE INDEX commit_range_commit ON commit_range (commit_id);
CREATE INDEX ingest_commit_age ON ingest_commit (created_at);
