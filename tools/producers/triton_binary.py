"""What Triton's client sends and reads where tensors stand as bytes behind the JSON (the
binary tensor data extension), as the bodies of events of KServe's logger."""

import base64
import json

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import serialize_byte_tensor

TENSORS = {  # two rows of each datatype that NumPy has
    "bool": ("BOOL", np.array([True, False])),
    "u8": ("UINT8", np.array([1, 255], np.uint8)),
    "u16": ("UINT16", np.array([1, 65535], np.uint16)),
    "u32": ("UINT32", np.array([1, 2**32 - 1], np.uint32)),
    "u64": ("UINT64", np.array([1, 2**64 - 1], np.uint64)),
    "i8": ("INT8", np.array([-1, 127], np.int8)),
    "i16": ("INT16", np.array([-1, 32767], np.int16)),
    "i32": ("INT32", np.array([-1, 2**31 - 1], np.int32)),
    "i64": ("INT64", np.array([-1, 2**63 - 1], np.int64)),
    "fp16": ("FP16", np.array([1.5, -6.1e-05], np.float16)),
    "fp32": ("FP32", np.array([0.1, np.nan], np.float32)),
    "fp64": ("FP64", np.array([0.1, np.inf], np.float64)),
    "text": ("BYTES", np.array(["Zürich".encode(), b"\xff\xfe"], np.object_)),
    "vector": ("FP32", np.array([[1, 2], [3, 4.5]], np.float32)),
}


def request(tensors, binary=lambda name: True):
    """The body that the client posts, and how long its JSON is."""
    inputs = []
    for name, (datatype, values) in tensors.items():
        one = InferInput(name, list(values.shape), datatype)
        one.set_data_from_numpy(values, binary_data=binary(name))
        inputs.append(one)
    return InferenceServerClient.generate_request_body(inputs, outputs=[InferRequestedOutput("score", binary_data=True)])


def response(tensors):
    """The body that a server answers with, which the client reads as it was meant."""
    outputs, blobs = [], []
    for name, (datatype, values) in tensors.items():
        blob = serialize_byte_tensor(values).item() if datatype == "BYTES" else values.tobytes()
        outputs.append({"name": name, "datatype": datatype, "shape": list(values.shape), "parameters": {"binary_data_size": len(blob)}})
        blobs.append(blob)
    text = json.dumps({"model_name": "iris", "model_version": "1", "outputs": outputs}).encode()
    body = text + b"".join(blobs)
    read = InferResult.from_response_body(body, header_length=len(text))
    for name, (_, values) in tensors.items():
        assert np.array_equal(read.as_numpy(name), values), name
    return body, len(text)


def case(name, kind, body, length):
    headers = {
        "content-type": "application/octet-stream", "ce_id": "r-1", "ce_type": f"org.kubeflow.serving.inference.{kind}",
        "ce_inferenceservicename": "iris", "ce_specversion": "1.0",
    }
    if length is not None:
        headers["Inference-Header-Content-Length"] = length
    print(f"-- {name}/headers --\n" + "\n".join(f"{k}: {v}" for k, v in headers.items()))
    print(f"-- {name}/value.base64 --\n{base64.b64encode(body).decode()}")


print("What tritonclient 2.73.0 writes and reads of the binary tensor data extension.\n-- options --\n{}")
body, length = request(TENSORS)
case("request of each datatype", "request", body, length)
case("as KServe's logger hands it on", "request", body, None)
case("some of it in the JSON", "request", *request({k: TENSORS[k] for k in ("u8", "fp32", "text", "i64")} | {"text": ("BYTES", np.array([b"a", b"b"], np.object_))}, lambda name: name in ("fp32", "i64")))
answer = {"predict": ("INT64", np.array([1, 0])), "predict_proba": ("FP32", np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)), "note": ("BYTES", np.array([b"", b"x"], np.object_))}
case("response", "response", *response(answer))
case("response as KServe's logger hands it on", "response", response(answer)[0], None)
