"""The two Kafka requests that the harness itself sends: is a broker ready to serve?

Anything else is the clients' work. Layouts: Kafka protocol guide, request header v1,
Metadata v1.
"""

import contextlib
import itertools
import os
import socket
import struct
from pathlib import Path

_METADATA = 3
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Each process looks at a stretch of its own, so that two that look at the same time do not agree.
_candidates = itertools.count(os.getpid() * 64)


def _receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("closed by the broker")
        data += part
    return data


def brokers_in_metadata(host, port, timeout_s=10.0):
    """Number of brokers that a Metadata v1 answer lists; 0 when there is no answer."""
    client_id = b"tallymq-harness"
    header = struct.pack(">hhih", _METADATA, 1, 1, len(client_id)) + client_id
    body = struct.pack(">i", 0)  # v1: an empty list asks for no topics
    request = header + body
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(struct.pack(">i", len(request)) + request)
            size = struct.unpack(">i", _receive(connection, 4))[0]
            answer = _receive(connection, min(size, 1 << 20))
    except (OSError, ConnectionError):
        return 0
    return struct.unpack(">i", answer[4:8])[0]


def free_ports(count):
    """Ports for brokers that die and come back: none of those that the system gives to whoever asks for any, or a client's
    connection might have one of them while its broker is away."""
    end = int(_EPHEMERAL.read_text().split()[0])
    begin, chosen = end // 2, []
    with contextlib.ExitStack() as held:
        while len(chosen) < count:
            port = begin + next(_candidates) % (end - begin)
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                chosen.append(port)
    return chosen
