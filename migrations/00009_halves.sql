-- +goose Up

-- The halves of predictions that wait for each other are looked up every minute.
CREATE INDEX data_file_half ON data_file (model, version) WHERE kind IN ('input', 'output') AND retired_at = 0;
