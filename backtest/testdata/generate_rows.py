"""Writes rows.json.gz: weighted rows, scores of many classes, rankings.

    venv/bin/python generate_rows.py        (the venv of generate.py)

Values are scikit-learn's with sample_weight. Standard errors are computed from
the same functions by differentiating them numerically by the weight of each
row (the infinitesimal jackknife), except DeLong's, which compares all pairs.
Constants are scikit-learn's value for a constant prediction. Rankings with tied
scores are averaged over all orders of the ties. n is Kish's effective n.
"""

import gzip
import itertools
import json
import math
import multiprocessing
import pathlib
import warnings

import numpy as np
from sklearn import metrics as sk

NAN = dict(zero_division=np.nan)


def clean(x):
    if isinstance(x, dict):
        return {str(k): clean(v) for k, v in x.items()}
    if isinstance(x, (list, tuple, np.ndarray)):
        return [clean(v) for v in x]
    if isinstance(x, (str, bool)) or x is None:
        return x
    if isinstance(x, np.str_):
        return str(x)
    if isinstance(x, (int, np.integer)):
        return int(x)
    return None if math.isnan(x) else float(x)


def kish(w):
    return w.sum() ** 2 / (w**2).sum()


def jackknife(f, w, h=1e-3):
    """Standard error of f(weights) with Kish's n in place of the rows' own."""
    g = np.empty(len(w))
    for i in range(len(w)):
        up, down = w.copy(), w.copy()
        up[i] += h
        down[i] -= h
        g[i] = (f(up) - f(down)) / (2 * h)
    return math.sqrt((w * g**2).sum() * w.sum() / kish(w))


def delong(y, s, w):
    x, z, wx, wz = s[y == 1], s[y == 0], w[y == 1], w[y == 0]
    wins = (x[:, None] > z[None, :]) + 0.5 * (x[:, None] == z[None, :])
    a, b = wins @ wz / wz.sum(), wx @ wins / wx.sum()
    auc = a @ wx / wx.sum()
    va, vb = (wx * (a - auc) ** 2).sum() / wx.sum(), (wz * (b - auc) ** 2).sum() / wz.sum()
    return math.sqrt(va / (kish(wx) - 1) + vb / (kish(wz) - 1))


def ece(hit, p, w):
    bin = np.minimum((p * 10).astype(int), 9)
    return sum(abs((w * (hit - p))[bin == b].sum()) for b in set(bin)) / w.sum()


def binary(name, y, p, s, w, exact=False):
    y, p, s, w = np.asarray(y, int), np.asarray(p, int), np.asarray(s, float), np.asarray(w, float)
    all_yes = np.ones(len(y))
    rate = np.average(y, weights=w)
    two = len(set(y)) == 2
    f = {
        "accuracy": lambda w, p=p: sk.accuracy_score(y, p, sample_weight=w),
        "precision": lambda w, p=p: sk.precision_score(y, p, sample_weight=w, **NAN),
        "recall": lambda w, p=p: sk.recall_score(y, p, sample_weight=w, **NAN),
        "f1": lambda w, p=p: sk.f1_score(y, p, sample_weight=w, **NAN),
        "specificity": lambda w, p=p: sk.recall_score(y, p, pos_label=0, sample_weight=w, **NAN),
    }
    if two:
        f["balanced_accuracy"] = lambda w, p=p: sk.balanced_accuracy_score(y, p, sample_weight=w)
        if len(set(p)) == 2:
            f["mcc"] = lambda w: sk.matthews_corrcoef(y, p, sample_weight=w)
    g = {
        "auc_pr": lambda w, s=s: sk.average_precision_score(y, s, sample_weight=w) if y.any() else math.nan,
        "log_loss": lambda w, s=s: sk.log_loss(y, s, sample_weight=w, labels=[0, 1]),
        "brier": lambda w, s=s: np.average((s - y) ** 2, weights=w),
        "ece": lambda w, s=s: ece(y, s, w),
        "auc_roc": lambda w, s=s: sk.roc_auc_score(y, s, sample_weight=w) if two else math.nan,
    }
    expect = {k: v(w) for k, v in {**f, **g}.items()}
    expect["mcc"] = expect.get("mcc", math.nan)
    expect["balanced_accuracy"] = expect.get("balanced_accuracy", math.nan)
    for k, t, q in (("true_positives", 1, 1), ("false_positives", 0, 1), ("false_negatives", 1, 0), ("true_negatives", 0, 0)):
        expect[k] = w[(y == t) & (p == q)].sum()
    flat = np.full(len(y), rate)
    constants = {
        "accuracy": max(f["accuracy"](w, all_yes), f["accuracy"](w, 0 * all_yes)),
        "precision": f["precision"](w, all_yes), "recall": f["recall"](w, all_yes), "f1": f["f1"](w, all_yes),
        "specificity": f["specificity"](w, 0 * all_yes),
        "log_loss": g["log_loss"](w, flat), "brier": g["brier"](w, flat), "ece": 0.0,
        "auc_pr": g["auc_pr"](w, flat), "auc_roc": g["auc_roc"](w, flat),
    }
    constants = {k: v for k, v in constants.items() if not math.isnan(expect[k])}
    errors = {}
    if two and 20 <= len(y) <= 400 and name.endswith("reals"):
        errors = {k: jackknife(g[k], w) for k in ("auc_pr", "ece")}
        if "mcc" in f:
            errors["mcc"] = jackknife(f["mcc"], w)
        errors["auc_roc"] = delong(y, s, w)
        n = kish(w)
        for k, x in (("brier", (s - y) ** 2), ("log_loss", -np.log(np.clip(np.where(y == 1, s, 1 - s), 2.0**-52, 1)))):
            errors[k] = math.sqrt(np.average((x - np.average(x, weights=w)) ** 2, weights=w) / (n - 1))
    return dict(name=name, task="binary", positive="1", exact=exact, label=[str(v) for v in y], predicted=[str(v) for v in p], score=s, weight=w,
                expect=expect, constants=constants, standard_errors=errors)


def multiclass(name, label, predicted, scores, classes, w):
    label, predicted, w = np.asarray(label), np.asarray(predicted), np.asarray(w, float)
    seen = sorted(set(label) | set(predicted))
    f = {"accuracy": lambda w, p=predicted: sk.accuracy_score(label, p, sample_weight=w)}
    for k, fn in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        f[k] = lambda w, p=predicted, fn=fn: fn(label, p, average="macro", sample_weight=w, **NAN)
        f[k + "_weighted"] = lambda w, p=predicted, fn=fn: fn(label, p, average="weighted", sample_weight=w, **NAN)
        f[k + "_micro"] = lambda w, p=predicted, fn=fn: fn(label, p, average="micro", sample_weight=w, **NAN)
    if len(set(label)) > 1:
        f["balanced_accuracy"] = lambda w, p=predicted: sk.balanced_accuracy_score(label, p, sample_weight=w)
        f["mcc"] = lambda w, p=predicted: sk.matthews_corrcoef(label, p, sample_weight=w)
    expect = {k: v(w) for k, v in f.items()}
    per = {}
    P, R, F, _ = sk.precision_recall_fscore_support(label, predicted, labels=seen, sample_weight=w, **NAN)
    for i, c in enumerate(seen):
        per[c] = {"precision": P[i], "recall": R[i], "f1": F[i],
                  "specificity": sk.recall_score(label != c, predicted != c, sample_weight=w, **NAN)}
    errors = {}
    if name.endswith("reals"):
        errors = {k: jackknife(f[k], w) for k in ("accuracy", "precision", "recall", "f1", "precision_weighted", "f1_weighted", "balanced_accuracy", "mcc") if not math.isnan(expect[k])}
    share = {c: w[label == c].sum() / w.sum() for c in sorted(set(label))}
    top = np.array([max(share, key=share.get)] * len(label))
    constants = {k: f[k](w, top) for k in f if k not in ("mcc",)}
    case = dict(name=name, task="multiclass", label=label, predicted=predicted, weight=w)
    if scores is not None:
        scores = np.asarray(scores, float)
        onehot = (label[:, None] == np.array(classes)[None, :]).astype(float)
        known = set(label) <= set(classes)
        extra = 0.0 if known else (onehot.sum(1) == 0).astype(float)
        expect["brier"] = np.average(((scores - onehot) ** 2).sum(1) + extra, weights=w)
        if known:
            expect["log_loss"] = sk.log_loss(label, scores, labels=classes, sample_weight=w)
            assert abs(sk.brier_score_loss(label, scores, labels=classes, sample_weight=w) - expect["brier"]) < 1e-12 or len(classes) == 2
            if len(set(label)) == len(classes):
                flat = np.tile([share[c] for c in classes], (len(label), 1))
                constants["log_loss"] = sk.log_loss(label, flat, labels=classes, sample_weight=w)
                constants["brier"] = np.average(((flat - onehot) ** 2).sum(1), weights=w)
        best = scores.argmax(1)
        expect["ece"] = ece(np.array(classes)[best] == label, scores.max(1), w)
        areas, aps, weights = [], [], []
        for k, c in enumerate(classes):
            t = label == c
            per.setdefault(c, {})
            if 0 < t.sum() < len(t):
                per[c]["auc_roc"] = sk.roc_auc_score(t, scores[:, k], sample_weight=w)
                areas.append(per[c]["auc_roc"])
                weights.append(w[t].sum())
            if t.any():
                per[c]["auc_pr"] = sk.average_precision_score(t, scores[:, k], sample_weight=w)
                aps.append(per[c]["auc_pr"])
        expect["auc_roc"] = np.mean(areas) if areas else math.nan
        expect["auc_roc_weighted"] = np.average(areas, weights=weights) if areas else math.nan
        expect["auc_pr"] = np.mean(aps) if aps else math.nan
        if known and len(set(label)) == len(classes) and len(classes) > 2 and list(classes) == sorted(classes):
            for avg, k in (("macro", "auc_roc"), ("weighted", "auc_roc_weighted")):
                x = sk.roc_auc_score(label, scores, multi_class="ovr", average=avg, sample_weight=w, labels=classes)
                if avg == "macro" or np.all(w == 1):
                    assert abs(x - expect[k]) < 1e-12, (name, avg, x, expect[k])
        case.update(classes=list(classes), scores=scores)
    return dict(case, expect=expect, constants=constants, standard_errors=errors, per_class=per)


def regression(name, y, p, w, q=0.9):
    y, p, w = np.asarray(y, float), np.asarray(p, float), np.asarray(w, float)
    e, n = p - y, kish(w)
    positive = min(y.min(), p.min()) > -1
    f = {
        "rmse": lambda w, p=p: sk.root_mean_squared_error(y, p, sample_weight=w),
        "mae": lambda w, p=p: sk.mean_absolute_error(y, p, sample_weight=w),
        "bias": lambda w, p=p: np.average(p - y, weights=w),
        "quantile_error": lambda w, p=p: sk.mean_pinball_loss(y, p, alpha=q, sample_weight=w),
        "smape": lambda w, p=p: np.average(np.divide(2 * abs(p - y), abs(p) + abs(y), out=np.zeros(len(y)), where=abs(p) + abs(y) > 0), weights=w),
        "mape": lambda w, p=p: sk.mean_absolute_percentage_error(y, p, sample_weight=w) if (y != 0).all() else math.nan,
        "msle": lambda w, p=p: sk.mean_squared_log_error(y, p, sample_weight=w) if positive else math.nan,
        "r2": lambda w, p=p: sk.r2_score(y, p, sample_weight=w) if np.ptp(y) > 0 else math.nan,
    }
    expect = {k: v(w) for k, v in f.items()}
    const = lambda k, c: f[k](w, np.full(len(y), c))
    mean = np.average(y, weights=w)
    constants = {"rmse": const("rmse", mean), "mae": min(const("mae", c) for c in set(y)), "quantile_error": min(const("quantile_error", c) for c in set(y)), "bias": 0.0}
    if not math.isnan(expect["mape"]):
        constants["mape"] = min(const("mape", c) for c in set(y))
    if positive:
        constants["msle"] = const("msle", np.expm1(np.average(np.log1p(y), weights=w)))
    errors = {}
    if 20 <= len(y) <= 400 and np.abs(y).max() < 1e6 and np.ptp(y) > 0 and np.abs(e).max() > 0 and name.endswith("reals"):
        scale = math.sqrt(n / (n - 1))
        errors = {k: jackknife(f[k], w) * (1 if k == "r2" else scale) for k in f if not math.isnan(expect[k])}
    if np.abs(y).max() > 2.0**50:  # numpy's mean is not exact enough for what follows from it
        del expect["r2"], constants["rmse"]
    return dict(name=name, task="regression", quantile=q, label=y, predicted=p, weight=w, expect=expect, constants=constants, standard_errors=errors)


def orders(score, rel):
    """All orders of the items that their scores allow."""
    values = sorted(set(score), reverse=True)
    blocks = [list(itertools.permutations([r for s, r in zip(score, rel) if s == v])) for v in values]
    for choice in itertools.product(*blocks):
        yield list(itertools.chain(*choice))


def ap_at(rel, k):
    hits, total = 0, 0.0
    for i, r in enumerate(rel[:k]):
        if r > 0:
            hits += 1
            total += hits / (i + 1)
    return total / min(k, sum(r > 0 for r in rel))


def rr(rel):
    return 1 / (1 + next(i for i, r in enumerate(rel) if r > 0))


def ranking(name, groups, ks, weights=None):
    """groups: list of (scores, relevances)."""
    weights = np.ones(len(groups)) if weights is None else np.asarray(weights, float)
    use = [i for i, (s, r) in enumerate(groups) if max(r) > 0]
    w = weights[use]
    per_k, constants_k, errors_k = {}, {}, {}

    def mean(fn):
        return [fn(*groups[i]) for i in use]

    def put(k, metric, fn):
        x, flat = np.array(mean(fn)), np.array([fn([0.0] * len(groups[i][0]), groups[i][1]) for i in use])
        if len(x) == 0:
            per_k.setdefault(k, {})[metric] = math.nan
            return
        per_k.setdefault(k, {})[metric] = np.average(x, weights=w)
        constants_k.setdefault(k, {})[metric] = np.average(flat, weights=w)
        if len(x) > 1:
            errors_k.setdefault(k, {})[metric] = math.sqrt(np.average((x - np.average(x, weights=w)) ** 2, weights=w) / (kish(w) - 1))

    def ndcg(s, r, k):
        return sk.ndcg_score([list(r)], [list(s)], k=k) if len(s) > 1 else 1.0

    for k in ks:
        put(k, "ndcg_at_k", lambda s, r: ndcg(s, r, k))
        put(k, "map_at_k", lambda s, r: np.mean([ap_at(o, k) for o in orders(s, r)]))
        put(k, "recall_at_k", lambda s, r: np.mean([sum(x > 0 for x in o[:k]) for o in orders(s, r)]) / sum(x > 0 for x in r))
    put(0, "mrr", lambda s, r: np.mean([rr(o) for o in orders(s, r)]))
    rows = [(f"g{i}", s, r, weights[i]) for i, (ss, rr_) in enumerate(groups) for s, r in zip(ss, rr_)]
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    group, score, label, weight = zip(*[rows[i] for i in order])
    return dict(name=name, task="ranking", ks=list(ks), group=list(group), score=list(score), label=list(map(float, label)), weight=list(weight),
                per_k=per_k, constants_k=constants_k, errors_k=errors_k)


def weightings(r, n):
    return {"ones": np.ones(n), "tens": np.full(n, 10.0), "rates": 1 / r.choice([1.0, 0.3, 0.05], n), "reals": r.lognormal(0, 1, n), "tiny": r.random(n) * 1e-6 + 1e-8}


def binaries(r):
    for n, rate, digits in ((100, 0.5, 6), (150, 0.05, 3), (80, 0.9, 1)):
        for kind, w in weightings(r, n).items():
            y = (r.random(n) < rate).astype(int)
            y[:2] = [0, 1]
            s = np.round(1 / (1 + np.exp(-r.normal(2 * y - 1, 1.5))), digits)
            yield binary(f"{n} rows, rate {rate}, {digits} digits, weights {kind}", y, s >= 0.5, s, w)
            if kind == "reals":
                yield binary(f"{n} rows, rate {rate}, {digits} digits, weights {kind}, exact", y, s >= 0.5, s, w, exact=True)
    for exact in (False, True):
        yield binary(f"single row, exact {exact}", [1], [1], [0.7], [3.0], exact)
        yield binary(f"only positives, exact {exact}", [1, 1, 1], [1, 0, 1], [0.7, 0.2, 0.7], [3.0, 1.0, 0.5], exact)
        yield binary(f"only negatives, exact {exact}", [0, 0], [1, 0], [0.7, 0.2], [3.0, 1.0], exact)
        yield binary(f"zero and one, exact {exact}", [0, 1, 1, 0], [1, 0, 1, 0], [0.0, 1.0, 0.0, 1.0], [3.0, 1.0, 0.5, 1.0], exact)
        yield binary(f"denormal scores, exact {exact}", [0, 1, 1, 0, 1], [0] * 5, [5e-324, 1e-323, 0.0, 1e-310, 2e-308], [1.0] * 5, exact)
        yield binary(f"neighbouring scores, exact {exact}", [0, 1, 1, 0], [1] * 4, [0.5, np.nextafter(0.5, 1), np.nextafter(0.5, 0), 0.5], [1.0] * 4, exact)
        yield binary(f"one digit, tied throughout, exact {exact}", [0, 1] * 10, [0, 1] * 10, [0.5] * 20, list(range(1, 21)), exact)
    y = (r.random(5000) < 0.3).astype(int)
    yield binary("5000 rows, exact", y, y, np.round(np.clip(0.3 * y + 0.7 * r.random(5000), 0, 1), 4), np.ones(5000), exact=True)


def multiclasses(r):
    for n, k in ((60, 3), (80, 6)):
        classes = [f"c{i}" for i in range(k)]
        for kind, w in weightings(r, n).items():
            raw = r.gamma(0.7, 1, (n, k)) + 1e-3
            s = raw / raw.sum(1, keepdims=True)
            label = np.array(classes)[[r.choice(k, p=0.7 * row + 0.3 / k) for row in s]]
            label[:k] = classes
            yield multiclass(f"{n} rows, {k} classes, weights {kind}", label, np.array(classes)[s.argmax(1)], s, classes, w)
    n, classes = 80, ["b", "a", "c", "d"]
    raw = r.random((n, 4))
    s = raw / raw.sum(1, keepdims=True)
    label = r.choice(["a", "b", "c", "z"], n)
    yield multiclass("a label never seen, a class never a label", label, np.array(classes)[s.argmax(1)], s, classes, np.ones(n))
    sure = np.eye(3)[[0, 1, 2, 0, 1, 2, 0]]
    yield multiclass("zeros and ones", ["a", "b", "c", "b", "b", "c", "a"], ["a", "b", "c", "a", "b", "c", "a"], sure, ["a", "b", "c"], np.ones(7))
    for kind, w in weightings(r, 70).items():
        t = r.choice(["x", "y", "z", "u", "v"], 70, p=[0.5, 0.3, 0.15, 0.04, 0.01])
        t[:5] = ["x", "y", "z", "u", "v"]
        yield multiclass(f"rare classes, no scores, weights {kind}", t, np.where(r.random(70) < 0.6, t, r.choice(["x", "y", "z", "w"], 70)), None, None, w)
    many = np.array([f"k{i:03d}" for i in range(120)])
    t = many[r.integers(0, 120, 1500)]
    yield multiclass("120 classes", t, np.where(r.random(1500) < 0.5, t, many[r.integers(0, 120, 1500)]), None, None, np.ones(1500))


def regressions(r):
    n = 60
    for kind, w in weightings(r, n).items():
        y = np.round(r.normal(100, 20, n), 3)
        yield regression(f"normal, weights {kind}", y, np.round(y + r.normal(0.5, 4, n), 3), w)
        yield regression(f"positive and skewed, weights {kind}", r.lognormal(0, 1, n), r.lognormal(0, 1, n), w, q=0.5)
        yield regression(f"both signs, weights {kind}", r.normal(0, 1, n), r.normal(0, 1, n), w, q=0.1)
    yield regression("single row", [3.0], [4.5], [2.0])
    yield regression("constant labels", [3.0] * 5, [3.0, 4, 5, 6, 7], [2.0, 1, 1, 1, 0.5])
    yield regression("zero labels", [0.0, 1, 2], [1.0, 1, 1], [2.0, 1, 1])
    yield regression("integers at 2^53", [2.0**53, 2.0**53 - 3, 2.0**53 - 7], [2.0**53 - 1, 2.0**53, 2.0**53 - 7], [0.3, 0.7, 1.1])
    yield regression("half the labels the same", np.repeat([1.0, 2.0], 20), r.normal(1.5, 1, 40), np.tile([1.0, 3.0], 20), q=0.5)


def rankings(r):
    def drawn(n, digits, relevant, size=5):
        out = []
        for _ in range(n):
            m = int(r.integers(1, size + 1))
            out.append((np.round(r.random(m), digits).tolist(), (r.integers(0, 4, m) * (r.random(m) < relevant)).tolist()))
        return out

    for digits in (6, 1, 0):
        for relevant in (0.9, 0.3):
            yield ranking(f"{digits} digits, relevant {relevant}", drawn(12, digits, relevant), (1, 3, 5, 10))
    yield ranking("weights", drawn(12, 1, 0.6), (1, 2, 5), 1 / r.choice([1.0, 0.3, 0.05], 12))
    yield ranking("one group", drawn(1, 1, 1.0), (1, 5))
    yield ranking("nothing is relevant", [([0.1, 0.2], [0, 0])], (1,))
    yield ranking("all tied", [([0.5] * 5, [1, 0, 0, 2, 0]), ([0.5] * 5, [0, 0, 0, 0, 1])], (1, 2, 5))


def cases_of(i):
    warnings.simplefilter("ignore")
    make = (binaries, multiclasses, regressions, rankings)[i]
    return [clean(c) for c in make(np.random.default_rng((20261126, i)))]


def main():
    with multiprocessing.Pool(4) as pool:
        cases = [c for part in pool.map(cases_of, range(4)) for c in part]
    text = "[\n" + ",\n".join(json.dumps(c, allow_nan=False) for c in cases) + "\n]\n"
    with open(pathlib.Path(__file__).with_name("rows.json.gz"), "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write(text.encode())
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
