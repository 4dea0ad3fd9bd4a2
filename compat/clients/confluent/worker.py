"""Worker on confluent-kafka (librdkafka). Usage: worker.py JSON; modes as in compat/README.md."""

import json
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin import NewPartitions, NewTopic

PARAMETERS = json.loads(sys.argv[1])
ANSWER_S, EFFECT_S = 60, 120


class History:
    def __init__(self):
        self.file = open(PARAMETERS["history"], "w", encoding="utf-8")
        self.lock = threading.Lock()

    def log(self, op, type_, **rest):
        line = {"process": PARAMETERS["process"], "time_ns": time.monotonic_ns(), "op": op}
        line |= {"type": type_, "topic": PARAMETERS["topic"], **rest}
        with self.lock:
            self.file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def flush(self):
        with self.lock:
            self.file.flush()


def admin():
    topic = PARAMETERS["topic"]
    client = AdminClient({"bootstrap.servers": PARAMETERS["bootstrap"]})
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)

    def partitions():
        return len(client.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions)

    def retention():
        return client.describe_configs([resource])[resource].result(ANSWER_S)["retention.ms"].value

    new = NewTopic(topic, num_partitions=3, replication_factor=1, config={"retention.ms": "600000"})
    client.create_topics([new])[topic].result(ANSWER_S)
    assert partitions() == 3
    assert retention() == "600000", retention()
    entry = ConfigEntry("retention.ms", "1200000", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    client.incremental_alter_configs([change])[change].result(ANSWER_S)
    until(lambda: retention() == "1200000")
    client.create_partitions([NewPartitions(topic, 5)])[topic].result(ANSWER_S)
    until(lambda: partitions() == 5)
    assert client.describe_cluster().result(ANSWER_S).nodes
    client.delete_topics([topic])[topic].result(ANSWER_S)
    until(lambda: topic not in client.list_topics(timeout=ANSWER_S).topics)


def create():
    client = AdminClient({"bootstrap.servers": PARAMETERS["bootstrap"]})
    topic = PARAMETERS["topic"]
    client.create_topics([NewTopic(topic, PARAMETERS["partitions"], 1)])[topic].result(ANSWER_S)
    until(lambda: len(client.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions) > 0)


def until(condition):
    deadline = time.monotonic() + EFFECT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {EFFECT_S} s"
        time.sleep(0.05)


def produce(history):
    producer = Producer({
        "bootstrap.servers": PARAMETERS["bootstrap"],
        "enable.idempotence": True,
        "compression.type": PARAMETERS["compression"],
        "linger.ms": 5,
        "message.timeout.ms": 120000,
        "reconnect.backoff.max.ms": 500,
    })
    topic, rate = PARAMETERS["topic"], PARAMETERS["rate"]

    def done(partition, value):
        def callback(error, message):
            if error is None:
                history.log("send", "ok", partition=partition, offset=message.offset(), value=value)
            else:
                history.log("send", "unknown", partition=partition, value=value, error=str(error))
        return callback

    begin = time.monotonic()
    for number in range(PARAMETERS["count"]):
        if rate:
            producer.poll(max(0.0, begin + number / rate - time.monotonic()))
        value = f"{PARAMETERS['process']}-{number}"
        partition = number % PARAMETERS["partitions"]
        history.log("send", "invoke", partition=partition, value=value)
        body = (value + ":").ljust(PARAMETERS["size"], "x")
        arguments = dict(partition=partition, headers=[("n", value.encode())])
        while True:
            try:
                producer.produce(topic, body, f"k{value}", on_delivery=done(partition, value), **arguments)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(150) == 0, "not everything was answered"


def log_poll(history, message):
    value = message.value().decode().split(":")[0]
    headers = dict(message.headers() or [])
    history.log(
        "poll", "ok", partition=message.partition(), offset=message.offset(), value=value,
        key=message.key().decode(), header=headers["n"].decode(),
    )


def watermarks(consumer, partition):
    """A partition of a broker that just restarted may have no leader for a moment."""
    deadline = time.monotonic() + EFFECT_S
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=ANSWER_S)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def consume(history):
    topic = PARAMETERS["topic"]
    consumer = Consumer({
        "bootstrap.servers": PARAMETERS["bootstrap"],
        "group.id": f"reader-{topic}",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
    })
    ends = {}
    for partition in range(PARAMETERS["partitions"]):
        low, high = watermarks(consumer, TopicPartition(topic, partition))
        if low < high:
            ends[partition] = high
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    deadline = time.monotonic() + 120
    while ends:
        assert time.monotonic() < deadline, f"not read to {ends}"
        for message in consumer.consume(1000, 0.5):
            assert message.error() is None, message.error()
            log_poll(history, message)
            if message.offset() + 1 == ends.get(message.partition()):
                del ends[message.partition()]
    consumer.close()


def group(history):
    topic = PARAMETERS["topic"]
    settings = {
        "bootstrap.servers": PARAMETERS["bootstrap"],
        "group.id": PARAMETERS["group"],
        "group.protocol": PARAMETERS["protocol"],
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "reconnect.backoff.max.ms": 500,
    }
    if PARAMETERS["protocol"] == "classic":
        settings |= {"session.timeout.ms": PARAMETERS["session_ms"], "heartbeat.interval.ms": 500}
    consumer = Consumer(settings)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()

    def moved(op):
        def callback(_, partitions):
            history.log(op, "ok", partitions=[partition.partition for partition in partitions])
            history.flush()
        return callback

    consumer.subscribe([topic], on_assign=moved("assign"), on_revoke=moved("revoke"), on_lost=moved("revoke"))
    while not stop.is_set():
        following = {}
        for message in consumer.consume(500, 0.2):
            if message.error() is None:
                log_poll(history, message)
                following[message.partition()] = message.offset() + 1
        if following:
            commit(history, consumer, following)
        history.flush()
    consumer.close()


def commit(history, consumer, following):
    offsets = [TopicPartition(PARAMETERS["topic"], part, offset) for part, offset in following.items()]
    history.log("commit", "invoke", offsets=following)
    history.flush()
    try:
        consumer.commit(offsets=offsets, asynchronous=False)
        history.log("commit", "ok", offsets=following)
    except Exception as error:  # a rebalance or a crash in between; the next owner reads again
        history.log("commit", "unknown", offsets=following, error=str(error))


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
