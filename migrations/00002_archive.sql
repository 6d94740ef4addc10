-- +goose Up

-- Where the archive stands in each partition: the truth about what is read.
CREATE TABLE stream_cursor (
    consumer_group {{text}} NOT NULL,
    topic_id       {{text}} NOT NULL, -- 32 hexadecimal digits
    partition_id   BIGINT   NOT NULL,
    topic          TEXT     NOT NULL,
    next_offset    BIGINT   NOT NULL, -- -1: nothing is committed yet
    owner_epoch    BIGINT   NOT NULL,
    owner          TEXT     NOT NULL,
    updated_at     BIGINT   NOT NULL,
    PRIMARY KEY (consumer_group, topic_id, partition_id)
);

CREATE TABLE ingest_commit (
    id             {{text}} PRIMARY KEY,
    consumer_group TEXT     NOT NULL,
    owner          TEXT     NOT NULL,
    created_at     BIGINT   NOT NULL
);

-- Which offsets each commit accounts for. The key makes it impossible to commit
-- an offset range twice, whatever the code does.
CREATE TABLE commit_range (
    consumer_group {{text}} NOT NULL,
    topic_id       {{text}} NOT NULL,
    partition_id   BIGINT   NOT NULL,
    from_offset    BIGINT   NOT NULL,
    to_offset      BIGINT   NOT NULL,
    commit_id      {{text}} NOT NULL REFERENCES ingest_commit (id),
    PRIMARY KEY (consumer_group, topic_id, partition_id, from_offset)
);

-- An object is announced here before it is written, so that one that never gets
-- registered can be found and deleted without comparing clocks.
CREATE TABLE upload_intent (
    object_key {{text}} PRIMARY KEY,
    owner      TEXT     NOT NULL,
    state      TEXT     NOT NULL, -- pending, registered, dead
    created_at BIGINT   NOT NULL
);

CREATE INDEX upload_intent_open ON upload_intent (state, created_at) WHERE state <> 'registered';

CREATE TABLE data_file (
    id              {{id}},
    object_key      {{text}}         NOT NULL UNIQUE,
    kind            {{text}}         NOT NULL,
    model           {{text}}         NOT NULL,
    version         {{text}}         NOT NULL,
    row_count       BIGINT           NOT NULL,
    bytes           BIGINT           NOT NULL,
    checksum        TEXT             NOT NULL,
    min_time        BIGINT           NOT NULL,
    max_time        BIGINT           NOT NULL, -- inclusive
    sampling_rate   DOUBLE PRECISION NOT NULL,
    schema_revision BIGINT           NOT NULL,
    commit_id       {{text}}         NOT NULL REFERENCES ingest_commit (id),
    created_at      BIGINT           NOT NULL,
    retired_at      BIGINT           NOT NULL -- 0: readers see it
);

CREATE INDEX data_file_window ON data_file (model, kind, max_time);

CREATE TABLE volume (
    model        {{text}} NOT NULL,
    version      {{text}} NOT NULL,
    kind         {{text}} NOT NULL,
    bucket_start BIGINT   NOT NULL,
    seen         BIGINT   NOT NULL,
    kept         BIGINT   NOT NULL,
    rejected     BIGINT   NOT NULL,
    PRIMARY KEY (model, version, kind, bucket_start)
);

CREATE INDEX volume_window ON volume (model, bucket_start);

-- The sums over the buckets of volume, and how much of them has been reported
-- to sinks. Reporting thereby costs as much as there are versions, not buckets.
CREATE TABLE volume_total (
    model             {{text}} NOT NULL,
    version           {{text}} NOT NULL,
    kind              {{text}} NOT NULL,
    seen              BIGINT   NOT NULL,
    rejected          BIGINT   NOT NULL,
    reported_seen     BIGINT   NOT NULL,
    reported_rejected BIGINT   NOT NULL,
    PRIMARY KEY (model, version, kind)
);

CREATE TABLE dead_letter (
    id            {{id}},
    topic_id      {{text}}  NOT NULL,
    topic         {{text}}  NOT NULL,
    partition_id  BIGINT    NOT NULL,
    record_offset BIGINT    NOT NULL,
    reason        {{text}}  NOT NULL,
    detail        TEXT      NOT NULL,
    model         {{text}}  NOT NULL,
    record_key    {{bytes}},
    record_value  {{bytes}},
    record_time   BIGINT    NOT NULL,
    created_at    BIGINT    NOT NULL,
    UNIQUE (topic_id, partition_id, record_offset)
);

CREATE INDEX dead_letter_model ON dead_letter (model, id);
CREATE INDEX dead_letter_reason ON dead_letter (reason);
