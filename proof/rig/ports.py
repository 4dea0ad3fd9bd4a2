"""Ports for brokers that die and come back: none of those that the kernel gives to whoever asks for any, or a connection
might have one of them while its broker is dead."""

import contextlib
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def choose(count):
    """So many free ports."""
    given_from = int(_RANGE.read_text().split()[0])
    chosen = []
    with contextlib.ExitStack() as held:
        while len(chosen) < count:
            port = random.randrange(given_from // 2, given_from)
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen.append(port)
    return chosen
