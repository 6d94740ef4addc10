"""PSI and Jensen-Shannon distance with pandas, K-S with SciPy.

    python drift_scipy.py BASELINE CURRENT [--ks]
"""

import sys

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial import distance


def main():
    baseline, current = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
    for name in baseline.columns:
        a, b = baseline[name].dropna(), current[name].dropna()
        if pd.api.types.is_float_dtype(a):
            edges = np.unique(np.quantile(a, np.arange(1, 10) / 10))
            p, q = (np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1) for x in (a, b))
            if "--ks" in sys.argv:
                print(name, "ks", stats.ks_2samp(a, b, method="asymp").statistic)
        else:
            top = a.value_counts().index[:49]
            p, q = (np.append(c := x.value_counts().reindex(top, fill_value=0).to_numpy(), len(x) - c.sum()) for x in (a, b))
        fp, fq = np.maximum(p / p.sum(), 1e-4), np.maximum(q / q.sum(), 1e-4)
        fp, fq = fp / fp.sum(), fq / fq.sum()
        print(name, np.sum((fq - fp) * np.log(fq / fp)), distance.jensenshannon(p, q, base=2))


main()
