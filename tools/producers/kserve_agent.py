"""What KServe's agent, which stands before a predictor, posts for each request and each
response that pass through it."""

import base64
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AGENT = os.path.join(os.path.dirname(sys.executable), "..", "..", "agent", "bin", "agent")
BINARY = "application/octet-stream"


def behind(body, data):
    """A body of the binary tensor data extension, the JSON first."""
    return json.dumps(body).encode() + data


# By path: the body of the request, its type, and the body of the answer.
EXCHANGES = {
    "v1": ("/v1/models/iris:predict", b'{"instances":[[6.8,2.8],[4.9,3.4]]}', "application/json", b'{"predictions":[1,0]}'),
    "v2": (
        "/v2/models/iris/infer",
        b'{"inputs":[{"name":"input-0","shape":[1,2],"datatype":"FP64","data":[5.5,2.5]}]}', "application/json",
        b'{"model_name":"iris","id":"x","outputs":[{"name":"output-0","shape":[1],"datatype":"INT64","data":[0]}]}',
    ),
    "v2 in bytes": (
        "/v2/models/iris_in_bytes/infer",
        behind({"inputs": [{"name": "input-0", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}]}, struct.pack("<2d", 6.5, 3.0)), BINARY,
        behind({"model_name": "iris", "outputs": [{"name": "output-0", "shape": [1], "datatype": "INT64", "parameters": {"binary_data_size": 8}}]}, struct.pack("<q", 1)),
    ),
    "metadata": ("/v1/models/iris", None, None, b'{"name":"iris","ready":true}'),
}
ANSWERS = {path: answer for path, _, _, answer in EXCHANGES.values()}
posts = queue.Queue()


class Predictor(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = ANSWERS[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *_):
        pass


class Sink(Predictor):
    def do_POST(self):
        posts.put((list(self.headers.items()), self.rfile.read(int(self.headers.get("Content-Length", 0)))))
        self.send_response(200)
        self.end_headers()


def serve(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, body=None, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, data=body, headers={k.replace("_", "-"): v for k, v in headers.items() if v})) as answer:
        return answer.read()


def ready(url):
    for _ in range(200):
        try:
            return get(url, User_Agent="kube-probe/1.33", K_Network_Probe="queue")
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the agent does not answer")


def show(case, headers, body):
    # What HTTP itself needs is no business of a bridge's.
    kept = [(k, v) for k, v in headers if k.lower() == "content-type" or k.lower().startswith("ce-")]
    print(f"-- {case}/headers --\n" + "\n".join(f"{k}: {v}" for k, v in kept))
    if dict(kept).get("Content-Type") == BINARY:
        print(f"-- {case}/value.base64 --\n{base64.b64encode(body).decode()}")
    else:
        print(f"-- {case}/value --\n{body.decode()}")


port, component, sink = free_port(), serve(Predictor), serve(Sink)
agent = subprocess.Popen(
    [AGENT, "--port", str(port), "--component-port", str(component), "--log-url", f"http://127.0.0.1:{sink}", "--source-uri", "http://localhost:9081/",
     "--inference-service", "iris", "--namespace", "default", "--component", "predictor", "--endpoint", "default"],
    env={**os.environ, "SERVING_READINESS_PROBE": ""}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
try:
    ready(f"http://127.0.0.1:{port}/")
    print("What KServe's agent 0.15.2 posts.\n-- options --\n{}")
    for name, (path, body, kind, _) in EXCHANGES.items():
        get(f"http://127.0.0.1:{port}{path}", body, Content_Type=kind, Ce_Id=f"a-{name.replace(' ', '-')}")
        both = [posts.get(timeout=30) for _ in range(2)]
        for headers, value in sorted(both, key=lambda post: dict(post[0])["Ce-Type"]):
            show(f"{name} {dict(headers)['Ce-Type'].rsplit('.', 1)[1]}", headers, value)
finally:
    agent.send_signal(signal.SIGKILL)  # it would take half a minute to end in order
    agent.wait()
