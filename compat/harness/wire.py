"""The two Kafka requests that the harness itself sends: is a broker ready to serve?

Anything else is the clients' work. Layouts: Kafka protocol guide, request header v1,
Metadata v1.
"""

import socket
import struct

_METADATA = 3


def _receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("closed by the broker")
        data += part
    return data


def brokers_in_metadata(host, port, timeout_s=1.0):
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


def free_port():
    """A port that the system chose; used for brokers that cannot report theirs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
