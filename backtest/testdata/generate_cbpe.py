"""Writes cbpe.json.gz: label-free estimates by NannyML's CBPE.

    python3 -m venv venv && venv/bin/pip install -r requirements-nannyml.txt
    venv/bin/python generate_cbpe.py
"""

import gzip
import json
import pathlib
import warnings

import numpy as np
import pandas as pd


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def binary(name, reference, analysis, nml):
    metrics = ["accuracy", "precision", "recall", "f1", "specificity", "roc_auc"]
    e = nml.CBPE(y_pred_proba="score", y_pred="predicted", y_true="label", problem_type="classification_binary", metrics=metrics, chunk_size=len(analysis))
    e.fit(reference)
    data = e.estimate(analysis[["score", "predicted"]]).filter(period="analysis").to_df()
    expect = {("auc_roc" if m == "roc_auc" else m): float(data[(m, "value")].iloc[0]) for m in metrics}
    return dict(name=name, task="binary", calibrated=bool(e.needs_calibration), expect=expect,
                reference={k: reference[k].tolist() for k in reference}, analysis={k: analysis[k].tolist() for k in analysis})


def multiclass(name, reference, analysis, classes, nml):
    metrics = ["accuracy", "precision", "recall", "f1", "roc_auc"]
    e = nml.CBPE(y_pred_proba={c: f"score_{c}" for c in classes}, y_pred="predicted", y_true="label", problem_type="classification_multiclass", metrics=metrics, chunk_size=len(analysis))
    e.fit(reference)
    data = e.estimate(analysis.drop(columns="label")).filter(period="analysis").to_df()
    expect = {("auc_roc" if m == "roc_auc" else m): float(data[(m, "value")].iloc[0]) for m in metrics}
    return dict(name=name, task="multiclass", classes=classes, calibrated=True, expect=expect,
                reference={k: reference[k].tolist() for k in reference}, analysis={k: analysis[k].tolist() for k in analysis})


def drawn(r, n, digits, slope, shift=0.0):
    p = sigmoid(r.normal(shift, 1.5, n))
    y = (r.random(n) < p).astype(int)
    score = np.round(sigmoid(slope * np.log(p / (1 - p))), digits)
    return pd.DataFrame({"score": score, "predicted": (score >= 0.5).astype(int), "label": y})


def drawn_classes(r, n, classes, power):
    raw = r.gamma(0.8, 1, (n, len(classes))) + 0.05
    p = raw / raw.sum(1, keepdims=True)
    y = [r.choice(classes, p=row) for row in p]
    s = p**power
    s = np.round(s / s.sum(1, keepdims=True), 4)
    s[:, -1] = np.round(1 - s[:, :-1].sum(1), 4)
    frame = pd.DataFrame({f"score_{c}": s[:, k] for k, c in enumerate(classes)})
    return frame.assign(predicted=np.array(classes)[s.argmax(1)], label=y)


def main():
    warnings.simplefilter("ignore")
    import nannyml as nml

    nml.usage_logging.disable_usage_logging() if hasattr(nml, "usage_logging") and hasattr(nml.usage_logging, "disable_usage_logging") else None
    r = np.random.default_rng(7)
    cases = [
        binary("overconfident, three digits", drawn(r, 2000, 3, 2.5), drawn(r, 800, 3, 2.5, 0.7), nml),
        binary("overconfident, many ties", drawn(r, 2000, 1, 2.5), drawn(r, 800, 1, 2.5, -0.7), nml),
        binary("underconfident", drawn(r, 2000, 4, 0.3), drawn(r, 800, 4, 0.3, 0.7), nml),
        binary("calibrated already", drawn(r, 3000, 4, 1.0), drawn(r, 800, 4, 1.0, 0.4), nml),
        multiclass("three classes, overconfident", drawn_classes(r, 2000, ["a", "b", "c"], 3), drawn_classes(r, 700, ["a", "b", "c"], 3), ["a", "b", "c"], nml),
    ]
    with open(pathlib.Path(__file__).with_name("cbpe.json.gz"), "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write(("[\n" + ",\n".join(json.dumps(c, allow_nan=False) for c in cases) + "\n]\n").encode())
    print([(c["name"], c["calibrated"], c["expect"]) for c in cases])


if __name__ == "__main__":
    main()
