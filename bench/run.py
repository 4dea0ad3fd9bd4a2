#!/usr/bin/env python3
"""Measures brokers under the same load from the same client, taking turns, and prints the table.

  bench/run.py [--quick] [--cell NAME]... [--broker tallymq|kafka|kafka-flush1]...

Each cell of each round starts a fresh broker on an empty directory; the table shows medians.
"""

import argparse
import datetime
import json
import random
import resource
import shutil
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench"))
sys.path.insert(0, str(ROOT / "compat"))

import cells  # noqa: E402
import memory  # noqa: E402
import meter  # noqa: E402
from harness import brokers, install, processes  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", action="append", choices=brokers.KINDS, help="default: all three")
    parser.add_argument("--binary", default=brokers.TALLYMQ, help="the tallymq binary")
    parser.add_argument("--cell", action="append", choices=cells.CELLS, metavar="NAME", help=", ".join(cells.CELLS))
    parser.add_argument("--quick", action="store_true", help="one short round, little data")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--warm-up-s", type=float, help="default 5")
    parser.add_argument("--seconds", type=float, help="measured time of a run, default 20")
    parser.add_argument("--restart-gb", type=float, help="data before the kill, default 10")
    parser.add_argument("--consume-gb", type=float, help="data to read, default 4")
    parser.add_argument("--dir", type=Path, default=ROOT / ".cache" / "bench", help="data and results")
    parser.add_argument("--memory-as-it-is", action="store_true", help="do not fill free memory with page cache before a run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of tallymq")
    options = parser.parse_args()
    defaults = dict(rounds=3, warm_up_s=5.0, seconds=20.0, restart_gb=10.0, consume_gb=4.0)
    if options.quick:
        defaults = dict(rounds=1, warm_up_s=2.0, seconds=5.0, restart_gb=0.5, consume_gb=0.5)
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def start_broker(kind, options, directory, of_cell=()):
    if kind is brokers.Tallymq:
        settings = dict(pair.split("=", 1) for pair in [*options.set, *of_cell])
        broker = kind(directory, settings, options.binary)
    else:
        broker = kind(directory)
    broker.start()
    return broker


def measure(kind, cell, options, load):
    """One run, or a dictionary with `error`; nothing of it stays behind."""
    directory = options.dir / "run"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    broker = None
    filled = not options.memory_as_it_is and memory.fill_page_cache(options.dir)
    try:
        device = meter.device_sync_ms(directory)
        broker = start_broker(kind, options, directory / "broker", cell.settings)
        run = cells.Run(
            broker, load, directory, options.warm_up_s, options.seconds, options.restart_gb, options.consume_gb
        )
        measured = cell.run(run)
        measured["figure"] = cell.figure(measured)
    except (RuntimeError, TimeoutError, OSError, ValueError, KeyError) as error:
        measured, device = {"error": f"{type(error).__name__}: {error}"}, None
    finally:
        processes.end_all()
        shutil.rmtree(directory, ignore_errors=True)
    about = {"durability": kind.durability, "partitions": cell.partitions, "memory_filled": filled}
    return measured | about | {"device_sync_ms": device}


def median(measurements):
    """The measurement of median rank in the figures that a table shows."""
    good = [each for each in measurements if "error" not in each]
    if not good:
        return {"figure": "failed", "error": measurements[0]["error"]}
    merged = {}
    for key, value in good[0].items():
        values = [each[key] for each in good if key in each]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        merged[key] = statistics.median(values) if number else value
    merged["held"] = sum(each.get("held", True) for each in good) * 2 > len(good)
    return merged


def detail(name, kind, cell, measured):
    """One line with what every run must say."""
    def show(key, form):
        return form.format(measured[key]) if measured.get(key) is not None else "–"

    device = measured.get("device_sync_ms") or {"p50": 0, "p99": 0}
    parts = [
        name, kind.name, measured.get("durability", ""), str(cell.partitions), measured["figure"],
        show("syncs_per_s", "{:,.0f}"), show("group_kib", "{:.0f} KiB"),
        f"{device['p50']:.2f} / {device['p99']:.2f} ms",
        show("cpu_s_per_gb", "{:.1f}"), show("cpu_own_s_per_gb", "{:.2f}"), show("peak_rss_mb", "{:.0f} MB"),
        show("stolen_percent", "{:.0f} %"),
    ]
    return "| " + " | ".join(parts) + " |"


def ratios(results, name, without, key):
    """What a figure of cell `name` is as a multiple of the cell without a part: the median of the rounds' ratios, and where
    it lies with 95 % (bootstrap)."""
    pairs = zip(results[name].get("tallymq", []), results[without].get("tallymq", []))
    each = [one[key] / other[key] for one, other in pairs if one.get(key) and other.get(key)]
    if not each:
        return "–"
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(each, k=len(each))) for _ in range(2000))
    return f"{statistics.median(each):.3f} ({medians[50]:.3f} to {medians[1949]:.3f})"


def report_parts(results):
    """The table of what a part costs, of the cells that were measured with it and without; or nothing."""
    rows = [
        f"| {name} : {without} | {ratios(results, name, without, 'megabytes_per_s')} "
        f"| {ratios(results, name, without, 'cpu_s_per_gb')} |"
        for without, cell in cells.CELLS.items() if (name := cell.without) in results and without in results
    ]
    head = ["| with : without | MB/s, times (95 %) | CPU per GB, times (95 %) |", "|---" * 3 + "|"]
    return [*head, *rows, ""] if rows else []


def report(results, kinds, options):
    """The Markdown tables of all measured cells."""
    now = datetime.datetime.now(datetime.timezone.utc)
    command = " ".join(["bench/run.py", *sys.argv[1:]])
    lines = [f"`{command}`, {now:%Y-%m-%d %H:%M} UTC, {meter.machine(options.dir)}.", ""]
    lines += ["| load | " + " | ".join(f"{kind.name}: {kind.durability}" for kind in kinds) + " |"]
    lines += ["|---" * (len(kinds) + 1) + "|"]
    details = [
        "| cell | broker | durability | partitions | result | syncs/s | commit group | device fdatasync p50 / p99 "
        "| CPU s per GB | of it outside the kernel | peak RSS | stolen by the hypervisor |",
        "|---" * 12 + "|",
    ]
    for name, by_kind in results.items():
        cell, row = cells.CELLS[name], []
        for kind in kinds:
            if not by_kind.get(kind.name):
                row.append("")
                continue
            merged = median(by_kind[kind.name])
            if "error" not in merged:
                merged["figure"] = cell.figure(merged)
            row.append(merged["figure"])
            details.append(detail(name, kind, cell, merged))
        lines.append(f"| {cell.title} | " + " | ".join(row) + " |")
    sizes = f"{options.rounds} rounds, {options.seconds:.0f} s each after {options.warm_up_s:.0f} s, "
    sizes += f"{options.restart_gb:g} GB before the restart, {options.consume_gb:g} GB consumed; medians. "
    runs = [run for by_kind in results.values() for runs in by_kind.values() for run in runs]
    filled = all(run["memory_filled"] for run in runs)
    sizes += "Free memory " + ("filled with page cache before each run." if filled else "as it was, not filled.")
    return "\n".join([*lines, "", sizes, "", *report_parts(results), *details, ""])


def main():
    options = arguments()
    options.dir.mkdir(parents=True, exist_ok=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kinds = [brokers.KINDS[name] for name in options.broker or ["kafka", "kafka-flush1", "tallymq"]]
    load = install.cargo(ROOT / "bench" / "load") / "bench-load"
    names = options.cell or list(cells.CELLS)
    results, failed = {name: {} for name in names}, 0
    # Rounds outside: cells that are compared take turns, as brokers do.
    for round_ in range(options.rounds):
        for name in names:
            cell = cells.CELLS[name]
            for kind in kinds:
                if cell.only and kind.name not in cell.only:
                    continue
                measured = measure(kind, cell, options, load)
                results[name].setdefault(kind.name, []).append(measured)
                failed += "error" in measured
                said = measured.get("figure") or measured["error"]
                print(f"{name} round {round_ + 1} {kind.name}: {said}", file=sys.stderr, flush=True)
    table = report(results, kinds, options)
    stamp = f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}"
    (options.dir / f"result-{stamp}.md").write_text(table)
    (options.dir / f"result-{stamp}.json").write_text(json.dumps(results, indent=1))
    print(table)
    print(f"Also in {options.dir}/result-{stamp}.md and .json", file=sys.stderr)
    sys.exit(1 if failed else 0)


main()
