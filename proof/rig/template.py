"""A data directory with something in every kind of file, made once and copied for each case of damage.

`crashed` was killed with records that only the WAL holds, `stopped` ended by SIGTERM; `earlier` is an older state of
both. What must be readable in them stands in `Expected`.
"""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from . import history, script
from .admin import Admin
from .broker import Broker

SETTINGS = {"wal.bytes": 16 << 20, "log.segment.bytes": 1 << 20, "data.groups": 2, "auto.create.topics.enable": "false"}
STATES = ("crashed", "stopped")
# Longer than the WAL waits before it closes the last acknowledged group.
CLOSED_AFTER_S = 0.3


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
        broker.stop()
        shutil.copytree(data, directory / "earlier")
        broker.start()
        clients.produce(300)
        clients.commit(100)
        time.sleep(CLOSED_AFTER_S)
        broker.kill()
        shutil.copytree(data, directory / "crashed")
        broker.start()
        broker.stop()
        shutil.copytree(data, directory / "stopped")
        clients.close()
    finally:
        broker.kill()
    log.close()
    values = {str(part): {} for part in range(script.TOPICS["kept"])}
    for line in log.path.read_text().splitlines():
        event = json.loads(line)
        if event["op"] == "send" and event["type"] == "ok":
            values[str(event["partition"])][str(event["offset"])] = event["value"]
    expected = {"values": values, "positions": [100] * script.TOPICS["kept"]}
    (directory / "expected.json").write_text(json.dumps(expected))
    shutil.rmtree(data)


def expected(directory):
    found = json.loads((Path(directory) / "expected.json").read_text())
    values = {int(part): {int(at): value for at, value in kept.items()} for part, kept in found["values"].items()}
    return Expected(values, found["positions"])


KINDS = {
    "wal": "wal/*.wal",
    "spare": "wal/spare-*",
    "segment": "topics/*/*/*.log",
    "index": "topics/*/*/*.index",
    "checkpoint": "groups/*/checkpoint-*",
    "identity": "identity.toml",
}


def files(state_directory, kind):
    """The files of a kind that hold anything, in order."""
    found = sorted(Path(state_directory).glob(KINDS[kind]))
    return [path for path in found if path.read_bytes().rstrip(b"\0")]
