"""What Confluent's serializers write that name the schema in a header, against the
client's own registry in memory: schemas, headers and values."""

import base64
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "live"))
import schema_headers  # noqa: E402
from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: E402

print("What confluent-kafka 2.16.1 writes with header_schema_id_serializer.")
registry = SchemaRegistryClient.new_client({"url": "mock://"})
topics = {name: f"{name}-scored" for name in ("avro", "protobuf", "jsonschema")}
for name, schema, headers, value in schema_headers.serialized(registry, topics, "s-1", 12.5, 0.25):
    ((header, bytes_),) = headers
    print(f"-- {name}/schema --\n{schema.rstrip()}")
    print(f"-- {name}/guid --\n{uuid.UUID(bytes=bytes_[1:17])}")
    print(f"-- {name}/header --\n{header}: {base64.b64encode(bytes_).decode()}")
    print(f"-- {name}/value.base64 --\n{base64.b64encode(value).decode()}")
