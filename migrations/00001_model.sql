-- +goose Up

CREATE TABLE model (
    name        {{text}} PRIMARY KEY,
    task        TEXT     NOT NULL,
    positive    TEXT     NOT NULL,
    description TEXT     NOT NULL,
    owner       TEXT     NOT NULL,
    tags        TEXT     NOT NULL, -- JSON object
    registered  BIGINT   NOT NULL,
    created_at  BIGINT   NOT NULL,
    updated_at  BIGINT   NOT NULL
);

-- A version named '' holds the schema of labels that name no version.
CREATE TABLE model_version (
    model           {{text}}         NOT NULL REFERENCES model (name),
    name            {{text}}         NOT NULL,
    schema_body     TEXT             NOT NULL, -- JSON object
    sampling_rate   DOUBLE PRECISION NOT NULL,
    retention_days  BIGINT           NOT NULL,
    registered      BIGINT           NOT NULL,
    schema_revision BIGINT           NOT NULL,
    created_at      BIGINT           NOT NULL,
    updated_at      BIGINT           NOT NULL,
    PRIMARY KEY (model, name)
);

CREATE TABLE baseline (
    model          {{text}} NOT NULL,
    version        {{text}} NOT NULL,
    id             {{text}} NOT NULL,
    uri            TEXT     NOT NULL,
    content_sha256 TEXT     NOT NULL,
    status         TEXT     NOT NULL,
    error          TEXT     NOT NULL,
    row_count      BIGINT   NOT NULL,
    profile_key    TEXT     NOT NULL,
    data_key       TEXT     NOT NULL,
    created_at     BIGINT   NOT NULL,
    PRIMARY KEY (model, version, id),
    FOREIGN KEY (model, version) REFERENCES model_version (model, name)
);

CREATE INDEX baseline_newest ON baseline (model, version, created_at, id);

CREATE TABLE setting (
    name  {{text}} PRIMARY KEY,
    value TEXT     NOT NULL
);
