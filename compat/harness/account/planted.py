"""Losses, doubts and refusals that are made on purpose; each names what the account has to say, to the offset.

Everywhere partition 0 is healthy, and nothing may be said about it; what is planted is in partition 1 unless the scenario says otherwise.
"""

from . import tools
from .books import Expected
from .driver import Refused
from .play import BOTH_PROTOCOLS, WITH_ASSIGN, Wrong, plantings, until

SCENARIOS = []
planted = plantings(SCENARIOS)
NEEDED = 40  # unread records behind the usual beginning: offsets 10 to 49


def skipped(by, **more):
    return {1: Expected([("skipped", 10, 50)], {"processed": 10, "skipped": 40}, by=by, **more)}


@planted("a commit past unread records, by a client that is no member", "*skipped*, 10 to 49", WITH_ASSIGN)
def commit_past_unread(play):
    play.begun(NEEDED)
    other = play.consumer(client_id="other").assign({})
    other.commit({1: 50})
    play.expect(skipped({"client_id": "other", "member": ""}))


@planted("a member seeks to the end and commits, new group protocol (KIP-848)",
         "*skipped*, 10 to 49, and which member", BOTH_PROTOCOLS)
def seek_to_end_new_protocol(play):
    seek_to_end(play, protocol="consumer")


@planted("a member seeks to the end and commits", "*skipped*, 10 to 49, and which member")
def seek_to_end(play, **settings):
    play.begun(NEEDED)
    play.jump(50, **settings)
    play.expect(skipped({"client_id": "other", "member": True}))


@planted("a reset tool while the group sleeps", "*skipped*, 10 to 49; another group of the topic: nothing")
def reset_while_asleep(play):
    play.begun(0)
    careful = f"{play.group}-careful"
    reader = play.consumer(group=careful, client_id="careful").subscribe()
    reader.work()
    play.send(NEEDED, 1)
    if play.language == "java":
        tools.reset(play, "--shift-by", "40")
    else:
        play.reset({1: 50})
    play.expect(skipped({"client_id": True}))
    play.healthy(55, group=careful)
    reader.close()


@planted("a part is jumped over, twice", "*skipped*, 10 to 14 and 30 to 39", WITH_ASSIGN)
def holes(play):
    play.begun(5)
    for start, skips in ((15, 10), (40, 0)):
        reader = play.consumer(client_id="jumper").assign({1: start})
        play.send(15 if skips else 10, 1)
        reader.read(15 if skips else 10)
        reader.commit({1: start + (15 if skips else 10)})
        reader.close()
        play.send(skips, 1)
    expected = Expected(
        [("skipped", 10, 15), ("skipped", 30, 40)], {"processed": 35, "skipped": 15}, by={"client_id": "jumper"}
    )
    play.expect({1: expected})


@planted("a partition is added while the group sleeps, which comes back at `latest`", "*skipped*, 0 to 19 of the new one")
def partition_added(play):
    play.begun(0)
    play.admin("grow", partitions=3)
    play.partitions = 3
    play.send(20, 2)
    reader = play.consumer(reset="latest").subscribe()
    reader.poll(owned=3)
    first, end = read_at_latest(play, reader, 2)
    reader.commit({2: end})
    reader.close()
    classes = {"skipped": first, "processed": end - first}
    play.expect({2: Expected([("skipped", 0, first)], classes, by={"member": True})})


@planted("a commit beyond the log's end, to which the log grows later", "*skipped*, 10 to 19", WITH_ASSIGN)
def beyond_the_end(play):
    play.begun(0)
    other = play.consumer(client_id="other").assign({})
    other.commit({1: 20})
    play.send(30, 1)
    play.visit(20, {1: 40})
    expected = Expected([("skipped", 10, 20)], {"processed": 30, "skipped": 10}, by={"client_id": play.client, "member": True})
    play.expect({1: expected})


@planted("skipped, then read after all", "all *processed*, recovered 40; the alarm stays until it is acknowledged")
def made_good(play):
    play.begun(NEEDED)
    play.jump(50).close()
    play.expect(skipped({"member": True}))
    play.reset({1: 10})
    play.visit(NEEDED, {1: 50})
    alarms = [("skipped", 10, 50)]
    play.expect({1: Expected([], {"processed": 50}, alarms=alarms, tallies={"recovered": 40})})


@planted("a tool commits for a group that never read", "*skipped*, 0 to 49 (the account was opened)")
def never_read(play):
    play.create(2)
    play.send(50, 1)
    play.stage.books.open(play.topic, play.group)
    play.reset({1: 50})
    play.expect({1: Expected([("skipped", 0, 50)], {"skipped": 50}, by={"client_id": True})})


@planted("retention by age removes unread records", "*expired unread*, 10 to 49; a group that has read them: nothing")
def expired_by_age(play):
    play.begun(NEEDED)
    careful = f"{play.group}-careful"
    reader = play.consumer(group=careful, client_id="careful").subscribe().work()
    play.healthy(55, group=careful)
    play.admin("configure", config={"retention.ms": "1000"})
    classes = {"processed": 10, "expired_unread": 40}
    play.expect({1: Expected([("expired_unread", 10, 50)], classes, cause="retention by age")})
    play.healthy(55, group=careful)
    reader.close()


@planted("retention by size removes unread records, and the group comes back at `latest`",
         "*expired unread* what was removed, *skipped* what was jumped over, each to the offset")
def out_of_range(play):
    play.begun(0, **{"segment.bytes": "1048576"})
    play.send(2400, 1, size=1000)
    play.admin("configure", config={"segment.bytes": "1048576", "retention.bytes": "1"})
    # Everything goes at once but for the segment that is still written to.
    until(lambda: bounds(play)[0] > 10, f"retention in {play.topic}")
    start, end = bounds(play)
    classes = {"processed": 10, "expired_unread": start - 10, "pending": end - start}
    play.expect({1: Expected([("expired_unread", 10, start)], classes, cause="retention by size")})
    reader = play.consumer(reset="latest").subscribe()
    reader.poll(owned=2)
    first, last = read_at_latest(play, reader, 1)
    reader.commit({1: last})
    reader.close()
    classes = {"processed": 10 + last - first, "expired_unread": start - 10, "skipped": first - start}
    intervals = [("expired_unread", 10, start), ("skipped", start, first)]
    play.expect({1: Expected(intervals, classes, cause="")})


def bounds(play, partition=1):
    """Log start and log end."""
    return play.admin("bounds", partitions=play.partitions)[str(partition)]


@planted("DeleteRecords over unread records", "*purged*, 10 to 39, no alarm")
def delete_records(play):
    play.begun(NEEDED)
    play.admin("delete_records", offsets={1: 40})
    play.visit(10, {1: 50})
    play.expect({1: Expected([("purged", 10, 40)], {"processed": 20, "purged": 30})})


@planted("the topic is deleted and created again", "40 *purged*, 10 to 49, in the journal; the new account has nothing of it")
def created_again(play):
    play.begun(NEEDED)
    play.admin("delete")
    until(lambda: not play.stage.books.partitions(play.topic, play.group), f"{play.topic} is gone")

    def created():
        try:
            play.create(2)
            return True
        except Refused as refusal:
            if "exist" not in str(refusal).lower():
                raise
            return False

    until(created, f"{play.topic} again")
    play.send(5, 1)
    play.visit(5, {1: 5})
    play.expect({1: Expected([], {"processed": 5})})
    play.stage.afterwards.append((play, lambda journal: journal.has_settled(play.group, 10, 50, "purged")))


@planted("two groups of the same client id, one after the other", "*unwitnessed*, 0 to 49 for the second; no alarm", WITH_ASSIGN)
def same_client_ids(play):
    play.create(2)
    play.send(5, 1)
    first = play.consumer(client_id="same").subscribe()
    first.read(5)
    first.commit()
    second = f"{play.group}-second"
    play.stage.books.open(play.topic, second)
    other = play.consumer(group=second, client_id="same").subscribe()
    other.read(5)
    play.send(45, 1)
    for member in (first, other):
        member.read(45)
        member.commit({1: 50})
    play.expect({1: Expected([], {"processed": 50})})
    play.expect({1: Expected([("unwitnessed", 0, 50)], {"unwitnessed": 50})}, group=second)
    first.close()
    other.close()


@planted("read by a client that has gone, committed by another of its name", "*unwitnessed*, 10 to 49; no alarm", WITH_ASSIGN)
def committed_by_another(play):
    play.begun(NEEDED)
    gone = play.consumer(group=f"{play.group}-nobody", client_id="twin").assign({1: 10})
    gone.read(NEEDED)
    gone.close()
    play.stage.hung_up()
    other = play.consumer(client_id="twin").assign({})
    other.commit({1: 50})
    play.expect({1: Expected([("unwitnessed", 10, 50)], {"processed": 10, "unwitnessed": 40})})


@planted("a fenced member commits late", "refused 1, nothing skipped")
def fenced(play):
    """Put out by its successor, or because its handler hangs (kafkajs); what it then commits is refused."""
    play.begun(NEEDED)
    if play.language == "kafkajs":
        late = play.consumer(client_id="late", session_ms=4000).subscribe()
        late.read(1)
        late.hang()
        successor = play.consumer(client_id="successor").subscribe()
    else:
        static = {"instance": f"i-{play.name}", "session_ms": 240_000}
        late = play.consumer(client_id="late", **static).subscribe()
        late.read(1)
        successor = play.consumer(client_id="successor", **static).subscribe()
    successor.read(NEEDED)
    try:
        late.commit({1: 20})
    except Refused:
        pass
    else:
        raise Wrong("the late commit was not refused")
    successor.commit({1: 50})
    play.expect({1: Expected([], {"processed": 50}, tallies={"refused": 1})})
    successor.close()


@planted("a tool commits while the group has members", "refused 1, nothing skipped", ("confluent", "franz"))
def tool_against_members(play):
    play.begun(0)
    member = play.consumer().subscribe()
    member.poll(owned=2)
    try:
        play.admin("reset", group=play.group, offsets={1: 10})
    except Refused:
        pass
    else:
        raise Wrong("the tool's commit was not refused")
    play.send(NEEDED, 1)
    member.read(NEEDED)
    member.commit({1: 50})
    play.expect({1: Expected([], {"processed": 50}, tallies={"refused": 1})})
    member.close()


def read_at_latest(play, reader, partition):
    """A consumer at `latest` has its place in the log once it reads what comes. The first offset that it read, and the log end,
    up to which it read."""
    reading = reader.reading(5)
    while not done_within(reading, 0.5):
        play.send(1, partition)
    place = f"{play.topic}/{partition}"
    end = bounds(play, partition)[1]
    seen = reader.seen()
    if seen["next"][place] < end:
        reader.read(end - seen["next"][place])
    return seen["first"][place], end


def done_within(future, seconds):
    try:
        future.result(seconds)
        return True
    except TimeoutError:
        return False
