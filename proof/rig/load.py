"""Clients at full load in the background: idempotent producers and members of a consumer group that commits.

Unmodified confluent-kafka; everything they see goes into the history. What an application would have to handle, they
collect in `problems`: a crash of the broker is no reason for any.
"""

import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from . import payload
from .patience import PATIENCE_S

RECONNECT = {"reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 50, "retry.backoff.ms": 20, "log_level": 0}
# The broker is away, or was a moment ago: the client handles these itself.
PASSING = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._WAIT_COORD,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
}


class Sender(threading.Thread):
    """One idempotent producer that keeps `outstanding` records unanswered, over all partitions in turn."""

    def __init__(self, process, address, history, topics, *, outstanding=200, size_bytes=300, settings=None):
        super().__init__(daemon=True, name=f"sender-{process}")
        self.process, self.history, self.size_bytes = process, history, size_bytes
        self.places = [(topic, part) for topic, parts in topics.items() for part in range(parts)]
        self.outstanding = outstanding
        self.waiting = 0
        self.problems = []
        self.stopping = threading.Event()
        self.unanswered = None
        self.latencies_s = []
        base = {"bootstrap.servers": address, "enable.idempotence": True, "message.timeout.ms": 600_000, "linger.ms": 1}
        self.producer = Producer(base | RECONNECT | {"error_cb": self._error} | (settings or {}))

    def _error(self, error):
        if error.fatal() or error.code() not in PASSING:
            self.problems.append(f"{self.name}: {error.name()}: {error.str()}")

    def send(self, number):
        """Produces record `number`; its answer goes into the history."""
        topic, partition = self.places[number % len(self.places)]
        value = f"{self.process}-{number}"
        begin = time.monotonic()

        def done(error, message):
            self.waiting -= 1
            self.latencies_s.append(time.monotonic() - begin)
            if error is None:
                self.history.send_done(self.process, "ok", topic, partition, value, message.offset())
                return
            self.history.send_done(self.process, "unknown", topic, partition, value)
            if error.code() != KafkaError._PURGE_QUEUE and error.code() != KafkaError._PURGE_INFLIGHT:
                self.problems.append(f"{self.name}: {value}: {error.name()}")

        self.history.send_invoke(self.process, topic, partition, value)
        self.producer.produce(topic, payload.encode(value, self.size_bytes), value, partition, done)
        self.waiting += 1

    def run(self):
        number = 0
        try:
            while not self.stopping.is_set():
                if self.waiting < self.outstanding:
                    self.send(number)
                    number += 1
                    self.producer.poll(0)
                else:
                    self.producer.poll(0.05)
            self.unanswered = self.producer.flush(PATIENCE_S)
            if self.unanswered:
                self.problems.append(f"{self.name}: {self.unanswered} sends unanswered {PATIENCE_S} s after the last fault")
        except Exception as error:  # a dead thread must not look like a quiet one
            self.problems.append(f"{self.name}: {error!r}")

    def finish(self):
        self.stopping.set()
        self.join()

    def abandon(self):
        """Stops without waiting for answers (they end unknown)."""
        self.producer.purge()
        self.finish()


class Member(threading.Thread):
    """One member of a group, commits after each poll. `assignments` counts rebalances, `ids` holds its member ids."""

    def __init__(self, process, address, history, topics, group, *, protocol="classic"):
        super().__init__(daemon=True, name=f"member-{process}")
        self.process, self.history, self.topics, self.group = process, history, list(topics), group
        self.protocol = protocol
        self.stopping = threading.Event()
        self.problems, self.ids = [], []
        self.owned = set()
        self.assignments = self.polled = self.committed = 0
        base = {"bootstrap.servers": address, "group.id": group, "group.protocol": protocol, "enable.auto.commit": False}
        base |= {"auto.offset.reset": "earliest", "check.crcs": True, "fetch.wait.max.ms": 100, "error_cb": self._error}
        base |= {"fetch.error.backoff.ms": 20, "topic.metadata.refresh.interval.ms": 1000}
        if protocol == "classic":
            # A member gives its partitions up by itself when nothing answers it for so long: a restart may take its time.
            base |= {"session.timeout.ms": 1000 * PATIENCE_S, "heartbeat.interval.ms": 500}
        self.consumer = Consumer(base | RECONNECT)

    def _error(self, error):
        if error.fatal() or error.code() not in PASSING:
            self.problems.append(f"{self.name}: {error.name()}: {error.str()}")

    def _assigned(self, consumer, partitions):
        self.assignments += 1
        self.owned |= {(part.topic, part.partition) for part in partitions}
        self._note_id()
        where = [{"topic": part.topic, "partition": part.partition} for part in partitions]
        try:
            for entry, part in zip(where, consumer.committed(partitions, 5)):
                entry["offset"] = max(part.offset, 0)
        except KafkaException:
            pass  # the position is not known to the history then
        self.history.record(self.process, "assign", "ok", group=self.group, records=where)

    def _revoked(self, _, partitions):
        self.owned -= {(part.topic, part.partition) for part in partitions}
        where = [{"topic": part.topic, "partition": part.partition} for part in partitions]
        self.history.record(self.process, "revoke", "ok", group=self.group, records=where)

    def _note_id(self):
        member_id = self.consumer.memberid()
        if member_id and member_id not in self.ids:
            self.ids.append(member_id)

    def run(self):
        try:
            self.consumer.subscribe(self.topics, self._assigned, self._revoked, on_lost=self._lost)
            while not self.stopping.is_set():
                self._poll()
            self._note_id()
            self.consumer.close()
        except Exception as error:  # a dead thread must not look like a quiet one
            self.problems.append(f"{self.name}: {error!r}")

    def _lost(self, consumer, partitions):
        self.problems.append(f"{self.name}: lost its partitions")
        self._revoked(consumer, partitions)

    def _poll(self):
        records, following = [], {}
        for message in self.consumer.consume(500, 0.1):
            if message.error():
                if message.error().code() not in PASSING:
                    self.problems.append(f"{self.name}: {message.error()}")
                continue
            place = (message.topic(), message.partition())
            name = payload.decode(message.value())
            records.append({"topic": place[0], "partition": place[1], "offset": message.offset(), "value": name})
            following[place] = message.offset() + 1
        if records:
            self.polled += len(records)
            self._note_id()
            self.history.record(self.process, "poll", "ok", group=self.group, records=records)
            self._commit(following)

    def _commit(self, following):
        where = [{"topic": topic, "partition": part, "offset": offset} for (topic, part), offset in following.items()]
        self.history.record(self.process, "commit", "invoke", group=self.group, records=where)
        offsets = [TopicPartition(topic, part, offset) for (topic, part), offset in following.items()]
        kind = "unknown"
        try:
            answered = self.consumer.commit(offsets=offsets, asynchronous=False)
            failed = [part.error for part in answered if part.error]
            self.problems += [f"{self.name}: commit: {error}" for error in failed if error.code() not in PASSING]
            kind = "unknown" if failed else "ok"
        except KafkaException as error:
            if error.args[0].code() not in PASSING:
                self.problems.append(f"{self.name}: commit: {error.args[0]}")
        self.committed += kind == "ok"
        self.history.record(self.process, "commit", kind, group=self.group, records=where)

    def finish(self):
        self.stopping.set()
        self.join()
