#!/usr/bin/env python3
"""Memory, disk and answers of many accounts: groups x partitions, opened over HTTP on a fresh broker.

  bench/accounts.py [--groups 1000] [--partitions 100] [--records 10000]
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench"))
sys.path.insert(0, str(ROOT / "compat"))

import meter  # noqa: E402
from harness import brokers, processes  # noqa: E402
from harness.account.journal import JOURNAL_TOPIC  # noqa: E402

TOPIC = "accounts"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--partitions", type=int, default=100)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--binary", default=brokers.TALLYMQ, help="the tallymq binary")
    parser.add_argument("--dir", type=Path, default=ROOT / ".cache" / "bench" / "accounts", help="data, removed afterwards")
    return parser.parse_args()


def command(options, broker, *words, text=""):
    argv = [options.binary, *words, "-b", broker.address]
    subprocess.run([str(word) for word in argv], input=text.encode(), check=True, stdout=subprocess.DEVNULL)


def ask(broker, path, body=None):
    """Seconds and bytes of an answer, and the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{broker.http_port}{path}", data, {"content-type": "application/json"}
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as response:
        answer = response.read()
    return time.perf_counter() - began, answer


def files_mb(directory, part=""):
    paths = [path for path in directory.rglob("*") if path.is_file() and part in str(path)]
    return sum(path.stat().st_blocks * 512 for path in paths) / 1e6


def measure(options):
    broker = brokers.Tallymq(options.dir, {}, options.binary)
    broker.start()
    command(options, broker, "topic", "create", TOPIC, "-p", options.partitions)
    lines = "".join(f"key{number}:{number}\n" for number in range(options.records))
    command(options, broker, "produce", TOPIC, "-q", "-k", ":", text=lines)
    memory = meter.memory_mb(broker.pid, "VmRSS")
    began = time.perf_counter()
    for number in range(options.groups):
        ask(broker, "/v1/account/open", {"group": f"group-{number}", "topic": TOPIC, "from": "earliest"})
    opened_s = time.perf_counter() - began
    grown_mb = meter.memory_mb(broker.pid, "VmRSS") - memory
    whole = [ask(broker, "/v1/account") for _ in range(3)]
    one = [ask(broker, "/v1/account?group=group-7") for _ in range(3)]
    metrics = [ask(broker, "/metrics") for _ in range(3)]
    report = json.loads(whole[0][1])
    after_mb = meter.memory_mb(broker.pid)
    broker.stop()
    checkpoints = files_mb(options.dir, "checkpoint")
    print(f"{options.groups} groups x {options.partitions} partitions, {options.records} records, {meter.machine(options.dir)}")
    print(f"opened in {opened_s:.1f} s; memory +{grown_mb:.0f} MB, peak with answers {after_mb:.0f} MB")
    print(f"checkpoints on disk (two are kept) {checkpoints:.1f} MB; journal {files_mb(options.dir, JOURNAL_TOPIC):.1f} MB")
    for name, answers in [("/v1/account", whole), ("/v1/account?group=", one), ("/metrics", metrics)]:
        fastest = min(seconds for seconds, _ in answers)
        print(f"GET {name}: {fastest * 1000:.0f} ms, {len(answers[0][1]) / 1e6:.2f} MB")
    print(f"balanced: {report['balanced']}")


def main():
    options = arguments()
    shutil.rmtree(options.dir, ignore_errors=True)
    options.dir.mkdir(parents=True)
    try:
        measure(options)
    finally:
        processes.end_all()
        shutil.rmtree(options.dir, ignore_errors=True)


main()
