#!/usr/bin/env python3
"""Real faults against the release binary with an unmodified client: nothing acknowledged may be lost.

  proof/run.py [--ci] [--only STAGE]... [--rounds N] [--seed S] [--orders N] [--binary PATH] [--keep]

Needs root (loop mounts, strace), target/release/tallymq, target/release/tallymq-check, and for the SDK, whose
programs it builds, PostgreSQL, MariaDB and Redis. Without --ci each stage runs its release count, in slices whose
results are kept in .cache/proof/results.jsonl, so that an interrupted run goes on where it stopped. Exit code 0 only if everything passed.
"""

import argparse
import importlib
import shutil
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from rig import loop_disk, paths, results  # noqa: E402
from rig.outcome import Options, Outcome  # noqa: E402

STAGES = ["power-cut", "kill-at-syscall", "disk-errors", "disk-full", "damage", "hostile", "many-partitions", "restart"]
STAGES += ["sdk-orders", "sdk-spool", "sdk-kafka"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ci", action="store_true", help="the short counts of every run, about twelve minutes")
    parser.add_argument("--only", action="append", choices=STAGES, metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument("--rounds", type=int, help="rounds of each stage instead of its own count")
    parser.add_argument("--seed", type=int, help="of the first round; by default 1, or where the last run stopped")
    parser.add_argument("--orders", type=int, default=0, help="orders of a round of sdk-orders instead of its own count")
    parser.add_argument("--binary", type=Path, default=paths.TALLYMQ, help="the tallymq binary")
    parser.add_argument("--keep", action="store_true", help="keep every stage's files, not only those of failures")
    return parser.parse_args()


def play(name, stage, options, rounds, seed):
    """Runs one slice of a stage; an exception is a failure of the slice."""
    directory = paths.SCRATCH / name / f"seed-{seed}"
    loop_disk.clear_leftovers(directory)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    outcome = Outcome()
    begin = time.monotonic()
    try:
        short = options.ci
        stage.play(Options(str(options.binary), rounds, seed, directory, short, options.orders), outcome)
    except Exception as error:
        outcome.fail(f"{type(error).__name__}: {error} ({directory})\n{traceback.format_exc()}")
    if outcome.passed + outcome.failed == 0:
        outcome.fail("the stage checked nothing")
    return outcome, time.monotonic() - begin, directory


def slices(name, stage, options):
    """(rounds, seed) of what is to be run: one slice in CI, resumable ones otherwise."""
    if options.ci or options.rounds or options.seed:
        yield options.rounds or stage.CI_ROUNDS, options.seed or 1
        return
    done = results.rounds_done(name)
    while done < stage.ROUNDS:
        yield min(stage.CI_ROUNDS, stage.ROUNDS - done), done + 1
        done += stage.CI_ROUNDS


def main():
    options = arguments()
    if not options.binary.exists():
        raise SystemExit(f"{options.binary} is missing: cargo build --release")
    paths.checker()
    rows, begin = [], time.monotonic()
    for name in options.only or STAGES:
        stage = importlib.import_module(f"stages.{name.replace('-', '_')}")
        for rounds, seed in slices(name, stage, options):
            print(f"{name}: {rounds} rounds from seed {seed} ...", flush=True)
            outcome, seconds, directory = play(name, stage, options, rounds, seed)
            print(f"{name}: {outcome.passed} passed, {outcome.failed} failed in {seconds:.0f} s", flush=True)
            results.show_failures(name, rounds, seed, options.binary, outcome)
            if not (outcome.failed or options.keep):
                shutil.rmtree(directory, ignore_errors=True)
            results.keep(name, rounds, seed, outcome, seconds, resumable=not (options.ci or options.rounds or options.seed))
            rows.append((name, outcome, seconds))
    results.show_table(rows, time.monotonic() - begin)
    sys.exit(1 if any(outcome.failed for _, outcome, _ in rows) else 0)


if __name__ == "__main__":
    paths.enter_client_environment()
    main()
