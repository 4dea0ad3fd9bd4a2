"""A data directory with something in every kind of file, made once and copied for each case of damage.

`crashed` was killed with records that only the WAL holds, `stopped` ended by SIGTERM; `earlier` is an older state of
both. What must be readable in them stands in `Expected`.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import coverage, history, script
from .admin import Admin
from .broker import Broker
from .patience import wait_for

SETTINGS = {"wal.bytes": 16 << 20, "log.segment.bytes": 1 << 20, "data.groups": 2, "auto.create.topics.enable": "false"}
# However long it takes: no checkpoint comes in between.
SETTINGS |= {"checkpoint.interval.ms": 3_600_000}
STATES = ("crashed", "stopped")
SETTLED_TRIES = 5
JOURNAL_TOPIC = "74616c6c-796d-8100-8000-6a6f75726e6c"


@dataclass
class Expected:
    """Acknowledged values {partition: {offset: value}} of topic `kept`, and the group's positions."""

    values: dict
    positions: list


def make(binary, directory):
    """Builds earlier/, crashed/ and stopped/ with their expected.json below `directory`."""
    directory = Path(directory)
    data = directory / "data"
    log = history.History(directory / "history.jsonl")
    broker = Broker(binary, data, directory / "broker.log", SETTINGS)
    broker.start()
    try:
        Admin(broker.address).create(script.TOPICS)
        clients = script.Clients(broker.address, log)
        clients.produce(600)
        clients.commit(50)
        _stop(broker)
        shutil.copytree(data, directory / "earlier")
        broker.start()
        clients.produce(300)
        clients.commit(100)
        _kill_settled(broker)
        shutil.copytree(data, directory / "crashed")
        _demand_no_checkpoint_since(directory / "earlier", directory / "crashed")
        broker.start()
        _stop(broker)
        shutil.copytree(data, directory / "stopped")
        clients.close()
    finally:
        broker.kill()
    log.close()
    _demand_every_kind(directory)
    values = {str(part): {} for part in range(script.TOPICS["kept"])}
    for line in log.path.read_text().splitlines():
        event = json.loads(line)
        if event["op"] == "send" and event["type"] == "ok":
            values[str(event["partition"])][str(event["offset"])] = event["value"]
    expected = {"values": values, "positions": [100] * script.TOPICS["kept"]}
    (directory / "expected.json").write_text(json.dumps(expected))
    shutil.rmtree(data)


def _stop(broker):
    code = broker.stop()
    if code != 0:
        raise AssertionError(f"the broker ended with {code}: {broker.output()[-500:]}")


def _kill_settled(broker):
    """Kills the broker when nothing is on its way to the disk and every kind of file is there."""

    def is_settled():
        newest = max(broker.data.glob(KINDS["wal"]))
        indexed = {path.parent for path in broker.data.glob(KINDS["keys"])}
        return coverage.closed_bytes(newest.read_bytes()) is not None and len(indexed) == script.TOPICS["kept"]

    for _ in range(SETTLED_TRIES):
        wait_for(is_settled, "a closed log, and an index of keys for each partition")
        broker.kill()
        if is_settled():
            return
        broker.start()
    raise AssertionError("the log is never closed")


def _demand_every_kind(directory):
    missing = [(state, kind) for state in STATES for kind in KINDS if not files(directory / state, kind)]
    if missing:
        raise AssertionError(f"there are no files of these kinds: {missing}")


def _demand_no_checkpoint_since(earlier, later):
    """What `earlier` holds of a segment is then what the checkpoints of `later` cover."""
    one, other = (sorted(path.name for path in state.glob(KINDS["checkpoint"])) for state in (earlier, later))
    if max(one) != max(other) or len(set(other) - set(one)):
        raise AssertionError(f"a checkpoint came in between: {one}, {other}")


def synced_bytes(directory, state, path):
    """How much of a file (relative to the data directory) may not change unseen: what a checkpoint of `state` covers, and of
    the newest file of the log all but the group that closes it."""
    file, earlier = Path(directory) / state / path, Path(directory) / "earlier" / path
    if file == max(file.parent.glob("*.wal"), default=None):
        return coverage.closed_bytes(file.read_bytes())
    if path.suffix == ".log" and state == "crashed":
        return earlier.stat().st_size if earlier.exists() else 0
    return file.stat().st_size


def expected(directory):
    found = json.loads((Path(directory) / "expected.json").read_text())
    values = {int(part): {int(at): value for at, value in kept.items()} for part, kept in found["values"].items()}
    return Expected(values, found["positions"])


KINDS = {
    "wal": "wal/*.wal",
    "spare": "wal/spare-*",
    "segment": "topics/*/*/*.log",
    "journal": f"topics/{JOURNAL_TOPIC}/*/*.log",
    "index": "topics/*/*/*.index",
    "keys": "keys/*/*/*.keys",
    "checkpoint": "groups/*/checkpoint-*",
    "identity": "identity.toml",
}


def files(state_directory, kind):
    """The files of a kind that hold anything, in order."""
    found = sorted(Path(state_directory).glob(KINDS[kind]))
    if kind == "segment":
        found = [path for path in found if JOURNAL_TOPIC not in path.parts]
    return [path for path in found if path.read_bytes().rstrip(b"\0")]
