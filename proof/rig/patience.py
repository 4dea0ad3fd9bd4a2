"""How long is waited for what has to come: on a busy machine with a slow disk as long as it takes, within reason. Nothing
waits so long but where something is wrong."""

import time

from harness import processes

PATIENCE_S = processes.PATIENCE_S
# For so long a machine may take over one sync, or leave a process standing between two of its steps.
STANDSTILL_S = 5


def wait_for(condition, what):
    """Polls until `condition()` holds; raises TimeoutError naming `what`."""
    processes.until(condition, PATIENCE_S, what, step_s=0.005)


class Movement:
    """Tells slow from stuck: what is slow is another one at times."""

    def __init__(self):
        self.last = None
        self.begin()

    def begin(self):
        """From now on it has to move again."""
        self.since = time.monotonic()

    def has_ended(self, state):
        """Whether the state has been the same for longer than anything may take."""
        if state != self.last:
            self.last = state
            self.begin()
        return time.monotonic() - self.since > PATIENCE_S
