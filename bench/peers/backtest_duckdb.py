"""Accuracy, precision, recall, exact AUC and RMSE of predictions joined with labels, in DuckDB.

    python backtest_duckdb.py PREDICTIONS LABELS
"""

import sys

import duckdb

db = duckdb.connect()
db.execute("SET threads = 2")
print(
    db.execute(
        """
        WITH joined AS (
            SELECT p.score AS score, p.score >= 0.5 AS said, l.label = 1 AS truth
            FROM read_parquet(?) p JOIN read_parquet(?) l USING (request_id)),
        ties AS (SELECT score, count(*) FILTER (truth) AS k, count(*) FILTER (NOT truth) AS l FROM joined GROUP BY score),
        ranked AS (SELECT k, l, sum(l) OVER (ORDER BY score ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - l AS below FROM ties),
        auc AS (SELECT sum(k * below + k * l / 2) / (sum(k) * sum(l)) AS auc FROM ranked)
        SELECT avg((said = truth)::INT), count(*) FILTER (said AND truth) / count(*) FILTER (said),
               count(*) FILTER (said AND truth) / count(*) FILTER (truth), sqrt(avg((score - truth::INT) ** 2)), (SELECT auc FROM auc)
        FROM joined""",
        sys.argv[1:3],
    ).fetchone()
)
