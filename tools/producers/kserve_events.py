"""Events with the attributes of KServe's inference logger, put on Kafka by the
CloudEvents SDK in both modes."""

from cloudevents.http import CloudEvent
from cloudevents.kafka import to_binary, to_structured

REQUEST, RESPONSE = "org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response"
BODIES = {
    "v1": ({"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}, {"predictions": [1, 1]}),
    "v2": (
        {"inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP32", "data": [6.8, 2.8]}]},
        {"model_name": "iris", "id": "x", "outputs": [{"name": "output-0", "shape": [1], "datatype": "INT64", "data": [1]}]},
    ),
}

print("Events of KServe's logger, encoded by the CloudEvents SDK for Python 1.12.0.\n-- options --\n{}")
for protocol, bodies in BODIES.items():
    for kind, body in zip((REQUEST, RESPONSE), bodies):
        event = CloudEvent(
            {
                "id": f"r-{protocol}", "type": kind, "source": "http://localhost:9081/", "time": "2026-11-21T10:00:00.123456+00:00",
                "inferenceservicename": "sklearn-iris", "namespace": "default", "component": "predictor", "endpoint": "", "metadata": "null",
                "datacontenttype": "application/json",
            },
            body,
        )
        for mode, convert in ("binary", to_binary), ("structured", to_structured):
            message = convert(event)
            name = f"{protocol} {kind.rsplit('.', 1)[1]}, {mode}"
            if message.headers:
                print(f"-- {name}/headers --\n" + "\n".join(f"{k}: {v.decode()}" for k, v in message.headers.items()))
            print(f"-- {name}/value --\n{message.value.decode()}")
