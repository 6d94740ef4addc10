"""NannyML's univariate drift of two Parquet files, the current one as a single chunk.

    python drift_nannyml.py BASELINE CURRENT
"""

import sys

import nannyml as nml
import pandas as pd

if len(sys.argv) > 1:
    baseline, current = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
    calculator = nml.UnivariateDriftCalculator(
        column_names=list(baseline.columns), continuous_methods=["jensen_shannon", "kolmogorov_smirnov"],
        categorical_methods=["jensen_shannon"], chunk_size=len(current),
    )
    print(calculator.fit(baseline).calculate(current).to_df().shape)
