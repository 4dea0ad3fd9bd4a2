"""The producer without a database: kill -9 of the sending service and of the broker, and a spool between them.

What the producer called stored, at the broker or in the spool, is in the topic in the end; what it called refused is not.
A resent record may be there twice, as the SDK says.
"""

import itertools
import random
import subprocess
import time

from rig import paths, services
from rig.broker import Broker

CI_ROUNDS, ROUNDS = 10, 1000
TOPIC, PARTITIONS = "sent", 3
SETTINGS = {"wal.bytes": 64 << 20}


class Run:
    """One broker, one service with a spool, killed in turn."""

    def __init__(self, options):
        self.directory, self.binary = options.directory, options.binary
        self.broker = Broker(self.binary, self.directory / "data", self.directory / "broker.log", SETTINGS)
        self.numbers = itertools.count(1)
        self.broker.start()
        create = [self.binary, "topic", "create", TOPIC, "-p", str(PARTITIONS), "-b", self.broker.address]
        subprocess.run([str(part) for part in create], check=True, capture_output=True, timeout=60)
        self.arguments = {"topic": TOPIC, "bootstrap": self.broker.address, "spool": self.directory / "spool"}
        own = self.arguments | {"seed": options.seed}
        self.sender = services.Service("sender", "send", own, self.directory, self.numbers)

    def play(self, rounds, dice):
        """Each round: the sender's life, the broker's death in it, and the end of both in either order."""
        for _ in range(rounds):
            self.sender.start()
            self.advance(100)
            time.sleep(dice.uniform(0, 0.2))
            self.broker.kill()
            time.sleep(dice.uniform(0, 1.2))  # longer than the producer's deadline, or shorter
            if dice.random() < 0.5:
                self.sender.kill()
                self.broker.start()
            else:
                self.broker.start()
                time.sleep(dice.uniform(0, 0.5))  # what waits in the spool is being resent
                self.sender.kill()

    def advance(self, count):
        """Waits until so many more records are safe."""
        wanted, deadline = self.sender.look() + count, time.monotonic() + 60
        while self.sender.look() < wanted:
            if self.sender.ended() is not None:
                raise RuntimeError(f"the sender ended: {self.sender.child.tail(5)}")
            if time.monotonic() > deadline:
                raise TimeoutError("the sender does not get on")
            time.sleep(0.005)


def play(options, outcome):
    run = Run(options)
    where = f"(seed {options.seed}, {options.directory})"
    try:
        run.play(options.rounds, random.Random(options.seed))
        drained = services.run("drain", run.arguments, timeout_s=120)
        final = {"process": next(run.numbers), "history": options.directory / "final.events"}
        records = services.run("read", run.arguments | final)["records"]
        files = sorted(options.directory.glob("*.events"))
        argv = [paths.checker(), "--allow-duplicates", "--acknowledged-min", 100 * options.rounds, *files]
        done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=600)
        outcome.passed += 2 * options.rounds
        outcome.check(done.returncode == 0, f"{done.stdout[-1500:]}{done.stderr[-500:]} {where}")
        outcome.check(drained["damaged_bytes"] == 0, f"the spool was damaged: {drained} {where}")
        spooled = sum(_spooled(file) for file in files)
        outcome.check(spooled > 0, f"the spool was never used {where}")
        outcome.figures |= {"records": records, "spooled": spooled, "kills": 2 * options.rounds}
    finally:
        run.sender.kill()
        run.broker.kill()


def _spooled(file):
    """How many sends ended well without a place."""
    with open(file, encoding="ascii") as lines:
        return sum('"send","type":"ok"' in line and '"offset"' not in line for line in lines)
