"""Fills the machine's free memory with page cache before a run, as it is on each machine that has been up for a while.

May not touch a broker. On a virtual machine whose hypervisor takes free pages back (free page reporting), the first touch of
such a page costs 5 to 15 microseconds, many times of what a page out of the page cache costs: without this, a run measures
how much memory the run before it gave back.
"""

import os
import shutil

LEFT_FREE_BYTES = 2**30
SPARE_DISK_BYTES = 30 * 2**30
PIECE_BYTES = 2**20


def fill_page_cache(directory):
    """Reads a file as large as the memory, until hardly any is free; False if the disk has no room for it."""
    path = directory / "page-cache-filler"
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if not path.exists() or path.stat().st_size < size:
        if shutil.disk_usage(directory).free < size + SPARE_DISK_BYTES:
            return False
        _write(path, size)
    with open(path, "rb", buffering=0) as file:
        piece = bytearray(PIECE_BYTES)
        while _free_bytes() > LEFT_FREE_BYTES and file.readinto(piece):
            pass
    return True


def _write(path, size):
    with open(path, "wb", buffering=0) as file:
        piece = bytes(PIECE_BYTES)
        for _ in range(0, size, PIECE_BYTES):
            file.write(piece)
        os.fsync(file.fileno())


def _free_bytes():
    with open("/proc/meminfo", encoding="ascii") as info:
        fields = dict(line.split(":") for line in info)
    return int(fields["MemFree"].split()[0]) * 1024
