"""Writes vectors.json: scores computed by scikit-learn, and intervals by scipy.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python generate.py > vectors.json

A score that is not defined is null: zero_division is NaN throughout, so that
averages over classes leave undefined ones out.
"""

import json
import math
import sys
import warnings
from fractions import Fraction

import numpy as np
from scipy import stats
from sklearn import metrics as sk

UNDEFINED = dict(zero_division=np.nan)


def clean(x):
    """null for NaN, plain numbers for numpy's."""
    if isinstance(x, dict):
        return {k: clean(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [clean(v) for v in x]
    x = float(x)
    return None if math.isnan(x) else x


def wilson(k, n):
    if n == 0:
        return None
    ci = stats.binomtest(int(k), int(n)).proportion_ci(0.95, method="wilson")
    return [ci.low, ci.high]


def confusion(label, predicted, positive):
    t, p = label == positive, predicted == positive
    return {
        "true_positives": int((t & p).sum()),
        "false_positives": int((~t & p).sum()),
        "true_negatives": int((~t & ~p).sum()),
        "false_negatives": int((t & ~p).sum()),
    }


def binary(name, label, predicted, positive="yes"):
    label, predicted = np.asarray(label, dtype=str), np.asarray(predicted, dtype=str)
    t, p = (label == positive).astype(int), (predicted == positive).astype(int)
    c = confusion(label, predicted, positive)
    tp, fp, tn, fn = c.values()
    two = len(set(t)) == 2
    expect = {
        "accuracy": sk.accuracy_score(t, p),
        "precision": sk.precision_score(t, p, **UNDEFINED),
        "recall": sk.recall_score(t, p, **UNDEFINED),
        "f1": sk.f1_score(t, p, **UNDEFINED),
        "specificity": sk.recall_score(t, p, pos_label=0, **UNDEFINED),
        "balanced_accuracy": sk.balanced_accuracy_score(t, p) if two else math.nan,
        "mcc": sk.matthews_corrcoef(t, p) if two and len(set(p)) == 2 else math.nan,
        **c,
    }
    intervals = {"accuracy": wilson(tp + tn, len(t)), "precision": wilson(tp, tp + fp), "recall": wilson(tp, tp + fn)}
    return {
        "name": name, "positive": positive, "label": label.tolist(), "predicted": predicted.tolist(),
        "expect": clean(expect), "intervals": {k: clean(v) for k, v in intervals.items() if v},
    }


def multiclass(name, label, predicted):
    label, predicted = np.asarray(label, dtype=str), np.asarray(predicted, dtype=str)
    classes = sorted(set(label) | set(predicted))
    expect = {"accuracy": sk.accuracy_score(label, predicted)}
    for metric, f in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        expect[metric] = f(label, predicted, average="macro", **UNDEFINED)
        expect[metric + "_micro"] = f(label, predicted, average="micro", **UNDEFINED)
        expect[metric + "_weighted"] = f(label, predicted, average="weighted", **UNDEFINED)
    if not set(label) & set(predicted):
        # Every class with weight is undefined; scikit-learn then drops the weights.
        expect["precision_weighted"] = math.nan
    if len(set(label)) > 1:
        expect["balanced_accuracy"] = sk.balanced_accuracy_score(label, predicted)
    if len(set(label)) > 1 and len(set(predicted)) > 1:
        expect["mcc"] = sk.matthews_corrcoef(label, predicted)
    per_class = {}
    p, r, f, _ = sk.precision_recall_fscore_support(label, predicted, labels=classes, **UNDEFINED)
    for i, c in enumerate(classes):
        per_class[c] = clean({"precision": p[i], "recall": r[i], "f1": f[i], **confusion(label, predicted, c)})
    return {"name": name, "label": label.tolist(), "predicted": predicted.tolist(), "expect": clean(expect), "classes": per_class}


def regression(name, label, predicted):
    label, predicted = np.asarray(label, dtype=float), np.asarray(predicted, dtype=float)
    e = predicted - label
    n = len(e)
    rmse = sk.root_mean_squared_error(label, predicted)
    expect = {"rmse": rmse, "mae": sk.mean_absolute_error(label, predicted), "bias": math.fsum(e) / n}
    if (label == 0).any():
        expect["mape"] = math.nan
    elif np.abs(label).min() < np.finfo(float).eps:  # scikit-learn would divide by eps
        expect["mape"] = np.mean(np.abs(e) / np.abs(label))
    else:
        expect["mape"] = sk.mean_absolute_percentage_error(label, predicted)
    size = np.abs(predicted) + np.abs(label)
    expect["smape"] = np.mean(np.divide(2 * np.abs(e), size, out=np.zeros(n), where=size > 0))
    expect["msle"] = sk.mean_squared_log_error(label, predicted) if min(label.min(), predicted.min()) > -1 else math.nan
    if label.min() == label.max():
        expect["r2"] = math.nan
    elif np.ptp(label) < 1e-12 * np.abs(label).max():  # scikit-learn's mean is rounded to a label
        expect["r2"] = float(1 - fraction_squares(predicted, label) / fraction_squares(label, [exact_mean(label)] * n))
    else:
        expect["r2"] = sk.r2_score(label, predicted)
    errors = {}
    if n > 1:
        errors["mae"] = np.abs(e).std(ddof=1) / math.sqrt(n)
        errors["bias"] = e.std(ddof=1) / math.sqrt(n)
        unit = np.abs(e).max() or 1.0  # keeps fourth powers in range
        errors["rmse"] = ((e / unit) ** 2).std(ddof=1) * unit / (2 * (rmse / unit) * math.sqrt(n)) if rmse > 0 else 0.0
    return {"name": name, "label": label.tolist(), "predicted": predicted.tolist(), "expect": clean(expect), "standard_errors": clean(errors)}


def scored(name, label, score):
    label, score = np.asarray(label, dtype=int), np.asarray(score, dtype=float)
    probability = score.min() >= 0 and score.max() <= 1
    expect = {
        "auc_roc": sk.roc_auc_score(label, score) if label.min() < label.max() else math.nan,
        "auc_pr": sk.average_precision_score(label, score) if label.max() == 1 else math.nan,
        "log_loss": sk.log_loss(label, score, labels=[0, 1]) if probability else math.nan,
        "brier": np.mean((score - label) ** 2) if probability else math.nan,
        "ece": calibration_error(label, score) if probability else math.nan,
    }
    errors = {}
    if 2 <= label.sum() <= len(label) - 2:
        errors["auc_roc"] = delong(label, score)
    return {"name": name, "label": label.tolist(), "score": score.tolist(), "expect": clean(expect), "standard_errors": errors}


def calibration_error(label, score):
    bin = np.minimum((score * 10).astype(int), 9)
    return sum(abs(label[bin == b].mean() - score[bin == b].mean()) * (bin == b).mean() for b in set(bin))


def delong(label, score):
    """Placement values by all pairs."""
    x, y = score[label == 1], score[label == 0]
    wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    a, b = wins.mean(axis=1), wins.mean(axis=0)
    return math.sqrt(a.var(ddof=1) / len(x) + b.var(ddof=1) / len(y))


def scoreds(r):
    def drawn(n, rate, digits):
        t = (r.random(n) < rate).astype(int)
        return t, np.round(1 / (1 + np.exp(-r.normal(2 * t - 1, 1.5))), digits)

    for n, rate, digits in ((500, 0.5, 6), (500, 0.05, 3), (400, 0.4, 1), (300, 0.9, 2), (20, 0.5, 1)):
        yield (f"{n} scores, rate {rate}, {digits} digits", *drawn(n, rate, digits))
    yield "all tied", [0, 1, 0, 1], [0.5] * 4
    yield "perfect", [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]
    yield "reversed", [1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]
    yield "certain and right", [0, 1, 1], [0.0, 1.0, 1.0]
    yield "certain and wrong", [1, 0, 1], [0.0, 1.0, 1.0]
    yield "only positives", [1, 1, 1], [0.2, 0.4, 0.4]
    yield "only negatives", [0, 0, 0], [0.2, 0.4, 0.4]
    yield "margins, not probabilities", (r.random(200) < 0.5).astype(int), np.round(r.normal(0, 3, 200), 2)
    yield "tiny probabilities", (r.random(100) < 0.5).astype(int), r.random(100) * 1e-12


def exact_mean(x):
    return sum(Fraction(float(v)) for v in x) / len(x)


def fraction_squares(x, y):
    return sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(x, y))


def binaries(r):
    def drawn(n, rate, right):
        t = np.where(r.random(n) < rate, "yes", "no")
        flip = r.random(n) > right
        return t, np.where(flip, np.where(t == "yes", "no", "yes"), t)

    for n, rate, right in ((500, 0.5, 0.9), (500, 0.1, 0.8), (300, 0.01, 0.99), (300, 0.99, 0.7), (1000, 0.3, 0.5), (50, 0.5, 0.1)):
        yield (f"{n} rows, rate {rate}, right {right}", *drawn(n, rate, right))
    yield "all right", ["yes", "no", "yes"], ["yes", "no", "yes"]
    yield "all wrong", ["yes", "no", "yes"], ["no", "yes", "no"]
    yield "no positive label", ["no"] * 5, ["no", "no", "yes", "no", "no"]
    yield "nothing positive at all", ["no"] * 5, ["no"] * 5
    yield "no positive prediction", ["yes", "no", "no"], ["no"] * 3
    yield "only positive labels", ["yes"] * 4, ["yes", "yes", "no", "yes"]
    yield "only positives", ["yes"] * 4, ["yes"] * 4
    yield "single row, right", ["yes"], ["yes"]
    yield "single row, wrong", ["no"], ["yes"]
    yield "a third class counts as negative", ["yes", "no", "maybe", "yes"], ["yes", "maybe", "no", "maybe"]


def multiclasses(r):
    names = np.array(["cat", "dog", "fox", "hen", ""])
    for n, k in ((600, 3), (400, 5), (60, 4)):
        t = names[np.minimum(r.geometric(0.4, n) - 1, k - 1)]
        yield f"{n} rows, {k} classes", t, np.where(r.random(n) < 0.7, t, names[r.integers(0, k, n)])
    yield "all right", ["a", "b", "c"], ["a", "b", "c"]
    yield "all wrong", ["a", "b", "c"], ["b", "c", "a"]
    yield "a class never predicted", ["a", "b", "c", "c"], ["a", "a", "c", "c"]
    yield "a class never a label", ["a", "a", "b", "b"], ["a", "z", "b", "a"]
    yield "one class", ["a", "a"], ["a", "a"]
    yield "one label class", ["a", "a", "a"], ["a", "b", "b"]
    yield "single row", ["a"], ["b"]
    many = np.array([f"k{i:02d}" for i in range(40)])
    t = many[r.integers(0, 40, 800)]
    yield "forty classes", t, np.where(r.random(800) < 0.5, t, many[r.integers(0, 40, 800)])


def regressions(r):
    y = np.round(r.normal(100, 20, 300), 3)
    yield "normal errors", y, np.round(y + r.normal(0.5, 4, 300), 3)
    yield "heavy errors", y, np.round(y + r.standard_t(1.5, 300), 3)
    yield "all right", y, y
    yield "constant error", y, y + 2
    yield "single row", [3.0], [4.5]
    yield "two rows", [3.0, -3.0], [4.5, -5.0]
    yield "integers at 2^53", [2.0**53, 2.0**53 - 3], [2.0**53 - 1, 2.0**53]
    yield "large offset", 1e9 + y, 1e9 + np.round(y + r.normal(0, 1, 300), 3)
    yield "tiny", y * 1e-150, y * 1.1e-150
    yield "huge", y * 1e140, y * 1.1e140
    yield "negatives", -y, y
    yield "zeros", np.zeros(10), np.zeros(10)


def main():
    warnings.simplefilter("ignore")
    r = np.random.default_rng(20261122)
    cases = {
        "binary": [binary(*c) for c in binaries(r)],
        "multiclass": [multiclass(*c) for c in multiclasses(r)],
        "scored": [scored(*c) for c in scoreds(r)],
        "regression": [regression(*c) for c in regressions(r)],
    }
    lines = [f' "{key}": [\n  ' + ",\n  ".join(json.dumps(c, allow_nan=False) for c in value) + "\n ]" for key, value in cases.items()]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
