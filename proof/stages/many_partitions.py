"""Ten thousand partitions on one node: some are written to at full load until `kill -9`; all are there after the restart.

Memory and open files are bounded by what is used, not by what there is.
"""

import time

from rig import history, load, reader
from rig.admin import Admin
from rig.broker import Broker
from rig.patience import wait_for

CI_ROUNDS, ROUNDS = 1, 100
TOPICS, PARTITIONS = 100, 100
WRITTEN = 3
LOAD_S = 2
SETTINGS = {"auto.create.topics.enable": "false", "tail.cache.bytes": 32 << 20, "wal.bytes": 256 << 20}
RSS_BYTES_MAX = 500 << 20
# A segment and its index for each partition that is written to, and what the process needs otherwise.
FILES_MAX = 2 * WRITTEN * PARTITIONS + 400


def play(options, outcome):
    for number in range(options.rounds):
        _round(options, outcome, options.seed + number)


def _round(options, outcome, seed):
    where = options.directory / f"round-{seed}"
    log = history.History(where / "history.jsonl")
    broker = Broker(options.binary, where / "data", where / "broker.log", SETTINGS)
    broker.start()
    try:
        everything = {f"many-{number}": PARTITIONS for number in range(TOPICS)}
        created_s = _seconds(lambda: _create(broker.address, everything))
        written = {f"many-{(seed + number * TOPICS // WRITTEN) % TOPICS}": PARTITIONS for number in range(WRITTEN)}
        sender = load.Sender(1, broker.address, log, written)
        sender.start()
        time.sleep(LOAD_S)
        wait_for(lambda: log.acknowledged > 2 * WRITTEN * PARTITIONS, "records in every partition")
        before = _bounds(outcome, broker, seed, "under load")
        broker.kill()
        restarted_s = broker.start()
        acknowledged = log.acknowledged
        wait_for(lambda: log.acknowledged > acknowledged, "a record after the restart")
        sender.finish()
        found = Admin(broker.address).partitions()
        outcome.check({name: found.get(name) for name in everything} == everything, f"seed {seed}: partitions are missing")
        read = reader.final_phase(broker.address, written, log)
        after = _bounds(outcome, broker, seed, "after the restart")
    finally:
        broker.kill()
    clean, report = log.verdict()
    outcome.check(clean, f"seed {seed}: {history.summary(report)} ({where})")
    outcome.check(not sender.problems, f"seed {seed}: {sender.problems[:5]}")
    outcome.figures |= {"partitions": TOPICS * PARTITIONS, "created": f"{created_s:.1f} s", "restart": f"{restarted_s:.2f} s"}
    outcome.figures |= {"under load": before, "after the restart": after, "read": read}


def _bounds(outcome, broker, seed, when):
    """Checks memory and open files; says them."""
    rss, files = broker.rss_bytes(), broker.open_files()
    outcome.check(rss < RSS_BYTES_MAX, f"seed {seed}: {rss >> 20} MB {when} (limit {RSS_BYTES_MAX >> 20} MB)")
    outcome.check(files < FILES_MAX, f"seed {seed}: {files} open files {when} (limit {FILES_MAX})")
    return f"{rss >> 20} MB and {files} files"


def _create(address, topics):
    """One request after the other: the broker would not answer one for all of them before the last is synced."""
    admin = Admin(address)
    for name, partitions in topics.items():
        admin.create({name: partitions})


def _seconds(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin
