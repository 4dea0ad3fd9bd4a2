"""Power cuts at full load: kill the broker, cut the file system's power, restart, go on; at the end nothing is lost.

The control run does the same with flush=async, where acknowledged records must be lost: else the cut cuts nothing.
"""

import os
import random
import time

from rig import history, load, loop_disk, reader
from rig.admin import Admin
from rig.broker import Broker
from rig.patience import wait_for

CI_ROUNDS, ROUNDS = 100, 5000
TOPICS = {"orders": 4, "events": 4, "audit": 1}
# A small WAL, so that checkpoints and recycling of files happen all the time.
SETTINGS = {"wal.bytes": 64 << 20, "disk.reserve.bytes": 64 << 20, "log.segment.bytes": 8 << 20, "data.groups": 2}
SETTINGS |= {"group.initial.rebalance.delay.ms": 0}
ASYNC = {"flush": "async", "flush.interval.ms": 3_600_000, "flush.bytes": 1_000_000_000}
ACKS_PER_ROUND = 200
CONTROL_TRIES = 3
# One run's history stays small enough to judge in seconds.
ROUNDS_PER_RUN = 100


def play(options, outcome):
    loop_disk.require(options.directory / "probe")
    _control(options, outcome)
    left, run = options.rounds, 0
    while left > 0:
        _run(options, outcome, min(left, ROUNDS_PER_RUN), run)
        left, run = left - ROUNDS_PER_RUN, run + 1


def _run(options, outcome, rounds, run):
    seed = options.seed + run
    dice = random.Random(seed)
    where = options.directory / f"run-{seed}"
    log = history.History(where / "history.jsonl")
    acked, restarts_s, during_start = [], [], 0
    with loop_disk.LoopDisk(where, 3000) as disk:
        broker = Broker(options.binary, disk.mount_point / "data", where / "broker.log", SETTINGS)
        broker.start()
        Admin(broker.address).create(TOPICS)
        senders = [load.Sender(process, broker.address, log, TOPICS) for process in (1, 2)]
        members = [load.Member(process, broker.address, log, TOPICS, "readers") for process in (11, 12)]
        for client in senders + members:
            client.start()
        try:
            for _ in range(rounds):
                before = log.acknowledged
                wait_for(lambda: log.acknowledged - before >= ACKS_PER_ROUND, "acknowledgements after a cut")
                time.sleep(dice.uniform(0.0, 0.3))
                broker.kill()
                disk.power_cut()
                acked.append(log.acknowledged - before)
                if dice.random() < 0.2:  # and once more in the middle of recovery
                    broker.launch()
                    time.sleep(dice.uniform(0.0, 0.15))
                    broker.kill()
                    disk.power_cut()
                    during_start += 1
                restarts_s.append(broker.start())
            for client in senders + members:
                client.finish()
            reader.final_phase(broker.address, TOPICS, log)
        finally:
            broker.kill()
    clean, report = log.verdict(acknowledged_min=rounds * ACKS_PER_ROUND)
    problems = [problem for client in senders + members for problem in client.problems]
    outcome.passed += len(acked) if clean and not problems else 0
    if not clean:
        outcome.fail(f"run of seed {seed}: {history.summary(report)} ({where})")
    if problems:
        outcome.fail(f"run of seed {seed}: clients saw {len(problems)} errors: {problems[:5]} ({where})")
    restarts_s.sort()
    outcome.figures |= {
        "acked": log.acknowledged,
        "polled": sum(member.polled for member in members),
        "restart p50": f"{restarts_s[len(restarts_s) // 2]:.2f} s",
        "restart max": f"{restarts_s[-1]:.2f} s",
        "cuts during start": during_start,
    }


def _control(options, outcome):
    """Async flush, one cut: the checker must find a loss. The kernel may have written everything just before the cut, as it
    does where much else is dirty: so that is written first, and there are three tries."""
    os.sync()
    for number in range(CONTROL_TRIES):
        where = options.directory / f"control-{number}"
        log = _cut_without_syncs(options, where)
        clean, report = log.verdict()
        found = {anomaly["class"] for anomaly in report.get("anomalies", [])}
        lost = sum(anomaly["class"] in ("lost-write", "unseen") for anomaly in report.get("anomalies", []))
        if lost:
            break
    outcome.figures["control lost"] = f"{lost} of {log.acknowledged}"
    outcome.check(
        not clean and lost > 0,
        f"the control run with flush=async lost nothing, so the cuts cut nothing: {found or report} ({where})",
    )


def _cut_without_syncs(options, where):
    """The history of one such run."""
    log = history.History(where / "history.jsonl")
    with loop_disk.LoopDisk(where, 1500, "commit=600") as disk:
        broker = Broker(options.binary, disk.mount_point / "data", where / "broker.log", SETTINGS | ASYNC)
        broker.start()
        Admin(broker.address).create(TOPICS)
        sender = load.Sender(1, broker.address, log, TOPICS)
        sender.start()
        wait_for(lambda: log.acknowledged >= 2000, "acknowledgements of the control run")
        broker.kill()
        sender.abandon()
        disk.power_cut()
        try:
            broker.start()
            reader.final_phase(broker.address, TOPICS, log)
        finally:
            broker.kill()
    return log
