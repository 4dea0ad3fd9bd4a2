"""Which bytes of a file are covered: where one of them changed, `tallymq verify` has to find it. Each excuse has a name.

Layouts: docs/formats.md. Pure.
"""

import struct

# Kinds of files that are a help and never the truth: what is damaged in them is made again.
HELPS = ("index", "keys")
SAME = "the same bytes"
BLOCK = 4096
FILE_HEADER_BYTES, GROUP_HEADER_BYTES = 48, 80
CLOSING = 1


class WalGroup:
    """One commit group of a file of the write-ahead log: where it is, its flags and its bytes without the filling."""

    def __init__(self, content, at):
        self.at = at
        self.flags = struct.unpack_from("<I", content, at + 12)[0]
        self.bytes = GROUP_HEADER_BYTES + sum(struct.unpack_from("<II", content, at + 56))
        self.behind = at + -(-self.bytes // BLOCK) * BLOCK


def wal_groups(content):
    """The groups of a whole file, in order."""
    found, at = [], BLOCK
    while content[at : at + 8] == b"TALLYGRP":
        found.append(WalGroup(content, at))
        at = found[-1].behind
    return found


def closed_bytes(content):
    """How far the newest file of a log is told from a torn write: up to its closing group. None if it is not closed."""
    groups = wal_groups(content)
    return groups[-1].at if groups and groups[-1].flags & CLOSING else None


def excuse(kind, before, after, synced_bytes):
    """Why `verify` need not find this damage, or None where it must: in the first `synced_bytes` of a file."""
    if before == after:
        return SAME
    if kind in HELPS:
        return f"{kind}, made again"
    if kind == "spare":
        return "a spare file of the write-ahead log"
    if kind == "wal":
        return _wal_excuse(before, after, synced_bytes)
    return None if _differ(before, after, 0, synced_bytes) else "behind the checkpoint, comes again from the log"


def _wal_excuse(before, after, synced_bytes):
    groups = wal_groups(before)
    covered = [(0, FILE_HEADER_BYTES)] + [(group.at, group.at + group.bytes) for group in groups if group.at < synced_bytes]
    if len(before) != len(after) or any(_differ(before, after, begin, end) for begin, end in covered):
        return None
    if all(not _differ(before, after, group.at, group.at + group.bytes) for group in groups):
        return "the filling between two commit groups"
    return "the closing commit group, which acknowledges nothing"


def _differ(before, after, begin, end):
    return before[begin:end] != after[begin:end]
