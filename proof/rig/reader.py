"""Reads whole topics from the beginning with a fresh client, record by record, for the end of a run.

Damaged records are told apart from missing ones: the reader steps over an offset only if the broker answered
CORRUPT_MESSAGE for it.
"""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from . import payload
from .load import RECONNECT
from .patience import PATIENCE_S

CORRUPT = KafkaError.INVALID_MSG  # code 2, CORRUPT_MESSAGE


class Unreadable(Exception):
    """A partition could not be read to its end; says where it stopped and why."""


class Reader:
    """One consumer without group membership. Processes in histories are numbered; this one gets `process`."""

    def __init__(self, address, process=900):
        self.process = process
        base = {"bootstrap.servers": address, "group.id": f"reader-{process}", "enable.auto.commit": False}
        base |= {"auto.offset.reset": "error", "check.crcs": True, "fetch.wait.max.ms": 20, "fetch.error.backoff.ms": 1}
        self.consumer = Consumer(base | RECONNECT)

    def close(self):
        self.consumer.close()

    def bounds(self, topic, partition):
        """(log start, log end); asks again while the broker is electing."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=5)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def read_all(self, topics, history):
        """Reads every partition of {topic: partitions} to its end into the history; raises Unreadable."""
        bounds = {(topic, part): self.bounds(topic, part) for topic, parts in topics.items() for part in range(parts)}
        ends = {place: end for place, (start, end) in bounds.items() if start < end}
        where = [TopicPartition(topic, part, bounds[topic, part][0]) for topic, part in ends]
        self.consumer.assign(where)
        records = [{"topic": part.topic, "partition": part.partition, "offset": part.offset} for part in where]
        history.record(self.process, "assign", "ok", records=records)
        deadline, count = time.monotonic() + PATIENCE_S, 0
        while ends:
            if time.monotonic() > deadline:
                raise Unreadable(f"not read to the end within {PATIENCE_S} s: {ends}")
            records = []
            for message in self.consumer.consume(500, 0.02):
                if message.error():
                    raise Unreadable(f"{message.topic()}-{message.partition()}: {message.error()}")
                place, offset = (message.topic(), message.partition()), message.offset()
                name = payload.decode(message.value())
                records.append({"topic": place[0], "partition": place[1], "offset": offset, "value": name})
                if offset + 1 >= ends.get(place, 1 << 62):
                    del ends[place]
            count += len(records)
            if records:
                history.record(self.process, "poll", "ok", records=records)
        self.consumer.unassign()
        return count

    def read_around_damage(self, topic, partition):
        """({offset: value bytes}, [offsets answered with CORRUPT_MESSAGE], (start, end)) of one partition."""
        start, end = self.bounds(topic, partition)
        served, corrupt, at = {}, [], start
        deadline = time.monotonic() + PATIENCE_S
        self._go_to(topic, partition, at)
        while at < end:
            if time.monotonic() > deadline:
                raise Unreadable(f"{topic}-{partition}: stuck at {at} of {end}")
            for message in self.consumer.consume(1 if corrupt else 500, 0.5):
                if message.error() is None:
                    if message.offset() < at:
                        continue
                    served[message.offset()] = message.value()
                    at = message.offset() + 1
                elif message.error().code() == CORRUPT:
                    corrupt.append(at)
                    at += 1
                    self._go_to(topic, partition, at)
                    break
                else:
                    raise Unreadable(f"{topic}-{partition} at {at}: {message.error()}")
        self.consumer.unassign()
        return served, corrupt, (start, end)

    def _go_to(self, topic, partition, offset):
        self.consumer.assign([TopicPartition(topic, partition, offset)])


def final_phase(address, topics, history):
    """The end of a history: a new client reads everything. Returns the number of records read."""
    history.record(0, "final", "ok")
    reader = Reader(address)
    try:
        return reader.read_all(topics, history)
    finally:
        reader.close()
