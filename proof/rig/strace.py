"""Command lines for strace as a fault injector, and what a recorded run says about the calls there are.

The tracer is detached (-D), so that the child that the harness started stays the broker itself. strace counts `when=N`
per thread and per call.
"""

import re
from collections import Counter

# What changes a file or makes it durable. `write` is left out: sockets and the log use it, no data file does.
CHANGING = ["pwrite64", "pwritev", "pwritev2", "fdatasync", "fsync", "syncfs", "sync_file_range", "rename", "renameat"]
CHANGING += ["renameat2", "unlink", "unlinkat", "rmdir", "ftruncate", "fallocate", "mkdir", "mkdirat"]
_PATHS = re.compile(r"[<\"](/[^>\"]*)[>\"]")
_LINE = re.compile(r"^(\d+)\s+(\w+)\(")


def record(output, calls):
    return ["strace", "-D", "-f", "--seccomp-bpf", "-o", str(output), "-e", "trace=" + ",".join(calls), "--"]


def inject(call, when, fault, output):
    """A fault at the N-th `call` of a thread. `fault` in strace's words: signal=SIGKILL, error=EIO."""
    # Without --seccomp-bpf: a signal injected at its stops is not delivered.
    argv = ["strace", "-D", "-f", "-y", "-ttt", "-o", str(output)]
    return [*argv, "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}", "--"]


def calls_per_thread(output):
    """{call: most of them by one thread} of a recorded run."""
    counts = Counter()
    for line in output.read_text(errors="replace").splitlines():
        found = _LINE.match(line)
        if found:
            counts[found.groups()] += 1
    most = Counter()
    for (_, call), count in counts.items():
        most[call] = max(most[call], count)
    return dict(most)


def injected(output):
    """[(seconds since the epoch, paths)] of the injected errors (a kill leaves no line)."""
    if not output.exists():
        return []
    found, begun = [], {}
    for line in output.read_text(errors="replace").splitlines():
        thread = line.split(maxsplit=1)[0]
        if line.endswith("<unfinished ...>"):
            # Another thread's call came in between: the paths stand here, the result in a later line.
            begun[thread] = line
        elif "(INJECTED)" in line:
            whole = begun.get(thread, "") + line if " resumed>" in line else line
            found.append((float(line.split()[1]), " ".join(_PATHS.findall(whole))))
    return found
