"""Child processes of the harness: started here, ended here, each by its own id.

May not look for processes by name and may not signal one that it did not start.
"""

import atexit
import contextlib
import ctypes
import os
import signal
import subprocess
import time

_PR_SET_PDEATHSIG = 1
# How long anything is waited for that has to come: a machine that is busy with other things is no failure; what hangs is.
PATIENCE_S = 300

_libc = ctypes.CDLL(None, use_errno=True)
_running: list["Child"] = []


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One process with its output in a file; killed when the harness ends, however it ends."""

    def __init__(self, argv, log_path, *, cwd=None, env=None, stdin=False):
        self.argv = [str(part) for part in argv]
        self.log_path = log_path
        self._log = open(log_path, "ab")
        self.popen = subprocess.Popen(
            self.argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
        self.pid = self.popen.pid
        _running.append(self)

    def alive(self):
        return self.popen.poll() is None

    def wait(self, timeout_s):
        """Exit code, or None when it still runs after `timeout_s`."""
        try:
            code = self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._forget()
        return code

    def kill(self):
        """SIGKILL, as a crash would."""
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
        self.popen.wait()
        self._forget()

    def ask_to_stop(self):
        """Closes standard input: the workers' sign to leave in an orderly way."""
        if self.popen.stdin and not self.popen.stdin.closed:
            self.popen.stdin.close()

    def terminate(self, timeout_s=PATIENCE_S):
        """SIGTERM. Returns the exit code; raises TimeoutError if it took SIGKILL after `timeout_s`."""
        if self.alive():
            self.popen.terminate()
            if self.wait(timeout_s) is None:
                self.kill()
                raise TimeoutError(f"{self.argv[0]}: still there {timeout_s} s after SIGTERM: {self.tail()}")
        self._forget()
        return self.popen.returncode

    def tail(self, lines=15):
        with open(self.log_path, "rb") as log:
            return b"\n".join(log.read().splitlines()[-lines:]).decode(errors="replace")

    def _forget(self):
        self.ask_to_stop()
        self._log.close()
        if self in _running:
            _running.remove(self)


def end_all():
    for child in list(_running):
        child.kill()


atexit.register(end_all)


def end(popen, timeout_s=10):
    """Ends a helper with its standard input; one that does not go is killed."""
    with contextlib.suppress(OSError):
        popen.stdin.close()
    try:
        popen.wait(timeout_s)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()


def run(argv, log_path, *, timeout_s, cwd=None, env=None):
    """Runs a command to its end and returns (exit code, output). A time-out is exit code None."""
    before = os.path.getsize(log_path) if os.path.exists(log_path) else 0
    child = Child(argv, log_path, cwd=cwd, env=env)
    code = child.wait(timeout_s)
    if code is None:
        child.kill()
    with open(log_path, "rb") as log:
        log.seek(before)
        return code, log.read().decode(errors="replace")


def until(condition, timeout_s, what, step_s=0.05):
    """Polls `condition` until it holds; raises TimeoutError naming `what`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(step_s)
