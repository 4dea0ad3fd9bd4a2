"""Worker on kafka-python. Usage: worker.py JSON; modes as in compat/README.md."""

import json
import sys
import threading
import time

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import KafkaError

PARAMETERS = json.loads(sys.argv[1])
TOPIC = PARAMETERS["topic"]
EFFECT_S = 120


class History:
    def __init__(self):
        self.file = open(PARAMETERS["history"], "w", encoding="utf-8")
        self.lock = threading.Lock()

    def log(self, op, type_, **rest):
        line = {"process": PARAMETERS["process"], "time_ns": time.monotonic_ns(), "op": op}
        line |= {"type": type_, "topic": TOPIC, **rest}
        with self.lock:
            self.file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def flush(self):
        with self.lock:
            self.file.flush()


def until(condition):
    deadline = time.monotonic() + EFFECT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {EFFECT_S} s"
        time.sleep(0.05)


def create():
    client = KafkaAdminClient(bootstrap_servers=PARAMETERS["bootstrap"])
    client.create_topics({TOPIC: {"num_partitions": PARAMETERS["partitions"], "replication_factor": 1}})
    client.wait_for_topics([TOPIC], timeout_ms=EFFECT_S * 1000)
    client.close()


def admin():
    client = KafkaAdminClient(bootstrap_servers=PARAMETERS["bootstrap"])

    def partitions():
        return len(client.describe_topics([TOPIC])[0]["partitions"])

    def retention():
        described = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)])
        return json.dumps(described)

    new = {"num_partitions": 3, "replication_factor": 1, "configs": {"retention.ms": "600000"}}
    client.create_topics({TOPIC: new})
    client.wait_for_topics([TOPIC], timeout_ms=EFFECT_S * 1000)
    assert partitions() == 3
    assert '"600000"' in retention(), retention()
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC, {"retention.ms": "1200000"})])
    until(lambda: '"1200000"' in retention())
    client.create_partitions({TOPIC: NewPartitions(5)})
    until(lambda: partitions() == 5)
    assert client.describe_cluster()["brokers"]
    client.delete_topics([TOPIC])
    until(lambda: TOPIC not in client.list_topics())
    client.close()


def produce(history):
    compression = PARAMETERS["compression"]
    producer = KafkaProducer(
        bootstrap_servers=PARAMETERS["bootstrap"],
        enable_idempotence=True,
        acks="all",
        compression_type=None if compression == "none" else compression,
        linger_ms=5,
        delivery_timeout_ms=120000,
        reconnect_backoff_max_ms=500,
    )
    rate, begin = PARAMETERS["rate"], time.monotonic()

    def answered(partition, value):
        def ok(metadata):
            history.log("send", "ok", partition=partition, offset=metadata.offset, value=value)

        def failed(error):
            history.log("send", "unknown", partition=partition, value=value, error=repr(error))

        return ok, failed

    for number in range(PARAMETERS["count"]):
        if rate:
            time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        value = f"{PARAMETERS['process']}-{number}"
        partition = number % PARAMETERS["partitions"]
        history.log("send", "invoke", partition=partition, value=value)
        body = (value + ":").ljust(PARAMETERS["size"], "x").encode()
        sent = producer.send(
            TOPIC, body, key=f"k{value}".encode(), headers=[("n", value.encode())], partition=partition
        )
        ok, failed = answered(partition, value)
        sent.add_callback(ok)
        sent.add_errback(failed)
        if number % 200 == 0:
            history.flush()
    producer.flush(timeout=150)
    producer.close()


def log_poll(history, record):
    value = record.value.decode().split(":")[0]
    header = dict(record.headers)["n"].decode()
    place = dict(partition=record.partition, offset=record.offset)
    history.log("poll", "ok", **place, value=value, key=record.key.decode(), header=header)


def consume(history):
    consumer = KafkaConsumer(bootstrap_servers=PARAMETERS["bootstrap"], auto_offset_reset="none")
    partitions = [TopicPartition(TOPIC, number) for number in range(PARAMETERS["partitions"])]
    ends = {place: end for place, end in consumer.end_offsets(partitions).items() if end > 0}
    consumer.assign(list(ends))
    for place in ends:
        consumer.seek(place, 0)
    deadline = time.monotonic() + 120
    while ends:
        assert time.monotonic() < deadline, f"not read to {ends}"
        for place, records in consumer.poll(timeout_ms=500, max_records=2000).items():
            for record in records:
                log_poll(history, record)
            if records[-1].offset + 1 == ends.get(place):
                del ends[place]
    consumer.close()


class Moves(ConsumerRebalanceListener):
    def __init__(self, history):
        self.history = history

    def _log(self, op, places):
        self.history.log(op, "ok", partitions=[place.partition for place in places])
        self.history.flush()

    def on_partitions_assigned(self, assigned):
        self._log("assign", assigned)

    def on_partitions_revoked(self, revoked):
        self._log("revoke", revoked)

    def on_partitions_lost(self, lost):
        self._log("revoke", lost)


def group(history):
    consumer = KafkaConsumer(
        bootstrap_servers=PARAMETERS["bootstrap"],
        group_id=PARAMETERS["group"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=PARAMETERS["session_ms"],
        heartbeat_interval_ms=500,
        reconnect_backoff_max_ms=500,
    )
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    consumer.subscribe([TOPIC], listener=Moves(history))
    while not stop.is_set():
        following = {}
        for place, records in polled(consumer).items():
            for record in records:
                log_poll(history, record)
            following[place] = records[-1].offset + 1
        if following:
            commit(history, consumer, following)
        history.flush()
    consumer.close()


def polled(consumer):
    """What a poll gives. This client's poll raises when it has to look up a position and the broker is just away."""
    try:
        return consumer.poll(timeout_ms=200)
    except KafkaError as error:
        if not error.retriable:
            raise
        return {}


def commit(history, consumer, following):
    offsets = {str(place.partition): offset for place, offset in following.items()}
    history.log("commit", "invoke", offsets=offsets)
    history.flush()
    try:
        consumer.commit({place: OffsetAndMetadata(offset, "", -1) for place, offset in following.items()})
        history.log("commit", "ok", offsets=offsets)
    except KafkaError as error:  # a rebalance or a crash in between; the next owner reads again
        history.log("commit", "unknown", offsets=offsets, error=repr(error))


def main():
    mode = PARAMETERS["mode"]
    if mode in ("admin", "create"):
        return {"admin": admin, "create": create}[mode]()
    history = History()
    try:
        {"produce": produce, "consume": consume, "group": group}[mode](history)
    finally:
        history.flush()


main()
