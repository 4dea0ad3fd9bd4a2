"""The suite `account`: losses planted with other people's clients are named, and healthy groups raise no alarm.

Four brokers: one on which most of it plays at once (calm), one that is killed and restarted under its groups (storm), one whose
files are damaged, one to which connections are cut (cut). Each is stopped at the end, and `tallymq verify` has to find its books whole.
"""

import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from .. import brokers, clients, console_tools
from . import cuts, damage, healthy, journal, planted, storm, table
from .driver import Driver
from .play import NAMES, Play, Stage, until
from .proxy import Proxy

SUITE = "account"
SETTINGS = brokers.TEST_SETTINGS | brokers.KILLED_MEMBERS | brokers.SMALL_LOG
# There scenarios wait for the end of a session while records flow.
CALM_SETTINGS = SETTINGS | {"log.retention.check.interval.ms": "1000", "group.consumer.session.timeout.ms": "6000"}
AT_ONCE = 10  # scenarios on the calm broker; they mostly wait
VERIFY_FOUND = 4

# How a language's driver is started, by how its worker is.
AS_DRIVER = {
    "confluent": lambda python, worker: [python, worker.with_name("driver.py")],
    "java": lambda *java: [*java[:-1], "Driver"],
    "kafkajs": lambda node, worker: [node, worker.with_name("driver.js")],
    "franz": lambda worker: [worker, json.dumps({"mode": "drive"})],
}


class Drivers:
    """Starts a driver for a language; all are ended together."""

    def __init__(self, directory):
        self.directory, self.all = directory, []
        self.clients = {language: clients.ALL[language]() for language in NAMES}
        self.versions = {language: client.version for language, client in self.clients.items()}

    def start(self, language, name):
        client, log = self.clients[language], self.directory / f"driver-{name}.log"
        driver = Driver(language, AS_DRIVER[language](*client.argv), log, client.env or None)
        self.all.append(driver)
        return driver

    def end(self):
        for driver in self.all:
            driver.end()


class Rows:
    """What became of each scenario in each language; rows are (suite, version, scenario, problem or None, seconds)."""

    def __init__(self, versions):
        self.versions, self.all, self.lock = versions, [], threading.Lock()
        self.results = {}

    def add(self, title, language, problem, seconds, figures=""):
        name = " + ".join(NAMES[each] for each in language.split(" + ")) if language else ""
        version = self.versions.get(language, "")
        text = f"{title}, {name}" if name else title
        with self.lock:
            self.all.append((SUITE, version, f"{text} ({figures})" if figures else text, problem, seconds))
            if language:
                self.results.setdefault(title, {})[language] = (problem, figures)


def slug(run):
    return f"{run.__module__.rsplit('.', 1)[1]}-{run.__name__}".replace("_", "-")


def of(stage, run, language):
    """A play; one that mixes languages is driven by the first of them."""
    return Play(stage, language.split(" + ")[0], slug(run))


def as_workloads(plantings):
    """Without what they expect, which is for the table."""
    return [(title, languages, run) for title, _, languages, run in plantings]


def said(error):
    return f"{type(error).__name__}: {error}"


def played(rows, title, language, play, run):
    begin, problem = time.monotonic(), None
    try:
        run(play)
    except Exception as error:  # whatever a scenario ends with is its result
        problem = said(error)
    rows.add(title, language, problem, time.monotonic() - begin, play.figures)


def calm(stage, rows):
    """Everything that needs no restart."""
    at_once(stage, rows, as_workloads(planted.SCENARIOS) + healthy.WORKLOADS, AT_ONCE)


def cut(stage, rows):
    at_once(stage, rows, cuts.WORKLOADS, sum(len(languages) for _, languages, _ in cuts.WORKLOADS))


def at_once(stage, rows, listed, many):
    """`many` at a time, the languages by turns."""
    with ThreadPoolExecutor(many) as pool:
        for title, languages, run in listed:
            for language in languages:
                pool.submit(played, rows, title, language, of(stage, run, language), run)


class Round:
    """A scenario that waits for the broker to go: a generator, with what it said last."""

    def __init__(self, rows, title, language, play, run):
        self.rows, self.title, self.language, self.play = rows, title, language, play
        self.generator, self.begin, self.is_over = run(play), time.monotonic(), False
        self.said = None

    def is_right(self):
        """Whether the broker may go now."""
        return self.said is None or self.said()

    def go_on(self, answer=None):
        if self.is_over:
            return
        try:
            self.said = self.generator.send(answer)
            return
        except StopIteration:
            problem = None
        except Exception as error:
            problem = said(error)
        self.is_over = True
        self.rows.add(self.title, self.language, problem, time.monotonic() - self.begin, self.play.figures)


def rounds_of(stage, rows, listed):
    return [
        Round(rows, title, language, of(stage, run, language), run)
        for title, languages, run in listed for language in languages
    ]


def all_go_on(rounds, answer=None):
    with ThreadPoolExecutor(max(1, len(rounds))) as pool:
        list(pool.map(lambda each: each.go_on(answer), rounds))
    return [each for each in rounds if not each.is_over]


def stormy(stage, rows):
    rounds = all_go_on(rounds_of(stage, rows, as_workloads(storm.PLANTED) + storm.WORKLOADS))
    with ThreadPoolExecutor(max(1, len(rounds))) as looking:
        for goes in (stage.broker.kill, stage.broker.kill, stage.broker.stop):
            # Those that were there first have gone on meanwhile. Looked at one after the other, they would have gone on again
            # until the last has said so.
            until(lambda: all(looking.map(Round.is_right, rounds)), "a moment that is right for all")
            goes()
            stage.broker.start()
            rounds = all_go_on(rounds)
    assert not rounds, "a scenario of storm.py wants the broker to go more often than it does"


def damaged(stage, rows):
    rounds = all_go_on(rounds_of(stage, rows, as_workloads(damage.PLANTED)))
    stage.broker.stop()
    for each in rounds:
        each.said()
    code, report = verified(stage.broker)
    if code != VERIFY_FOUND:
        rows.add("verify finds the damage", "", f"exit code {code}: {report}", 0)
    stage.broker.start()
    rounds = all_go_on(rounds, report)
    assert not rounds, "a scenario of damage.py wants the broker to go more often than it does"


def verified(broker):
    argv = [broker.binary, "verify", "--data-dir", broker.data, "--json"]
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=600)
    text = done.stdout.strip()
    return done.returncode, json.loads(text.splitlines()[0]) if text else done.stderr


def closed(name, stage, rows, expected_code=0):
    """The books of everything at the end: balanced, by the broker and then by `tallymq verify` from its files."""
    begin, found = time.monotonic(), []
    books = stage.books.everything()
    if not books["balanced"] or books["unopened"]:
        found.append(f"balanced {books['balanced']}, unopened {books['unopened']}")
    stage.broker.stop()
    code, report = verified(stage.broker)
    if code != expected_code:
        found.append(f"verify: exit code {code}: {report}")
    events = journal.Journal(stage.broker.data)
    found += [f"{play.name}: the journal does not say so" for play, holds in stage.afterwards if not holds(events)]
    title = f"the books of {len(books['accounts'])} groups and topics, by `verify` ({name})"
    rows.add(title, "", "; ".join(found) or None, time.monotonic() - begin)


def play(broker, directory, quick):
    """Yields (suite, version, scenario, problem or None, seconds). `broker` is started, and becomes the one of the storm."""
    del quick
    directory.mkdir(parents=True, exist_ok=True)
    drivers = Drivers(directory)
    rows = Rows(drivers.versions)
    proxy = Proxy(seed=1)
    of_cut = SETTINGS | {"advertised.listeners": f"127.0.0.1:{proxy.port}"}
    settings = {"calm": CALM_SETTINGS, "damaged": SETTINGS, "cut": of_cut}
    others = [brokers.Tallymq(directory / name, of, broker.binary) for name, of in settings.items()]
    tools = console_tools.Tools(others[0], directory)
    try:
        for other in others:
            other.start()
        proxy.target = others[2].port
        tools.start()
        shared = {language: drivers.start(language, language) for language in NAMES}
        plays = [
            ("calm", calm, Stage(others[0], shared, drivers.start, tools=tools), 0),
            ("damaged", damaged, Stage(others[1], shared, drivers.start), VERIFY_FOUND),
            ("cut", cut, Stage(others[2], shared, drivers.start, proxy=proxy), 0),
            ("storm", stormy, Stage(broker, shared, drivers.start), 0),
        ]
        running = [
            threading.Thread(target=guarded, args=(name, run, stage, rows, code)) for name, run, stage, code in plays
        ]
        for each in running:
            each.start()
        sent = 0
        while any(each.is_alive() for each in running) or sent < len(rows.all):
            for row in rows.all[sent:]:
                sent += 1
                yield row
            time.sleep(0.2)
        yield table.checked(rows.results)
    finally:
        drivers.end()
        tools.end()
        for other in others:
            other.stop()


def guarded(name, run, stage, rows, code):
    begin = time.monotonic()
    try:
        run(stage, rows)
        closed(name, stage, rows, code)
    except Exception as error:
        rows.add(f"the stage {name}", "", said(error), time.monotonic() - begin)
