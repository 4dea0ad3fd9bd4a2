"""The table at the end, the failures with what reproduces them, and the file that makes long runs resumable."""

import json
import time

from . import paths

FILE = paths.SCRATCH / "results.jsonl"


def rounds_done(stage):
    """Rounds of a stage that stand in the results file."""
    if not FILE.exists():
        return 0
    entries = [json.loads(line) for line in FILE.read_text().splitlines()]
    return sum(entry["rounds"] for entry in entries if entry["stage"] == stage and entry["resumable"])


def keep(stage, rounds, seed, outcome, seconds, resumable):
    entry = {"at": int(time.time()), "stage": stage, "rounds": rounds, "seed": seed, "resumable": resumable}
    entry |= {"passed": outcome.passed, "failed": outcome.failed, "seconds": round(seconds, 1)}
    entry |= {"figures": {key: str(value) for key, value in outcome.figures.items()}, "failures": outcome.failures}
    with open(FILE, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def show_failures(stage, rounds, seed, binary, outcome):
    for failure in outcome.failures:
        print(f"  FAILED {stage}: {failure}")
    if outcome.failures:
        print(f"  again: proof/run.py --only {stage} --rounds {rounds} --seed {seed} --binary {binary}", flush=True)


def show_table(rows, seconds):
    print(f"\n{'stage':<16} {'passed':>6} {'failed':>6} {'time':>8}  figures")
    for name, outcome, stage_seconds in rows:
        figures = ", ".join(f"{key} {value}" for key, value in outcome.figures.items())
        print(f"{name:<16} {outcome.passed:>6} {outcome.failed:>6} {stage_seconds:>6.1f} s  {figures}")
    passed = sum(outcome.passed for _, outcome, _ in rows)
    failed = sum(outcome.failed for _, outcome, _ in rows)
    print(f"{'all':<16} {passed:>6} {failed:>6} {seconds:>6.1f} s")
    print(f"{passed} passed, {failed} failed")
