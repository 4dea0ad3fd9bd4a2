"""A thousand hostile connections and five hundred slow ones, while a normal client works.

The broker's memory stays bounded, the normal client goes on, and all that was acknowledged to it can be read. Among what
they ask for are times inside of batches that are bombs: the broker decompresses them, and answers right.
"""

import socket
import struct
import sys
import time
from pathlib import Path

from harness import processes

from rig import attackers, bombs, history, load, reader
from rig.admin import Admin
from rig.broker import Broker
from rig.patience import PATIENCE_S, wait_for

CI_ROUNDS, ROUNDS = 1, 10
# The attack goes on until the normal client has had so many answers.
SECONDS_MIN, SECONDS_MAX = 12, 600
ACKS_MIN = 1000
SETTINGS = {"tail.cache.bytes": 32 << 20, "produce.inflight.bytes": 64 << 20, "wal.bytes": 64 << 20}
SETTINGS |= {"request.buffer.bytes": 104 << 20, "fetch.buffer.bytes": 32 << 20}
SETTINGS |= {"group.initial.rebalance.delay.ms": 0}
TOPICS = {attackers.READ_TOPIC: 4}
# The settings above and the process itself (320 MB), two bombs at a time (100 MB each), and up to 10 MB for each of the 250
# connections that make the broker hold something: its own megabyte, buffers that grow by copying, and what the allocator
# keeps for a second on each thread that decompressed. Runs took 1.5 to 2.1 GB. Without bounds they would hold 130 GB.
RSS_BYTES_MAX = (320 + 2 * 100 + 250 * 10) << 20


def play(options, outcome):
    for number in range(options.rounds):
        _round(options, outcome, options.seed + number)


def _round(options, outcome, seed):
    where = options.directory / f"round-{seed}"
    log = history.History(where / "history.jsonl")
    broker = Broker(options.binary, where / "data", where / "broker.log", SETTINGS)
    broker.start()
    try:
        Admin(broker.address).create(TOPICS | {attackers.TOPIC: 1, bombs.TOPIC: len(bombs.CODECS)})
        _plant(broker.port)
        set_off = _set_off(broker.port)
        sender = load.Sender(1, broker.address, log, TOPICS, outstanding=50, size_bytes=1000)
        member = load.Member(11, broker.address, log, TOPICS, "readers")
        sender.start()
        member.start()
        wait_for(lambda: member.committed > 5, "the normal client's start")
        time.sleep(2)
        alone = _latencies(sender)
        argv = [sys.executable, Path(attackers.__file__), broker.port, seed]
        attack = processes.Child(argv, where / "attack.log", stdin=True)
        wait_for(lambda: attackers.BEGIN in attack.tail() or not attack.alive(), "the attack's begin")
        rss, begin, acked = [broker.rss_bytes()], time.monotonic(), log.acknowledged
        while not _is_over(broker, attack, rss) and _goes_on(time.monotonic() - begin, log.acknowledged - acked):
            time.sleep(0.05)
        during = log.acknowledged - acked
        attack.ask_to_stop()
        wait_for(lambda: _is_over(broker, attack, rss), "the attack's end")
        beside, polled = _latencies(sender), member.polled
        wait_for(lambda: member.polled > polled, "the normal consumer after the attack")
        set_off += _set_off(broker.port)
        for client in (sender, member):
            client.finish()
        reader.final_phase(broker.address, TOPICS, log)
    finally:
        said = broker.output().decode(errors="replace")
        alive = broker.alive()
        broker.kill()
    clean, report = log.verdict()
    outcome.check(clean, f"seed {seed}: {history.summary(report)} ({where})")
    outcome.check(not sender.problems and not member.problems, f"seed {seed}: {(sender.problems + member.problems)[:5]}")
    outcome.check(max(rss) < RSS_BYTES_MAX, f"seed {seed}: {max(rss) >> 20} MB of memory (limit {RSS_BYTES_MAX >> 20} MB)")
    outcome.check(not set_off, f"seed {seed}: bombs: {'; '.join(set_off)}")
    outcome.check(during > ACKS_MIN, f"seed {seed}: only {during} acknowledgements during the attack")
    outcome.check(alive and "panicked" not in said, f"seed {seed}: the broker: {said[-1000:]}")
    told = attack.tail(1)
    outcome.check('"thrown"' in told, f"seed {seed}: the attackers ended with {told[-500:]}")
    outcome.figures |= {"rss max": f"{max(rss) >> 20} MB", "p99 alone": alone, "p99 beside": beside, "acked beside": during}
    outcome.figures["attack"] = told.replace('"', "")


def _plant(port):
    """Produces the bombs; all of them are stored."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        for partition, frame in bombs.plants():
            answer = _ask(connection, frame)
            # Produce v7: correlation id, topics, name, partitions, index, error code.
            error = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(bombs.TOPIC) + 4 + 4)[0]
            if error:
                raise AssertionError(f"the bomb for partition {partition} was answered with error {error}")


def _set_off(port):
    """Asks for a time inside of each bomb; what was answered wrong, as sentences."""
    wrong = []
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        for (name, frame), (_, _, _, expected) in zip(bombs.fuses(), bombs.questions(), strict=True):
            answer = _ask(connection, frame)
            # ListOffsets v1: correlation id, topics, name, partitions, index, error code, timestamp, offset.
            error, _, offset = struct.unpack_from(">hqq", answer, 4 + 4 + 2 + len(bombs.TOPIC) + 4 + 4)
            if (error, offset) != (0, expected):
                wrong.append(f"{name}: error {error}, offset {offset} instead of {expected}")
    return wrong


def _ask(connection, frame):
    """The answer without its length."""
    connection.sendall(frame)
    incoming = connection.makefile("rb")
    return incoming.read(struct.unpack(">i", incoming.read(4))[0])


def _is_over(broker, attack, rss):
    """Samples the memory; true when one of both has ended."""
    rss.append(broker.rss_bytes())
    return not attack.alive() or not broker.alive()


def _goes_on(seconds, acknowledged):
    """Whether the attack has to last longer."""
    return seconds < SECONDS_MIN or acknowledged <= ACKS_MIN and seconds < SECONDS_MAX


def _latencies(sender):
    """p99 since the last call, as text."""
    taken, sender.latencies_s = sorted(sender.latencies_s), []
    return f"{taken[int(len(taken) * 0.99)] * 1000:.1f} ms" if taken else "none"
