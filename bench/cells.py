"""The cells of the table: one load each, the same for every broker.

A cell starts with a fresh broker on an empty directory and returns what it measured.
"""

import json
import time
from dataclasses import dataclass

import meter
from harness import processes

TOPIC = "bench"
RECORD_BYTES = 1024


@dataclass
class Run:
    """One cell on one broker that is already up."""

    broker: object
    load: object  # path of the load generator
    directory: object
    warm_up_s: float
    seconds: float
    restart_gb: float
    consume_gb: float

    def config(self):
        return ["--config", "flush.messages=1"] if getattr(self.broker, "flush_every_message", False) else []

    def argv(self, command, *arguments):
        return [self.load, "--bootstrap", self.broker.address, command, *map(str, arguments)]

    def measure(self, command, *arguments, timeout_s=900):
        """Runs the load generator under the sampler; its JSON with the broker's figures added."""
        with meter.Sampler(self.broker) as sampler:
            argv = self.argv(command, *arguments)
            code, output = processes.run(argv, self.directory / "load.log", timeout_s=timeout_s)
        if code != 0:
            raise RuntimeError(f"{command}: exit {code}: {output.strip()[-500:]}")
        measured = json.loads(output.strip().splitlines()[-1])
        if "begin_ns" in measured:
            measured |= sampler.window(measured["begin_ns"], measured["end_ns"])
            gigabytes = measured["megabytes_per_s"] * measured["seconds"] / 1000
            measured["cpu_s_per_gb"] = measured["cpu_s"] / gigabytes if gigabytes else None
            measured["cpu_own_s_per_gb"] = measured["cpu_own_s"] / gigabytes if gigabytes else None
        measured["peak_rss_mb"] = meter.memory_mb(self.broker.pid)
        return measured

    def create(self, partitions, topic=TOPIC):
        self.measure("create", "--topic", topic, "--partitions", partitions, *self.config())

    def timing(self):
        return ["--warm-up-s", self.warm_up_s, "--seconds", self.seconds]

    def fill(self, gigabytes):
        """Writes so much to the topic of 16 partitions."""
        self.write(int(gigabytes * 1e9) // RECORD_BYTES // 4 * 4, TOPIC, 16, producers=4)

    def write(self, records, topic, partitions, producers):
        amount = ["--warm-up-s", 0, "--seconds", 3600, "--records", records, "--record-bytes", RECORD_BYTES]
        to = ["--topic", topic, "--partitions", partitions, "--producers", producers]
        self.measure("saturate", *to, *amount, timeout_s=3600)


def saturation(partitions, producers):
    def cell(run):
        run.create(partitions)
        load = ["--topic", TOPIC, "--partitions", partitions, "--producers", producers]
        return run.measure("saturate", *load, *run.timing())

    return cell


def fixed_rate(rate, partitions, linger_ms=5):
    def cell(run):
        run.create(partitions)
        load = ["--topic", TOPIC, "--partitions", partitions, "--rate", rate, "--linger-ms", linger_ms]
        return run.measure("rate", *load, *run.timing())

    return cell


def consume(run):
    run.create(16)
    run.fill(run.consume_gb)
    return run.measure("consume", "--topic", TOPIC, "--partitions", 16)


def consume_as_group(run):
    """One member reads what is there, and commits every second."""
    run.create(16)
    run.fill(run.consume_gb)
    return run.measure("consume", "--topic", TOPIC, "--partitions", 16, "--group", "bench")


def stream(rate):
    """A member reads what is sent at a fixed rate, and commits every second; the broker's CPU is for both."""

    def cell(run):
        run.create(16)
        records = int(rate * (run.warm_up_s + run.seconds))
        load = ["--topic", TOPIC, "--partitions", 16, "--rate", rate, "--warm-up-s", 0]
        argv = run.argv("rate", *load, "--seconds", run.warm_up_s + run.seconds)
        producer = processes.Child(argv, run.directory / "stream.log")
        wanted = ["--group", "bench", "--records", records * 9 // 10]
        measured = run.measure("consume", "--topic", TOPIC, "--partitions", 16, *wanted)
        if producer.wait(120) != 0:
            raise RuntimeError(f"rate: {producer.tail()}")
        return measured

    return cell


def restart(gigabytes_of):
    """kill -9 while a client sends, restart at once; seconds from the kill to the next ack."""

    def cell(run):
        run.create(16)
        if gigabytes_of(run):
            run.fill(gigabytes_of(run))
        log = run.directory / "outage.log"
        load = ["--topic", TOPIC, "--partitions", 16, "--linger-ms", 0]
        client = processes.Child(run.argv("outage", *load), log, stdin=True)
        processes.until(lambda: b"sending" in log.read_bytes(), 60, "the first ack")
        time.sleep(1)
        killed = time.monotonic_ns()
        run.broker.kill()
        ready_s = run.broker.start(timeout_s=600)
        processes.until(lambda: ack_after(log, killed), 300, "an ack after the kill")
        client.ask_to_stop()
        if client.wait(90) != 0:
            raise RuntimeError(f"outage: {client.tail()}")
        measured = json.loads(log.read_text().strip().splitlines()[-1])
        measured["first_ack_s"] = (ack_after(log, killed) - killed) / 1e9
        measured["ready_s"] = ready_s
        measured["peak_rss_mb"] = meter.memory_mb(run.broker.pid)
        return measured

    return cell


def ack_after(log, killed_ns):
    """When the first silence that outlasted the kill ended; None before that."""
    silences = [line.split() for line in log.read_text().splitlines() if line.startswith("resumed ")]
    return next((int(end) for _, _begin, end in silences if int(end) > killed_ns), None)


def idle(partitions):
    """Memory and CPU with nothing to do, after each partition has taken two records."""

    def cell(run):
        for number in range(partitions // 1000):
            topic = f"{TOPIC}-{number}"
            run.create(1000, topic)
            run.write(2 * 1000, topic, 1000, producers=1)
        time.sleep(run.warm_up_s)
        begin, before = time.monotonic(), sum(meter.cpu_seconds(run.broker.pid))
        time.sleep(run.seconds)
        used = sum(meter.cpu_seconds(run.broker.pid)) - before
        return {
            "cpu_cores": used / (time.monotonic() - begin),
            "rss_mb": meter.memory_mb(run.broker.pid, "VmRSS"),
            "peak_rss_mb": meter.memory_mb(run.broker.pid),
        }

    return cell


def fresh_topic(run):
    load = ["--topic", TOPIC, "--partitions", 1000, "--rate", 5000]
    return run.measure("fresh", *load, *run.config())


@dataclass
class Cell:
    """A row: its load, how its main figure reads, and which brokers it is for (None: all)."""

    title: str
    run: object
    figure: object
    partitions: int
    only: tuple = None
    settings: tuple = ()  # KEY=VALUE of tallymq, beside --set
    without: str = None  # the cell that this one leaves a part out of


def throughput(measured):
    return f"{measured['megabytes_per_s']:.0f} MB/s ({measured['cpu_s_per_gb']:.1f})"


def latency(measured):
    text = f"{measured['p50_ms']:.2f} / {measured['p99_ms']:.1f} / {measured['p999_ms']:.1f} ms"
    return text if measured["held"] else f"not held ({measured['messages_per_s']:,.0f}/s; p50 {measured['p50_ms']:.0f} ms)"


def cost(measured):
    return f"{measured['megabytes_per_s']:.1f} MB/s, {measured['cpu_s_per_gb']:.2f} CPU s per GB"


def first_ack(measured):
    return f"{measured['first_ack_s']:.2f} s"


def at_rest(measured):
    return f"{measured['rss_mb']:.0f} MB, {measured['cpu_cores'] * 100:.1f} % of a core"


def taken_up(measured):
    return f"{measured['at_rate_s']:.2f} s (created {measured['created_s']:.2f} s)"


OURS = ("tallymq",)
NO_ACCOUNT = ("account.enabled=false",)

CELLS = {
    "saturate-16x4": Cell("saturation, 16 partitions, 4 producers (broker CPU s per GB)", saturation(16, 4), throughput, 16),
    "saturate-16x1": Cell("saturation, 16 partitions, 1 producer", saturation(16, 1), throughput, 16),
    "saturate-1000x4": Cell("saturation, 1,000 partitions, 4 producers", saturation(1000, 4), throughput, 1000),
    "saturate-1000x1": Cell("saturation, 1,000 partitions, 1 producer", saturation(1000, 1), throughput, 1000),
    "rate-100k-16": Cell("100,000 msg/s, 16 partitions: p50 / p99 / p99.9", fixed_rate(100_000, 16), latency, 16),
    "rate-20k-16": Cell("20,000 msg/s, 16 partitions", fixed_rate(20_000, 16), latency, 16),
    "rate-20k-1000": Cell("20,000 msg/s, 1,000 partitions", fixed_rate(20_000, 1000), latency, 1000),
    "rate-1k": Cell("1,000 msg/s, 16 partitions, linger 0", fixed_rate(1000, 16, 0), latency, 16),
    "consume": Cell("consume from the beginning, page cache", consume, throughput, 16),
    "kill": Cell("kill -9 to the first ack, nearly empty", restart(lambda run: 0), first_ack, 16),
    "restart": Cell("kill -9 to the first ack, with data", restart(lambda run: run.restart_gb), first_ack, 16),
    "idle-1000": Cell("idle, 1,000 partitions", idle(1000), at_rest, 1000),
    "idle-10000": Cell("idle, 10,000 partitions", idle(10_000), at_rest, 10_000, ("tallymq",)),
    "group": Cell("consume as a group that commits every second", consume_as_group, cost, 16),
    "group-no-account": Cell("the same without the account", consume_as_group, cost, 16, OURS, NO_ACCOUNT, "group"),
    "stream": Cell("20,000 msg/s, read by a group", stream(20_000), cost, 16),
    "stream-no-account": Cell("the same without the account", stream(20_000), cost, 16, OURS, NO_ACCOUNT, "stream"),
    "saturate-no-account": Cell(
        "saturation, 16x4, without the account", saturation(16, 4), cost, 16, OURS, NO_ACCOUNT, "saturate-16x4"
    ),
    "fresh": Cell("a fresh topic of 1,000 partitions until it takes 5,000 msg/s", fresh_topic, taken_up, 1000),
}
