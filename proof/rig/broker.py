"""One release broker as a child process: start, SIGKILL, SIGTERM, restart on the same ports.

Signals only the process that it started. A wrapper (strace -D) may stand in front; the child's id stays the broker's.
"""

import re
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from harness import processes

ADDRESS = re.compile(rb"^(kafka|http) listening on \S*127\.0\.0\.1:(\d+)", re.M)


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
        self.ports = {b"kafka": 0, b"http": 0}
        self.child = None
        self.log_from = 0

    @property
    def address(self):
        return f"127.0.0.1:{self.ports[b'kafka']}"

    @property
    def port(self):
        return self.ports[b"kafka"]

    def choose_ports(self):
        """Fixes free ports before the first start, for a broker that may die before it says them."""
        with socket.socket() as kafka, socket.socket() as http:
            kafka.bind(("127.0.0.1", 0))
            http.bind(("127.0.0.1", 0))
            self.ports = {b"kafka": kafka.getsockname()[1], b"http": http.getsockname()[1]}

    def launch(self, wrapper=()):
        """Starts the process without waiting for it."""
        self.log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        argv = [*wrapper, self.binary, "serve", "--data-dir", self.data]
        argv += ["--listen", f"127.0.0.1:{self.ports[b'kafka']}"]
        argv += ["--http-listen", f"127.0.0.1:{self.ports[b'http']}"]
        for key, value in self.settings.items():
            argv += ["--set", f"{key}={value}"]
        self.child = processes.Child(argv, self.log_path)

    def start(self, wrapper=(), timeout_s=60):
        """Starts and waits until it says that it is ready; raises StartRefused if it ends instead."""
        begin = time.monotonic()
        self.launch(wrapper)
        while b"\nready\n" not in self.output():
            if not self.alive():
                raise StartRefused(self.child.popen.returncode, self.output().decode(errors="replace"))
            if time.monotonic() - begin > timeout_s:
                self.kill()
                raise TimeoutError(f"the broker was not ready within {timeout_s} s: see {self.log_path}")
            time.sleep(0.004)
        self.ports |= {name: int(port) for name, port in ADDRESS.findall(self.output())}
        return time.monotonic() - begin

    def output(self):
        """What it printed since its last start, as bytes."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_from)
            return log.read()

    def alive(self):
        return self.child is not None and self.child.alive()

    def wait_for_end(self, timeout_s):
        """Exit code (negative: signal), or None when it still runs after `timeout_s`."""
        try:
            return self.child.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        """SIGKILL; returns when the process is gone."""
        if self.child:
            self.child.kill()

    def stop(self, timeout_s=30):
        """SIGTERM; returns the exit code, None if nothing ran."""
        return self.child.terminate(timeout_s) if self.child else None

    def rss_bytes(self):
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def open_files(self):
        return sum(1 for _ in Path(f"/proc/{self.child.pid}/fd").iterdir())

    def get(self, path, timeout_s=5):
        """An HTTP answer's text."""
        url = f"http://127.0.0.1:{self.ports[b'http']}{path}"
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.read().decode()
