"""Posts what KServe's inference logger posts for each request and each response, by
the CloudEvents SDK: the structured mode, too, which KServe's agent does not use."""

import json
import struct
import sys
import urllib.request
from datetime import datetime, timezone

from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent

REQUEST, RESPONSE = "org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response"


def behind(body, data):
    """A body of the binary tensor data extension, the JSON first."""
    return json.dumps(body).encode() + data


EXCHANGES = [
    ("k-1", to_binary, {"instances": [[6.8, 2.8], [6.0, 3.4]]}, {"predictions": [1, 0]}),
    (
        "k-2", to_structured,
        {"inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP32", "data": [5.5, 2.5]}]},
        {"model_name": "flowers", "id": "x", "outputs": [{"name": "output-0", "shape": [1], "datatype": "INT64", "data": [2]}]},
    ),
    (
        "k-3", to_binary,
        behind({"inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}]}, struct.pack("<2d", 5.0, 3.5)),
        behind({"model_name": "flowers", "outputs": [{"name": "output-0", "shape": [1], "datatype": "INT8", "parameters": {"binary_data_size": 1}}]}, b"\x0a"),
    ),
]


def encoded(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


for name, convert, *bodies in EXCHANGES:
    for kind, body in zip((REQUEST, RESPONSE), bodies):
        event = CloudEvent(
            {
                "id": name, "type": kind, "source": "http://localhost:9081/", "time": datetime.now(timezone.utc).isoformat(),
                "inferenceservicename": "sklearn-iris", "namespace": "default", "component": "predictor", "endpoint": "", "metadata": "null",
                "datacontenttype": "application/octet-stream" if isinstance(body, bytes) else "application/json",
            },
            body,
        )
        headers, data = convert(event, encoded) if convert is to_binary else convert(event)
        with urllib.request.urlopen(urllib.request.Request(sys.argv[1], data=data, headers=dict(headers))) as answer:
            assert answer.status < 300, answer.status
