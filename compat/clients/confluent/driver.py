"""Driver on confluent-kafka (librdkafka): does what its standard input says, commands as in compat/harness/account/README.md."""

import json
import queue
import sys
import threading
import time

from confluent_kafka import OFFSET_STORED, Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin import NewPartitions, NewTopic, OffsetSpec

PATIENCE_S = 150
OUT = threading.Lock()
RECONNECT = {"reconnect.backoff.max.ms": 500}
OFFSETS = {"stored": OFFSET_STORED}
NAMES = {
    "group": "group.id", "client_id": "client.id", "reset": "auto.offset.reset", "protocol": "group.protocol",
    "instance": "group.instance.id", "assignor": "partition.assignment.strategy", "max_poll_ms": "max.poll.interval.ms",
    "metadata_ms": "topic.metadata.refresh.interval.ms", "fetch_bytes": "max.partition.fetch.bytes",
    "isolation": "isolation.level",
}
ASSIGNORS = {"cooperative": "cooperative-sticky"}


def answer(number, **rest):
    with OUT:
        print(json.dumps({"id": number, **rest}), flush=True)


def places(topic, offsets):
    return [TopicPartition(topic, int(partition), OFFSETS.get(at, at)) for partition, at in offsets.items()]


class Admin:
    """Topics, positions and records; each command is done when its effect is there."""

    def __init__(self):
        self.clients, self.lock = {}, threading.Lock()

    def at(self, address):
        with self.lock:
            if address not in self.clients:
                self.clients[address] = AdminClient({"bootstrap.servers": address, **RECONNECT})
            return self.clients[address]

    def create(self, c):
        new = NewTopic(c["topic"], c["partitions"], 1, config=c.get("config") or {})
        self.at(c["bootstrap"]).create_topics([new])[c["topic"]].result(PATIENCE_S)

    def delete(self, c):
        self.at(c["bootstrap"]).delete_topics([c["topic"]])[c["topic"]].result(PATIENCE_S)

    def grow(self, c):
        grown = self.at(c["bootstrap"]).create_partitions([NewPartitions(c["topic"], c["partitions"])])
        grown[c["topic"]].result(PATIENCE_S)

    def configure(self, c):
        kind = AlterConfigOpType.SET
        entries = [ConfigEntry(name, value, incremental_operation=kind) for name, value in c["config"].items()]
        change = ConfigResource(ConfigResource.Type.TOPIC, c["topic"], incremental_configs=entries)
        self.at(c["bootstrap"]).incremental_alter_configs([change])[change].result(PATIENCE_S)

    def delete_records(self, c):
        wanted = places(c["topic"], c["offsets"])
        for done in self.at(c["bootstrap"]).delete_records(wanted).values():
            done.result(PATIENCE_S)

    def reset(self, c):
        wanted = ConsumerGroupTopicPartitions(c["group"], places(c["topic"], c["offsets"]))
        for done in self.at(c["bootstrap"]).alter_consumer_group_offsets([wanted]).values():
            for place in done.result(PATIENCE_S).topic_partitions:
                if place.error:
                    raise KafkaException(place.error)

    def delete_group(self, c):
        self.at(c["bootstrap"]).delete_consumer_groups([c["group"]])[c["group"]].result(PATIENCE_S)

    def bounds(self, c):
        admin, found = self.at(c["bootstrap"]), {}
        for at, spec in enumerate((OffsetSpec.earliest(), OffsetSpec.latest())):
            asked = {TopicPartition(c["topic"], partition): spec for partition in range(c["partitions"])}
            for place, done in admin.list_offsets(asked).items():
                found.setdefault(str(place.partition), [0, 0])[at] = done.result(PATIENCE_S).offset
        return found

    def produce(self, c):
        """One record after the other in `count`, by a producer of its own; `rate` a second, all at once with 0."""
        settings = {"enable.idempotence": True, "message.timeout.ms": PATIENCE_S * 1000, **RECONNECT}
        settings |= {"linger.ms": c.get("linger_ms", 5), "compression.type": c.get("compression", "none")}
        producer, failed = Producer({"bootstrap.servers": c["bootstrap"], **settings}), []

        def done(error, _):
            if error:
                failed.append(str(error))

        begin, rate, body = time.monotonic(), c.get("rate", 0), "x" * c.get("size", 20)
        for number in range(c["count"]):
            if rate:
                producer.poll(max(0.0, begin + number / rate - time.monotonic()))
            partition = c.get("partition", number % c["partitions"])
            stamp = {"timestamp": c["timestamp"]} if "timestamp" in c else {}
            producer.produce(c["topic"], body, str(number), partition=partition, on_delivery=done, **stamp)
        if producer.flush(PATIENCE_S) or failed:
            raise RuntimeError(f"not everything was stored: {failed[:1]}")


class Member:
    """One consumer. While it works it polls whenever there is no command."""

    def __init__(self):
        self.consumer, self.work_as, self.delay_s, self.count = None, None, 0, 0
        self.next, self.jumps, self.owned, self.troubles, self.auto = {}, {}, set(), [], False
        self.first, self.last, self.is_new = {}, {}, False

    def open(self, c):
        settings = {"bootstrap.servers": c["bootstrap"], **RECONNECT, "enable.auto.commit": False}
        settings |= {NAMES[name]: value for name, value in c["settings"].items() if name in NAMES}
        if "assignor" in c["settings"]:
            settings["partition.assignment.strategy"] = ASSIGNORS.get(c["settings"]["assignor"], c["settings"]["assignor"])
        if "auto_commit_ms" in c["settings"]:
            settings |= {"enable.auto.commit": True, "auto.commit.interval.ms": c["settings"]["auto_commit_ms"]}
        if "session_ms" in c["settings"]:
            session = c["settings"]["session_ms"]
            settings |= {"session.timeout.ms": session, "heartbeat.interval.ms": session // 4}
        self.auto = settings["enable.auto.commit"]
        self.is_new = settings.get("group.protocol") == "consumer"
        self.consumer = Consumer(settings)

    def subscribe(self, c):
        self.jumps = {int(partition): offset for partition, offset in c.get("seek", {}).items()}
        topics = ["^" + c["pattern"]] if "pattern" in c else c["topics"]
        self.consumer.subscribe(topics, on_assign=self.given, on_revoke=self.taken, on_lost=self.taken)

    def given(self, consumer, partitions):
        self.owned |= {(place.topic, place.partition) for place in partitions}
        if self.jumps:
            for place in partitions:
                place.offset = self.jumps.get(place.partition, OFFSET_STORED)
            (consumer.incremental_assign if self.is_new else consumer.assign)(partitions)

    def taken(self, _, partitions):
        self.owned -= {(place.topic, place.partition) for place in partitions}

    def assign(self, c):
        self.consumer.assign(places(c["topic"], c["offsets"]))
        self.owned = {(c["topic"], int(partition)) for partition in c["offsets"]}

    def take(self, many, wait_s):
        got = [each for each in self.consumer.consume(many, wait_s)]
        self.troubles += [str(each.error()) for each in got if each.error()][:5]
        got = [each for each in got if not each.error()]
        self.count += len(got)
        self.next |= {(each.topic(), each.partition()): each.offset() + 1 for each in got}
        for each in got:
            place = f"{each.topic()}/{each.partition()}"
            self.first.setdefault(place, each.offset())
            self.last[place] = each.offset() + 1
        return got

    def read(self, c):
        until, deadline = self.count + c["count"], time.monotonic() + PATIENCE_S
        while self.count < until:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{until - self.count} of {c['count']} records did not come; {self.troubles[-2:]}")
            self.take(until - self.count, 0.2)
        return self.seen(c)

    def poll(self, c):
        """Polls until the group gave it so many partitions."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.owned) < c["owned"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"owns {len(self.owned)} partitions; {self.troubles[-2:]}")
            self.take(1, 0.1)
        return self.seen(c)

    def seen(self, _):
        said = {"count": self.count, "owned": len(self.owned), "troubles": self.troubles[-3:]}
        return said | {"first": self.first, "next": self.last}

    def commit(self, c):
        wanted = places(c["topic"], c["offsets"]) if "offsets" in c else self.following()
        if c.get("async"):
            self.consumer.commit(offsets=wanted, asynchronous=True)
            return
        for place in self.consumer.commit(offsets=wanted, asynchronous=False):
            if place.error:
                raise KafkaException(place.error)

    def following(self):
        return [TopicPartition(topic, partition, offset) for (topic, partition), offset in self.next.items()]

    def seek(self, c):
        for place in places(c["topic"], c["offsets"]):
            self.consumer.seek(place)

    def pause(self, c):
        self.consumer.pause(places(c["topic"], {partition: 0 for partition in c["partitions"]}))

    def resume(self, c):
        self.consumer.resume(places(c["topic"], {partition: 0 for partition in c["partitions"]}))

    def work(self, c):
        self.work_as, self.delay_s = c["commit"], c.get("delay_ms", 0) / 1000

    def rest(self, c):
        self.work_as = None
        return self.seen(c)

    def step(self):
        self.next = {}
        got = self.take(1 if self.work_as == "each" else 200, 0.1)
        if got and self.delay_s:
            time.sleep(self.delay_s)  # the work that a slow handler does
        if not got or self.auto or self.work_as == "none":
            return
        try:
            self.consumer.commit(offsets=self.following(), asynchronous=self.work_as == "async")
        except KafkaException as error:  # a rebalance or a crash in between; the next owner reads again
            self.troubles.append(str(error))

    def close(self, _):
        self.work_as = None
        self.consumer.close()
        self.consumer = None  # librdkafka hangs up when the last reference is gone


def actor(target, commands):
    while True:
        try:
            command = commands.get(block=not getattr(target, "work_as", None))
        except queue.Empty:
            try:
                target.step()
            except Exception as error:  # said when asked
                target.troubles.append(f"{type(error).__name__}: {error}")
            continue
        try:
            answer(command["id"], ok=getattr(target, command["do"])(command) or {})
        except Exception as error:
            answer(command["id"], error=f"{type(error).__name__}: {error}")


def main():
    admin, queues = Admin(), {}
    for line in sys.stdin:
        command = json.loads(line)
        name = command["to"]
        if name not in queues:
            queues[name] = queue.Queue()
            target = Member() if command["do"] == "open" else admin
            threading.Thread(target=actor, args=(target, queues[name]), daemon=True).start()
        queues[name].put(command)


main()
