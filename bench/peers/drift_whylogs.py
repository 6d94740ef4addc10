"""Profiles of two Parquet files by whylogs, and its drift scores.

    python drift_whylogs.py BASELINE CURRENT
"""

import sys

import pandas as pd
import whylogs as why
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

if len(sys.argv) > 1:
    baseline, current = (why.log(pd.read_parquet(path)).view() for path in sys.argv[1:3])
    print(len(calculate_drift_scores(target_view=current, reference_view=baseline, with_thresholds=True)))
