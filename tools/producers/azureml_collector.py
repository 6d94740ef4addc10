"""What azureml-ai-monitoring posts to the collector beside the model: headers with
the attributes of a CloudEvent, and the rows as JSON."""

import http.server
import os
import threading

seen = []
both = threading.Event()


class Sidecar(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        seen.append((dict(self.headers), body))
        self.send_response(200)
        self.end_headers()
        if len(seen) == 2:
            both.set()

    def log_message(self, *args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Sidecar)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(AZUREML_MDC_ENABLED="true", AZUREML_MDC_HOST="127.0.0.1", AZUREML_MDC_PORT=str(server.server_port))

import pandas as pd  # noqa: E402
from azureml.ai.monitoring import Collector  # noqa: E402
from azureml.ai.monitoring.context import BasicCorrelationContext  # noqa: E402

inputs, outputs = Collector(name="model_inputs"), Collector(name="model_outputs")
context = BasicCorrelationContext(id="c-1", timestamp=1732183200)
context = inputs.collect(pd.DataFrame({"LIMIT_BAL": [502970, 293458], "AGE": [54, 35], "SEX": ["f", None], "RATE": [0.1, float("nan")]}), context)
outputs.collect(pd.DataFrame({"predicted": [0, 1], "probability": [0.125, 0.875]}), context)
both.wait(30)

print("What azureml-ai-monitoring 1.0.0 posts, as a bridge puts it on Kafka: HTTP headers become the record's.")
print('-- options --\n{"model": "credit-default", "version": "main2", "columns": {"score": "probability"}}')
for headers, body in sorted(seen, key=lambda s: s[0]["ce-type"]):
    name = headers["ce-type"].rsplit(".", 1)[1]
    keep = {k: v for k, v in headers.items() if k.lower().startswith("ce-") or k.lower() == "content-type"}
    print(f"-- {name}/headers --\n" + "\n".join(f"{k}: {v}" for k, v in sorted(keep.items())))
    print(f"-- {name}/value --\n{body.decode()}")
