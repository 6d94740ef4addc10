-- +goose Up

CREATE TABLE job (
    model         {{text}} NOT NULL REFERENCES model (name),
    name          {{text}} NOT NULL,
    kind          TEXT     NOT NULL,
    body          TEXT     NOT NULL, -- JSON object: what the user may change
    revision      BIGINT   NOT NULL,
    planned_until BIGINT   NOT NULL,
    created_at    BIGINT   NOT NULL,
    updated_at    BIGINT   NOT NULL,
    PRIMARY KEY (model, name)
);

-- Runs outlive their job.
CREATE TABLE run (
    id           {{text}} PRIMARY KEY,
    model        {{text}} NOT NULL,
    job          {{text}} NOT NULL,
    kind         TEXT     NOT NULL,
    window_start BIGINT   NOT NULL,
    window_end   BIGINT   NOT NULL,
    revision     BIGINT   NOT NULL,
    state        {{text}} NOT NULL,
    token        BIGINT   NOT NULL,
    worker       TEXT     NOT NULL,
    lease_until  BIGINT   NOT NULL,
    attempts     BIGINT   NOT NULL,
    not_before   BIGINT   NOT NULL,
    input_rows   BIGINT   NOT NULL,
    data_files   BIGINT   NOT NULL,
    rows_read    BIGINT   NOT NULL,
    error        TEXT     NOT NULL,
    created_at   BIGINT   NOT NULL,
    started_at   BIGINT   NOT NULL,
    finished_at  BIGINT   NOT NULL,
    reported     BIGINT   NOT NULL, -- 1: counted in a report to the sinks
    UNIQUE (model, job, window_start, window_end, revision)
);

CREATE INDEX run_open ON run (window_end, id) WHERE state IN ('queued', 'running');
CREATE INDEX run_unreported ON run (model, job) WHERE reported = 0 AND state IN ('succeeded', 'failed');
CREATE INDEX run_created ON run (created_at, id);
CREATE INDEX run_job_created ON run (model, job, created_at, id);
CREATE INDEX run_job_window ON run (model, job, window_end);

-- The newest window of each job that has results. Completing a run locks its
-- job's row, so the standing of measurements is settled by one run at a time.
CREATE TABLE job_result (
    model        {{text}} NOT NULL,
    job          {{text}} NOT NULL,
    window_start BIGINT   NOT NULL,
    window_end   BIGINT   NOT NULL,
    revision     BIGINT   NOT NULL,
    run_id       {{text}} NOT NULL REFERENCES run (id),
    PRIMARY KEY (model, job)
);

CREATE TABLE measurement (
    id              {{id}},
    run_id          {{text}} NOT NULL,
    model           {{text}} NOT NULL,
    version         {{text}} NOT NULL,
    job             {{text}} NOT NULL,
    kind            TEXT     NOT NULL,
    window_start    BIGINT   NOT NULL,
    window_end      BIGINT   NOT NULL,
    revision        BIGINT   NOT NULL,
    chunk           BIGINT   NOT NULL,
    segment         {{text}} NOT NULL, -- JSON object, keys sorted
    subject         {{text}} NOT NULL,
    name            {{text}} NOT NULL,
    metric          {{text}} NOT NULL,
    class           {{text}} NOT NULL,
    k               BIGINT   NOT NULL,
    value           DOUBLE PRECISION,  -- null exactly where a reason stands
    reason          TEXT     NOT NULL,
    lower_value     DOUBLE PRECISION,
    upper_value     DOUBLE PRECISION,
    p_value         DOUBLE PRECISION,
    null_95         DOUBLE PRECISION,
    standard_error  DOUBLE PRECISION,
    n_baseline      BIGINT   NOT NULL,
    n_current       BIGINT   NOT NULL,
    baseline        TEXT     NOT NULL,
    thresholded     BIGINT   NOT NULL, -- 1: limits were applied
    threshold_upper DOUBLE PRECISION,
    threshold_lower DOUBLE PRECISION,
    breached        BIGINT   NOT NULL,
    label_coverage  DOUBLE PRECISION,
    mature          BIGINT   NOT NULL,
    computed_at     BIGINT   NOT NULL,
    -- 0: a newer revision of the window has replaced it; 1: its window's newest
    -- revision; 2: that, and its series has no newer window.
    standing        BIGINT   NOT NULL
);

CREATE INDEX measurement_run ON measurement (run_id, metric, name, segment, version);
CREATE INDEX measurement_window ON measurement (window_end DESC, id) WHERE standing > 0;
CREATE INDEX measurement_model ON measurement (model, metric, name, window_end DESC, id) WHERE standing > 0;
CREATE INDEX measurement_latest ON measurement (model, job, metric, name, segment, version) WHERE standing = 2;
