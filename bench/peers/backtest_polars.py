"""Accuracy, precision, recall, exact AUC and RMSE of predictions joined with labels, in polars.

    python backtest_polars.py PREDICTIONS LABELS
"""

import sys

import polars as pl

joined = (
    pl.read_parquet(sys.argv[1])
    .join(pl.read_parquet(sys.argv[2]), on="request_id")
    .select("score", said=pl.col("score") >= 0.5, truth=pl.col("label") == 1)
)
positives, n = joined["truth"].sum(), len(joined)
right = (joined["said"] & joined["truth"]).sum()
ranks = joined["score"].rank("average").filter(joined["truth"]).sum()
print(
    (joined["said"] == joined["truth"]).mean(), right / joined["said"].sum(), right / positives,
    (ranks - positives * (positives + 1) / 2) / (positives * (n - positives)),
    ((joined["score"] - joined["truth"].cast(pl.Float64)) ** 2).mean() ** 0.5,
)
