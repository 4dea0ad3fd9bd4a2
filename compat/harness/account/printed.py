"""The suite `account-page`: the scenarios under *Planting losses* in docs/account.md, run as they are printed there.

Each has a broker of its own with the settings that the page gives it (none, mostly), a small log, and Python's confluent-kafka; of
what is printed only the address changes, and of Kafka's tool and `tallymq group reset`, where the page has both, the second is taken. What
the account has to say then stands here, beside the words of the page's table, so that neither changes without the other.
"""

import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from .. import brokers, clients, processes
from . import damage
from .books import Books, Expected, differences
from .play import Wrong, settled, until
from .table import PAGE

SUITE = "account-page"
AT_ONCE = 4  # they mostly wait for groups to form
SCRIPT_S = processes.PATIENCE_S  # a script that takes longer hangs
VERIFY_FOUND = 4
ADDRESS = 'AT = "127.0.0.1:9092"'
TOPIC, GROUP = "orders", "billing"


class Scenario:
    """What the page has under one number: `blocks` of Python, and in the running text `commands`, and `calls` of its functions."""

    def __init__(self, title, text):
        self.title = title
        self.blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        self.commands = [" ".join(code.split()) for code in re.findall(r"`(tallymq [^`]+)`", prose)]
        self.calls = [f"{code}\n" for code in re.findall(r"`((?:fresh|send)\([^`]+)`", prose)]

    @property
    def code(self):
        [block] = self.blocks
        return block

    def commands_to(self, beginning):
        return [each for each in self.commands if each.startswith(f"tallymq {beginning}")]


class Page:
    """The section of docs/account.md."""

    def __init__(self, text):
        section = text.partition("\n## Planting losses\n")[2].partition("\n## ")[0]
        head, *rest = re.split(r"^\*\*(\d+)\. (.+?)\*\*", section, flags=re.M | re.S)
        self.prelude = re.search(r"^```python\n(.*?)^```", head, re.M | re.S).group(1)
        self.settings = dict(re.findall(r"--set (log\S+?)=(\w+)`", section))
        self.rows = {int(number): (title, expected) for number, title, expected in
                     re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \|$", head, re.M)}
        parts = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        self.scenarios = {int(number): Scenario(title.rstrip("."), text) for number, title, text in parts}

    def first(self, begin, end):
        """Lines of scenario 1, to which others go back."""
        return "".join(self.scenarios[1].code.splitlines(keepends=True)[begin:end])

    @property
    def begun(self):
        """As 1 up to `send`."""
        return self.first(0, 3)


class Stranger:
    """Somebody who follows the page on a machine where nothing else is."""

    def __init__(self, page, broker, python):
        self.page, self.broker, self.python = page, broker, python
        self.books = Books(broker)

    def _script(self, code):
        assert ADDRESS in self.page.prelude
        path = self.broker.directory / "plant.py"
        path.write_text(self.page.prelude.replace(ADDRESS, f'AT = "{self.broker.address}"') + code)
        return [self.python, path]

    def plants(self, code, raises=None):
        """Runs it behind the page's beginning. `raises`: what it ends with, as the page says."""
        code, said = processes.run(self._script(code), self.broker.directory / "plant.log", timeout_s=SCRIPT_S)
        if code == (1 if raises else 0) and (raises or "") in said:
            return
        raise Wrong(f"plant.py: exit code {code}: {said[-500:]}")

    def plants_while(self, code, at_prompt):
        """Where it waits for the enter key, `at_prompt` happens."""
        argv, log = self._script(code), self.broker.directory / "plant.log"
        script = processes.Child(argv, log, stdin=True)
        try:
            until(lambda: b"press enter" in log.read_bytes() or not script.alive(), "the prompt")
            at_prompt()
            script.popen.stdin.write(b"\n")
            script.ask_to_stop()
            if script.wait(SCRIPT_S) != 0:
                raise Wrong(f"plant.py: {script.tail()}")
        finally:
            script.kill()

    def follows(self, commands, times=1):
        """So many commands of the page."""
        if len(commands) != times:
            raise Wrong(f"the page has {commands}")
        for command in commands:
            self.runs(command)

    def runs(self, command):
        """A `tallymq` command against this broker; gives what it printed."""
        env = os.environ | {"TALLYMQ_BOOTSTRAP": self.broker.address, "TALLYMQ_HTTP": f"127.0.0.1:{self.broker.http_port}"}
        argv = [str(self.broker.binary), *command.split()[1:]]
        done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=SCRIPT_S)
        if done.returncode != 0:
            raise Wrong(f"{command}: exit code {done.returncode}: {done.stderr[-500:]}")
        return done.stdout

    def partition(self, group=GROUP):
        return self.books.partitions(TOPIC, group).get(0)

    def expects(self, intervals, classes, group=GROUP, **more):
        """Until the account and the alarms say exactly this."""
        expected = Expected(intervals, classes, **more)
        settled(lambda: differences(self.partition(group), self.books.alarms(TOPIC, group), expected))


PLAYS = {}


def plays(number, expected, *settings):
    """A decorator for scenario `number`; the page's table has to say `expected`, and the page names the broker's `settings`."""

    def declare(run):
        PLAYS[number] = (expected, settings, run)
        return run

    return declare


SKIPPED = ([("skipped", 10, 50)], {"processed": 10, "skipped": 40})


@plays(1, "40 skipped: offsets 10 to 49")
def commit_past_unread(one, page):
    one.plants(page.scenarios[1].code)
    one.expects(*SKIPPED, by={"client_id": "other"})


@plays(2, "40 skipped: 10 to 49")
def seek_to_the_end(one, page):
    one.plants(page.begun + page.scenarios[2].code)
    one.expects(*SKIPPED, by={"client_id": "other"})


@plays(3, "40 skipped: 10 to 49")
def reset_tool(one, page):
    one.plants(page.begun)
    one.follows(page.scenarios[3].commands_to("group reset"))
    one.expects(*SKIPPED)


def retained(one, page):
    """Scenario 4; gives the offset below which everything was removed. It may come to be more: each segment goes when it is
    sealed and its second is over."""
    one.plants(page.begun)
    one.follows(page.scenarios[4].commands_to("topic alter"))
    one.plants(page.scenarios[4].code)
    return until(lambda: removed(one.partition()), "retention")


def removed(partition):
    intervals = partition["intervals"]
    return intervals[0]["to"] if intervals and intervals[0]["class"] == "expired_unread" else 0


def joined(alarms):
    """What retention takes at two times are two alarms; neighbours of a class become one."""
    found = []
    for each in sorted(alarms, key=lambda alarm: alarm["from"]):
        last = found[-1] if found else {}
        if (last.get("class"), last.get("to")) == (each["class"], each["from"]):
            found[-1] = last | {"to": each["to"], "records": last["records"] + each["records"]}
        else:
            found.append(each)
    return found


@plays(4, "about 2,000 expired unread, from 10 on", "log.retention.check.interval.ms")
def retention(one, page):
    retained(one, page)

    def wrong():
        partition, alarms = one.partition(), joined(one.books.alarms(TOPIC, GROUP))
        to = removed(partition)
        classes = {"processed": 10, "expired_unread": to - 10, "pending": 3050 - to}
        found = [] if 1030 <= to <= 3030 else [f"expired unread up to {to}"]
        return found + differences(partition, alarms, Expected([("expired_unread", 10, to)], classes, cause="retention"))

    settled(wrong)


@plays(5, "those expired unread, what was jumped over skipped", "log.retention.check.interval.ms")
def out_of_range(one, page):
    at_first = retained(one, page)
    one.plants(page.scenarios[5].code)
    partition = one.partition()
    intervals, to = partition["intervals"], removed(partition)
    found = [(each["class"], each["from"]) for each in intervals]
    if found != [("expired_unread", 10), ("skipped", to)] or to < at_first or intervals[1]["to"] < 3050:
        raise Wrong(f"intervals {intervals}, removed up to {at_first} at first")
    alarms = {(each["class"], each["from"], each["to"]) for each in joined(one.books.alarms(TOPIC, GROUP))}
    if alarms != {(each["class"], each["from"], each["to"]) for each in intervals}:
        raise Wrong(f"alarms {alarms}, and intervals {intervals}")


@plays(6, "30 purged: 10 to 39")
def delete_records(one, page):
    one.plants(page.begun + page.scenarios[6].code)
    one.expects([("purged", 10, 40)], {"processed": 10, "purged": 30, "pending": 10})


@plays(7, "the account ends with 40 purged (`account --ended`); the new topic has none yet")
def deleted_and_created_again(one, page):
    one.plants(page.begun)
    one.follows(page.scenarios[7].commands_to("topic delete"))
    one.plants(page.scenarios[7].calls[0])
    [ended] = json.loads(one.runs("tallymq account --ended --json"))["ended"]
    [partition] = ended["partitions"]
    purged = [(each["from"], each["to"]) for each in partition["intervals"] if each["class"] == "purged"]
    if purged != [(10, 50)] or partition["classes"]["purged"] != 40:
        raise Wrong(f"the last statement: {ended}")
    if one.partition():
        raise Wrong(f"the new topic has an account: {one.partition()}")


@plays(8, "50 unwitnessed in both, no alarm")
def cannot_be_told_apart(one, page):
    here = page.scenarios[8]
    one.plants(here.calls[0])
    one.follows(here.commands_to("account open"), times=2)
    one.plants(here.code)
    for group in (GROUP, "audit"):
        one.expects([("unwitnessed", 0, 50)], {"unwitnessed": 50}, group)


@plays(9, "50 skipped, if the account was open")
def by_somebody_who_never_read(one, page):
    one.plants(page.scenarios[9].calls[0])
    one.follows(page.scenarios[9].commands_to("account open"))
    one.plants(page.first(3, 5))
    one.expects([("skipped", 0, 50)], {"skipped": 50})


@plays(10, "unwitnessed or processed, never skipped")
def killed_in_between(one, page):
    def killed():
        one.broker.kill()
        one.broker.start()

    one.plants_while(page.begun + page.scenarios[10].code, killed)
    partition = one.partition()
    classes = {name: count for name, count in partition["classes"].items() if count}
    known = classes.get("processed", 0) + classes.get("unwitnessed", 0)
    if known != 50 or sum(classes.values()) != 50 or one.books.alarms() or not partition["balanced"]:
        raise Wrong(f"{partition}, alarms {one.books.alarms()}")


@plays(11, "refused 1, nothing skipped")
def fenced_member(one, page):
    one.plants(page.scenarios[11].code, raises="KafkaException")
    one.expects([], {"in_flight": 50}, tallies={"refused": 1})


@plays(12, "lost, by name")
def removed_from_a_segment(one, page):
    one.plants(page.begun + page.scenarios[12].calls[0])
    one.broker.stop()
    path = next((one.broker.data / damage.TOPICS).glob("*/0/*.log"))
    data = path.read_bytes()
    batches = damage.batches(data)
    at = next(number for number, (base, _, _) in enumerate(batches) if base == 10)
    (_, start, end), (to, _, _) = batches[at], batches[at + 1]
    path.write_bytes(data[:start] + data[end:])
    argv = [str(one.broker.binary), "verify", "--data-dir", str(one.broker.data)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SCRIPT_S)
    if done.returncode != VERIFY_FOUND or f"{to - 10} records of orders-0 are lost: offsets 10 to {to - 1}" not in done.stdout:
        raise Wrong(f"verify: exit code {done.returncode}: {done.stdout[-500:]}")
    one.broker.start()
    one.plants('one = consumer("billing"); one.subscribe(["orders"])\nwhile not one.poll(1): pass\n')
    one.expects([("lost", 10, to)], {"processed": 10, "lost": to - 10, "pending": 60 - to}, cause="unreadable")


@plays(13, "all processed, 40 recovered")
def made_good(one, page):
    one.plants(page.scenarios[1].code)
    one.follows(page.scenarios[13].commands_to("group reset"))
    one.plants(page.scenarios[13].code)
    one.expects([], {"processed": 50}, tallies={"recovered": 40}, alarms=[("skipped", 10, 50)])


@plays(14, "redelivered 50, everything processed")
def read_twice(one, page):
    one.plants(page.scenarios[14].calls[0] + page.scenarios[14].code)
    one.follows(page.scenarios[14].commands_to("group reset"))
    one.plants(page.scenarios[14].code)
    one.expects([], {"processed": 50}, tallies={"redelivered": 50})


def settings_of(page, names):
    missing = [name for name in names if name not in page.settings]
    if missing:
        raise Wrong(f"the page does not say to start the broker with {missing}")
    return {name: page.settings[name] for name in names}


def played(number, page, binary, directory, python):
    """What was wrong, or None."""
    broker = None
    try:
        expected, names, run = PLAYS[number]
        if page.rows.get(number, ("", ""))[1] != expected:
            raise Wrong(f"the page's table does not say {expected!r}")
        broker = brokers.Tallymq(directory / str(number), settings_of(page, names) | brokers.SMALL_LOG, binary)
        broker.start()
        run(Stranger(page, broker, python), page)
        return None
    except Exception as error:  # whatever it ends with is its result
        return f"{type(error).__name__}: {error}"
    finally:
        if broker:
            broker.stop()


def play(broker, directory, quick):
    """Yields (suite, version, scenario, problem or None, seconds). Of `broker` only the binary is used."""
    del quick
    client, page = clients.ALL["confluent"](), Page(PAGE.read_text())

    def row(number):
        begin = time.monotonic()
        problem = played(number, page, broker.binary, directory, client.argv[0])
        title = f"{number}. {page.scenarios[number].title}, as printed in docs/account.md"
        return SUITE, client.version, title, problem, time.monotonic() - begin

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(row, sorted(page.scenarios))
