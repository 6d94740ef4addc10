"""What a client sends to MLServer's Kafka consumer, and what MLServer answers with:
its own handlers and data plane serve a model of two outputs."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
from mlserver import ModelSettings, Settings
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, StringCodec
from mlserver.handlers import DataPlane
from mlserver.kafka.handlers import KafkaHandlers, KafkaMessage
from mlserver.registry import MultiModelRegistry
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest

sys.path.insert(0, str(Path(__file__).parent / "live" / "mlserver"))
from iris import Iris  # noqa: E402


async def main():
    registry = MultiModelRegistry()
    await registry.load(ModelSettings(name="iris", implementation=Iris, parameters=ModelParameters(version="v1.2")))
    handlers = KafkaHandlers(DataPlane(settings=Settings(), model_registry=registry))
    requests = {
        "array": NumpyRequestCodec.encode_request(np.array([[5.1, 3.5], [6.2, 2.9]])),
        "columns": InferenceRequest(
            inputs=[
                NumpyCodec.encode_input("amount", np.array([1.5, 2.5])),
                StringCodec.encode_input("country", ["DE", "FR"], use_bytes=False),
            ]
        ),
    }
    print("What MLServer 1.7.1 reads and writes on its topics.\n-- options --\n{}")
    for name, request in requests.items():
        headers = {"mlserver-model": "iris", "mlserver-version": "v1.2"}
        value = request.model_dump_json(exclude_none=True)
        case(f"{name} in", f"key-{name}", headers, value)
        answer = await handlers.infer(KafkaMessage(key=f"key-{name}", value=json.loads(value), headers=headers))
        case(f"{name} out", answer.encoded_key.decode(), {k: v.decode() for k, v in answer.encoded_headers}, answer.encoded_value)


def case(name, key, headers, value):
    print(f"-- {name}/key --\n{key}")
    if headers:
        print(f"-- {name}/headers --\n" + "\n".join(f"{k}: {v}" for k, v in headers.items()))
    value = value.decode() if isinstance(value, bytes) else value
    json.loads(value)
    print(f"-- {name}/value --\n{value}")


asyncio.run(main())
