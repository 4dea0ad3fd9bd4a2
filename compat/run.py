#!/usr/bin/env python3
"""Runs other people's Kafka clients against a broker and prints one table.

  compat/run.py [--broker tallymq|kafka] [--only NAME]... [--quick] [--keep]

Exit code 0 only when everything passed; a client that cannot be installed is a failure.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import brokers, clients, console_tools, differential, install, own_suite, scenario  # noqa: E402

# Names for --only: one per client, and the suites that came with a client.
SUITES = {"kafka-python-suite": own_suite.play, "java-console-tools": console_tools.play, "differential": differential.play}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", choices=["tallymq", "kafka"], default="tallymq")
    parser.add_argument("--binary", default=brokers.TALLYMQ, help="the tallymq binary")
    parser.add_argument("--only", action="append", choices=[*clients.ALL, *SUITES], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="a tenth of the records")
    parser.add_argument("--keep", action="store_true", help="keep the data and logs of the run")
    return parser.parse_args()


def new_broker(options, directory):
    settings = brokers.TEST_SETTINGS
    if options.broker == "tallymq":
        return brokers.Tallymq(directory, settings, options.binary)
    return brokers.Kafka(directory, settings | {"offsets.topic.num.partitions": "4"})


def play(name, options, directory):
    """Yields (client, version, scenario, problem or None, seconds)."""
    if name in SUITES:
        broker = new_broker(options, directory / "broker")
        broker.start()
        try:
            yield from SUITES[name](broker, directory, options.quick)
        finally:
            broker.stop()
        return
    client = clients.ALL[name]()
    broker = new_broker(options, directory / "broker")
    broker.start()
    try:
        for result in scenario.play(client, broker, directory / "history", options.quick):
            yield client.name, client.version, *result
    finally:
        broker.stop()


def main():
    options = arguments()
    directory = Path(tempfile.mkdtemp(prefix="tallymq-compat-"))
    rows = []

    def row(*cells):
        rows.append(cells)
        client, version, name, problem, seconds = cells
        verdict = "failed" if problem else "passed"
        print(f"{client:21} {version:8} {name:44} {verdict} {seconds:6.1f} s", flush=True)
        if problem:
            print(f"    {problem}", flush=True)

    for name in options.only or [*clients.ALL, *SUITES]:
        begin = time.monotonic()
        try:
            for result in play(name, options, directory / name):
                row(*result)
        except (install.InstallError, RuntimeError, TimeoutError, OSError) as error:
            row(name, "", "install and start", f"{type(error).__name__}: {error}", time.monotonic() - begin)
        if not options.keep:
            shutil.rmtree(directory / name, ignore_errors=True)
    finish(rows, options, directory)


def finish(rows, options, directory):
    if options.keep:
        print(f"data and logs: {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"\n| client | version | scenario against {options.broker} | result |\n|---|---|---|---|")
    for client, version, name, problem, _ in rows:
        print(f"| {client} | {version} | {name} | {'failed' if problem else 'passed'} |")
    failed = sum(1 for row in rows if row[3])
    print(f"\n{len(rows) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not rows else 0)


main()
