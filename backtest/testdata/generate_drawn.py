"""Writes drawn.json: metrics of rows that are drawn and not stored, by NannyML and scikit-learn.

    python3 -m venv venv && venv/bin/pip install -r requirements-nannyml.txt
    venv/bin/python generate_drawn.py    # minutes: NannyML estimates sampling errors first

"nannyml" holds realised performance (PerformanceCalculator, all rows one chunk), "scikit" what it does not have.
The rows are those of drawn_test.go, to the bit: the i-th number (from 0) of a seed is SplitMix64's output for the state
seed + (i+1) * 0x9e3779b97f4a7c15, its upper 53 bits over 2^53, and each row takes three numbers u, v, w:

    binary      score = floor(grid * u) / grid, label = v < score^2, predicted = score >= 1/2
    multiclass  label = floor(3 u), predicted = label if v < 0.7 else floor(3 w)
    regression  label = 1 + 99 u, predicted = label * (1/2 + v)
"""

import json
import os
import pathlib
import warnings

import numpy as np
import pandas as pd
from sklearn import metrics as sk


def uniform(seed, rows):
    i = np.arange(1, 3 * rows + 1, dtype=np.uint64)
    z = np.uint64(seed) + i * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(11)) / 2.0**53).reshape(rows, 3).T


def draw(task, seed, rows, grid):
    u, v, w = uniform(seed, rows)
    if task == "binary":
        score = np.floor(grid * u) / grid
        return pd.DataFrame({"score": score, "label": (v < score * score).astype(int), "predicted": (score >= 0.5).astype(int)})
    if task == "multiclass":
        label = np.floor(3 * u).astype(int)
        predicted = np.where(v < 0.7, label, np.floor(3 * w).astype(int))
        names = np.array(["ant", "bee", "cow"])
        scores = {name: np.where(predicted == k, 0.8, 0.1) for k, name in enumerate(names)}  # wanted by NannyML, used by no metric here
        return pd.DataFrame({"label": names[label], "predicted": names[predicted], **scores})
    label = 1 + 99 * u
    return pd.DataFrame({"label": label, "predicted": label * (0.5 + v)})


METRICS = {
    "binary": {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "f1", "specificity": "specificity", "roc_auc": "auc_roc", "average_precision": "auc_pr"},
    "multiclass": {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "f1"},
    "regression": {"mae": "mae", "mape": "mape", "msle": "msle", "rmse": "rmse"},
}
PROBLEM = {"binary": "classification_binary", "multiclass": "classification_multiclass", "regression": "regression"}


def realised(task, frame, nml):
    proba = {"binary": {"y_pred_proba": "score"}, "multiclass": {"y_pred_proba": {c: c for c in ("ant", "bee", "cow")}}}.get(task, {})
    c = nml.PerformanceCalculator(y_true="label", y_pred="predicted", problem_type=PROBLEM[task], metrics=list(METRICS[task]), chunk_size=len(frame), **proba)
    data = c.fit(frame).calculate(frame).filter(period="analysis").to_df()
    return {ours: float(data[(theirs, "value")].iloc[0]) for theirs, ours in METRICS[task].items()}


def scikit(task, f):
    if task == "binary":
        return {"log_loss": sk.log_loss(f.label, f.score), "brier": sk.brier_score_loss(f.label, f.score),
                "mcc": sk.matthews_corrcoef(f.label, f.predicted), "balanced_accuracy": sk.balanced_accuracy_score(f.label, f.predicted)}
    if task == "multiclass":
        return {"mcc": sk.matthews_corrcoef(f.label, f.predicted), "balanced_accuracy": sk.balanced_accuracy_score(f.label, f.predicted)}
    return {"r2": sk.r2_score(f.label, f.predicted)}


def main():
    warnings.simplefilter("ignore")
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    import nannyml as nml

    cases = []
    for task, seed, rows, grid in (
        ("binary", 1, 2_000, 1 << 20), ("binary", 2, 6_000, 16), ("binary", 3, 50_000, 1 << 10), ("binary", 4, 1_000_000, 1 << 20),
        ("multiclass", 5, 6_000, 0), ("multiclass", 6, 1_000_000, 0), ("regression", 7, 6_000, 0), ("regression", 8, 1_000_000, 0),
    ):
        f = draw(task, seed, rows, grid)
        cases.append(dict(task=task, seed=seed, rows=rows, grid=grid, nannyml=realised(task, f, nml), scikit={k: float(v) for k, v in scikit(task, f).items()}))
    lines = ",\n".join(json.dumps(c, allow_nan=False) for c in cases)
    pathlib.Path(__file__).with_name("drawn.json").write_text("[\n" + lines + "\n]\n")


if __name__ == "__main__":
    main()
