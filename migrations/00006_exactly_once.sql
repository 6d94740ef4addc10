-- +goose Up

-- The epoch of the partition leader that wrote the record before next_offset;
-- -1: not known. A log that was cut back is recognised by it.
ALTER TABLE stream_cursor ADD COLUMN leader_epoch BIGINT NOT NULL DEFAULT -1;

-- The commit that an upload was announced for; '': none of the consumer's.
ALTER TABLE upload_intent ADD COLUMN commit_id TEXT NOT NULL DEFAULT '';

-- When the object of a dead intent was deleted; 0: it was not.
ALTER TABLE upload_intent ADD COLUMN buried_at BIGINT NOT NULL DEFAULT 0;

-- The cursors that an announced commit builds on. Once one of them has moved or
-- was taken by another owner, the commit can never succeed and its objects are
-- garbage: no clock is needed to know that.
CREATE TABLE upload_claim (
    commit_id      {{text}} NOT NULL,
    consumer_group {{text}} NOT NULL,
    topic_id       {{text}} NOT NULL,
    partition_id   BIGINT   NOT NULL,
    from_offset    BIGINT   NOT NULL,
    owner_epoch    BIGINT   NOT NULL,
    PRIMARY KEY (commit_id, consumer_group, topic_id, partition_id)
);

-- Offsets that no commit has accounted for, and never will: what the cursor was
-- moved over, and why. Together with commit_range they tile each partition.
CREATE TABLE stream_gap (
    id             {{id}},
    consumer_group {{text}} NOT NULL,
    topic_id       {{text}} NOT NULL,
    topic          TEXT     NOT NULL,
    partition_id   BIGINT   NOT NULL,
    from_offset    BIGINT   NOT NULL,
    to_offset      BIGINT   NOT NULL,
    reason         {{text}} NOT NULL, -- deleted, truncated
    owner          TEXT     NOT NULL,
    commit_id      {{text}} NOT NULL REFERENCES ingest_commit (id),
    created_at     BIGINT   NOT NULL
);

-- The sampling rates of a version by event time; []: sampling_rate since ever.
ALTER TABLE model_version ADD COLUMN rate_body TEXT NOT NULL DEFAULT '[]';
