"""The SDK against Apache Kafka from its Maven jars: the same tests that it passes against TallyMQ, and orders with kills.

Which tests is a list: what asks for the account has no place here.
"""

import itertools
import json
import os
import random
import subprocess
import time

from harness import brokers, install, processes
from rig import paths, sdk_programs

from . import sdk_orders

CI_ROUNDS, ROUNDS = 1, 20
ORDERS = 3_000

# Modules of crates/client/tests/it. Not here: `receipts`, which are told to the account, `truncation`, which copies data directories,
# and `starting`, `fallbacks` and `unplaced`, which stand between client and broker.
TESTS = ["consuming::", "copies::", "dead_letters::", "sending::", "sequences::", "spooler::", "spooling::"]

# As in sdk_orders; one store is enough here, and the JVM takes seconds to come back.
VICTIMS = {
    "shop": (2, "shop", 0.3),
    "relay-1": (2, "packets", 0.5),
    "packets-1": (2, "packets", 0.3),
    "packets-2": (2, "packets", 1.0),
    "broker": (2, "packets", 0.5),
}
KILLS_MIN = 8

# With a JVM for each; they take minutes.
TESTS_S = 3600
# Of a failed test's message.
PANIC_LINES = 8


class Kafka(brokers.Kafka):
    """Apache Kafka, as the runs want their broker."""

    def __init__(self, directory):
        # Kafka's own session: a shorter one lets a broker that stands still for a moment lose its partitions. A restart waits for it.
        quick = {"broker.heartbeat.interval.ms": 200, "broker.session.timeout.ms": 9000}
        quick |= {"group.initial.rebalance.delay.ms": 0, "group.min.session.timeout.ms": 1000}
        super().__init__(directory, quick | {"offsets.topic.num.partitions": 4, "auto.create.topics.enable": "false"})

    def alive(self):
        return self.child is not None and self.child.alive()

    def kill(self):
        if self.child:
            self.child.kill()


def panics(output):
    """What each failed test said, without its backtrace."""
    lines = output.splitlines()
    begins = [at for at, line in enumerate(lines) if line.startswith("thread '") and "panicked at" in line]
    said = (itertools.takewhile(lambda line: not line.startswith(("stack backtrace:", "note:")), lines[at:]) for at in begins)
    return "\n".join("\n".join(itertools.islice(one, PANIC_LINES)) for one in said)


def play_tests(options, outcome):
    """The listed tests, each with Kafka brokers of its own."""
    environment = dict(os.environ) | {"APACHE_KAFKA_CLASSPATH": install.kafka_server(), "TALLYMQ_BINARY": options.binary}
    argv = [sdk_programs.tests(), "--test-threads", "2", *TESTS]
    begin, log = time.monotonic(), options.directory / "tests.log"
    code, output = processes.run(argv, log, timeout_s=TESTS_S, cwd=paths.ROOT / "crates" / "client", env=environment)
    results = [line for line in output.splitlines() if line.startswith("test ") and " ... " in line]
    for line in results:
        outcome.check(line.endswith("ok"), f"{line} ({log})")
    for module in TESTS:
        ran = any(line.startswith(f"test {module}") for line in results)
        outcome.check(ran, f"no test of {module} ran ({log})")
    outcome.check(code == 0, f"exit {code}: {panics(output) or output[-2000:]}")
    outcome.figures["tests"] = f"{len(results)} in {time.monotonic() - begin:.0f} s"


def play_orders(options, seed, outcome):
    """Orders on SQLite, with kills, on Kafka."""
    begin = time.monotonic()
    broker = Kafka(options.directory / f"kafka-{seed}")
    run = sdk_orders.Run(options, seed, options.orders or ORDERS, "sqlite", broker)
    with run.judged(outcome):
        run.prepare()
        run.play(sdk_orders.plan(random.Random(seed), False, VICTIMS))
        run.settle()
        run.kill_services()
        sdk_orders.judge(run, run.count(), KILLS_MIN, outcome)
        records = sdk_orders.judge_history(run, outcome)
        outcome.figures["orders"] = (
            f"{run.orders} in {records} records, {run.kills} kills, {time.monotonic() - begin:.0f} s"
        )


def play(options, outcome):
    play_tests(options, outcome)
    for seed in range(options.seed, options.seed + options.rounds):
        play_orders(options, seed, outcome)
