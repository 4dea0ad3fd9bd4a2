"""One release broker as a child process: start, SIGKILL, SIGTERM, restart on the same ports.

Signals only the process that it started. A wrapper (strace -D) may stand in front; the child's id stays the broker's.
"""

import subprocess
import time
import urllib.request
from pathlib import Path

from harness import processes, wire

from .patience import PATIENCE_S


class StartRefused(Exception):
    """The broker ended before it was ready; holds its exit code and what it printed."""

    def __init__(self, code, output):
        super().__init__(f"exit {code}: {output.strip()[-800:]}")
        self.code = code
        self.output = output


class Broker:
    """A broker on one data directory. `settings` become --set arguments."""

    def __init__(self, binary, data, log_path, settings=None):
        self.binary = Path(binary)
        self.data = Path(data)
        self.log_path = Path(log_path)
        self.settings = dict(settings or {})
        self.port, self.http_port = wire.free_ports(2)
        self.child = None
        self.log_from = 0

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def http_address(self):
        return f"127.0.0.1:{self.http_port}"

    def launch(self, wrapper=()):
        """Starts the process without waiting for it."""
        self.log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        argv = [*wrapper, self.binary, "serve", "--data-dir", self.data]
        argv += ["--listen", self.address, "--http-listen", self.http_address]
        for key, value in self.settings.items():
            argv += ["--set", f"{key}={value}"]
        self.child = processes.Child(argv, self.log_path)

    def start(self, wrapper=()):
        """Starts and waits until it says that it is ready; raises StartRefused if it ends instead."""
        begin = time.monotonic()
        self.launch(wrapper)
        while b"\nready\n" not in self.output():
            if not self.alive():
                raise StartRefused(self.child.popen.returncode, self.output().decode(errors="replace"))
            if time.monotonic() - begin > PATIENCE_S:
                self.kill()
                raise TimeoutError(f"the broker was not ready within {PATIENCE_S} s: see {self.log_path}")
            time.sleep(0.004)
        return time.monotonic() - begin

    def output(self):
        """What it printed since its last start, as bytes."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_from)
            return log.read()

    def alive(self):
        return self.child is not None and self.child.alive()

    def wait_for_end(self, timeout_s=PATIENCE_S):
        """Exit code (negative: signal), or None when it still runs after `timeout_s`."""
        try:
            return self.child.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        """SIGKILL; returns when the process is gone."""
        if self.child:
            self.child.kill()

    def stop(self):
        """SIGTERM; returns the exit code, None if nothing ran. One that had to be killed would look like one that died of a
        planted SIGKILL: it is an error."""
        return self.child.terminate() if self.child else None

    def rss_bytes(self):
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def open_files(self):
        return sum(1 for _ in Path(f"/proc/{self.child.pid}/fd").iterdir())

    def get(self, path):
        """An HTTP answer's text."""
        with urllib.request.urlopen(f"http://{self.http_address}{path}", timeout=PATIENCE_S) as answer:
            return answer.read().decode()
