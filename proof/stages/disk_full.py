"""A disk that fills up, and one that turns read-only.

Nearly full: produce is refused with KAFKA_STORAGE_ERROR before the disk is full, while fetches, commits, deletions and
checkpoints go on, and it recovers by itself when space returns. Read-only: nothing is acknowledged any more.
"""

import os
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from rig import history, load, loop_disk, payload, reader
from rig.admin import Admin
from rig.broker import Broker
from rig.patience import PATIENCE_S, STANDSTILL_S, wait_for

CI_ROUNDS, ROUNDS = 1, 100
MEGABYTES, RESERVE_BYTES = 256, 48 << 20
TOPICS = {"kept": 2, "removed": 1}
SETTINGS = {"disk.reserve.bytes": RESERVE_BYTES, "wal.bytes": 16 << 20, "log.segment.bytes": 4 << 20, "data.groups": 2}
SETTINGS |= {"log.segment.delete.delay.ms": 0, "log.retention.check.interval.ms": 1000}
EXIT_FATAL = 70
# A record without an answer for so long would look like another refusal.
ANSWER_S = 120


def play(options, outcome):
    loop_disk.require(options.directory / "probe")
    for number in range(options.rounds):
        where = options.directory / f"round-{number}"
        _nearly_full(options.binary, where / "full", outcome)
        _read_only(options.binary, where / "read-only", outcome)


def _producer(address):
    """One that shows each refusal instead of retrying it."""
    own = {"bootstrap.servers": address, "message.send.max.retries": 0, "linger.ms": 5}
    own |= {"message.timeout.ms": 1000 * ANSWER_S, "socket.timeout.ms": 1000 * ANSWER_S}
    return Producer(load.RECONNECT | own)


class Writer:
    """Sends records and waits for each answer; `refused` holds the codes of those that failed."""

    def __init__(self, address, log):
        self.producer, self.log, self.number = _producer(address), log, 0
        self.refused = []

    def send(self, topic, count, size_bytes=20_000):
        """Sends `count` records to partition 0; returns how many were acknowledged."""
        before = self.log.acknowledged
        for _ in range(count):
            value = f"1-{self.number}"
            self.number += 1
            self.log.send_invoke(1, topic, 0, value)
            self.producer.produce(topic, payload.encode(value, size_bytes), value, 0, self._done(topic, value))
        self.producer.flush(PATIENCE_S)
        return self.log.acknowledged - before

    def _done(self, topic, value):
        def done(error, message):
            if error is None:
                self.log.send_done(1, "ok", topic, 0, value, message.offset())
                return
            self.refused.append(error.code())
            self.log.send_done(1, "unknown", topic, 0, value)

        return done


def _free_bytes(disk):
    return os.statvfs(disk.mount_point).f_bavail * os.statvfs(disk.mount_point).f_frsize


def _nearly_full(binary, where, outcome):
    log = history.History(where / "history.jsonl")
    with loop_disk.LoopDisk(where, MEGABYTES) as disk:
        broker = Broker(binary, disk.mount_point / "data", where / "broker.log", SETTINGS)
        broker.start()
        try:
            _fill_and_recover(broker, disk, log, outcome)
            code = broker.stop()
            outcome.check(code == 0, f"SIGTERM after a full disk: exit {code}: {broker.output()[-500:]}")
            broker.start()
            reader.final_phase(broker.address, {"kept": 2}, log)
        finally:
            broker.kill()
    clean, report = log.verdict()
    outcome.check(clean, f"disk full: {history.summary(report)} ({where})")


def _fill_and_recover(broker, disk, log, outcome):
    admin, writer = Admin(broker.address), Writer(broker.address, log)
    admin.create(TOPICS)
    writer.send("kept", 500)
    free = _until_refused(writer, "removed", disk)
    outcome.figures["free when refused"] = f"{free >> 20} MB"
    codes = {KafkaError(code).name() for code in writer.refused}
    outcome.check(codes == {"KAFKA_STORAGE_ERROR"}, f"a nearly full disk is refused with {codes}")
    outcome.check(free > RESERVE_BYTES // 4, f"only {free} bytes were free when produce was refused")
    outcome.check(writer.send("kept", 5) == 0, "produce was acknowledged while the disk was nearly full")
    outcome.check(_can_fetch(broker.address), "a fetch failed on a nearly full disk")
    outcome.check(_can_commit(broker.address, 100), "a commit failed on a nearly full disk")
    outcome.check(broker.alive() and broker.get("/health/live") != "", "the broker is not alive")
    # Space returns: somebody else's file first, then what the broker itself gives up.
    admin.delete_records("kept", 0, 300)
    log.record(1, "trim", "ok", topic="kept", partition=0, offset=300)
    log.record(1, "trim", "ok", topic="removed", partition=0, offset=1 << 40)
    admin.delete("removed")
    begin = time.monotonic()
    wait_for(lambda: writer.send("kept", 1) == 1, "produce after space returned")
    outcome.figures["recovered after"] = f"{time.monotonic() - begin:.1f} s"
    filler = disk.mount_point / "filler"
    with open(filler, "wb") as file:
        # Well below what the broker keeps free, a tenth of this disk: it refuses as soon as it looks.
        os.posix_fallocate(file.fileno(), 0, max(_free_bytes(disk) - RESERVE_BYTES // 4, 1 << 20))
    wait_for(lambda: writer.send("kept", 1) == 0, "refusal beside a foreign file")
    outcome.check(broker.alive(), f"a filled disk ended the broker: {broker.output()[-500:]}")
    filler.unlink()
    wait_for(lambda: writer.send("kept", 1) == 1, "produce after the foreign file went")
    outcome.ok()


def _until_refused(writer, topic, disk):
    for _ in range(1000):
        if writer.send(topic, 50) < 50:
            return _free_bytes(disk)
    raise TimeoutError("produce was never refused")


def _can_fetch(address):
    probe = reader.Reader(address, 902)
    try:
        start, end = probe.bounds("kept", 0)
        probe.consumer.assign([TopicPartition("kept", 0, start)])
        messages = probe.consumer.consume(100, PATIENCE_S)
        return end - start >= 500 and len(messages) == 100 and not any(message.error() for message in messages)
    finally:
        probe.close()


def _can_commit(address, offset):
    base = {"bootstrap.servers": address, "group.id": "positions", "enable.auto.commit": False}
    consumer = Consumer(base | load.RECONNECT)
    try:
        answered = consumer.commit(offsets=[TopicPartition("kept", 0, offset)], asynchronous=False)
        return not answered[0].error and consumer.committed(answered, PATIENCE_S)[0].offset == offset
    finally:
        consumer.close()


def _read_only(binary, where, outcome):
    """The kernel finds an error and turns the file system read-only under the running broker."""
    log = history.History(where / "history.jsonl")
    with loop_disk.LoopDisk(where, MEGABYTES, "errors=remount-ro") as disk:
        broker = Broker(binary, disk.mount_point / "data", where / "broker.log", SETTINGS)
        broker.start()
        sender = load.Sender(1, broker.address, log, {"kept": 2})
        try:
            Admin(broker.address).create({"kept": 2})
            sender.start()
            wait_for(lambda: log.acknowledged > 500, "acknowledgements")
            disk.turn_read_only()
            turned, code = time.time(), broker.wait_for_end()
            late = log.last_acked_send_s - turned
            said = broker.output().decode(errors="replace")
            outcome.check(code == EXIT_FATAL, f"read-only: exit {code}: {said[-500:]}")
            outcome.check(said.count("ERROR the disk failed; ending") == 1, f"read-only: {said[-800:]}")
            outcome.check(late < STANDSTILL_S, f"read-only: a record was acknowledged that was sent {late:.2f} s later")
            disk.power_cut()
            broker.start()
            sender.finish()
            reader.final_phase(broker.address, {"kept": 2}, log)
        finally:
            broker.kill()
    clean, report = log.verdict()
    outcome.check(clean and not sender.problems, f"read-only: {history.summary(report)} {sender.problems[:3]} ({where})")
