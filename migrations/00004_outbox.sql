-- +goose Up

-- Leadership: one owner at a time does what must not be done twice.
CREATE TABLE lease (
    name       {{text}} PRIMARY KEY,
    owner      TEXT     NOT NULL,
    held_until BIGINT   NOT NULL,
    token      BIGINT   NOT NULL -- goes up when the owner changes
);

CREATE TABLE outbox (
    id           {{id}},
    sink         {{text}} NOT NULL,
    model        {{text}} NOT NULL,
    job          {{text}} NOT NULL,
    window_start BIGINT   NOT NULL,
    window_end   BIGINT   NOT NULL,
    revision     BIGINT   NOT NULL, -- 0: replaces nothing and is never replaced
    payload      TEXT     NOT NULL, -- JSON object: the publication
    attempts     BIGINT   NOT NULL,
    not_before   BIGINT   NOT NULL,
    last_error   TEXT     NOT NULL,
    created_at   BIGINT   NOT NULL
);

CREATE INDEX outbox_queue ON outbox (sink, id);
CREATE INDEX outbox_window ON outbox (sink, model, job, window_start, window_end, revision) WHERE revision > 0;

-- The newest revision of each window that a sink has taken.
CREATE TABLE delivery (
    sink         {{text}} NOT NULL,
    model        {{text}} NOT NULL,
    job          {{text}} NOT NULL,
    window_start BIGINT   NOT NULL,
    window_end   BIGINT   NOT NULL,
    revision     BIGINT   NOT NULL,
    PRIMARY KEY (sink, model, job, window_start, window_end)
);

-- How many entries left the outbox without being delivered, and why.
CREATE TABLE outbox_drop (
    sink       {{text}} NOT NULL,
    reason     {{text}} NOT NULL, -- superseded, rejected
    entries    BIGINT   NOT NULL,
    last_error TEXT     NOT NULL,
    updated_at BIGINT   NOT NULL,
    PRIMARY KEY (sink, reason)
);

-- When counts were last reported, to the second.
CREATE TABLE report (
    name        {{text}} PRIMARY KEY,
    reported_at BIGINT   NOT NULL
);
