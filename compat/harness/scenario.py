"""The scenarios that every client goes through, in the same words for each.

A client is a worker program (`clients/<name>`) that takes one JSON argument; the scenario
starts workers, disturbs them and the broker, and judges their histories. May not know a client.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import history, processes
from .brokers import SESSION_OF_KILLED_MS
from .processes import PATIENCE_S

PARTITIONS = 6
FINAL_READER = 99

# For how long a member may be silent (classic groups; with the new protocol the broker says it). One that a busy machine
# stalls for longer loses its partitions to another without hearing of it: short only where a test waits for that.
SESSION_MS = 30_000


class Failed(Exception):
    """A scenario did not pass; the text says what was seen."""


@dataclass
class Client:
    """A worker program and what its library can do."""

    name: str
    version: str
    argv: list
    compressions: tuple = ("none", "gzip", "snappy", "lz4", "zstd")
    group_protocols: tuple = ("classic",)
    killed_in_rebalance: tuple = ()  # group protocols with which the broker is killed in the middle of a rebalance
    is_older: bool = False  # there is a newer one that goes through everything
    env: dict = field(default_factory=dict)


class Stage:
    """One client against one broker, with the sizes of this run and a folder for its files."""

    def __init__(self, client, broker, directory, quick):
        self.client = client
        self.broker = broker
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.moving = 2_000 if quick else 10_000  # records while members or brokers come and go
        self.running = []

    def worker(self, mode, process, topic, **more):
        parameters = {
            "mode": mode,
            "bootstrap": self.broker.address,
            "history": str(self.history_path(topic, process)),
            "process": process,
            "topic": topic,
            "partitions": PARTITIONS,
            **more,
        }
        log = self.directory / f"{topic}-{process}-{mode}.log"
        argv = [*self.client.argv, json.dumps(parameters)]
        child = processes.Child(argv, log, stdin=True, env=self.client.env or None)
        self.running.append(child)
        return child

    def history_path(self, topic, process):
        return self.directory / f"{topic}-{process}.jsonl"

    def histories(self, topic):
        return history.Checker(history.load(sorted(self.directory.glob(f"{topic}-*.jsonl"))))

    def judge(self, checker, *own, final_reader=None):
        """Fails with what was found here and by tallymq-check."""
        found = [violation for violations in own for violation in violations] + checker.undamaged()
        found += history.judged(checker.operations, self.directory, final_reader)
        if found:
            more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
            raise Failed("; ".join(found[:3]) + more)

    def finish(self, child):
        code = child.wait(PATIENCE_S)
        if code is None:
            child.kill()
            raise Failed(f"still running after {PATIENCE_S} s: {child.tail(16)}")
        if code != 0:
            raise Failed(f"exit {code}: {child.tail(16)}")

    def end_all(self):
        for child in self.running:
            child.kill()
        self.running.clear()

    def create(self, topic):
        self.finish(self.worker("create", 0, topic))


def topic_admin(stage):
    stage.finish(stage.worker("admin", 1, "admin"))


def records(compression, count):
    def run(stage):
        topic = f"records-{compression}"
        stage.create(topic)
        sending = dict(count=count, rate=0, compression=compression, size=200)
        stage.finish(stage.worker("produce", 1, topic, **sending))
        stage.finish(stage.worker("consume", FINAL_READER, topic))
        checker = stage.histories(topic)
        if len(checker.acked) != count or len(checker.polls) != count:
            raise Failed(f"{len(checker.acked)} acked and {len(checker.polls)} read of {count}")
        stage.judge(checker, final_reader=FINAL_READER)

    return run


class Tail:
    """Follows the history files of running workers; reads each byte once."""

    def __init__(self, stage, topic):
        self.stage, self.topic = stage, topic
        self.position, self.rest = {}, {}
        self.assigned = {}  # process -> set of partitions
        self.revoked = set()  # processes that had to give something up
        self.acked, self.polled = set(), set()

    def read(self):
        for path in self.stage.directory.glob(f"{self.topic}-*.jsonl"):
            with open(path, "rb") as lines:
                lines.seek(self.position.get(path, 0))
                data = lines.read()
            self.position[path] = self.position.get(path, 0) + len(data)
            *whole, self.rest[path] = (self.rest.get(path, b"") + data).split(b"\n")
            for line in whole:
                self._take(json.loads(line))
        return self

    def _take(self, operation):
        op, process = operation["op"], operation["process"]
        if op == "assign":
            self.assigned.setdefault(process, set()).update(operation["partitions"])
        elif op == "revoke":
            if operation["partitions"]:
                self.revoked.add(process)
            self.assigned.setdefault(process, set()).difference_update(operation["partitions"])
        elif op == "send" and operation["type"] == "ok":
            self.acked.add(operation["value"])
        elif op == "poll":
            self.polled.add(operation["value"])

    def await_shared(self, members):
        """Waits until `members` own all partitions between them and each owns some."""

        def shared():
            self.read()
            owned = [self.assigned.get(member, set()) for member in members]
            return all(owned) and sum(map(len, owned)) == PARTITIONS

        wait(shared, lambda: f"partitions shared by {members}: {self.assigned}")

    def await_revoked(self, member):
        """Waits until a member has to give up partitions: a rebalance has begun, and is not over."""
        wait(lambda: member in self.read().revoked, lambda: f"nothing was taken from {member}", step_s=0.01)

    def await_seen(self, count):
        def seen():
            self.read()
            return len(self.acked) >= count and self.acked <= self.polled

        wait(seen, lambda: f"{len(self.acked)} acked, {len(self.acked - self.polled)} unseen of {count}")


def wait(condition, what, step_s=0.1):
    try:
        processes.until(condition, PATIENCE_S, "", step_s)
    except TimeoutError:
        raise Failed(f"after {PATIENCE_S} s: {what()}") from None


def rebalance(protocol):
    def run(stage):
        topic = f"rebalance-{protocol}"
        stage.create(topic)
        joining = dict(group=f"group-{protocol}", protocol=protocol, session_ms=SESSION_OF_KILLED_MS)
        tail = Tail(stage, topic)

        def join(process):
            return stage.worker("group", process, topic, **joining)

        count = stage.moving
        sending = dict(count=count, rate=count // 20, compression="none", size=200)
        producer = stage.worker("produce", 1, topic, **sending)
        first = join(11)
        tail.await_shared([11])
        second, third = join(12), join(13)
        if protocol in stage.client.killed_in_rebalance:
            tail.await_revoked(11)
            stage.broker.kill()
            stage.broker.start()
        tail.await_shared([11, 12, 13])
        first.ask_to_stop()
        stage.finish(first)
        tail.await_shared([12, 13])
        second.kill()
        fourth = join(14)
        tail.assigned.pop(12, None)
        tail.await_shared([13, 14])
        stage.finish(producer)
        tail.await_seen(count)
        for member in (third, fourth):
            member.ask_to_stop()
            stage.finish(member)
        checker = stage.histories(topic)
        stage.judge(checker, checker.all_seen([11, 12, 13, 14]), checker.owned_once(killed=[12]))

    return run


def crash(protocol):
    def run(stage):
        topic = f"crash-{protocol}"
        stage.create(topic)
        tail = Tail(stage, topic)
        count = stage.moving
        sending = dict(count=count, rate=count // 10, compression="lz4", size=200)
        if "lz4" not in stage.client.compressions:
            sending["compression"] = "gzip"
        joining = dict(group=f"crash-{protocol}", protocol=protocol, session_ms=SESSION_MS)
        members = [stage.worker("group", process, topic, **joining) for process in (11, 12)]
        tail.await_shared([11, 12])
        producer = stage.worker("produce", 1, topic, **sending)
        for share in (0.2, 0.5):
            wait(lambda: len(tail.read().acked) > count * share, lambda: f"{len(tail.acked)} acked")
            stage.broker.kill()
            stage.broker.start()
        stage.finish(producer)
        tail.await_seen(count)
        for member in members:
            member.ask_to_stop()
            stage.finish(member)
        stage.broker.kill()
        stage.broker.start()
        stage.finish(stage.worker("consume", FINAL_READER, topic))
        checker = stage.histories(topic)
        seen, owned = checker.all_seen([11, 12]), checker.owned_once()
        stage.judge(checker, seen, owned, final_reader=FINAL_READER)

    return run


def scenarios(client, quick):
    """(name, function) of all that this client goes through; one compression is the big one."""
    yield "topic admin", topic_admin
    big = "zstd" if "zstd" in client.compressions else client.compressions[-1]
    for compression in sorted(client.compressions, key=lambda each: each != big):
        count = (100_000 if compression == big and not client.is_older else 10_000) // (10 if quick else 1)
        yield f"{count:,} records, {compression}", records(compression, count)
    for protocol in client.group_protocols:
        if not client.is_older:
            yield f"rebalance, {protocol} group", rebalance(protocol)
        yield f"kill -9 and restart, {protocol} group", crash(protocol)


def play(client, broker, directory, quick):
    """Runs all scenarios; yields (scenario, None or what failed, seconds)."""
    for name, function in scenarios(client, quick):
        stage = Stage(client, broker, directory, quick)
        begin, problem = time.monotonic(), None
        try:
            if not broker.child.alive():
                raise Failed(f"the broker is gone: {broker.child.tail(8)}")
            function(stage)
        except (Failed, history.CheckerError, TimeoutError, RuntimeError, ValueError, KeyError) as error:
            problem = f"{type(error).__name__}: {error}"
        finally:
            stage.end_all()
        if not broker.child.alive():
            broker.start()
        yield name, problem, time.monotonic() - begin
