"""The SDK's services (crates/client/examples/order-services) as child processes that are killed and started again.

A service says on its standard output how far it is; what it did before its death counts on.
"""

import json
import re
import subprocess

from harness import processes

from . import paths, sdk_programs
from .patience import PATIENCE_S

PROGRESS = re.compile(rb"^progress (\d+)$", re.M)


def argv(role, arguments):
    return [str(sdk_programs.services()), role, *(f"{name}={value}" for name, value in arguments.items())]


def run(role, arguments, timeout_s=PATIENCE_S):
    """Runs a role to its end; returns the JSON that it printed last, if any. Raises on failure."""
    done = subprocess.run(argv(role, arguments), capture_output=True, text=True, timeout=timeout_s)
    if done.returncode != 0:
        raise RuntimeError(f"{role}: exit {done.returncode}: {done.stderr[-2000:]}")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else None


def verdict(arguments, directory, numbers, acknowledged_min, *flags):
    """Reads the whole topic once more, and asks the checker about every history in the directory: (whether they are clean, what
    it said, how many records were read)."""
    final = {"process": next(numbers), "history": directory / "final.events"}
    records = run("read", arguments | final)["records"]
    argv = [paths.checker(), *flags, "--acknowledged-min", acknowledged_min, *sorted(directory.glob("*.events"))]
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=600)
    return done.returncode == 0, f"{done.stdout[-1500:]}{done.stderr[-500:]}", records


class Service:
    """One service. Each life has a process number, and with it a history file, of its own."""

    def __init__(self, name, role, arguments, directory, numbers):
        self.name, self.role, self.arguments = name, role, arguments
        self.directory, self.numbers = directory, numbers
        self.log_path = directory / f"{name}.log"
        self.child = None
        self.read_to = 0
        self.progress = 0

    def start(self):
        number = next(self.numbers)
        own = {"process": number, "history": self.directory / f"{number}.events"}
        self.child = processes.Child(argv(self.role, self.arguments | own), self.log_path)

    def kill(self):
        """kill -9."""
        if self.child:
            self.child.kill()

    def look(self):
        """How far all its lives together are."""
        if self.log_path.exists():
            with open(self.log_path, "rb") as log:
                log.seek(self.read_to)
                text = log.read()
            end = text.rfind(b"\n") + 1
            self.read_to += end
            self.progress += sum(int(number) for number in PROGRESS.findall(text[:end]))
        return self.progress

    def ended(self):
        """Its exit code, or None while it runs."""
        return None if self.child is None else self.child.popen.poll()
