"""An ext4 file system in an image file, whose power can be cut.

`power_cut` shuts the mounted file system down without flushing its journal (FS_IOC_SHUTDOWN, NOLOGFLUSH): what was not
synced is gone, as on a machine that lost its power. The writers must be dead by then, or the cut races their last sync.
Needs root and loop devices; without them `require` raises, because a machine that cannot cut power proves nothing.
"""

import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path

from .patience import PATIENCE_S

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2


def _run(*argv):
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, argv))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


class LoopDisk:
    """One image, its loop device and its mount point; use as a context manager."""

    def __init__(self, directory, megabytes, options="data=ordered"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.image = self.directory / "disk.img"
        self.mount_point = self.directory / "mnt"
        self.megabytes = megabytes
        self.options = options
        self.device = None
        self.mounted = False

    def __enter__(self):
        self.mount_point.mkdir(exist_ok=True)
        with open(self.image, "wb") as image:
            image.truncate(self.megabytes << 20)
        self.device = _run("losetup", "--find", "--show", self.image)
        try:
            self.format()
            self.mount()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.mounted:
            self.unmount()
        if self.device:
            _run("losetup", "--detach", self.device)
            self.device = None
        self.image.unlink(missing_ok=True)

    def format(self):
        """An empty file system."""
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", "-m", "0", self.device)

    def mount(self):
        _run("mount", "-t", "ext4", "-o", self.options, self.device, self.mount_point)
        self.mounted = True

    def unmount(self):
        """Unmounts; a file that a dying process still holds is given a moment."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                _run("umount", self.mount_point)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.mounted = False

    def cut(self):
        """Shuts the file system down: nothing unsynced reaches the device any more, and every access fails."""
        handle = os.open(self.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
        finally:
            os.close(handle)

    def power_cut(self):
        """Cut, then back: what is mounted afterwards is what a rebooted machine would find."""
        self.cut()
        self.unmount()
        self.mount()

    def renew(self):
        """Unmounts, formats and mounts again."""
        if self.mounted:
            self.unmount()
        self.format()
        self.mount()

    def turn_read_only(self):
        """Lets the kernel find an error in the file system, after which it is read-only (errors=remount-ro)."""
        name = Path(self.device).name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")


def clear_leftovers(directory):
    """Unmounts and detaches what an interrupted run left below `directory`."""
    below = str(Path(directory).resolve()) + "/"
    for line in Path("/proc/mounts").read_text().splitlines():
        if line.split()[1].startswith(below):
            _run("umount", line.split()[1])
    for line in _run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines():
        name, _, image = line.partition(" ")
        if image.strip().startswith(below):
            _run("losetup", "--detach", name)


def require(directory):
    """Raises unless an unsynced file is lost and a synced one survives a cut here."""
    if os.geteuid() != 0:
        raise RuntimeError("power cuts need root, for loop mounts")
    with LoopDisk(directory, 32) as disk:
        for name, synced in (("synced", True), ("unsynced", False)):
            with open(disk.mount_point / name, "wb") as file:
                file.write(b"x" * 4096)
                if synced:
                    file.flush()
                    os.fsync(file.fileno())
                    handle = os.open(disk.mount_point, os.O_RDONLY)
                    os.fsync(handle)
                    os.close(handle)
        disk.power_cut()
        if not (disk.mount_point / "synced").exists() or (disk.mount_point / "unsynced").exists():
            raise RuntimeError("the cut of a loop-mounted ext4 does not lose what was not synced")
