"""Produces predictions as Confluent's serializers do that name the schema of a value in
a header of its record: avro, protobuf and JSON Schema. Arguments: the registry, the
brokers, and a topic for each of the three."""

import sys
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

AVRO = '{"type":"record","name":"Scored","fields":[{"name":"row","type":"string"},{"name":"amount","type":"double"},{"name":"p","type":"double"}]}'
JSON = '{"title":"Scored","type":"object","required":["row"],"properties":{"row":{"type":"string"},"amount":{"type":"number"},"p":{"type":"number"}}}'
PROTO = (Path(__file__).parent / "scored.proto").read_text()


def message_class():
    """The class that protoc makes of PROTO. It is the first message in the second of the file: its place is two steps."""
    file = descriptor_pb2.FileDescriptorProto(name="scored.proto", package="risk", syntax="proto3")
    file.message_type.add(name="Other").field.add(name="x", number=1, type=9, label=1)
    scored = file.message_type.add(name="Batch").nested_type.add(name="Scored")
    for number, (name, kind) in enumerate((("row", 9), ("amount", 1), ("p", 1)), start=1):
        scored.field.add(name=name, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("risk.Batch.Scored"))


def serialized(registry, topics, row, amount, p):
    """Yields the format, the schema, the headers and the value of a prediction."""
    conf = {"schema.id.serializer": header_schema_id_serializer, "subject.name.strategy": topic_subject_name_strategy}
    scored = {"row": row, "amount": amount, "p": p}
    kind = message_class()
    for name, schema, serializer, value in (
        ("avro", AVRO, AvroSerializer(registry, AVRO, conf=conf), scored),
        ("protobuf", PROTO, ProtobufSerializer(kind, registry, conf), kind(**scored)),
        ("jsonschema", JSON, JSONSerializer(JSON, registry, conf=conf), scored),
    ):
        headers = []
        context = SerializationContext(topics[name], MessageField.VALUE, headers)
        yield name, schema, headers, serializer(value, context)


def main(url, brokers, *topics):
    topics = dict(zip(("avro", "protobuf", "jsonschema"), topics, strict=True))
    producer = Producer({"bootstrap.servers": brokers})
    registry = SchemaRegistryClient({"url": url})
    for row, amount, p in (("s-1", 12.5, 0.25), ("s-2", -3, 0.75)):
        for name, _, headers, value in serialized(registry, topics, row, amount, p):
            producer.produce(topics[name], value=value, headers=headers)
    left = producer.flush(30)
    assert left == 0, f"{left} records were not delivered"


if __name__ == "__main__":
    main(*sys.argv[1:])
