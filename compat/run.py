#!/usr/bin/env python3
"""Runs other people's Kafka clients against a broker and prints one table.

  compat/run.py [--broker tallymq|kafka] [--only NAME]... [--jobs N] [--quick] [--keep]

Exit code 0 only when everything passed; a client that cannot be installed is a failure.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import brokers, clients, console_tools, differential, doctor, install, own_suite, scenario  # noqa: E402
from harness.account import printed, suite as account  # noqa: E402

# Names for --only: one per client, and the suites that came with a client. The long ones first.
SUITES = {
    "java-console-tools": console_tools.play,
    "kafka-python-suite": own_suite.play,
    "differential": differential.play,
    "doctor": doctor.play,
    "account": account.play,
    "account-page": printed.play,
}
ONLY_TALLYMQ = {"account", "account-page"}  # no other broker keeps one
KILL_MEMBERS = {"account", *clients.ALL}
ALL = ["java", "rdkafka", "confluent", *SUITES, *clients.OLDER, "kafka-python", "kafkajs", "franz"]
assert set(ALL) == {*clients.ALL, *clients.OLDER, *SUITES}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", choices=["tallymq", "kafka"], default="tallymq")
    parser.add_argument("--binary", default=brokers.TALLYMQ, help="the tallymq binary")
    parser.add_argument("--only", action="append", choices=ALL, metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2, help="how many clients at a time, each with a broker of its own")
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument("--keep", action="store_true", help="keep the data and logs of the run")
    parser.add_argument("--rows", help=argparse.SUPPRESS)  # where one client's process leaves its rows
    return parser.parse_args()


def new_broker(name, options, directory):
    settings = brokers.TEST_SETTINGS | (brokers.KILLED_MEMBERS if name in KILL_MEMBERS else {})
    if options.broker == "tallymq":
        return brokers.Tallymq(directory, settings | brokers.SMALL_LOG, options.binary)
    kafka = brokers.Kafka(directory, settings | {"offsets.topic.num.partitions": "4"})
    kafka.binary = Path(options.binary)  # `doctor` runs it against Kafka
    return kafka


def play(name, options, directory):
    """Yields (client, version, scenario, problem or None, seconds)."""
    if name in SUITES:
        broker = new_broker(name, options, directory / "broker")
        broker.start()
        try:
            yield from SUITES[name](broker, directory, options.quick)
        finally:
            broker.stop()
        return
    client = (clients.ALL | clients.OLDER)[name]()
    broker = new_broker(name, options, directory / "broker")
    broker.start()
    try:
        for result in scenario.play(client, broker, directory / "history", options.quick):
            yield client.name, client.version, *result
    finally:
        broker.stop()


def rows_of(name, options, directory):
    """Runs one client or suite here; prints each row when it is there, and returns all."""
    rows, begin = [], time.monotonic()

    def row(*cells):
        rows.append(cells)
        client, version, title, problem, seconds = cells
        text = f"{client:21} {version:8} {title:56} {'failed' if problem else 'passed'} {seconds:6.1f} s"
        print(text + (f"\n    {problem}" if problem else ""), flush=True)

    try:
        for result in play(name, options, directory):
            row(*result)
    except (install.InstallError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        row(name, "", "install and start", f"{type(error).__name__}: {error}", time.monotonic() - begin)
    if not rows:
        row(name, "", "nothing was run", "no row", time.monotonic() - begin)
    return rows


def rows_of_all(names, options, directory):
    """Each client in a process of its own, `options.jobs` at a time."""
    waiting, running, rows = list(names), {}, {}
    while waiting or running:
        while waiting and len(running) < options.jobs:
            name = waiting.pop(0)
            argv = [sys.executable, __file__, "--only", name, "--rows", str(directory / f"{name}.json")]
            argv += ["--broker", options.broker, "--binary", str(options.binary)]
            argv += ["--quick"] * options.quick + ["--keep"] * options.keep
            running[name] = subprocess.Popen(argv)
        for name, child in list(running.items()):
            if child.poll() is None:
                continue
            del running[name]
            left = directory / f"{name}.json"
            rows[name] = json.loads(left.read_text()) if left.exists() else []
            if not rows[name]:
                rows[name] = [(name, "", "its process", f"ended with exit code {child.returncode} and no row", 0)]
        time.sleep(0.1)
    return [row for name in names for row in rows[name]]


def main():
    options = arguments()
    everything = [name for name in ALL if options.broker == "tallymq" or name not in ONLY_TALLYMQ]
    names, begin = options.only or everything, time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="tallymq-compat-"))
    try:
        if options.rows:
            rows = rows_of(names[0], options, directory)
            Path(options.rows).write_text(json.dumps(rows))
            return
        if len(names) > 1 and options.jobs > 1:
            rows = rows_of_all(names, options, directory)
        else:
            rows = [row for name in names for row in rows_of(name, options, directory / name)]
        finish(rows, options, time.monotonic() - begin)
    finally:
        if options.keep:
            print(f"data and logs: {directory}", flush=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)


def finish(rows, options, seconds):
    print(f"\n| client | version | scenario against {options.broker} | result |\n|---|---|---|---|")
    for client, version, name, problem, _ in rows:
        print(f"| {client} | {version} | {name} | {'failed' if problem else 'passed'} |")
    for client, version, name, problem, _ in rows:
        if problem:  # once more, so that they stand at the end of a long log
            print(f"\n{client} {version}, {name}: failed\n    {problem}")
    failed = sum(1 for row in rows if row[3])
    print(f"\n{len(rows) - failed} passed, {failed} failed in {seconds:.0f} s")
    sys.exit(1 if failed else 0)


main()
