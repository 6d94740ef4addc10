"""Evidently's drift preset on two Parquet files.

    python drift_evidently.py BASELINE CURRENT
"""

import sys

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

if len(sys.argv) > 1:
    baseline, current = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
    print(Report([DataDriftPreset()]).run(current, baseline).json()[:200])
