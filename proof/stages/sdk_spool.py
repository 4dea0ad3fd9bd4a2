"""The producer without a database: kill -9 of the sending service and of the broker, and a spool between them.

What the producer called stored, at the broker or in the spool, is in the topic in the end; what it called refused is not.
A resent record may be there twice, as the SDK says.
"""

import itertools
import random
import time

from rig import services
from rig.admin import Admin
from rig.broker import Broker
from rig.patience import PATIENCE_S, wait_for

CI_ROUNDS, ROUNDS = 10, 1000
TOPIC, PARTITIONS = "sent", 3
SETTINGS = {"wal.bytes": 64 << 20}


class Run:
    """One broker, one service with a spool, killed in turn."""

    def __init__(self, options):
        self.directory = options.directory
        self.broker = Broker(options.binary, self.directory / "data", self.directory / "broker.log", SETTINGS)
        self.numbers = itertools.count(1)
        self.broker.start()
        Admin(self.broker.address).create({TOPIC: PARTITIONS})
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
        wanted = self.sender.look() + count

        def is_there():
            if self.sender.ended() is not None:
                raise RuntimeError(f"the sender ended: {self.sender.child.tail(5)}")
            return self.sender.look() >= wanted

        wait_for(is_there, f"{count} more records")


def play(options, outcome):
    run = Run(options)
    where = f"(seed {options.seed}, {options.directory})"
    try:
        run.play(options.rounds, random.Random(options.seed))
        drained = services.run("drain", run.arguments, timeout_s=3 * PATIENCE_S)
        safe_min = 100 * options.rounds
        clean, said, records = services.verdict(run.arguments, run.directory, run.numbers, safe_min, "--allow-duplicates")
        outcome.passed += 2 * options.rounds
        outcome.check(clean, f"{said} {where}")
        outcome.check(drained["damaged_bytes"] == 0, f"the spool was damaged: {drained} {where}")
        spooled = sum(_spooled(file) for file in options.directory.glob("*.events"))
        outcome.check(spooled > 0, f"the spool was never used {where}")
        outcome.figures |= {"records": records, "spooled": spooled, "kills": 2 * options.rounds}
    finally:
        run.sender.kill()
        run.broker.kill()


def _spooled(file):
    """How many sends ended well without a place."""
    with open(file, encoding="ascii") as lines:
        return sum('"send","type":"ok"' in line and '"offset"' not in line for line in lines)
