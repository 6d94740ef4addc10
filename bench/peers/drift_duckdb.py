"""PSI and Jensen-Shannon distance of every column of two Parquet files, by hand in DuckDB.

    python drift_duckdb.py BASELINE CURRENT [--ks]

Ten quantile groups of the baseline for a number, the 49 most frequent values and
the others for a category; with --ks also the exact Kolmogorov-Smirnov statistic.
"""

import math
import sys

import duckdb


def distances(p, q):
    n, m = sum(p), sum(q)
    p, q = [k / n for k in p], [k / m for k in q]
    fp, fq = [max(x, 1e-4) for x in p], [max(x, 1e-4) for x in q]
    sp, sq = sum(fp), sum(fq)
    psi = sum((b / sq - a / sp) * math.log((b / sq) / (a / sp)) for a, b in zip(fp, fq))
    js = 0.0
    for a, b in zip(p, q):
        m2 = (a + b) / 2
        js += (a * math.log2(a / m2) if a else 0) / 2 + (b * math.log2(b / m2) if b else 0) / 2
    return psi, math.sqrt(max(js, 0))


def main():
    baseline, current = sys.argv[1:3]
    db = duckdb.connect()
    db.execute("SET threads = 2")
    schema = db.execute("DESCRIBE SELECT * FROM read_parquet(?)", [baseline]).fetchall()
    numbers = [c[0] for c in schema if c[1] == "DOUBLE"]
    texts = [c[0] for c in schema if c[1] != "DOUBLE"]

    tenths = [i / 10 for i in range(1, 10)]
    cuts = db.execute(
        "SELECT " + ", ".join(f'quantile_disc("{c}", {tenths})' for c in numbers) + " FROM read_parquet(?)", [baseline]
    ).fetchone()
    counts = {c: [] for c in numbers + texts}
    for path in (baseline, current):
        row = db.execute(
            "SELECT " + ", ".join(f'histogram("{c}", {sorted(set(e))})' for c, e in zip(numbers, cuts)) + " FROM read_parquet(?)", [path]
        ).fetchone()
        for c, h, e in zip(numbers, row, cuts):
            counts[c].append([h.get(x, 0) for x in sorted(set(e))] + [sum(h.values()) - sum(h.get(x, 0) for x in set(e))])
        for c in texts:
            counts[c].append(dict(db.execute(f'SELECT "{c}", count(*) FROM read_parquet(?) GROUP BY 1', [path]).fetchall()))
    for c in texts:
        base, now = counts[c]
        top = sorted(base, key=lambda v: -base[v])[:49]
        counts[c] = [[side.get(v, 0) for v in top] + [sum(k for v, k in side.items() if v not in top)] for side in (base, now)]
    for c in numbers + texts:
        print(c, *distances(*counts[c]))
    if "--ks" in sys.argv:
        for c in numbers:
            print(c, "ks", kolmogorov(db, baseline, current, c))


def kolmogorov(db, baseline, current, column):
    return db.execute(
        f"""
        WITH sides AS (
            SELECT "{column}" AS x, 1 AS a, 0 AS b FROM read_parquet(?) UNION ALL SELECT "{column}", 0, 1 FROM read_parquet(?)),
        steps AS (SELECT x, sum(a) AS a, sum(b) AS b FROM sides GROUP BY x),
        running AS (SELECT sum(a) OVER w AS f, sum(b) OVER w AS g FROM steps WINDOW w AS (ORDER BY x))
        SELECT max(abs(f / (SELECT sum(a) FROM steps) - g / (SELECT sum(b) FROM steps))) FROM running""",
        [baseline, current],
    ).fetchone()[0]


main()
