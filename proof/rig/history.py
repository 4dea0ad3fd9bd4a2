"""Records what clients saw, in the form that `tallymq-check` judges, and asks it for the verdict.

Events are appended in the order in which they happen, by any thread; values are unique and plain ASCII.
"""

import json
import subprocess
import threading
import time
from pathlib import Path

from . import paths


class History:
    """An append-only file of events. `acknowledged` counts the sends that ended ok; of these the one that was begun last was
    begun at `last_acked_send_s`, in seconds since the epoch. When an answer is seen says little: a thread may be late."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.path, "w", encoding="ascii")
        self.lock = threading.Lock()
        self.acknowledged = 0
        self.last_acked_send_s = 0.0
        self.begun_s = {}

    def _write(self, line):
        with self.lock:
            self.file.write(line)

    def send_invoke(self, process, topic, partition, value):
        self.begun_s[value] = time.time()
        self._write(
            f'{{"process":{process},"time_ns":{time.monotonic_ns()},"op":"send","type":"invoke","topic":"{topic}",'
            f'"partition":{partition},"value":"{value}","producer":{process}}}\n'
        )

    def send_done(self, process, kind, topic, partition, value, offset=None):
        begun_s = self.begun_s.pop(value)
        if kind == "ok":
            self.acknowledged += 1
            self.last_acked_send_s = max(self.last_acked_send_s, begun_s)
        place = "" if offset is None else f'"offset":{offset},'
        self._write(
            f'{{"process":{process},"time_ns":{time.monotonic_ns()},"op":"send","type":"{kind}","topic":"{topic}",'
            f'"partition":{partition},{place}"value":"{value}","producer":{process}}}\n'
        )

    def record(self, process, op, kind, **rest):
        event = {"process": process, "time_ns": time.monotonic_ns(), "op": op, "type": kind} | rest
        self._write(json.dumps(event, separators=(",", ":")) + "\n")

    def note(self, text):
        self.record(0, "note", "ok", value=text)

    def close(self):
        self.file.close()

    def verdict(self, acknowledged_min=1):
        """Closes and judges: (clean, report as a dictionary, or {"error": text})."""
        self.close()
        argv = [paths.checker(), "--json", "--acknowledged-min", str(acknowledged_min), self.path]
        done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=600)
        try:
            report = json.loads(done.stdout.splitlines()[0])
        except (IndexError, ValueError):
            report = {"error": done.stderr.strip()}
        if done.returncode not in (0, 1):
            report["error"] = done.stderr.strip()
        return done.returncode == 0, report


def summary(report):
    """One line of a verdict that is not clean."""
    if "error" in report:
        return report["error"]
    return json.dumps(report)[:1500]
