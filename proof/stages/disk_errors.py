"""A write or a sync fails once: the broker acknowledges nothing more, says so in one line, and ends with exit code 70.

The power is cut then, so that whatever was acknowledged without a sync is gone and found missing. After a clean restart
the same clients finish the script. A failed removal, creation or rename may also be survived, if nothing is lost.
"""

import itertools
import re
import shutil

from rig import fault_case, loop_disk, parallel
from rig.patience import STANDSTILL_S

CI_ROUNDS, ROUNDS = 50, 5000
# Calls whose failure means that data may not be durable.
FATAL = {"pwritev", "pwritev2", "pwrite64", "fdatasync", "fsync", "syncfs"}
OTHERS = {"rename", "renameat", "renameat2", "ftruncate", "mkdir", "unlink"}
EXIT_FATAL = 70
TOLD = re.compile(r"ERROR the disk failed; ending")


def play(options, outcome):
    loop_disk.require(options.directory / "probe")
    counts = fault_case.count_calls(options.binary, options.directory)
    base = {"binary": options.binary, "directory": str(options.directory)}
    orders = [fault_case.spread(counts, options.seed, {call}) for call in sorted(FATAL | OTHERS)]
    turns = (case for turn in itertools.zip_longest(*orders) for case in turn if case)
    faults = itertools.cycle(["error=EIO", "error=EIO", "error=ENOSPC"])
    names = ("half", "call", "number")
    cases = [base | dict(zip(names, case)) | {"fault": fault} for case, fault in zip(turns, faults)]
    missed, survived = 0, 0
    for answer in parallel.play(fault_case.run, cases, options.rounds):
        if not answer["reached"] and not answer["found"]:
            missed += 1
            shutil.rmtree(answer["where"], ignore_errors=True)
            continue
        wrong = answer["found"] + judge_end(answer)
        survived += not answer["deaths"]
        told = f"{answer['name']}: {'; '.join(wrong)[:1500]} ({answer['where']})"
        if outcome.check(not wrong, told):
            shutil.rmtree(answer["where"], ignore_errors=True)
    outcome.figures |= {"survived": survived, "not reached": missed}


def judge_end(answer):
    """What was wrong about how the process ended."""
    wrong = []
    # A file of the log that is being prepared holds nothing yet: without it the next one is made when it is needed.
    # A checkpoint that does not fit into its new file is given up, and the one before stays.
    harmless = ("/wal/prepare-", ".new") if answer["name"].endswith("ENOSPC") else ("/wal/prepare-",)
    fatal = [
        at
        for at, paths in answer["injected"]
        if answer["call"] in FATAL and not any(part in paths for part in harmless)
    ]
    if fatal and not answer["deaths"]:
        wrong.append(f"{answer['call']} failed and the broker went on")
    for code, output, last_acked_send_s in answer["deaths"]:
        started = "\nready\n" in output
        if started and code != EXIT_FATAL or code in (0, 101) or code is None or code < 0:
            wrong.append(f"ended with {code}: {output[-300:]}")
        if started and len(TOLD.findall(output)) != 1:
            wrong.append(f"{len(TOLD.findall(output))} lines say why it ended: {output[-500:]}")
        if "panicked" in output:
            wrong.append(f"a panic: {output[-500:]}")
        # Between the failure and the step that follows from it the broker may stand still; what it acknowledges meanwhile has
        # to be there after the power cut like all else.
        if fatal and last_acked_send_s > fatal[0] + STANDSTILL_S:
            wrong.append(f"a record was acknowledged that was sent {last_acked_send_s - fatal[0]:.2f} s after the failure")
    return wrong
