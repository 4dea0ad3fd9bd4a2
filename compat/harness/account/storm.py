"""What happens when the broker goes: killed twice, then stopped and started, with everything of this file on it at once.

A scenario is a generator: it yields where it wants the broker to go, and goes on when it is back; what it yields, if anything,
says whether the moment is right. A planted one tells what it expects as those of planted.py do.
"""

import random

from .books import Expected
from .play import BOTH_PROTOCOLS, WITH_ASSIGN, plantings, until, workloads

PLANTED, WORKLOADS = [], []
planted, healthy = plantings(PLANTED), workloads(WORKLOADS)
LIVE = 24_000  # records, some hundred a second: about 40 s of traffic, in which the broker goes three times
LAG = 90  # records: two kills may take the marks of so many each, and stay below 1 %
SEED = 1  # of the random moments


@planted("the broker is killed, then a position passes records that it does not know to be delivered",
         "*unwitnessed*, 10 to 49; what came after the crash: *skipped*, 50 to 59")
def passed_after_crash(play):
    play.begun(40)
    yield
    play.jump(50).close()
    unwitnessed = [("unwitnessed", 10, 50)]
    play.expect({1: Expected(unwitnessed, {"processed": 10, "unwitnessed": 40}, window=50)})
    play.send(10, 1)
    play.jump(60).close()
    classes = {"processed": 10, "unwitnessed": 40, "skipped": 10}
    play.expect({1: Expected([*unwitnessed, ("skipped", 50, 60)], classes, by={"client_id": "other"})})


@planted("the broker is killed between delivery and commit", "*processed* or *unwitnessed*, never *skipped*; no alarm")
def between_delivery_and_commit(play):
    play.begun(40)
    member = play.consumer().subscribe()
    member.read(40)
    yield
    member.commit_at_last({1: 50})
    play.healthy(unwitnessed="any")
    for interval in play.stage.books.partitions(play.topic, play.group)[1]["intervals"]:
        assert interval["class"] == "unwitnessed" and 10 <= interval["from"] < interval["to"] <= 50, interval
    member.close()


def live(play, members=2, parts=(0.15, 0.4, 0.65), lag_max=LAG, expected="under 1 %", **settings):
    play.create(4)
    sending = play.sending(LIVE, rate=600)
    settings = {"session_ms": 10_000} | settings
    working = []
    for number in range(members):
        member = play.consumer(client_id=f"{play.client}-{number}", **settings)
        working.append(member.subscribe().work())
    for part in parts:
        # And has caught up, if there is a bound: of a burst that is on its way a crash takes more marks than of a stream.
        def is_there(wanted=part * LIVE):
            return play.has_processed(wanted, lag_max)

        until(is_there, f"{part} of the records")
        yield is_there
    sending.result()
    play.healthy(unwitnessed=expected)
    for member in working:
        member.close()


@healthy("broker killed twice and restarted while records flow")
def killed(play):
    yield from live(play)


@healthy("broker killed at random moments while records flow (may be *unwitnessed*)", ("confluent", "java"))
def killed_at_random(play):
    """Also while a backlog is read. How much is unwitnessed then stands in the row; there is no bound for it."""
    moments = random.Random(f"{SEED} {play.name}")
    parts = sorted(moments.uniform(0.05, 0.7) for _ in range(3))
    yield from live(play, parts=parts, lag_max=LIVE, expected="any")


@healthy("broker killed and restarted, new group protocol (KIP-848)", BOTH_PROTOCOLS)
def killed_new_protocol(play):
    yield from live(play, protocol="consumer", session_ms=None)


@healthy("broker killed and restarted, automatic commits", ("confluent", "java"))
def killed_automatic(play):
    yield from live(play, members=1, auto_commit_ms=200)


@healthy("broker killed and restarted, static members", ("java", "franz"))
def killed_static(play):
    yield from live(play, members=1, instance=f"i-{play.name}", session_ms=30_000)


@healthy("broker killed and restarted, two groups of one client id and topic (may be *unwitnessed*)", ("confluent", "kafkajs"))
def killed_same_client_ids(play):
    play.create(4)
    groups = [play.group, f"{play.group}-second"]
    for group in groups:
        play.stage.books.open(play.topic, group)
    sending = play.sending(LIVE, rate=600)
    settings = {"client_id": "same", "session_ms": 10_000}
    working = [play.consumer(group=group, **settings).subscribe().work() for group in groups for _ in range(2)]
    for part in (0.15, 0.4, 0.65):
        wanted = part * LIVE * len(groups)
        until(lambda: sum(each.seen()["count"] for each in working) >= wanted, f"{part} of the records")
        yield
        if len(working) > 3:
            working.pop().close()
    sending.result()
    for group in groups:
        play.healthy(LIVE, group=group, unwitnessed="any")
    for member in working:
        member.close()


@healthy("broker killed and restarted, partitions assigned by hand", WITH_ASSIGN)
def by_hand(play):
    """What was delivered shortly before may be unwitnessed after a crash, so positions are committed before."""
    play.create(1)
    member, at = play.consumer(), 0
    member.assign({0: 0})
    for last in (False, False, False, True):
        play.send(100)
        member.read(100)
        at += 100
        member.commit({0: at})
        if not last:
            yield
    play.healthy(unwitnessed="none")
    member.close()


@planted("read by hand, the broker is killed, or stopped and started, then committed",
         "*processed* or *unwitnessed*, never *skipped*; no alarm", WITH_ASSIGN)
def by_hand_in_between(play):
    play.create(1)
    play.send(50)
    play.stage.books.open(play.topic, play.group)  # or it would open with the first commit
    member = play.consumer().assign({0: 0})
    member.read(50)
    yield
    member.commit({0: 50})
    play.healthy(unwitnessed="any")
    yield
    play.send(100)
    member.read(100)
    yield
    member.commit({0: 150})
    play.healthy(unwitnessed="any")
    member.close()


@healthy("broker killed and restarted, an idle group with pending records")
def asleep(play):
    play.begun(30)
    yield
    yield
    yield
    play.visit(30, {1: 40})
    play.healthy(unwitnessed="none")
