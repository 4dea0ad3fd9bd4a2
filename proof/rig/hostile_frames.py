"""Kafka frames that a broker must survive: lengths that lie, counts that lie, bombs, and other people's protocols.

Pure: bytes out, nothing sent. Layouts: Kafka protocol guide; record batch v2.
"""

import struct
import zlib

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS = 0, 1, 2, 3, 18
HUGE = 0x7FFFFFFF


def frame(body, length=None):
    return struct.pack(">i", len(body) if length is None else length) + body


def header(key, version, correlation=1):
    """Request header v1 with the client id `x`."""
    return struct.pack(">hhih", key, version, correlation, 1) + b"x"


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()


_CRC32C = []
for _byte in range(256):
    for _ in range(8):
        _byte = (_byte >> 1) ^ (0x82F63B78 if _byte & 1 else 0)
    _CRC32C.append(_byte)


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def batch(records, *, count=1, attributes=0, last_delta=0, length=None, base_ms=0, max_ms=0):
    """A record batch v2 around the bytes `records`, with whatever counts one likes and a right CRC."""
    tail = struct.pack(">hiqqqhii", attributes, last_delta, base_ms, max_ms, -1, -1, -1, count) + records
    rest = struct.pack(">ibI", 0, 2, crc32c(tail)) + tail
    return struct.pack(">qi", 0, len(rest) if length is None else length) + rest


def produce(topic, records, *, partition=0, size=None, topics=1, partitions=1):
    """Produce v7 (the first that may bring zstd), acks=-1, one partition."""
    body = struct.pack(">hhi", -1, -1, 1000) + struct.pack(">i", topics) + _string(topic)
    body += struct.pack(">ii", partitions, partition) + struct.pack(">i", len(records) if size is None else size) + records
    return frame(header(PRODUCE, 7) + body)


def fetch(topic, bytes_max, *, topics=1, partitions=1):
    """Fetch v4 from offset 0."""
    body = struct.pack(">iiiib", -1, 100, 1, bytes_max, 0) + struct.pack(">i", topics) + _string(topic)
    body += struct.pack(">i", partitions) + struct.pack(">iqi", 0, 0, bytes_max)
    return frame(header(FETCH, 4) + body)


def list_offsets(topic, places):
    """ListOffsets v1: the first offset at a time, for each (partition, time in ms)."""
    body = struct.pack(">ii", -1, 1) + _string(topic) + struct.pack(">i", len(places))
    body += b"".join(struct.pack(">iq", partition, at_ms) for partition, at_ms in places)
    return frame(header(LIST_OFFSETS, 1) + body)


def gzip_bomb(megabytes=64):
    """A batch of a few dozen KB that is `megabytes` of zeros inside."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()
    return batch(packed, attributes=1)


def every_kind(dice, topic):
    """(name, bytes) of each hostile frame; `topic` is one that may take damage."""
    noise = dice.randbytes(dice.randrange(1, 4000))
    bomb = gzip_bomb()
    return [
        ("length 2^31-1", frame(b"", HUGE)),
        ("length -1", frame(b"", -1)),
        ("length 0", frame(b"", 0)),
        ("length of a gigabyte", frame(header(METADATA, 1), 1 << 30)),
        ("length of 100 MB, then silence", frame(header(PRODUCE, 3), 100 << 20)),
        ("2^31-1 topics", frame(header(METADATA, 1) + struct.pack(">i", HUGE))),
        ("a topic name of 32767 bytes that is not there", frame(header(METADATA, 1) + struct.pack(">ih", 1, 32767))),
        ("-2 topics", frame(header(METADATA, 1) + struct.pack(">i", -2))),
        ("2^31-1 partitions to produce", produce(topic, b"", partitions=HUGE)),
        ("2^31-1 bytes of records", produce(topic, b"", size=HUGE)),
        ("2^31-1 topics to fetch", fetch(topic, HUGE, topics=HUGE)),
        ("a batch that counts 2^31-1 records", produce(topic, batch(b"\0" * 8, count=HUGE, last_delta=HUGE - 1))),
        ("a batch longer than it is", produce(topic, batch(b"\0" * 8, length=HUGE))),
        ("a batch of negative length", produce(topic, batch(b"\0" * 8, length=-5))),
        ("a gzip bomb", produce(topic, bomb)),
        ("garbage called zstd", produce(topic, batch(noise, attributes=4))),
        ("a version that never was", frame(header(METADATA, 32767) + noise)),
        ("an API that never was", frame(header(9999, 0) + noise)),
        ("a compact array of 2^64", frame(header(METADATA, 12) + b"\0" + b"\xff" * 9 + b"\x01")),
        ("noise", noise),
        ("noise of the right length", frame(noise)),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("TLS", bytes.fromhex("16030100f1010000ed0303") + noise),
    ]
