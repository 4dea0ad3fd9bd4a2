"""Histories of client operations and what they must not contain.

A history is JSON lines, one file per client process:
  {"process": int, "time_ns": int, "op": "send|poll|commit|assign|revoke",
   "type": "invoke|ok|fail|unknown", "topic": str, "partition": int, "offset": int,
   "value": str, ...}
`time_ns` is CLOCK_MONOTONIC, so that files of one machine merge. A poll line is one record and
carries its key and its header; assign and revoke carry `partitions`, commit carries `offsets`.
May not talk to a broker: it judges files.
"""

import json
from collections import defaultdict


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


class Checker:
    """Indexes a history once; each check returns the violations it found as sentences."""

    def __init__(self, operations):
        self.operations = operations
        self.sent = {}  # value -> (topic, partition), from invocations
        self.acked = {}  # value -> (topic, partition, offset)
        self.failed = set()
        self.value_at = defaultdict(set)  # (topic, partition, offset) -> values
        self.offsets_of = defaultdict(set)  # value -> {(topic, partition, offset)}
        self.polls = []
        for operation in operations:
            self._index(operation)

    def _index(self, operation):
        op, kind = operation["op"], operation["type"]
        if op == "send":
            value = operation["value"]
            if kind == "invoke":
                self.sent[value] = (operation["topic"], operation["partition"])
            elif kind == "ok":
                place = (operation["topic"], operation["partition"], operation["offset"])
                self.acked[value] = place
                self._saw(value, place)
            elif kind == "fail":
                self.failed.add(value)
        elif op == "poll" and kind == "ok":
            place = (operation["topic"], operation["partition"], operation["offset"])
            self._saw(operation["value"], place)
            self.polls.append(operation)

    def _saw(self, value, place):
        self.value_at[place].add(value)
        self.offsets_of[value].add(place)

    def consistent(self, *, idempotent):
        """Offsets with two values, values at two offsets, phantoms, damage, order of sends."""
        found = []
        for place, values in self.value_at.items():
            if len(values) > 1:
                found.append(f"inconsistent-offsets: {place} holds {sorted(values)}")
        for value, places in self.offsets_of.items():
            if len(places) > 1 and idempotent:
                found.append(f"duplicate: {value} at {sorted(places)}")
            if value not in self.sent:
                found.append(f"phantom: {value} was read and never sent")
            if value in self.failed:
                found.append(f"failed-read: {value} failed and stands at {sorted(places)}")
        for poll in self.polls:
            value = poll["value"]
            if poll["key"] != f"k{value}" or poll["header"] != value:
                found.append(f"damaged: {value} came with key {poll['key']}, header {poll['header']}")
        if idempotent:
            found += self._send_order()
        return found

    def _send_order(self):
        found, last = [], {}
        for operation in self.operations:
            if operation["op"] != "send" or operation["type"] != "invoke":
                continue
            place = self.acked.get(operation["value"])
            if place is None:
                continue
            log = (operation["process"], *place[:2])
            if last.get(log, -1) >= place[2]:
                found.append(f"nonmonotonic-send: {operation['value']} at {place} after {last[log]}")
            last[log] = place[2]
        return found

    def nothing_lost(self, reader):
        """Each acknowledged value stands at its offset in what process `reader` read."""
        seen = {
            (poll["topic"], poll["partition"], poll["offset"]): poll["value"]
            for poll in self.polls
            if poll["process"] == reader
        }
        return [
            f"lost: {value} acknowledged at {place}, read there: {seen.get(place)}"
            for value, place in self.acked.items()
            if seen.get(place) != value
        ]

    def all_seen(self, processes):
        """Each acknowledged value was polled by one of `processes`."""
        wanted = set(processes)
        seen = {poll["value"] for poll in self.polls if poll["process"] in wanted}
        return [f"unseen: {value}" for value in self.acked if value not in seen]

    def polls_without_gaps(self):
        """Per process and partition, polls are contiguous between two assignments."""
        found, following = [], {}
        for operation in self.operations:
            process = operation["process"]
            if operation["op"] in ("assign", "revoke"):
                for partition in operation["partitions"]:
                    following.pop((process, operation["topic"], partition), None)
            elif operation["op"] == "poll" and operation["type"] == "ok":
                log = (process, operation["topic"], operation["partition"])
                offset, expected = operation["offset"], following.get(log)
                if expected is not None and offset != expected:
                    kind = "poll-skip" if offset > expected else "nonmonotonic-poll"
                    found.append(f"{kind}: {log} read {offset}, expected {expected}")
                following[log] = offset + 1
        return found

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

    def resumed_at_commit(self):
        """The first poll after an assignment is not beyond what the group committed."""
        found, committed, fresh = [], {}, set()
        for operation in self.operations:
            op, process = operation["op"], operation["process"]
            if op == "commit" and operation["type"] == "ok":
                for partition, offset in operation["offsets"].items():
                    log = (operation["topic"], int(partition))
                    committed[log] = max(offset, committed.get(log, 0))
            elif op == "assign":
                fresh |= {(process, operation["topic"], part) for part in operation["partitions"]}
            elif op == "poll" and (process, operation["topic"], operation["partition"]) in fresh:
                fresh.discard((process, operation["topic"], operation["partition"]))
                log = (operation["topic"], operation["partition"])
                # A commit whose answer is not logged yet may already count: in-flight ones do.
                highest = max(committed.get(log, 0), self._commit_in_flight(log, operation["time_ns"]))
                if operation["offset"] > highest:
                    found.append(f"skipped: {process} began {log} at {operation['offset']} > {highest}")
        return found

    def _commit_in_flight(self, log, before_ns):
        offsets = [
            operation["offsets"].get(str(log[1]), 0)
            for operation in self.operations
            if operation["op"] == "commit"
            and operation["type"] == "invoke"
            and operation["topic"] == log[0]
            and operation["time_ns"] <= before_ns
        ]
        return max(offsets, default=0)
