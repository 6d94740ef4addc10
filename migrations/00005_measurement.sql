-- +goose Up

-- Null where a metric has no such number.
ALTER TABLE measurement ADD COLUMN effective_n_baseline DOUBLE PRECISION;
ALTER TABLE measurement ADD COLUMN effective_n_current DOUBLE PRECISION;
ALTER TABLE measurement ADD COLUMN adjusted_p_value DOUBLE PRECISION;
ALTER TABLE measurement ADD COLUMN baseline_value DOUBLE PRECISION;
ALTER TABLE measurement ADD COLUMN constant_value DOUBLE PRECISION;

ALTER TABLE model ADD COLUMN feature_groups TEXT NOT NULL DEFAULT '{}'; -- JSON object: name -> columns
