"""Writes vectors.json.gz: distances computed by SciPy and, where SciPy has none,
by numpy straight from the definitions in the package's documentation; and what
Evidently and NannyML themselves make of the same columns. The cloud services'
numbers are computed from their published definitions (Azure ML's component
data_drift_compute_metrics, Deequ, TensorFlow Data Validation): they have no
package to install.

    python3.11 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python generate.py

Nothing here shares code with the Go package. The output is the same on every
run with the pinned versions.
"""

import gzip
import json
import math
import pathlib
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
from evidently.legacy.calculations import stattests
from evidently.legacy.core import ColumnType
from nannyml.drift.univariate import methods
from scipy import stats
from scipy.spatial import distance

FLOOR = 1e-4
GROUPS = 10


def edges(values):
    """Upper edges of the drift bins: at each tenth the nearest rank at which a
    value ends, the higher of two as near; never the largest value."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        return [float(np.nextafter(distinct[0], -np.inf)), float(distinct[0])]
    ends = np.cumsum(counts)[:-1]
    found = set()
    for j in range(1, GROUPS):
        gap = np.abs(ends * GROUPS - j * len(values))
        best = len(gap) - 1 - int(np.argmin(gap[::-1]))
        found.add(float(distinct[best]))
    return sorted(found)


def histogram(values, upper):
    return np.bincount(np.searchsorted(upper, values, side="left"), minlength=len(upper) + 1)


def floored(p):
    p = np.maximum(p, FLOOR)
    return p / p.sum()


def binned(k, l):
    """Everything that is computed from the counts of bins."""
    p, q = k / k.sum(), l / l.sum()
    fp, fq = floored_union(k, l)
    table = np.array([k, l])[:, (k + l) > 0]
    if table.shape[1] == 1:
        chi2, chi2_p = 0.0, 1.0
    else:
        chi2, chi2_p, _, _ = stats.chi2_contingency(table, correction=False)
    x = stats.chi2.ppf(0.95, table.shape[1] - 1) * (1 / k.sum() + 1 / l.sum()) if table.shape[1] > 1 else 0.0
    return {
        "psi": float(np.sum((fq - fp) * np.log(fq / fp))),
        "kl": float(stats.entropy(fq, fp)),
        "js_distance": float(np.nan_to_num(distance.jensenshannon(p, q, base=2))),
        "js_divergence": float(np.nan_to_num(distance.jensenshannon(p, q, base=2)) ** 2),
        "hellinger": float(math.sqrt(max(0.0, 1 - np.sum(np.sqrt(p * q))))),
        "tvd": float(np.abs(p - q).sum() / 2),
        "l_infinity": float(np.abs(p - q).max()),
        "chi2": float(chi2),
        "chi2_p": float(chi2_p),
        "psi_null_95": float(x),
        "js_null_95": float(x / (8 * math.log(2))),
    }


def floored_union(k, l):
    """Proportions with the floor, over every frozen bin."""
    return floored(k / k.sum()), floored(l / l.sum())


def number(name, x, y):
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    upper = edges(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ks = stats.ks_2samp(x, y, method="auto")
        expect = binned(histogram(x, upper), histogram(y, upper))
    expect["ks"] = float(ks.statistic)
    if not math.isnan(ks.pvalue):  # SciPy has none when n m / (n+m) rounds to 0
        expect["ks_p"] = float(ks.pvalue)
    if name == "denormals":  # SciPy rounds each term to a whole number of the smallest double
        expect["wasserstein"] = to_float(exact_wasserstein(x, y))
    else:
        expect["wasserstein"] = float(stats.wasserstein_distance(x, y))
    variance = exact_variance(x)
    if variance > Fraction(1e-300) ** 2:  # below, a standard deviation has no full precision
        expect["wasserstein_scaled"] = to_float(exact_wasserstein(x, y) ** 2 / variance, root=True)
        shift = exact_mean(y) - exact_mean(x)
        expect["mean_shift"] = math.copysign(to_float(shift**2 / variance, root=True), shift)
    return {"name": name, "baseline": x.tolist(), "current": y.tolist(), "upper": upper, "expect": expect, "compat": number_presets(x, y)}


def exact_mean(x):
    return sum(Fraction(float(v)) for v in x) / len(x)


def exact_variance(x):
    mean = exact_mean(x)
    return sum((Fraction(float(v)) - mean) ** 2 for v in x) / len(x)


def exact_wasserstein(x, y):
    x, y = np.sort(x), np.sort(y)
    points = np.unique(np.r_[x, y])
    total = Fraction(0)
    for a, b in zip(points[:-1], points[1:]):
        f = Fraction(int(np.searchsorted(x, a, "right")), len(x))
        g = Fraction(int(np.searchsorted(y, a, "right")), len(y))
        total += abs(f - g) * (Fraction(float(b)) - Fraction(float(a)))
    return total


def to_float(v, root=False):
    """The double nearest to v, or to its square root, for tiny v as well."""
    if not root:
        return float(v)
    digits = 400
    return float(Fraction(math.isqrt(int(v * 4**digits)), 2**digits))


def category(name, base, cur):
    """Counts by category; 49 bins by count, then value, and one for the rest."""
    order = sorted(base, key=lambda c: (-base[c], c))[:49]
    k = np.array([base[c] for c in order] + [sum(n for c, n in base.items() if c not in order)])
    l = np.array([cur.get(c, 0) for c in order] + [sum(n for c, n in cur.items() if c not in order)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expect = binned(k, l)
    expect["new_category_ratio"] = sum(n for c, n in cur.items() if c not in base) / sum(cur.values())
    return {"name": name, "baseline": base, "current": cur, "expect": expect, "compat": category_presets(base, cur)}


def tool(functions):
    """Calls the functions; what fails or is not finite has no value."""
    values = {}
    for metric, f in functions.items():
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                value = float(f())
        except (ValueError, ZeroDivisionError, FloatingPointError, OverflowError, IndexError):
            continue
        if math.isfinite(value):
            values[metric] = value
    return values


def evidently(test, x, y, kind):
    return lambda: test.func(pd.Series(x), pd.Series(y), kind, 0.1)[0]


def nannyml(method, x, y):
    def value():
        m = method(chunker=None, threshold=None)
        m._fit(pd.Series(x))
        return m._calculate(pd.Series(y))

    return value


def nannyml_chi2_p(x, y):
    m = methods.Chi2Statistic(chunker=None, threshold=None)
    m._fit(pd.Series(x))
    m._calculate(pd.Series(y))
    return m._p_value


def number_presets(x, y):
    few = len(np.unique(np.r_[x, y])) <= 2
    chi2 = stattests.z_stat_test if few else stattests.chi_stat_test
    numerical = ColumnType.Numerical
    return {
        "evidently": tool({
            "psi": evidently(stattests.psi_stat_test, x, y, numerical),
            "js_distance": evidently(stattests.jensenshannon_stat_test, x, y, numerical),
            "kl": evidently(stattests.kl_div_stat_test, x, y, numerical),
            "hellinger": evidently(stattests.hellinger_stat_test, x, y, numerical),
            "ks_p": evidently(stattests.ks_stat_test, x, y, numerical),
            "wasserstein_scaled": evidently(stattests.wasserstein_stat_test, x, y, numerical),
            "chi2_p": evidently(chi2, x, y, numerical),
        }),
        "nannyml": tool({
            "js_distance": nannyml(methods.ContinuousJensenShannonDistance, x, y),
            "hellinger": nannyml(methods.ContinuousHellingerDistance, x, y),
            "ks": nannyml(methods.KolmogorovSmirnovStatistic, x, y),
            "wasserstein": nannyml(methods.WassersteinDistance, x, y),
        }),
        "azureml": tool({
            "js_distance": lambda: distance.jensenshannon(*azure_counts(x, y), base=2),
            "psi": lambda: azure_psi(*azure_counts(x, y), len(x), len(y)),
            "wasserstein_scaled": lambda: stats.wasserstein_distance(x, y) / max(np.std(x, ddof=1), 0.001),
            "ks_p": lambda: stats.ks_2samp(x, y).pvalue,
        }),
        "sagemaker": tool({
            "ks": lambda: robust(stats.ks_2samp(x, y).statistic, len(x), len(y)),
            "l_infinity": lambda: robust(buckets_l_infinity(x, y), len(x), len(y)),
        }),
        "sagemaker_simple": tool({
            "ks": lambda: stats.ks_2samp(x, y).statistic,
            "l_infinity": lambda: buckets_l_infinity(x, y),
        }),
        "vertex": tool({"js_divergence": lambda: vertex_js(x, y)}),
    }


def category_presets(base, cur):
    x = [c for c, n in base.items() for _ in range(n)]
    y = [c for c, n in cur.items() for _ in range(n)]
    order = sorted(set(base) | set(cur))
    k = np.array([base.get(c, 0) for c in order])
    l = np.array([cur.get(c, 0) for c in order])
    shift = np.abs(k / k.sum() - l / l.sum()).max()
    chi2 = stattests.z_stat_test if len(order) <= 2 else stattests.chi_stat_test
    categorical = ColumnType.Categorical
    return {
        "evidently": tool({
            "psi": evidently(stattests.psi_stat_test, x, y, categorical),
            "js_distance": evidently(stattests.jensenshannon_stat_test, x, y, categorical),
            "kl": evidently(stattests.kl_div_stat_test, x, y, categorical),
            "hellinger": evidently(stattests.hellinger_stat_test, x, y, categorical),
            "chi2_p": evidently(chi2, x, y, categorical),
        }),
        "nannyml": tool({
            "js_distance": nannyml(methods.CategoricalJensenShannonDistance, x, y),
            "hellinger": nannyml(methods.CategoricalHellingerDistance, x, y),
            "chi2": nannyml(methods.Chi2Statistic, x, y),
            "chi2_p": lambda: nannyml_chi2_p(x, y),
            "l_infinity": nannyml(methods.LInfinityDistance, x, y),
        }),
        "azureml": tool({
            "js_distance": lambda: distance.jensenshannon(k, l, base=2),
            "psi": lambda: azure_psi(k, l, k.sum(), l.sum()),
            "chi2_p": lambda: stats.chisquare(l, k / k.sum() * l.sum()).pvalue,
        }),
        "sagemaker": {"l_infinity": robust(shift, k.sum(), l.sum())},
        "sagemaker_simple": {"l_infinity": float(shift)},
        "vertex": {"l_infinity": float(shift)},
    }


def azure_counts(x, y):
    """Sturges' number of bins for the smaller side; edges as the component adds
    them up; a value above the last edge is in none."""
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    if low == high:
        return np.array([len(x)]), np.array([len(y)])
    bins = math.ceil(math.log2(min(len(x), len(y))) + 1)
    width = (high - low) / bins
    edges = np.array([low + i * width for i in range(bins + 1)])
    return np.histogram(x, edges)[0], np.histogram(y, edges)[0]


def azure_psi(k, l, n, m):
    p, q = (k + 1) / (n + len(k)), (l + 1) / (m + len(l))
    return np.sum((q - p) * np.log(q / p))


def robust(d, n, m):
    return float(max(0.0, d - 1.8 * math.sqrt((n + m) / (n * m))))


def buckets_l_infinity(x, y):
    edges = np.histogram_bin_edges(x, bins=10)
    edges[0], edges[-1] = -np.inf, np.inf
    return np.abs(np.histogram(x, edges)[0] / len(x) - np.histogram(y, edges)[0] / len(y)).max()


def vertex_js(x, y):
    """Ten buckets a side, spread evenly onto the edges of both."""
    if x.min() == x.max() or y.min() == y.max():
        return 0.0 if x.min() == y.max() == x.max() == y.min() else 1.0
    own = [np.histogram(v, np.linspace(v.min(), v.max(), 11)) for v in (x, y)]
    edges = np.union1d(own[0][1], own[1][1])
    spread = []
    for counts, bounds in own:
        cumulated = np.r_[0.0, np.cumsum(counts)]
        spread.append(np.diff(np.interp(edges, bounds, cumulated)))
    return distance.jensenshannon(*spread, base=2) ** 2


def formula(n, step, modulus, scale, offset):
    """Values that a few numbers describe: (i step mod modulus) / scale + offset."""
    return (np.arange(n, dtype=np.int64) * step % modulus) / scale + offset


def large():
    """Columns too large to write down."""
    yield "ten thousand", (10_000, 7919, 10_007, 128, 0), (5_000, 104_729, 10_007, 128, 0)
    yield "ten thousand, moved", (10_000, 7919, 10_007, 128, 0), (3_000, 104_729, 10_007, 128, 4)
    yield "under ten thousand", (9_999, 7919, 10_007, 128, 0), (3_000, 104_729, 10_007, 128, 4)
    yield "twenty thousand, few values", (20_000, 7919, 17, 4, 0), (1_500, 31, 19, 4, 0)
    yield "twenty thousand, beyond both ends", (20_000, 7919, 30_011, 256, 0), (4_000, 104_729, 40_009, 256, -16)
    yield "a hundred thousand to a hundred", (100_000, 7919, 65_537, 64, -512), (100, 31, 1009, 1, -512)
    yield "a hundred to a hundred thousand", (100, 31, 1009, 1, -512), (100_000, 7919, 65_537, 64, -512)
    yield "a constant baseline", (10_000, 1, 1, 1, 3), (500, 1, 5, 1, 1)
    yield "a constant window", (10_000, 7919, 10_007, 128, 0), (500, 1, 1, 1, 3)
    yield "time stamps", (12_000, 7919, 1_000_003, 1, 1_700_000_000), (6_000, 104_729, 1_000_003, 1, 1_700_100_000)


def large_case(name, base, cur):
    x, y = formula(*base), formula(*cur)
    expect = {
        "ks": float(stats.ks_2samp(x, y, method="asymp").statistic),
        "ks_p": float(stats.ks_2samp(x, y, method="auto").pvalue),
        "wasserstein": float(stats.wasserstein_distance(x, y)),
    }
    return {"name": name, "baseline": base, "current": cur, "expect": expect, "compat": number_presets(x, y)}


def two_samples(r):
    """SciPy's exact p-values, of many sizes."""
    sizes = [(1, 1), (1, 5), (3, 4), (10, 10), (10, 7), (50, 30), (64, 48), (100, 100), (200, 50), (999, 1000), (37, 1000), (9, 9000), (2500, 5000), (10_000, 10), (10_000, 10_000), (3333, 10_000)]
    for n, m in sizes:
        for shift in (0, 0.1, 0.3):
            d, p = stats.ks_2samp(r.normal(size=n), r.normal(shift, 1, m), method="exact")
            yield {"n": n, "m": m, "d": float(d), "p": float(p)}


def weighted(r):
    """Distances of weighted rows; SciPy has the second one."""
    for n, m, values in ((50, 40, 10), (400, 300, 10_000), (5, 900, 30), (300, 300, 2)):
        x, y = r.integers(0, values, n) / 8, r.integers(0, values, m) / 8 + 0.25
        u, v = np.round(r.exponential(3, n) + 0.01, 3), 1 / np.round(r.uniform(0.05, 1, m), 2)
        points = np.unique(np.r_[x, y])
        f = np.array([u[x <= p].sum() for p in points]) / u.sum()
        g = np.array([v[y <= p].sum() for p in points]) / v.sum()
        upper = edges(x)
        k, l = (np.bincount(np.searchsorted(upper, a, side="left"), w, len(upper) + 1) for a, w in ((x, u), (y, v)))
        p, q = k / k.sum(), l / l.sum()
        fp, fq = floored(p), floored(q)
        n_eff, m_eff = u.sum() ** 2 / (u**2).sum(), v.sum() ** 2 / (v**2).sum()
        mean, shifted = np.average(x, weights=u), np.average(y, weights=v)
        sd = math.sqrt(np.average((x - mean) ** 2, weights=u))
        used = (p + q) > 0
        both = (n_eff * p + m_eff * q)[used]
        chi2 = float(np.sum(n_eff * m_eff * (p - q)[used] ** 2 / both))
        w = float(stats.wasserstein_distance(x, y, u, v))
        yield {
            "baseline": x.tolist(), "baseline_weights": u.tolist(), "current": y.tolist(), "current_weights": v.tolist(),
            "effective_baseline": float(n_eff), "effective_current": float(m_eff),
            "expect": {
                "psi": float(np.sum((fq - fp) * np.log(fq / fp))),
                "kl": float(stats.entropy(fq, fp)),
                "js_distance": float(distance.jensenshannon(p, q, base=2)),
                "hellinger": float(math.sqrt(1 - np.sum(np.sqrt(p * q)))),
                "tvd": float(np.abs(p - q).sum() / 2),
                "l_infinity": float(np.abs(p - q).max()),
                "chi2": chi2,
                "chi2_p": float(stats.chi2.sf(chi2, used.sum() - 1)),
                "ks": float(np.abs(f - g).max()),
                "wasserstein": w,
                "wasserstein_scaled": w / sd,
                "mean_shift": float((shifted - mean) / sd),
            },
        }


def numbers(r):
    def normal(n, mu=0.0, sd=1.0):
        return np.round(r.normal(mu, sd, n), 4)

    def heavy(n, scale=1.0):
        return np.round(scale * r.standard_t(1.5, n), 4)

    yield "same values", normal(300), None
    yield "same distribution", normal(800), normal(500)
    for shift in (0.05, 0.2, 0.5, 1, 3, 50):
        yield f"shift {shift}", normal(600), normal(400, shift)
    for scale in (0.2, 0.8, 1.25, 4):
        yield f"scale {scale}", normal(600), normal(400, 0, scale)
    yield "disjoint, above", normal(200), normal(200, 100)
    yield "disjoint, below", normal(200), normal(200, -100)
    yield "interleaved", np.arange(200.0), np.arange(200.0) + 0.5
    yield "reversed", np.arange(150.0), np.arange(150.0)[::-1]
    yield "ties of five", r.integers(0, 5, 700), r.integers(0, 5, 300)
    yield "ties of five, moved", r.integers(0, 5, 700), r.integers(1, 6, 300)
    yield "ties on and off the cuts", r.integers(0, 8, 400), np.round(r.integers(0, 32, 400) / 4, 2)
    yield "binary", r.random(1000) < 0.3, r.random(400) < 0.4
    yield "rare ones", r.random(1000) < 0.01, r.random(1000) < 0.05
    yield "rare zeros", r.random(1000) < 0.97, r.random(1000) < 0.6
    yield "many zeros", np.where(r.random(900) < 0.8, 0, normal(900) ** 2), np.where(r.random(700) < 0.5, 0, normal(700) ** 2)
    yield "all zeros", np.zeros(100), np.zeros(37)
    yield "constant, then moved", np.full(100, 5.0), np.full(120, 7.0)
    yield "constant, then spread", np.full(100, 5.0), np.round(r.normal(5, 1, 100), 2)
    yield "spread, then constant", normal(300), np.full(50, 0.25)
    yield "constant, then mostly", np.full(100, 0.1), np.r_[np.full(98, 0.1), 0.2, 0.3]
    yield "single rows", [1.0], [2.0]
    yield "the same single row", [3.5], [3.5]
    yield "single baseline row", [1.0], normal(40)
    yield "single current row", normal(400), [0.5]
    yield "two rows", [0.0, 1.0], [0.5]
    yield "three and four", [1.0, 2, 3], [0.0, 2, 2, 9]
    yield "a thousand times more baseline", normal(9000), normal(9)
    yield "a thousand times more current", normal(9), normal(9000)
    yield "denormals", r.integers(1, 60, 300) * 5e-324, r.integers(20, 90, 200) * 5e-324
    yield "smallest normals", r.integers(1, 60, 300) * 2.0**-1022, r.integers(20, 90, 200) * 2.0**-1022
    yield "integers at 2^53", 2.0**53 - r.integers(0, 50, 300), 2.0**53 - r.integers(10, 60, 200)
    yield "time stamps", 1.7e15 + r.integers(0, 10**6, 300), 1.7e15 + r.integers(3 * 10**5, 13 * 10**5, 300)
    yield "large offset, small spread", 1e9 + np.round(r.normal(0, 1e-3, 400), 6), 1e9 + np.round(r.normal(5e-4, 1e-3, 400), 6)
    yield "heavy tails", heavy(700), heavy(500)
    yield "heavy tails, scaled", heavy(700), heavy(500, 3)
    yield "an outlier", normal(300), np.r_[normal(299), 1e12]
    yield "an outlier in the baseline", np.r_[normal(299), -1e12], normal(300)
    yield "lognormal", np.round(r.lognormal(0, 2, 600), 4), np.round(r.lognormal(0.3, 2, 600), 4)
    yield "exponential", np.round(r.exponential(1, 600), 4), np.round(r.exponential(1.3, 350), 4)
    yield "bimodal", np.r_[normal(300, -3), normal(300, 3)], np.r_[normal(150, -3), normal(450, 3)]
    yield "bimodal to unimodal", np.r_[normal(300, -3), normal(300, 3)], normal(500)
    yield "signed zeros", [0.0, -0.0, 0.0, 1.0], [-0.0, 0.0, 1.0, 1.0]
    yield "powers of two", 2.0 ** r.integers(-300, 300, 300), 2.0 ** r.integers(-250, 320, 300)
    yield "mixed magnitudes", 10.0 ** r.integers(-12, 12, 300), -(10.0 ** r.integers(-12, 12, 200))
    yield "uniform, 2,000 distinct", np.arange(2000) / 7, np.round(r.uniform(0, 2000 / 7, 800), 3)
    yield "ten rows", np.arange(10.0), np.arange(10.0) + 2
    yield "eleven rows", np.arange(11.0), np.arange(13.0)
    yield "geometric", r.geometric(0.3, 900), r.geometric(0.25, 700)
    yield "poisson", r.poisson(40, 900), r.poisson(43, 900)
    yield "beta scores", np.round(r.beta(1, 12, 1500), 5), np.round(r.beta(1.2, 10, 900), 5)


def categories(r):
    def drawn(names, weights, n):
        counts = r.multinomial(n, np.array(weights) / sum(weights))
        return {c: int(k) for c, k in zip(names, counts) if k}

    few = ["DE", "FR", "GB", "US", "IT"]
    yield "same counts", {"a": 50, "b": 30, "c": 20}, {"a": 50, "b": 30, "c": 20}
    yield "proportional", {"a": 500, "b": 300, "c": 200}, {"a": 5, "b": 3, "c": 2}
    yield "five countries", drawn(few, [5, 4, 3, 2, 1], 2000), drawn(few, [4, 4, 4, 2, 1], 900)
    yield "reversed", drawn(few, [9, 5, 3, 1, 1], 2000), drawn(few, [1, 1, 3, 5, 9], 900)
    yield "one vanishes", {"a": 100, "b": 100}, {"a": 120}
    yield "one appears", {"a": 100, "b": 100}, {"a": 60, "b": 60, "z": 30}
    yield "all new", {"a": 100, "b": 100}, {"x": 60, "y": 60}
    yield "constant", {"a": 100}, {"a": 50}
    yield "constant, then new", {"a": 100}, {"b": 50}
    yield "empty text is a value", {"": 40, "a": 60}, {"": 60, "a": 40}
    yield "single rows", {"a": 1}, {"b": 1}
    many = [f"c{i:03d}" for i in range(120)]
    zipf = [1 / (i + 1) for i in range(120)]
    yield "a long tail", drawn(many, zipf, 20000), drawn(many, zipf, 3000)
    yield "a long tail, moved", drawn(many, zipf, 20000), drawn(many[10:] + ["new1", "new2"], zipf[:112], 3000)
    yield "49 categories", {c: 10 + i for i, c in enumerate(many[:49])}, {c: 60 - i for i, c in enumerate(many[:49])}
    yield "50 of one count", {c: 10 for c in many[:50]}, {c: i + 1 for i, c in enumerate(many[:50])}


def kolmogorov():
    for n in (1, 2, 5, 20, 50, 100, 140, 1000, 4999, 10_000, 1_000_000):
        for z in (0.3, 0.5, 0.8, 1.0, 1.2, 1.358, 1.6, 2.0, 2.6, 3.0):
            d = z / math.sqrt(n)
            if d < 1:
                yield {"n": n, "d": d, "p": float(stats.kstwo.sf(d, n))}


def benjamini_hochberg(r):
    for p in ([], [0.04], [0.01, 0.02, 0.03, 0.9], [0.5, 0.5, 0.5], [1.0, 0.0, 0.2], np.round(r.random(40) ** 3, 5).tolist()):
        yield {"p": p, "adjusted": stats.false_discovery_control(p).tolist() if p else []}


def main():
    r = np.random.default_rng(20261121)
    cases = {
        "numbers": [number(name, x, x if y is None else y) for name, x, y in numbers(r)],
        "categories": [category(*c) for c in categories(r)],
        "large": [large_case(*c) for c in large()],
        "weighted": list(weighted(r)),
        "two_samples": list(two_samples(r)),
        "kolmogorov": list(kolmogorov()),
        "benjamini_hochberg": list(benjamini_hochberg(r)),
    }
    lines = [f' "{key}": [\n  ' + ",\n  ".join(json.dumps(c, allow_nan=False) for c in value) + "\n ]" for key, value in cases.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    pathlib.Path(__file__).with_name("vectors.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
