"""PSI and Jensen-Shannon distance of every column of two Parquet files, by hand in polars.

    python drift_polars.py BASELINE CURRENT [--ks]
"""

import sys

import numpy as np
import polars as pl


def distances(p, q):
    p, q = p / p.sum(), q / q.sum()
    fp, fq = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    fp, fq = fp / fp.sum(), fq / fq.sum()
    m = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        js = np.nansum(np.where(p > 0, p * np.log2(p / m), 0)) / 2 + np.nansum(np.where(q > 0, q * np.log2(q / m), 0)) / 2
    return float(np.sum((fq - fp) * np.log(fq / fp))), float(np.sqrt(max(js, 0)))


def binned(series, edges):
    bins = series.cut(edges).value_counts()
    counts = dict(zip(bins[series.name].cast(pl.String), bins["count"]))
    return counts


def main():
    baseline, current = pl.read_parquet(sys.argv[1]), pl.read_parquet(sys.argv[2])
    for name, kind in baseline.schema.items():
        if kind == pl.Float64:
            edges = sorted({baseline[name].quantile(i / 10, "lower") for i in range(1, 10)})
            sides = [binned(frame[name], edges) for frame in (baseline, current)]
            keys = sorted(set(sides[0]) | set(sides[1]))
        else:
            sides = [dict(frame[name].value_counts().iter_rows()) for frame in (baseline, current)]
            keys = sorted(sides[0], key=lambda v: -sides[0][v])[:49]
            for side in sides:
                side["other"] = sum(side.values()) - sum(side.get(k, 0) for k in keys)
            keys.append("other")
        p, q = (np.array([side.get(k, 0) for k in keys], float) for side in sides)
        print(name, *distances(p, q))
        if kind == pl.Float64 and "--ks" in sys.argv:
            print(name, "ks", kolmogorov(baseline[name], current[name]))


def kolmogorov(a, b):
    a, b = a.sort().to_numpy(), b.sort().to_numpy()
    grid = np.concatenate([a, b])
    return float(np.abs(np.searchsorted(a, grid, "right") / len(a) - np.searchsorted(b, grid, "right") / len(b)).max())


main()
