"""What is measured around a run: the broker's CPU, memory and syncs, and the bare device.

May not put load on a broker; reads /proc and /metrics only.
"""

import os
import platform
import re
import threading
import time
import urllib.request

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """What a process took in its own code, and in the kernel."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) / CLOCK_TICKS, int(fields[12]) / CLOCK_TICKS


def stolen_seconds():
    """CPU time that the hypervisor gave to others while this machine wanted it, of all cores; proc_stat(5)."""
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8]) / CLOCK_TICKS


def memory_mb(pid, field="VmHWM"):
    """VmHWM is the peak resident size, VmRSS the present one."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return int(re.search(rf"{field}:\s+(\d+) kB", status.read()).group(1)) / 1024


def device_sync_ms(directory, rounds=300):
    """p50 and p99 of writing 4 KiB into written space and fdatasync, in milliseconds."""
    path = directory / "sync-probe"
    block, times = os.urandom(4096), []
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(file, bytes(4096 * 256), 0)
        os.fsync(file)
        for number in range(rounds):
            begin = time.perf_counter()
            os.pwrite(file, block, 4096 * (number % 256))
            os.fdatasync(file)
            times.append((time.perf_counter() - begin) * 1000)
    finally:
        os.close(file)
        path.unlink()
    times.sort()
    return {"p50": times[rounds // 2], "p99": times[rounds * 99 // 100]}


def scrape(port):
    """Sums of the write-ahead log's metrics, or nothing."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    names = {
        "syncs": "tallymq_commit_syncs_total",
        "group_bytes": "tallymq_commit_group_bytes_sum",
        "groups": "tallymq_commit_group_bytes_count",
    }
    found = {}
    for key, name in names.items():
        values = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)", text, re.M)
        if values:
            found[key] = sum(map(float, values))
    return found


class Sampler:
    """Samples a broker ten times a second; answers for any window within."""

    def __init__(self, broker):
        self.broker = broker
        self.samples = []  # (time_ns, own and kernel's CPU seconds, metrics, stolen seconds)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        port = getattr(self.broker, "http_port", None)
        while not self._stop.is_set():
            try:
                cpu, metrics = cpu_seconds(self.broker.pid), scrape(port) if port else {}
                sample = (time.monotonic_ns(), cpu, metrics, stolen_seconds())
            except (OSError, IndexError):
                return  # the broker has ended
            self.samples.append(sample)
            self._stop.wait(0.1)

    def window(self, begin_ns, end_ns):
        """Differences between the samples nearest to the window's ends."""
        def nearest(when):
            return min(self.samples, key=lambda sample: abs(sample[0] - when))

        first, last = nearest(begin_ns), nearest(end_ns)
        seconds = max((last[0] - first[0]) / 1e9, 0.001)
        own, kernel = last[1][0] - first[1][0], last[1][1] - first[1][1]
        measured = {"cpu_s": own + kernel, "cpu_own_s": own, "cpu_cores": (own + kernel) / seconds}
        measured["stolen_percent"] = 100 * (last[3] - first[3]) / seconds / os.cpu_count()
        if last[2].get("groups", 0) > first[2].get("groups", 0):
            delta = {key: last[2][key] - first[2].get(key, 0) for key in last[2]}
            measured["syncs_per_s"] = delta.get("syncs", 0) / seconds
            measured["group_kib"] = delta["group_bytes"] / delta["groups"] / 1024
        return measured


def machine(directory):
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = re.search(r"model name\s*:\s*(.+)", info.read())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    name = model.group(1) if model else platform.machine()
    file_system = _file_system(directory)
    return f"{os.cpu_count()} x {name}, {pages:.0f} GiB, Linux {platform.release()}, {file_system}"


def _file_system(directory):
    best = ("", "unknown file system")
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, mount, kind, *_ = line.split()
            if str(directory.resolve()).startswith(mount) and len(mount) >= len(best[0]):
                best = (mount, kind)
    return best[1]
