"""Hostile, slow and half-open connections against one port, as a process of its own, until its standard input ends:
attackers.py PORT SEED.

1,000 connections at a time each send a hostile frame and come back when they are thrown out; 500 send nothing, a byte now
and then, a few megabytes of a frame that never ends, or ask for much and read nothing. Prints what became of them.
"""

import asyncio
import json
import random
import resource
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rig import bombs, hostile_frames  # noqa: E402

HOSTILE, SLOW = 1000, 500
TOPIC, READ_TOPIC = "hostile", "normal"
STALLED_BYTES = 2 << 20
BEGIN = "attacking"


async def throw(port, frames, over, counts):
    """One hostile connection after the other until it is over."""
    while not over.is_set():
        name, content = frames[counts["thrown"] % len(frames)]
        counts["thrown"] += 1
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(content)
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(65536), 3)
            counts["answered" if answer else "closed"] += 1
        except asyncio.TimeoutError:
            counts["left waiting"] += 1
        except OSError:
            counts["reset"] += 1
        finally:
            if writer:
                writer.transport.abort()
        await asyncio.sleep(0.5)


async def dawdle(port, kind, over, counts):
    """One slow connection of the given kind, opened again when the broker closes it."""
    endless = hostile_frames.frame(hostile_frames.header(hostile_frames.PRODUCE, 3), 100 << 20)
    greedy = hostile_frames.fetch(READ_TOPIC, 50 << 20)
    while not over.is_set():
        counts["slow opened"] += 1
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            if kind == "stalled":
                writer.write(endless + bytes(STALLED_BYTES))
            elif kind == "greedy":
                writer.write(greedy * 20)
            elif kind == "drip":
                writer.write(endless)
            while not over.is_set() and not writer.transport.is_closing():
                if kind == "drip":
                    writer.write(b"x")
                await asyncio.sleep(0.5)
        except OSError:
            counts["slow reset"] += 1
        finally:
            if writer:
                writer.transport.abort()
        await asyncio.sleep(0.2)


async def wait_for_end(over):
    await asyncio.to_thread(sys.stdin.buffer.read)
    over.set()


async def main(port, seed):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    frames = hostile_frames.every_kind(random.Random(seed), TOPIC) + bombs.fuses()
    counts, over = Counter(), asyncio.Event()
    kinds = ["silent", "drip", "stalled", "greedy"]
    attacks = [throw(port, frames, over, counts) for _ in range(HOSTILE)]
    attacks += [dawdle(port, kinds[number % len(kinds)], over, counts) for number in range(SLOW)]
    print(BEGIN, flush=True)
    await asyncio.gather(wait_for_end(over), *attacks)
    print(json.dumps(counts))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
