"""librdkafka as Python's users have it: one request on stdin, one answer on stdout (requests.ts)."""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

WAIT_SECONDS = 60


def produce(request):
    # Its own default is CRC32, which puts meters where no other client looks for them.
    options = {"bootstrap.servers": ",".join(request["brokers"]), "partitioner": "murmur2_random"}
    if "compression" in request:
        options["compression.type"] = request["compression"]
    is_transaction = "transactionalId" in request
    if is_transaction:
        options["transactional.id"] = request["transactionalId"]
    producer = Producer(options)
    if is_transaction:
        producer.init_transactions(WAIT_SECONDS)
        producer.begin_transaction()
    failures = []

    def delivered(error, _message):
        if error is not None:
            failures.append(str(error))

    for record in request["records"]:
        place = {"partition": record["partition"]} if "partition" in record else {}
        producer.produce(
            request["topic"], record["value"], record["key"], on_delivery=delivered, **place
        )
    if producer.flush(WAIT_SECONDS) > 0 or failures:
        raise RuntimeError(f"not delivered: {failures[:3]}")
    if is_transaction and request["outcome"] == "abort":
        producer.abort_transaction(WAIT_SECONDS)
    elif is_transaction:
        producer.commit_transaction(WAIT_SECONDS)
    return []


def text(data):
    return None if data is None else data.decode()


def consume(request):
    # Reads committed records without being told to.
    consumer = Consumer({
        "bootstrap.servers": ",".join(request["brokers"]),
        "group.id": "clients-of-users",
        "enable.auto.commit": False,
    })
    consumer.assign([
        TopicPartition(topic, partition, OFFSET_BEGINNING)
        for topic, found in request["topics"].items()
        for partition in range(found["partitions"])
    ])
    left = sum(found["partitions"] for found in request["topics"].values())
    records = []
    while left > 0:
        message = consumer.poll(WAIT_SECONDS)
        if message is None:
            raise RuntimeError(f"nothing came for {WAIT_SECONDS} s; {len(records)} records so far")
        if message.error() is not None:
            if message.error().code() == KafkaError._PARTITION_EOF:
                continue
            raise RuntimeError(str(message.error()))
        if text(message.key()) == request["endKey"]:
            left -= 1
            continue
        records.append({
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "key": text(message.key()),
            "value": text(message.value()),
            "headers": {name: text(data) for name, data in message.headers() or []},
        })
    consumer.close()
    return records


REQUEST = json.load(sys.stdin)
RECORDS = produce(REQUEST) if REQUEST["kind"] == "produce" else consume(REQUEST)
print(json.dumps({"records": RECORDS}))
