"""Records that are stored and cannot be read any more: taken out of a segment of a stopped broker, or with a byte of them changed."""

import json
import struct
import subprocess

from .books import Expected
from .driver import PATIENCE_S
from .play import Wrong, plantings, until

PLANTED = []
planted = plantings(PLANTED)
LINGER_MS = 60_000  # what is sent at once is one batch, however slowly it is handed over; a flush ends the wait
TOPICS = "topics"


def batches(data):
    """Base offset and place in the file of each record batch (KIP-98: base offset i64, length i32 of what follows)."""
    found, at = [], 0
    while at + 12 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        found.append((base, at, at + 12 + length))
        at += 12 + length
    return found


def damaged(play, rewritten):
    """Rewrites the batch that begins at offset 20 of partition 1, while the broker is stopped. Topics are folders by id."""
    path = next((play.stage.broker.data / TOPICS / play.topic_id / "1").glob("*.log"))
    data = path.read_bytes()
    _, start, end = next(each for each in batches(data) if each[0] == 20)
    path.write_bytes(data[:start] + rewritten(data[start:end]) + data[end:])


def begin(play):
    """Offsets 0 to 49 of partition 1 in batches of 10; the first is read."""
    play.create(2)
    play.send(5, 0)
    for _ in range(5):
        play.send(10, 1, linger_ms=LINGER_MS)
    # A group that was never given more than the first ten: what a client fetches ahead is delivered.
    play.stage.books.open(play.topic, play.group)
    said = subprocess.run(
        [play.stage.broker.binary, "topic", "describe", play.topic, "--json", "-b", play.stage.broker.address],
        capture_output=True, text=True, check=True, timeout=PATIENCE_S,
    )
    play.topic_id = json.loads(said.stdout)["id"]


def lost_by_verify(play, report):
    found = [each for each in report["lost"] if each["topic"] == play.topic]
    named = [(each["partition"], each["from"], each["to"], each["groups"]) for each in found]
    if named != [(1, 20, 30, [play.group])]:
        raise Wrong(f"tallymq verify names {named}")


def stuck_at_damage(play):
    """The group reads up to the damage, and no further."""
    stuck = play.consumer().subscribe()
    stuck.work()
    until(lambda: any(each["class"] == "lost" for each in play.stage.books.alarms(play.topic)), "the alarm")
    until(lambda: stuck.seen()["next"].get(f"{play.topic}/1") == 20, "the records before it")
    stuck.rest()
    stuck.close()


def set_behind(play):
    """A person sets the group behind the damage, and it goes on."""
    play.reset({1: 30})
    play.visit(20, {1: 50})
    play.expect({1: Expected([("lost", 20, 30)], {"processed": 40, "lost": 10}, cause="unreadable")})


def lost_in_the_middle(play, rewritten):
    begin(play)
    report = yield lambda: damaged(play, rewritten)
    lost_by_verify(play, report)
    stuck_at_damage(play)
    set_behind(play)


@planted("a byte of stored records is changed on disk", "*lost*, 20 to 29, by `verify` and by the broker that reads them")
def changed(play):
    yield from lost_in_the_middle(play, lambda batch: batch[:-3] + bytes([batch[-3] ^ 0x40]) + batch[-2:])


@planted("records are removed from a segment", "*lost*, 20 to 29, by `verify` and by the broker that reads around them")
def taken_out(play):
    yield from lost_in_the_middle(play, lambda batch: b"")
