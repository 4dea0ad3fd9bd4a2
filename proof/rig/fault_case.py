"""One case: the script with one fault at one call of the broker, on a disk of its own whose power is cut afterwards."""

import random
import shutil
from pathlib import Path

from . import script, strace
from .broker import Broker
from .loop_disk import LoopDisk

HALVES = (1, 2)


def count_calls(binary, directory):
    """{(half, call): how often one thread makes it} when nothing fails."""
    counts = {}
    for half in HALVES:
        where = Path(directory) / f"count-{half}"
        recorded = where / "strace.txt"
        play = _play(binary, where, strace.record(recorded, strace.CHANGING), half)
        if play.found or play.deaths:
            raise RuntimeError(f"the script fails without any fault: {play.deaths} {play.found} ({where})")
        counts |= {(half, call): count for call, count in strace.calls_per_thread(recorded).items()}
        shutil.rmtree(where)
    return counts


def spread(counts, seed, calls):
    """Every (half, call, N) once: the rare calls first, then the others spread evenly over their range."""
    dice = random.Random(seed)
    rare, others = [], []
    for (half, call), count in sorted(counts.items()):
        if call in calls:
            (rare if count <= 12 else others).append([(half, call, number) for number in range(1, count + 1)])
    rare = [case for cases in rare for case in cases]
    dice.shuffle(rare)
    named = [case for cases in others for case in cases]
    # Steps of the golden section: any beginning of this order covers every range evenly.
    begin = dice.random()
    return rare + [case for _, case in sorted(((begin + at * 0.6180339887) % 1.0, case) for at, case in enumerate(named))]


def _play(binary, where, wrapper, half):
    with LoopDisk(where, script.DISK_MEGABYTES) as disk:
        broker = Broker(binary, disk.mount_point / "data", where / "broker.log", script.SETTINGS)
        play = script.Play(broker, disk, where, wrapper, half)
        play.run()
    return play


def run(case):
    """Plays {binary, directory, half, call, number, fault}; answers with reached, deaths, found, the injected errors and the place."""
    name = f"{case['half']}-{case['call']}-{case['number']}-{case['fault'].split('=')[1]}"
    where = Path(case["directory"]) / name
    traced = where / "strace.txt"
    answer = dict(case, name=name, where=str(where), deaths=[], found=[], injected=[])
    wrapper = strace.inject(case["call"], case["number"], case["fault"], traced)
    try:
        play = _play(case["binary"], where, wrapper, case["half"])
        answer["deaths"], answer["found"] = play.deaths, play.found
    except Exception as error:
        answer["found"] = [f"{type(error).__name__}: {error}"]
    answer["injected"] = strace.injected(traced)
    answer["reached"] = bool(answer["injected"] or answer["deaths"])
    return answer
