"""A fixed script of everything that writes to the disk, played by ordinary clients while the broker may die at any call.

Each step is repeated until it is acknowledged, as an application would. The main thread plays watchdog: `Play` restarts
the broker when it dies (after cutting the power of its disk), and judges the history in the end.
"""

import threading
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from . import history, load, reader
from .admin import Admin
from .broker import StartRefused
from .patience import PATIENCE_S

TOPICS = {"kept": 2}
# On a disk of DISK_MEGABYTES, of which the WAL takes a tenth: a few hundred records fill, recycle, checkpoint, roll and
# remove files.
DISK_MEGABYTES = 40
SETTINGS = {
    "wal.bytes": 16 << 20,
    "log.segment.bytes": 1 << 20,
    "data.groups": 2,
    "disk.reserve.bytes": 8 << 20,
    "auto.create.topics.enable": "false",
    "num.partitions": 1,
}
RECORD_BYTES = 4000
# A client that is still looking for the leader gathers what it is given into one batch of a whole segment: no index then.
BATCH_RECORDS = 10
FIRST, SECOND, DELETED_BELOW = 150, 500, 280
# After so long without an answer a question is asked again.
QUESTION_S = 30


class Clients:
    """The script's clients, the same ones from beginning to end."""

    def __init__(self, address, log):
        self.address, self.log = address, log
        small = {"batch.num.messages": BATCH_RECORDS}
        self.sender = load.Sender(1, address, log, TOPICS, size_bytes=RECORD_BYTES, settings=small)
        base = {"bootstrap.servers": address, "group.id": "positions", "enable.auto.commit": False}
        self.consumer = Consumer(base | load.RECONNECT | {"socket.timeout.ms": 1000 * QUESTION_S})
        self.committed = None
        self.sent = 0

    def wake(self):
        """librdkafka takes up to a second to find out that a broker is back unless it is asked something."""
        _until_acknowledged(lambda: self.sender.producer.list_topics(timeout=5))

    def produce(self, count):
        """Sends `count` records in small batches, waits for all answers."""
        for number in range(self.sent, self.sent + count):
            self.sender.send(number)
            if number % BATCH_RECORDS == BATCH_RECORDS - 1:
                self.sender.producer.flush(0.002)
        self.sent += count
        left = self.sender.producer.flush(PATIENCE_S)
        if left:
            raise TimeoutError(f"{left} of {count} sends unanswered after {PATIENCE_S} s")

    def commit(self, offset):
        """Commits a position on every partition until that is acknowledged."""
        records = [{"topic": "kept", "partition": part, "offset": offset} for part in range(TOPICS["kept"])]
        places = [TopicPartition("kept", part, offset) for part in range(TOPICS["kept"])]

        # The positions are decided on, not read up to: the history must not take them for skips.
        self.log.record(5, "seek", "ok", group="positions", records=records)

        def attempt():
            self.log.record(5, "commit", "invoke", group="positions", records=records)
            for answered in self.consumer.commit(offsets=places, asynchronous=False):
                if answered.error:
                    raise KafkaException(answered.error)
            self.log.record(5, "commit", "ok", group="positions", records=records)

        _until_acknowledged(attempt)
        self.committed = offset

    def note_positions(self):
        """Asks for the committed positions and tells the history, which knows what they must not be below."""
        places = [TopicPartition("kept", part) for part in range(TOPICS["kept"])]
        found = _until_acknowledged(lambda: self.consumer.committed(places, QUESTION_S))
        records = [{"topic": "kept", "partition": part.partition, "offset": max(part.offset, 0)} for part in found]
        self.log.record(5, "assign", "invoke", group="positions", records=records)
        self.log.record(5, "assign", "ok", group="positions", records=records)
        return [part.offset for part in found]

    def administrate(self, action):
        _until_acknowledged(lambda: action(Admin(self.address)))

    def before_restart(self):
        """First half: topics, records, positions, a deletion of records and of a topic."""
        self.administrate(lambda admin: admin.create(TOPICS | {"deleted": 1}))
        self.produce(FIRST)
        self.commit(FIRST // 4)
        self.produce(SECOND)
        self.log.record(5, "trim", "ok", topic="kept", partition=0, offset=DELETED_BELOW)
        self.administrate(lambda admin: admin.delete_records("kept", 0, DELETED_BELOW))
        self.administrate(lambda admin: admin.delete("deleted"))
        self.commit(FIRST // 2)

    def after_restart(self):
        """Second half, on the data that the first half left."""
        self.note_positions()
        self.wake()
        self.produce(FIRST)
        self.commit(FIRST)

    def close(self):
        self.sender.producer.purge()
        self.sender.producer.flush(1)
        self.consumer.close()


def _until_acknowledged(action):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return action()
        except (KafkaException, TimeoutError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Play:
    """The script against one broker on a LoopDisk. `wrapper` stands in front of the process in `wrapped_half`."""

    def __init__(self, broker, disk, where, wrapper, wrapped_half):
        self.broker, self.disk, self.wrapped_half, self.wrapper = broker, disk, wrapped_half, wrapper
        self.log = history.History(where / "history.jsonl")
        self.clients = None
        self.deaths = []  # (exit code, what it printed, when the last record was sent that was acknowledged before)
        self.found = []  # what is wrong, as sentences

    def run(self):
        """Plays both halves; afterwards `deaths` and `found` say what happened."""
        self._start(self.wrapper if self.wrapped_half == 1 else ())
        self.clients = Clients(self.broker.address, self.log)
        try:
            self._watch(self.clients.before_restart)
            self._end_first_half()
            self._start(self.wrapper if self.wrapped_half == 2 else ())
            self._watch(self.clients.after_restart)
            self._stop()
            self._start(())
            self._check()
        finally:
            self.broker.kill()
            self.clients.close()

    def _start(self, wrapper):
        """Starts; a death on the way (the fault) is survived by a second start without it."""
        try:
            self.broker.start(wrapper)
        except StartRefused:
            if not wrapper:
                raise
            self._survive()

    def _survive(self):
        code = self.broker.wait_for_end()
        self.deaths.append((code, self.broker.output().decode(errors="replace"), self.log.last_acked_send_s))
        self.disk.power_cut()
        self.broker.start()
        if self.clients:
            self.clients.wake()

    def _watch(self, half):
        failed = []

        def played():
            try:
                half()
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=played, daemon=True)
        thread.start()
        while thread.is_alive():
            if not self.broker.alive():
                self._survive()
            thread.join(0.01)
        if failed:
            raise failed[0]

    def _end_first_half(self):
        """SIGTERM if the fault is in the first half (its end is under test too), else a crash: the second half recovers."""
        if self.wrapped_half == 1:
            self._stop()
        else:
            self.broker.kill()

    def _stop(self):
        code = self.broker.stop()
        if code != 0:
            self.deaths.append((code, self.broker.output().decode(errors="replace"), self.log.last_acked_send_s))
            self.disk.power_cut()

    def _check(self):
        positions = self.clients.note_positions()
        if positions != [FIRST] * TOPICS["kept"]:
            self.found.append(f"committed positions are {positions}, not {FIRST}")
        if "deleted" in Admin(self.broker.address).topics():
            self.found.append("the deleted topic is back")
        probe = reader.Reader(self.broker.address, 901)
        start, _ = probe.bounds("kept", 0)
        probe.close()
        if start != DELETED_BELOW:
            self.found.append(f"the log start is {start}, not {DELETED_BELOW}")
        reader.final_phase(self.broker.address, TOPICS, self.log)
        clean, report = self.log.verdict(acknowledged_min=FIRST * 2 + SECOND)
        if not clean:
            self.found.append(history.summary(report))
        self.found += self.clients.sender.problems
