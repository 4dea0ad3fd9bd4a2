"""One client library in a process of its own that does what it is told, line by line; README.md lists the commands.

Knows no scenario. A command goes to a named object in the process (a consumer, or the admin), each with a thread of its own.
"""

import itertools
import json
import signal
import subprocess
import threading
from concurrent.futures import Future

from .. import processes

# A machine that is busy with other things is no failure; what hangs is.
PATIENCE_S = 180


class Refused(Exception):
    """The client or the broker did not do it; the text is the client's."""


class Driver:
    """The process of one library. Ends with its standard input, so never outlives the harness."""

    def __init__(self, language, argv, log_path, env=None):
        self.language = language
        self._log = open(log_path, "ab")
        self._process = subprocess.Popen(
            [str(part) for part in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=env
        )
        self._numbers = itertools.count(1)
        self._waiting, self._lock = {}, threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self._process.stdout:
            if not line.startswith(b"{"):  # a library that prints
                self._log.write(line)
                continue
            answer = json.loads(line)
            future = self._waiting.pop(answer["id"], None)
            if future and "error" in answer:
                future.set_exception(Refused(answer["error"]))
            elif future:
                future.set_result(answer["ok"])
        for future in list(self._waiting.values()):
            future.set_exception(Refused(f"the {self.language} driver ended"))

    def begin(self, to, do, **fields):
        """A future of the answer."""
        number, future = next(self._numbers), Future()
        self._waiting[number] = future
        line = json.dumps({"id": number, "to": to, "do": do, **fields}) + "\n"
        with self._lock:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        return future

    def call(self, to, do, **fields):
        try:
            return self.begin(to, do, **fields).result(PATIENCE_S)
        except TimeoutError:
            raise TimeoutError(f"{self.language}: {to} {do}: no answer within {PATIENCE_S} s") from None

    def kill(self):
        """SIGKILL, as a crash would."""
        self._process.kill()
        self._process.wait()

    def freeze(self):
        """It stands still, as a process does whose machine is suspended or that collects garbage for minutes."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def end(self):
        processes.end(self._process)
        self._log.close()
