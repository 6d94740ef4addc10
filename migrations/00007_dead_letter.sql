-- +goose Up

-- What a record was beside its key and value, and where large values lie.
ALTER TABLE dead_letter ADD COLUMN headers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE dead_letter ADD COLUMN value_size BIGINT NOT NULL DEFAULT -1; -- -1: the length of record_value
ALTER TABLE dead_letter ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letter ADD COLUMN object_key {{text}} NOT NULL DEFAULT '';
ALTER TABLE dead_letter ADD COLUMN object_offset BIGINT NOT NULL DEFAULT 0;
ALTER TABLE dead_letter ADD COLUMN object_length BIGINT NOT NULL DEFAULT 0;
ALTER TABLE dead_letter ADD COLUMN truncated BIGINT NOT NULL DEFAULT 0;
ALTER TABLE dead_letter ADD COLUMN redacted BIGINT NOT NULL DEFAULT 0;

CREATE INDEX dead_letter_object ON dead_letter (object_key) WHERE object_key <> '';
CREATE INDEX dead_letter_created ON dead_letter (created_at);

-- How far a dead letter has come on its way back. The row outlives the letter:
-- it is what makes a second record of the same replay a no-op.
CREATE TABLE dead_letter_replay (
    topic_id      {{text}} NOT NULL,
    partition_id  BIGINT   NOT NULL,
    record_offset BIGINT   NOT NULL,
    state         {{text}} NOT NULL, -- open (again), queued, produced, replayed
    redacted      BIGINT   NOT NULL,
    commit_id     {{text}} NOT NULL, -- that has placed it; '' before
    updated_at    BIGINT   NOT NULL,
    PRIMARY KEY (topic_id, partition_id, record_offset)
);

CREATE INDEX dead_letter_replay_updated ON dead_letter_replay (updated_at);
