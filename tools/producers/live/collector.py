"""Collects the data of two requests, as a scoring script in an Azure ML deployment
does. AZUREML_MDC_HOST and AZUREML_MDC_PORT say where the collector listens."""

import os
import time

os.environ["AZUREML_MDC_ENABLED"] = "true"

import pandas as pd  # noqa: E402
from azureml.ai.monitoring import Collector  # noqa: E402
from azureml.ai.monitoring.context import BasicCorrelationContext  # noqa: E402

failures = []
inputs = Collector(name="model_inputs", on_error=failures.append)
outputs = Collector(name="model_outputs", on_error=failures.append)
for name, limits in ("c-1", [502970, 293458]), ("c-2", [1500]):
    context = BasicCorrelationContext(id=name, timestamp=int(time.time()))
    context = inputs.collect(pd.DataFrame({"LIMIT_BAL": limits, "SEX": ["f", None][: len(limits)]}), context)
    outputs.collect(pd.DataFrame({"predicted": [0, 1][: len(limits)], "probability": [0.125, 0.875][: len(limits)]}), context)
time.sleep(float(os.environ.get("LINGER", "2")))  # it posts from a thread of its own
if failures:
    raise failures[0]
