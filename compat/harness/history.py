"""Histories of client operations, and the judgement on them.

A history is JSON lines, one file per client process:
  {"process": int, "time_ns": int, "op": "send|poll|commit|assign|revoke",
   "type": "invoke|ok|fail|unknown", "topic": str, "partition": int, "offset": int,
   "value": str, ...}
`time_ns` is CLOCK_MONOTONIC, so that files of one machine merge. A poll line is one record and
carries its key and its header; assign and revoke carry `partitions`, commit carries `offsets`.

What a log owes its clients is judged by `tallymq-check`, to which the history is handed in its form. Judged here is what
that one does not look at: keys and headers, who owns a partition, and whether a group has seen everything.
May not talk to a broker: it judges files.
"""

import json
import subprocess
from pathlib import Path

from .processes import PATIENCE_S

CHECKER = Path(__file__).resolve().parents[2] / "target" / "release" / "tallymq-check"


class CheckerError(Exception):
    """The checker is missing or cannot judge the history."""


def load(paths):
    """All operations of the files, in order of time."""
    operations = []
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if not line.endswith("\n"):
                    break  # the last line of a killed process
                operations.append(json.loads(line))
    operations.sort(key=lambda operation: operation["time_ns"])
    return operations


def events(operations, final_reader=None):
    """The operations in the checker's form. What the final reader does is the history's final phase."""
    starts = _starts(operations)
    is_final = False
    for at, operation in enumerate(operations):
        if operation["process"] == final_reader and not is_final:
            is_final = True
            yield {"process": final_reader, "time_ns": operation["time_ns"], "op": "final", "type": "ok"}
        event = {key: value for key, value in operation.items() if key not in ("partitions", "offsets")}
        op = operation["op"]
        if op == "send":
            event["producer"] = operation["process"]  # every worker produces idempotently
        elif op == "commit":
            event["records"] = [
                {"partition": int(partition), "offset": offset} for partition, offset in operation["offsets"].items()
            ]
        elif op in ("assign", "revoke"):
            if not operation["partitions"]:
                continue
            event["records"] = [
                {"partition": partition} | starts.get((at, partition), {}) for partition in operation["partitions"]
            ]
        if op in ("assign", "revoke", "commit"):
            event["group"] = "group"  # a topic has one
        yield event


def _starts(operations):
    """(index of an assign, partition) -> where the member began there: its next poll, if it still owned it."""
    starts, open_ = {}, {}
    for at, operation in enumerate(operations):
        process = operation["process"]
        if operation["op"] in ("assign", "revoke"):
            for partition in operation["partitions"]:
                open_.pop((process, partition), None)
                if operation["op"] == "assign":
                    open_[process, partition] = at
        elif operation["op"] == "poll":
            assigned = open_.pop((process, operation["partition"]), None)
            if assigned is not None:
                starts[assigned, operation["partition"]] = {"offset": operation["offset"]}
    return starts


def judged(operations, directory, final_reader=None):
    """What `tallymq-check` finds, as sentences."""
    if not CHECKER.exists():
        raise CheckerError(f"{CHECKER} is missing: cargo build --release -p tallymq-sim")
    path = Path(directory) / "history.events"
    with open(path, "w", encoding="utf-8") as lines:
        for event in events(operations, final_reader):
            lines.write(json.dumps(event, separators=(",", ":")) + "\n")
    done = subprocess.run([CHECKER, "--json", path], capture_output=True, text=True, timeout=PATIENCE_S)
    path.unlink()
    if done.returncode not in (0, 1):
        raise CheckerError(done.stderr.strip())
    found = [
        f"{anomaly['class']}: {anomaly.get('topic')}-{anomaly.get('partition')} at {anomaly.get('offset')}, "
        f"values {anomaly['values'][:5]}, process {anomaly['process']}: {anomaly['detail']}"
        for anomaly in json.loads(done.stdout)["anomalies"]
    ]
    if bool(found) != (done.returncode == 1):
        raise CheckerError(f"exit {done.returncode} with {len(found)} anomalies")
    return found


class Checker:
    """Indexes a history once; each check returns the violations it found as sentences."""

    def __init__(self, operations):
        self.operations = operations
        self.acked = {  # value -> (topic, partition, offset)
            operation["value"]: (operation["topic"], operation["partition"], operation["offset"])
            for operation in operations
            if operation["op"] == "send" and operation["type"] == "ok"
        }
        self.polls = [each for each in operations if each["op"] == "poll" and each["type"] == "ok"]

    def undamaged(self):
        """Each record came with the key and the header that it was sent with."""
        return [
            f"damaged: {poll['value']} came with key {poll['key']}, header {poll['header']}"
            for poll in self.polls
            if poll["key"] != f"k{poll['value']}" or poll["header"] != poll["value"]
        ]

    def all_seen(self, processes):
        """Each acknowledged value was polled by one of `processes`."""
        wanted = set(processes)
        seen = {poll["value"] for poll in self.polls if poll["process"] in wanted}
        return [f"unseen: {value}" for value in self.acked if value not in seen]

    def owned_once(self, killed=()):
        """No partition is owned by two processes at once; `killed` gave theirs up silently."""
        found, owner = [], {}
        gone = set(killed)
        for operation in self.operations:
            process = operation["process"]
            if operation["op"] not in ("assign", "revoke"):
                continue
            for partition in operation["partitions"]:
                log = (operation["topic"], partition)
                if operation["op"] == "revoke":
                    if owner.get(log) == process:
                        del owner[log]
                    continue
                holder = owner.get(log)
                if holder not in (None, process) and holder not in gone:
                    found.append(f"owned-twice: {log} by {holder} and {process}")
                owner[log] = process
        return found
