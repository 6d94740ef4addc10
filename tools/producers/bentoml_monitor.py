"""What BentoML's monitoring writes to its files: a line for the columns, and one
for each row of a request."""

import glob
import os
import tempfile
import time

os.environ["TZ"] = "Europe/Berlin"
time.tzset()
folder = tempfile.mkdtemp()

import bentoml  # noqa: E402
from bentoml._internal.context import trace_context  # noqa: E402
from bentoml._internal.monitoring.default import DefaultMonitor  # noqa: E402

trace_context.request_id = 11836512352847512345
with bentoml.monitor("iris", DefaultMonitor, {"log_path": folder}) as monitor:
    monitor.log_batch([5.1, 6.2], name="sepal len", role="feature", data_type="numerical")
    monitor.log_batch([[0.25, 0.5], [1.0, 2.0]], name="embedding", role="feature", data_type="numerical_sequence")
    monitor.log_batch(["setosa", "virginica"], name="pred", role="prediction", data_type="categorical")

print("What BentoML 1.4.40 writes.")
print('-- options --\n{"model": "iris", "timezone": "Europe/Berlin", "columns": {"predicted": "pred"}}')
for part in "schema", "data":
    for path in glob.glob(f"{folder}/iris/{part}/*.log"):
        for i, line in enumerate(open(path)):
            print(f"-- {part} {i}/value --\n{line.strip()}")
