"""The SDK's whole way, with kill -9 everywhere: orders and their messages in one transaction, outbox, relays, broker,
consumers, inbox, red packets. In the end each order has had its effect once and in order, and the books say so too.

A round is one store, by its seed: 1 PostgreSQL, 2 MariaDB, 3 Redis (inbox and effects; the orders in SQLite), 4 SQLite, and
so on. Who is killed when, by the progress of the work, follows from the seed as well.
"""

import contextlib
import itertools
import json
import random
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rig import services, stores
from rig.admin import Admin
from rig.broker import Broker
from rig.patience import PATIENCE_S, Movement

CI_ROUNDS, ROUNDS = 4, 40
ORDERS_CI, ORDERS = 25_000, 100_000
KINDS = {"postgres": stores.Postgres, "mariadb": stores.MariaDb, "redis": stores.Redis, "sqlite": stores.SqliteFiles}
SETTINGS = {"group.initial.rebalance.delay.ms": 0, "group.min.session.timeout.ms": 1000, "wal.bytes": 64 << 20}
TOPIC, PARTITIONS = "orders", 6

# victim -> (kills, the service whose progress decides when, longest time down). Two of each kind share the work.
VICTIMS = {
    "shop": (3, "shop", 0.3),
    "relay-1": (3, "packets", 0.5),
    "relay-2": (3, "packets", 1.5),
    "packets-1": (4, "packets", 0.3),
    "packets-2": (4, "packets", 2.5),
    "broker": (5, "packets", 1.0),
    "store": (2, "packets", 1.0),
}
# The shop may be done before its turn.
KILLS_MIN = 19
HANDLERS = 16  # of a consumer, at a time
LOSSES = ("lost", "skipped", "expired_unread")


@dataclass
class Kill:
    """One kill: at which share of the work, how long after that, and how long until the restart."""

    victim: str
    by: str
    share: float
    after_s: float
    down_s: float


def plan(dice, has_server, victims=None):
    """All kills of a run, each victim's in order."""
    kills = []
    for victim, (count, by, down_s) in (victims or VICTIMS).items():
        if victim == "store" and not has_server:
            continue
        for share in sorted(dice.uniform(0.02, 0.92) for _ in range(count)):
            kills.append(Kill(victim, by, share, dice.uniform(0, 0.05), dice.uniform(0, down_s)))
    return kills


class Run:
    """One store with everything around it. `broker` is TallyMQ unless another one is given."""

    def __init__(self, options, seed, orders, kind=None, broker=None):
        self.seed, self.orders = seed, orders
        self.kind = kind or list(KINDS)[(seed - 1) % len(KINDS)]
        self.directory = options.directory / f"{self.kind}-{seed}"
        self.directory.mkdir(parents=True)
        # The socket's path has to be short, and a stranger has to get there.
        self.scratch = Path(tempfile.mkdtemp(prefix="tally-", dir="/tmp"))
        self.scratch.chmod(0o755)
        self.store = KINDS[self.kind](self.scratch / "store")
        self.binary = options.binary
        self.broker = broker or Broker(self.binary, self.directory / "data", self.directory / "broker.log", SETTINGS)
        self.numbers = itertools.count(1)
        self.services = {}
        self.kills = 0
        self.crashes = 0

    def __str__(self):
        return f"({self.kind}, seed {self.seed}, {self.directory})"

    def prepare(self):
        self.store.start()
        self.broker.start()
        Admin(self.broker.address).create({TOPIC: PARTITIONS})
        files = self.kind in ("redis", "sqlite")
        orders = self.scratch / "orders.sqlite" if files else self.store.place
        packets = self.scratch / "packets.sqlite" if self.kind == "sqlite" else self.store.place
        self.places = {"store": self.kind, "orders": orders, "packets": packets}
        services.run("prepare", self.places)
        common = self.places | {"topic": TOPIC, "bootstrap": self.broker.address}
        common |= {"count": self.orders, "seed": self.seed}
        for name in ("shop", "relay-1", "relay-2", "packets-1", "packets-2"):
            role = name.split("-")[0]
            self.services[name] = services.Service(name, role, common, self.directory, self.numbers)
        for service in self.services.values():
            service.start()

    def progress(self, of):
        """The share of the work that the services of that role say they have done."""
        return sum(service.look() for name, service in self.services.items() if name.split("-")[0] == of) / self.orders

    def play(self, kills):
        """Kills and starts again until all kills are done and the shop has written everything."""
        waiting, down = list(kills), []
        movement = Movement()
        while waiting or down or self.services["shop"].ended() != 0:
            now = time.monotonic()
            for at, victim in [entry for entry in down if entry[0] <= now]:
                down.remove((at, victim))
                self.start(victim)
                movement.begin()
            done = {by: self.progress(by) for by in ("shop", "packets")}
            for kill in [kill for kill in waiting if done[kill.by] >= kill.share]:
                if any(victim == kill.victim for _, victim in down):
                    continue  # it is down already: its next turn comes when it is back
                waiting.remove(kill)
                time.sleep(kill.after_s)
                self.kill(kill.victim)
                down.append((time.monotonic() + kill.down_s, kill.victim))
            self.look_for_deaths(down)
            if movement.has_ended(done):
                raise TimeoutError(f"nothing has moved for {PATIENCE_S} s at {done}, {len(waiting)} kills to go")
            time.sleep(0.005)

    def look_for_deaths(self, down):
        """A service that ended by itself has failed, but for the shop, which ends when it is done."""
        dead = {victim for _, victim in down}
        for name, service in self.services.items():
            if name not in dead and service.ended() not in (None, 0):
                raise RuntimeError(f"{name} ended with {service.ended()}: {service.child.tail(5)}")
        if "broker" not in dead and not self.broker.alive():
            raise RuntimeError(f"the broker ended by itself: {self.broker.log_path}")

    def kill(self, victim):
        if victim == "store":
            self.store.crash()
            self.crashes += 1
            return
        alive = self.broker.alive() if victim == "broker" else self.services[victim].ended() is None
        self.kills += alive
        (self.broker if victim == "broker" else self.services[victim]).kill()

    def start(self, victim):
        (self.broker if victim == "broker" else self.store if victim == "store" else self.services[victim]).start()

    def settle(self):
        """Waits until every order has its effect, or nothing moves any more."""
        movement = Movement()
        while True:
            counts = self.count()
            state = (counts["orders"]["messages_pending"], counts["effects"]["distinct_orders"])
            if state[0] == 0 and state[1] >= self.orders or movement.has_ended(state):
                return
            time.sleep(0.3)

    def count(self):
        """What the databases hold, one statement after the other: of one moment only while no service runs."""
        return services.run("count", self.places)

    def account(self):
        """The account, once nothing is in flight or pending any more, or nothing moves."""
        movement = Movement()
        while True:
            account = json.loads(self.broker.get("/v1/account"))
            unsettled = [entry["classes"][name] for entry in account["accounts"] for name in ("pending", "in_flight")]
            if (unsettled and not any(unsettled)) or movement.has_ended(unsettled):
                return account
            time.sleep(0.1)

    def kill_services(self):
        for service in self.services.values():
            service.kill()

    @contextlib.contextmanager
    def judged(self, outcome):
        """Whatever goes wrong inside is a failure of the run; all that it started ends with it."""
        try:
            yield
        except Exception as error:
            outcome.fail(f"{type(error).__name__}: {error} {self}")
        finally:
            self.end()

    def end(self):
        self.kill_services()
        self.broker.kill()
        self.store.crash()
        shutil.rmtree(self.scratch, ignore_errors=True)


def judge(run, counts, kills_min, outcome):
    """What the databases hold in the end; one check each."""
    outcome.passed += run.kills + run.crashes
    outcome.check(run.kills >= kills_min, f"only {run.kills} processes were killed {run}")
    effects, written = counts["effects"], counts["orders"]
    wanted = {"packets": run.orders, "distinct_orders": run.orders, "lowest_order": 0}
    wanted |= {"highest_order": run.orders - 1, "out_of_order": 0}
    found = {name: effects[name] for name in wanted}
    outcome.check(found == wanted, f"the effects are {effects}, wanted {wanted} {run}")
    written_wanted = {"orders": run.orders, "messages_pending": 0, "messages_parked": 0}
    outcome.check(written == written_wanted, f"the shop has {written}, wanted {written_wanted} {run}")
    # A Redis inbox repeats what a crash took the note of: at most what the consumers had in hand.
    in_hand = 2 * HANDLERS * (run.kills + run.crashes)
    outcome.check(effects["redone"] <= in_hand, f"{effects['redone']} orders were worked on again {run}")


def judge_account(run, outcome):
    """The account balances and knows of no loss; returns how many records it calls unwitnessed."""
    account = run.account()
    entries = [entry for entry in account["accounts"] if entry["topic"] == TOPIC]
    sums = {name: sum(entry["classes"][name] for entry in entries) for name in ("processed", "unwitnessed", *LOSSES)}
    balanced = account["balanced"] and account["enabled"] and not account["unopened"]
    outcome.check(balanced and not any(sums[name] for name in LOSSES), f"the account says {account} {run}")
    outcome.check(sums["processed"] + sums["unwitnessed"] >= run.orders, f"the account says {sums} {run}")
    alarms = json.loads(run.broker.get("/v1/alarms"))
    outcome.check(not alarms["alarms"] and not alarms["overflow_alarms"], f"alarms: {alarms} {run}")
    return sums["unwitnessed"]


def judge_history(run, outcome):
    """The history of what the producers were told and the handlers saw, with a last reader behind it."""
    topic = {"bootstrap": run.broker.address, "topic": TOPIC}
    clean, said, records = services.verdict(topic, run.directory, run.numbers, run.orders)
    outcome.check(clean, f"{said} {run}")
    return records


def judge_books(run, outcome):
    """The stopped broker's files, books included."""
    outcome.check(run.broker.stop() == 0, f"the broker did not stop well {run}")
    argv = [str(run.binary), "verify", "--data-dir", str(run.broker.data)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    outcome.check(done.returncode == 0, f"verify: {done.stdout[-1500:]}{done.stderr[-500:]} {run}")


def one(options, seed, orders, outcome):
    """One round; an exception is a failure of it."""
    begin = time.monotonic()
    run = Run(options, seed, orders)
    with run.judged(outcome):
        run.prepare()
        run.play(plan(random.Random(seed), run.kind != "sqlite"))
        run.settle()
        unwitnessed = judge_account(run, outcome)
        run.kill_services()
        counts = run.count()
        judge(run, counts, KILLS_MIN, outcome)
        records = judge_history(run, outcome)
        judge_books(run, outcome)
        outcome.figures[run.kind] = (
            f"{orders} orders in {records} records, {run.kills} kills, {run.crashes} crashes of the store, "
            f"{counts['effects']['repeats']} repeats, {counts['effects']['redone']} redone, "
            f"{unwitnessed} unwitnessed, {time.monotonic() - begin:.0f} s"
        )


def play(options, outcome):
    orders = options.orders or (ORDERS_CI if options.short else ORDERS)
    for seed in range(options.seed, options.seed + options.rounds):
        one(options, seed, orders, outcome)
