-- +goose Up

ALTER TABLE data_file ADD COLUMN retired_by {{text}} NOT NULL DEFAULT ''; -- compaction, retention, or the erasure
ALTER TABLE data_file ADD COLUMN place BIGINT NOT NULL DEFAULT 0; -- 0: the id
ALTER TABLE data_file ADD COLUMN erased_until BIGINT NOT NULL DEFAULT 0; -- holds no row of the erasures up to this one

CREATE INDEX data_file_retired ON data_file (retired_at, id) WHERE retired_at > 0;
CREATE INDEX data_file_commit ON data_file (commit_id);
CREATE INDEX commit_range_commit ON commit_range (commit_id);
CREATE INDEX ingest_commit_age ON ingest_commit (created_at);

-- What is to be erased: the rows of these request ids, those that come late too.
-- Numbers are given out one transaction after the other, so that who has seen one
-- has seen those before it.
CREATE TABLE erasure (
    id           {{id}},
    model        {{text}} NOT NULL,
    state        {{text}} NOT NULL, -- queued, erased (no reader sees the rows), done (the objects are deleted)
    dry_run      BIGINT   NOT NULL,
    ids          BIGINT   NOT NULL,
    files        BIGINT   NOT NULL,
    row_count    BIGINT   NOT NULL,
    dead_letters BIGINT   NOT NULL,
    last_file    BIGINT   NOT NULL, -- the newest when it was ordered
    last_letter  BIGINT   NOT NULL,
    created_at   BIGINT   NOT NULL,
    erased_at    BIGINT   NOT NULL,
    finished_at  BIGINT   NOT NULL
);

CREATE INDEX erasure_model ON erasure (model, id);

CREATE TABLE erased_id (
    erasure_id BIGINT   NOT NULL REFERENCES erasure (id),
    id_rank    BIGINT   NOT NULL,
    digest     {{text}} NOT NULL, -- keyed by the salt: the id itself is not kept
    PRIMARY KEY (erasure_id, id_rank, digest)
);

ALTER TABLE dead_letter ADD COLUMN erased_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX dead_letter_erased ON dead_letter (erased_until, id);
CREATE INDEX data_file_erased ON data_file (model, erased_until, id);
