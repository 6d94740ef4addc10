"""Accuracy, precision, recall, exact AUC and RMSE of predictions joined with labels, by pandas and scikit-learn.

    python backtest_sklearn.py PREDICTIONS LABELS
"""

import sys

import pandas as pd
from sklearn import metrics

joined = pd.read_parquet(sys.argv[1]).merge(pd.read_parquet(sys.argv[2]), on="request_id")
said, truth = joined["score"] >= 0.5, joined["label"] == 1
print(
    metrics.accuracy_score(truth, said), metrics.precision_score(truth, said), metrics.recall_score(truth, said),
    metrics.roc_auc_score(truth, joined["score"]), metrics.root_mean_squared_error(truth, joined["score"]),
)
