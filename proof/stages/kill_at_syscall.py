"""Kills the broker at each write, sync, rename and removal of a fixed script, and cuts the power of its disk.

After the restart the same clients finish the script; everything acknowledged must be there, once, at its offset.
"""

import itertools
import shutil

from rig import fault_case, loop_disk, parallel, strace

CI_ROUNDS, ROUNDS = 200, 2000


def play(options, outcome):
    loop_disk.require(options.directory / "probe")
    counts = fault_case.count_calls(options.binary, options.directory)
    cases = fault_case.spread(counts, options.seed, strace.CHANGING)
    base = {"binary": options.binary, "directory": str(options.directory), "fault": "signal=SIGKILL"}
    missed = 0
    named = (base | {"half": half, "call": call, "number": number} for half, call, number in itertools.cycle(cases))
    limited = itertools.islice(named, options.rounds * 2)
    for answer in parallel.play(fault_case.run, limited, options.rounds):
        codes = [code for code, _, _ in answer["deaths"]]
        wrong = answer["found"] + [f"ended with {code}, not by the signal" for code in codes if code != -9]
        if not answer["reached"] and not wrong:
            missed += 1
            shutil.rmtree(answer["where"], ignore_errors=True)
            continue
        told = f"{answer['name']}: {'; '.join(wrong)[:1500]} ({answer['where']})"
        if outcome.check(not wrong, told):
            shutil.rmtree(answer["where"], ignore_errors=True)
    outcome.figures |= {"calls of the script": sum(counts.values()), "not reached": missed}
    outcome.figures |= {"kinds": len({call for _, call in counts})}
