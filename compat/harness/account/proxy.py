"""Stands between clients and a broker, and cuts each connection after a while, in the middle of whatever is on its way.

It does so while somebody says that it should (`cutting`), and lets them be afterwards.
"""

import asyncio
import contextlib
import random
import threading

LIFE_S = (0.5, 4.0)  # long enough to join a group in most of them
CHUNK = 16 * 1024


class Proxy:
    """Listens from the start on; `target` is the broker's port, once it is known."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.target, self.cut, self.port = None, 0, None
        self._wanted, self._lock = 0, threading.Lock()
        self._loop, self._there = asyncio.new_event_loop(), threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        self._there.wait(30)

    @contextlib.contextmanager
    def cutting(self):
        with self._lock:
            self._wanted += 1
        try:
            yield
        finally:
            with self._lock:
                self._wanted -= 1

    def _run(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._there.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        try:
            to_broker, from_broker = (await asyncio.open_connection("127.0.0.1", self.target))[::-1]
        except OSError:
            writer.transport.abort()
            return
        ways = [self._carry(reader, to_broker), self._carry(from_broker, writer)]
        carrying = [asyncio.ensure_future(way) for way in ways]
        done = ()
        while not done:
            life = self.dice.uniform(*LIFE_S)
            done, _ = await asyncio.wait(carrying, timeout=life, return_when=asyncio.FIRST_COMPLETED)
            if not done and self._wanted:
                self.cut += 1
                break
        for way in carrying:
            way.cancel()
        for end in (to_broker, writer):
            end.transport.abort()

    @staticmethod
    async def _carry(reader, writer):
        try:
            while some := await reader.read(CHUNK):
                writer.write(some)
                await writer.drain()
        except OSError:
            pass  # the other side has gone
