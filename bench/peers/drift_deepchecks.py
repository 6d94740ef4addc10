"""Deepchecks' feature drift of two Parquet files.

    python drift_deepchecks.py BASELINE CURRENT
"""

import sys

import pandas as pd
from deepchecks.tabular import Dataset
from deepchecks.tabular.checks import FeatureDrift

if len(sys.argv) > 1:
    baseline, current = (pd.read_parquet(path) for path in sys.argv[1:3])
    categories = [c for c in baseline.columns if baseline[c].dtype == object]
    sides = [Dataset(frame, cat_features=categories) for frame in (baseline, current)]
    print(len(FeatureDrift(n_samples=len(baseline)).run(sides[0], sides[1]).value))
