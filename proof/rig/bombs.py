"""Batches that are small until somebody decompresses them, one for each of Kafka's codecs, written by hand.

Each holds two records: one whose value is nothing but zeros, and one a second younger. Which offset the younger one has,
only who decompressed all of the zeros can tell. The broker takes batches as they are; what has it decompress them is
ListOffsets by time. Pure. Layouts: RFC 1952; snappy's format_description; lz4_Frame_format; RFC 8878.
"""

import struct
import zlib

from . import hostile_frames

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
# Between the two records.
APART_MS = 1000
# Snappy makes a byte of 21 at best, and a batch is a megabyte at most.
INSIDE_BYTES = {"gzip": 60 << 20, "snappy": 12 << 20, "lz4": 60 << 20, "zstd": 60 << 20}
# Above the bound on what the broker decompresses to look for a time. Snappy says how much it is in front: this one lies.
TOO_LARGE_BYTES = 200 << 20
# A partition for each codec, with one of each kind in it.
TOPIC = "bombs"
TOO_LARGE_MS = 10_000


def plants():
    """(partition, frame) for each bomb, in the order in which they are to be produced."""
    for partition, codec in enumerate(CODECS):
        yield partition, hostile_frames.produce(TOPIC, bomb(codec, 0), partition=partition)
        yield partition, hostile_frames.produce(TOPIC, too_large(codec, TOO_LARGE_MS), partition=partition)


def questions():
    """(what, partition, time, the right answer's offset) for each bomb: who asks this sets it off."""
    for partition, codec in enumerate(CODECS):
        yield f"the time inside of a {codec} bomb", partition, APART_MS, 1
        # It is not looked into: its first record is where nothing is missed.
        yield f"the time inside of {codec} that is too large", partition, TOO_LARGE_MS + APART_MS, 2


def fuses():
    """(name, frame) of each question."""
    return [(name, hostile_frames.list_offsets(TOPIC, [(part, at_ms)])) for name, part, at_ms, _ in questions()]


def bomb(codec, at_ms):
    """A batch that decompresses to INSIDE_BYTES, which the broker looks through."""
    zeros = INSIDE_BYTES[codec]
    # The first record's count of headers, then the second record: neither key nor value.
    younger = b"\0" + _varint(APART_MS) + _varint(1) + _varint(-1) + _varint(-1) + b"\0"
    tail = b"\0" + _varint(len(younger)) + younger
    head = _up_to_value(zeros)
    return _batch(codec, PACKERS[codec](head, zeros, tail), at_ms)


def too_large(codec, at_ms):
    """A batch that decompresses to more than the broker looks through, or says so."""
    packed = PACKERS[codec](b"", 1 << 20 if codec == "snappy" else TOO_LARGE_BYTES, b"")
    if codec == "snappy":
        packed = _unsigned(0xFFFFFFFF) + packed[len(_unsigned(1 << 20)) :]
    return _batch(codec, packed, at_ms)


def _batch(codec, packed, at_ms):
    options = {"count": 2, "last_delta": 1, "base_ms": at_ms, "max_ms": at_ms + APART_MS}
    return hostile_frames.batch(packed, attributes=CODECS[codec], **options)


def _up_to_value(value_bytes):
    """The first record without a key, up to its value; its count of headers follows behind that."""
    body = b"\0" + _varint(0) + _varint(0) + _varint(-1) + _varint(value_bytes)
    return _varint(len(body) + value_bytes + 1) + body


def _unsigned(number):
    """LEB128."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def _varint(number):
    return _unsigned(number << 1 if number >= 0 else (-number << 1) - 1)


def _gzip(head, zeros, tail):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [packer.compress(head)]
    packed += [packer.compress(bytes(min(1 << 20, zeros - at))) for at in range(0, zeros, 1 << 20)]
    return b"".join(packed) + packer.compress(tail) + packer.flush()


def _snappy(head, zeros, tail):
    """One raw block: literals, and copies of 64 bytes from one byte back."""

    def literal(content):
        return bytes([(len(content) - 1) << 2]) + content if content else b""

    def copy(length):
        return struct.pack("<BH", (length - 1) << 2 | 2, 1) if length else b""

    copies = copy(64) * ((zeros - 1) // 64) + copy((zeros - 1) % 64)
    return _unsigned(len(head) + zeros + len(tail)) + literal(head) + literal(b"\0") + copies + literal(tail)


def _lz4(head, zeros, tail):
    """Independent blocks of 4 MiB: one match from one byte back, five literals behind it; head and tail are stored."""
    block_max, last = 4 << 20, 5

    def stored(content):
        return struct.pack("<I", len(content) | 1 << 31) + content if content else b""

    def packed(length):
        rest = length - 1 - last - 4 - 15
        if rest < 0:
            return stored(bytes(length))
        block = b"\x1f\0\x01\0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + bytes([last << 4]) + bytes(last)
        return struct.pack("<I", len(block)) + block

    # Magic, version 1 with independent blocks, blocks of 4 MiB, and the checksum of these two bytes.
    frame = bytes.fromhex("04224d18607073") + stored(head)
    frame += b"".join(packed(min(block_max, zeros - at)) for at in range(0, zeros, block_max))
    return frame + stored(tail) + bytes(4)


def _zstd(head, zeros, tail):
    """Blocks of 128 KiB that repeat one byte; head and tail are raw. A window of 128 KiB, no checksum."""
    block_max, raw, repeated = 128 << 10, 0, 1

    def block(kind, length, content, last=0):
        return (last | kind << 1 | length << 3).to_bytes(3, "little") + content

    frame = bytes.fromhex("28b52ffd0038") + block(raw, len(head), head)
    for at in range(0, zeros, block_max):
        frame += block(repeated, min(block_max, zeros - at), b"\0")
    return frame + block(raw, len(tail), tail, last=1)


PACKERS = {"gzip": _gzip, "snappy": _snappy, "lz4": _lz4, "zstd": _zstd}
