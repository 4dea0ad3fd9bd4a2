"""kill -9 under load, again and again: members of both group protocols go on with their ids and see no error.

Nothing is lost, no partition is assigned anew, and the producers' retries are stored once.
"""

import random
import time

from rig import history, load, reader
from rig.admin import Admin
from rig.broker import Broker
from rig.patience import wait_for

CI_ROUNDS, ROUNDS = 20, 2000
TOPICS = {"orders": 6, "events": 2}
ACKS_PER_ROUND = 200


def play(options, outcome):
    dice = random.Random(options.seed)
    log = history.History(options.directory / "history.jsonl")
    # The longest session that there is for the new protocol; the members of the old one ask for a long one.
    settings = {"group.initial.rebalance.delay.ms": 0, "group.consumer.session.timeout.ms": 60_000, "wal.bytes": 64 << 20}
    broker = Broker(options.binary, options.directory / "data", options.directory / "broker.log", settings)
    broker.start()
    back_s = []
    try:
        Admin(broker.address).create(TOPICS)
        senders = [load.Sender(process, broker.address, log, TOPICS) for process in (1, 2)]
        members = [load.Member(process, broker.address, log, TOPICS, "classic") for process in (11, 12)]
        members += [load.Member(process, broker.address, log, TOPICS, "modern", protocol="consumer") for process in (21, 22)]
        for client in members:
            client.start()
        wait_for(lambda: _settled(members), "the groups' first assignments")
        for client in senders:
            client.start()
        wait_for(lambda: all(member.committed for member in members), "a commit by every member")
        before = [(member.assignments, list(member.ids)) for member in members]
        for _ in range(options.rounds):
            acked, polled = log.acknowledged, [member.polled for member in members]
            wait_for(lambda: log.acknowledged - acked >= ACKS_PER_ROUND, "acknowledgements")
            time.sleep(dice.uniform(0.0, 0.3))
            broker.kill()
            begin, acked = time.monotonic(), log.acknowledged
            broker.start()
            wait_for(lambda: log.acknowledged > acked, "the first acknowledgement after a restart")
            back_s.append(time.monotonic() - begin)
            wait_for(lambda: _all_read(members, polled), "every member reads on after a restart")
        after = [(member.assignments, list(member.ids)) for member in members]
        for client in senders + members:
            client.finish()
        reader.final_phase(broker.address, TOPICS, log)
    finally:
        broker.kill()
    clean, report = log.verdict(acknowledged_min=options.rounds * ACKS_PER_ROUND)
    problems = [problem for client in senders + members for problem in client.problems]
    outcome.passed += len(back_s) if clean and not problems else 0
    if not clean:
        outcome.fail(f"{history.summary(report)} ({options.directory})")
    if problems:
        outcome.fail(f"clients saw {len(problems)} errors: {problems[:5]} ({options.directory})")
    for member, (was, is_now) in zip(members, zip(before, after)):
        outcome.check(was == is_now and len(was[1]) == 1, f"{member.name} ({member.protocol}): {was} became {is_now}")
    back_s.sort()
    outcome.figures |= {"acked": log.acknowledged, "first ack p50": f"{back_s[len(back_s) // 2]:.2f} s"}
    outcome.figures |= {"first ack max": f"{back_s[-1]:.2f} s", "commits": sum(member.committed for member in members)}


def _settled(members):
    """Every member owns something, and together each group owns every partition once."""
    owned = [len(member.owned) for member in members]
    wanted = sum(TOPICS.values())
    return all(owned) and sum(owned[:2]) == wanted and sum(owned[2:]) == wanted


def _all_read(members, polled):
    return all(member.polled > before for member, before in zip(members, polled))
