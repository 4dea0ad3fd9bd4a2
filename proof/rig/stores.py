"""PostgreSQL, MariaDB and Redis from the system's packages, each a server of a stage's own: on a unix socket in its own
directory, as an unprivileged user where this is root. Crashed and started again on the same data.

None of them syncs here: what is killed are processes, and the kernel keeps what they wrote.
"""

import glob
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness import processes

from .patience import PATIENCE_S

# Making a data directory is many syncs, one after the other.
MAKE_S = 2 * PATIENCE_S


class StoreError(Exception):
    """A server is not installed, or does not start; says which."""


def program(name, package):
    """Where a server's program is, the newest version first."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)
    path = found[0] if found else shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not path:
        raise StoreError(f"{name} is not installed: apt-get install {package}")
    return path


def unprivileged(argv):
    if os.geteuid() != 0:
        return argv
    return ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--pdeathsig", "KILL", "--", *argv]


class Server:
    """One server. `place` is what a client is told: its socket, or for PostgreSQL the socket's directory."""

    ready = ""
    end_signal = signal.SIGKILL

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(mode=0o755, parents=True)
        self.data = self.directory / "data"
        self.log_path = self.directory / "log"
        self.child = None
        if os.geteuid() == 0:
            shutil.chown(self.directory, "nobody", "nogroup")
        self.prepare()

    @property
    def place(self):
        return self.directory / "socket"

    def prepare(self):
        """Makes the data directory, where the server does not do that itself."""

    def argv(self):
        raise NotImplementedError

    def unprivileged(self, argv):
        """With a place of its own for temporary files: a MariaDB that starts removes those of others."""
        return unprivileged(["env", f"TMPDIR={self.directory}", *argv])

    def run(self, argv):
        done = subprocess.run(self.unprivileged(argv), capture_output=True, text=True, cwd="/tmp", timeout=MAKE_S)
        if done.returncode != 0:
            raise StoreError(f"{argv[0]}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-1000:]}")

    def start(self):
        """Starts and waits until it takes connections."""
        already = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.child = processes.Child(self.unprivileged(self.argv()), self.log_path, cwd="/tmp")
        deadline = time.monotonic() + PATIENCE_S
        while self.ready not in self.log_path.read_bytes()[already:].decode(errors="replace"):
            if not self.child.alive() or time.monotonic() > deadline:
                raise StoreError(f"{type(self).__name__} does not start:\n{self.child.tail()}")
            time.sleep(0.01)

    def crash(self):
        """Ends it as a crash does: nothing is flushed or said goodbye to."""
        if self.child and self.child.alive():
            os.kill(self.child.pid, self.end_signal)
            if self.child.wait(PATIENCE_S) is None:
                raise StoreError(f"{type(self).__name__} does not end")
        self.child = None


class Postgres(Server):
    ready = "database system is ready to accept connections"
    # Its children end only when it tells them to: "immediate shutdown", recovered from like a crash.
    end_signal = signal.SIGQUIT

    @property
    def place(self):
        return self.directory

    def prepare(self):
        initdb = program("initdb", "postgresql")
        self.run([initdb, "-U", "tally", "-A", "trust", "-E", "UTF8", "--no-sync", "-D", str(self.data)])

    def argv(self):
        postgres = program("postgres", "postgresql")
        return [postgres, "-D", self.data, "-k", self.directory, "-c", "listen_addresses=", "-c", "fsync=off"]


class MariaDb(Server):
    ready = "ready for connections"

    def prepare(self):
        install = program("mariadb-install-db", "mariadb-server")
        flags = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        self.run([install, "--no-defaults", f"--datadir={self.data}", *flags])

    def argv(self):
        argv = [program("mariadbd", "mariadb-server"), "--no-defaults", f"--datadir={self.data}"]
        argv += [f"--socket={self.place}", f"--pid-file={self.directory}/pid", "--skip-networking"]
        return argv + ["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=128M"]


class Redis(Server):
    ready = "eady to accept connections"

    def argv(self):
        # Not `everysec`: behind a slow sync that holds back writes for which clients already have their answers.
        argv = [program("redis-server", "redis-server"), "--port", "0", "--unixsocket", self.place]
        return argv + ["--dir", self.directory, "--appendonly", "yes", "--appendfsync", "no", "--save", ""]


class SqliteFiles:
    """No server: a directory with files, which nobody can crash."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)

    def start(self):
        """Nothing to start."""

    def crash(self):
        """Nothing to crash."""
