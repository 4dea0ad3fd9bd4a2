"""Groups with which nothing is wrong, however much comes and goes: no alarm may be raised, and everything has to be processed.

What crashes the broker is in storm.py.
"""

from .play import BOTH_PROTOCOLS, WITH_ASSIGN, until, workloads

WORKLOADS = []
healthy = workloads(WORKLOADS)
MIXED = "confluent + java + franz"


def come_and_go(play, client_id="{client}-{number}", **settings):
    """Three members come, and two go, while records flow."""
    play.create(4)
    sending = play.sending(3000, rate=500)
    members = []
    for number in range(3):
        name = client_id and client_id.format(client=play.client, number=number)
        member = play.consumer(client_id=name, metadata_ms=1000, **settings)
        members.append(member.subscribe().work().owns(1))
    members.pop(0).close()
    members[0].owns(2)
    members.pop(0).close()
    members[0].owns(4)
    sending.result()
    play.healthy()
    members[0].close()


@healthy("members join and leave while records flow")
def rebalances(play):
    come_and_go(play, session_ms=6000)


@healthy("members join and leave, with the new group protocol (KIP-848)", BOTH_PROTOCOLS)
def new_protocol(play):
    come_and_go(play, protocol="consumer")


@healthy("members join and leave, rebalanced cooperatively", BOTH_PROTOCOLS)
def cooperative(play):
    come_and_go(play, assignor="cooperative", session_ms=6000)


@healthy("members join and leave, all with one client id")
def one_client_id(play):
    come_and_go(play, client_id="{client}", session_ms=6000)


@healthy("members join and leave, all with the library's own client id")
def library_client_id(play):
    come_and_go(play, client_id=None, session_ms=6000)


@healthy("members join and leave, new group protocol, all with one client id", BOTH_PROTOCOLS)
def new_protocol_one_client_id(play):
    come_and_go(play, client_id="{client}", protocol="consumer")


def one_apart(play, **settings):
    """Two members while records flow, one of which has a process of its own and 200 of the records."""
    settings = {"session_ms": 6000} | settings
    play.create(4)
    sending = play.sending(3000, rate=400)
    process = play.stage.start_driver(play.language, f"apart-{play.name}")
    apart = play.consumer(driver=process, client_id="apart", **settings).subscribe().work().owns(4)
    other = play.consumer(client_id="other", **settings).subscribe().work().owns(2)
    until(lambda: apart.seen()["count"] >= 200, "records at the one apart")
    return sending, process, apart, other


@healthy("a member stands still for longer than its session, and goes on")
def frozen(play, **settings):
    sending, process, still, other = one_apart(play, **settings)
    process.freeze()
    other.owns(4)
    process.thaw()
    sending.result()
    play.healthy()
    still.close()
    other.close()


@healthy("a member stands still, new group protocol", BOTH_PROTOCOLS)
def frozen_new_protocol(play):
    frozen(play, protocol="consumer", session_ms=None)


@healthy("kill -9 of a member, new group protocol", BOTH_PROTOCOLS)
def killed_member_new_protocol(play):
    killed_member(play, protocol="consumer", session_ms=None)


@healthy("kill -9 of a member while records flow")
def killed_member(play, **settings):
    sending, process, _, survivor = one_apart(play, **settings)
    process.kill()
    survivor.owns(4)
    sending.result()
    play.healthy()
    survivor.close()


@healthy("seeks back and reads again")
def seeks_back(play):
    play.create(1)
    play.send(100)
    member = play.consumer().subscribe()
    member.read(100)
    member.commit({0: 100})
    # franz-go drops a connection with a seek (its driver closes it at once): before the broker has seen that, whom it answers is in doubt.
    member.pause(0)
    member.seek({0: 20})
    play.stage.hung_up()
    member.resume(0)
    member.read(80)
    member.commit({0: 100})
    play.healthy(unwitnessed="none", redelivered=80)
    member.close()


@healthy("pauses a partition, and resumes it")
def pauses(play):
    play.create(2)
    member = play.consumer().subscribe()
    play.send(20, 0)
    member.read(20)
    member.pause(0)
    play.send(30, 0)
    play.send(30, 1)
    member.read(30)
    member.commit()
    member.resume(0)
    member.work()
    play.healthy(unwitnessed="none")
    member.close()


@healthy("a slow member beside a fast one")
def slow(play):
    play.create(2)
    fast = play.consumer(client_id="fast", session_ms=6000).subscribe().work()
    slow = play.consumer(client_id="slow", session_ms=6000, max_poll_records=20).subscribe().work(delay_ms=100)
    slow.owns(1)
    play.send(100)
    play.healthy(unwitnessed="none")
    fast.close()
    slow.close()


@healthy("partitions assigned by hand, positions committed", WITH_ASSIGN)
def by_hand(play):
    play.create(2)
    play.send(50, 0)
    play.send(50, 1)
    member = play.consumer().assign({0: 0, 1: 0})
    member.read(100)
    member.commit({0: 50, 1: 50})
    member.close()
    play.send(20, 1)
    again = play.consumer().assign({1: "stored"})
    again.read(20)
    again.commit({1: 70})
    play.healthy(unwitnessed="none")
    again.close()


@healthy("static members that are started again", BOTH_PROTOCOLS)
def static(play):
    play.create(2)
    sending = play.sending(1500, rate=400)
    settings = {"session_ms": 30_000}
    names = [f"i-{play.name}-{number}" for number in range(2)]
    members = [play.consumer(client_id=name, instance=name, **settings).subscribe().work() for name in names]
    for at, name in enumerate(names):
        members[at].owns(1)
        members[at].close()
        members[at] = play.consumer(client_id=name, instance=name, **settings).subscribe().work()
    members[1].owns(1)
    sending.result()
    play.healthy()
    for member in members:
        member.close()


@healthy("starts at `latest`: what was before is not its business")
def at_latest(play):
    play.create(1)
    play.send(50)
    member = play.consumer(reset="latest").subscribe()

    def is_open():
        member.poll(owned=1, fetch=True)
        return play.stage.books.partitions(play.topic, play.group)

    until(is_open, "the account opens with the first fetch")
    play.send(50)
    member.read(50)
    member.commit({0: 100})
    play.healthy(50, unwitnessed="none")
    member.close()


@healthy("one group, the library's own client id")
def own_client_id(play):
    play.create(2)
    play.send(100)
    member = play.consumer(client_id=None).subscribe()
    member.read(100)
    member.commit()
    play.healthy(unwitnessed="none")
    member.close()


@healthy("two groups, the library's own client id (may be *unwitnessed*)")
def two_with_own_client_id(play):
    play.create(2)
    groups = [play.group, f"{play.group}-second"]
    for group in groups:
        play.stage.books.open(play.topic, group)
    members = [play.consumer(group=group, client_id=None).subscribe() for group in groups]
    for member in members:
        member.poll(owned=2)
    play.send(100)
    for member in members:
        member.read(100)
        member.commit()
    for group in groups:
        play.healthy(group=group, unwitnessed="any")
    for member in members:
        member.close()


@healthy("automatic commits")
def automatic(play):
    play.create(2)
    member = play.consumer(auto_commit_ms=200).subscribe().work()
    play.send(500, rate=500)
    play.healthy(unwitnessed="none")
    member.close()


@healthy("a commit after each record")
def each_record(play):
    play.create(2)
    member = play.consumer(max_poll_records=1).subscribe().work("each")
    play.send(200)
    play.healthy(unwitnessed="none")
    member.close()


@healthy("commits that nobody waits for", ("confluent", "java"))
def not_awaited(play):
    play.create(2)
    member = play.consumer().subscribe().work("async")
    play.send(1000, rate=1000)
    play.healthy(unwitnessed="none")
    member.close()


@healthy("three groups of one topic, each with its client id")
def several_groups(play):
    play.create(2)
    groups = [f"{play.group}-{number}" for number in range(3)]
    members = [play.consumer(group=group, client_id=f"c-{group}").subscribe().work() for group in groups]
    play.send(600, rate=600)
    for group in groups:
        play.healthy(group=group, unwitnessed="none")
    for member in members:
        member.close()


@healthy("two groups of one client id, each with its topic")
def two_topics(play):
    topics = [play.topic, f"{play.topic}-second"]
    groups = [play.group, f"{play.group}-second"]
    members = []
    for topic, group in zip(topics, groups):
        play.create(2, topic=topic)
        members.append(play.consumer(group=group, client_id="both").subscribe(topic).work())
        play.send(100, topic=topic)
    for topic, group, member in zip(topics, groups, members):
        play.healthy(100, group=group, topics=[topic], unwitnessed="none")
        member.close()


@healthy("topics by a pattern, with the new group protocol", BOTH_PROTOCOLS)
def by_pattern_new_protocol(play):
    by_pattern(play, protocol="consumer")


@healthy("topics by a pattern")
def by_pattern(play, **settings):
    topics = [f"{play.topic}-{name}" for name in ("one", "two")]
    for topic in topics:
        play.create(2, topic=topic)
        play.send(50, topic=topic)
    member = play.consumer(metadata_ms=1000, **settings).subscribe(pattern=f"{play.topic}-.*")
    member.read(100)
    member.commit()
    play.healthy(topics=topics, unwitnessed="none")
    member.close()


@healthy("partitions are added under a group that works")
def grown(play):
    play.create(1)
    member = play.consumer(metadata_ms=1000).subscribe().work().owns(1)
    play.send(50)
    play.admin("grow", partitions=3)
    play.partitions = 3
    play.send(90)
    member.owns(3)
    play.healthy(unwitnessed="none")
    member.close()


@healthy("an idle group, and records at last")
def idle(play):
    play.create(2)
    member = play.consumer(auto_commit_ms=100).subscribe().work().owns(2)
    until(lambda: len(play.stage.books.partitions(play.topic, play.group)) == 2, "accounts of the idle group")
    play.healthy(0)
    play.send(40)
    play.healthy(unwitnessed="none")
    member.close()


@healthy("stops, and starts again behind a backlog")
def started_again(play):
    play.create(2)
    for _ in range(3):
        play.send(200)
        play.visit(200)
    play.healthy(unwitnessed="none")


@healthy("compressed batches of each codec")
def compressed(play):
    play.create(1)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        play.send(300, compression=codec, size=200)
    member = play.consumer().subscribe().work()
    play.healthy(unwitnessed="none")
    member.close()


@healthy("stops in the middle of a batch; the next member goes on there")
def middle_of_a_batch(play):
    play.create(1)
    play.send(20)
    first = play.consumer(max_poll_records=7).subscribe()
    first.read(7)
    first.commit({0: 7})
    first.close()
    second = play.consumer().subscribe()
    second.read(13)
    second.commit({0: 20})
    play.healthy(unwitnessed="none")
    second.close()


@healthy("retention removes what was read", ("java", "kafkajs"))
def retention(play):
    play.create(1, **{"segment.bytes": "1048576"})
    play.send(2400, size=1000)
    member = play.consumer().subscribe()
    member.read(2400)
    member.commit({0: 2400})
    play.admin("configure", config={"segment.bytes": "1048576", "retention.bytes": "1"})
    until(lambda: play.admin("bounds", partitions=1)["0"][0] > 0, "retention")
    play.healthy(unwitnessed="none")
    member.close()


@healthy("DeleteRecords over what was read", ("confluent", "franz"))
def deleted(play):
    play.create(1)
    play.send(50)
    member = play.consumer().subscribe()
    member.read(50)
    member.commit({0: 50})
    play.admin("delete_records", offsets={0: 40})
    play.healthy(unwitnessed="none")
    member.close()


@healthy("a reset to the beginning, everything read twice")
def twice(play):
    play.create(1)
    for reset in (False, True):
        if reset:
            play.reset({0: 0})
        else:
            play.send(50)
        play.visit(50, {0: 50})
    play.healthy(unwitnessed="none", redelivered=50)


@healthy("DeleteRecords over what is delivered and not yet committed")
def deleted_in_flight(play):
    play.create(1)
    play.send(50)
    member = play.consumer().subscribe()
    member.read(50)
    play.admin("delete_records", offsets={0: 40})
    member.commit({0: 50})
    play.healthy(unwitnessed="none")
    member.close()


@healthy("retention over what is delivered and not yet committed")
def expired_in_flight(play):
    play.create(1)
    play.send(50)
    member = play.consumer().subscribe()
    member.read(50)
    play.admin("configure", config={"retention.ms": "1000"})
    until(lambda: play.admin("bounds", partitions=1)["0"][0] == 50, "retention")
    member.commit({0: 50})
    play.healthy(unwitnessed="none")
    member.close()


@healthy("50 partitions and three members, small fetches")
def many_partitions(play):
    play.create(50)
    play.send(10_000, size=100)
    names = [f"{play.client}-{number}" for number in range(3)]
    members = [play.consumer(client_id=name, fetch_bytes=1000).subscribe().work() for name in names]
    play.healthy()
    for member in members:
        member.close()


@healthy("a group is deleted, and begins anew")
def begins_anew(play):
    play.create(2)
    play.send(60)
    for last in (False, True):
        member = play.consumer().subscribe()
        member.read(60)
        member.commit()
        play.healthy(unwitnessed="none")
        member.close()
        if not last:
            play.delete_group()
            until(lambda: not play.stage.books.partitions(play.topic, play.group), "the account ends with the group")


@healthy("a reset to the beginning, then one to the end: what was read stays read")
def there_and_back(play):
    play.create(1)
    play.send(50)
    play.visit(50, {0: 50})
    for position in (0, 50, 20, 50):
        play.reset({0: position})
    play.healthy(unwitnessed="none")


@healthy("from the classic to the new group protocol, member by member", ("java",))
def upgraded(play):
    play.create(4)
    sending = play.sending(2000, rate=400)
    old = play.consumer(client_id="old", session_ms=6000).subscribe().work().owns(4)
    new = play.consumer(client_id="new", protocol="consumer").subscribe().work().owns(1)
    old.close()
    new.owns(4)
    sending.result()
    play.healthy()
    new.close()


@healthy("one group with members of three languages", (MIXED,))
def mixed(play):
    play.create(6)
    sending = play.sending(3000, rate=500)
    members = []
    for language in MIXED.split(" + "):
        settings = {"client_id": language, "assignor": "range", "session_ms": 6000}
        member = play.consumer(driver=play.stage.drivers[language], **settings)
        members.append(member.subscribe().work().owns(2))
    members[0].owns(2)
    members.pop(0).close()
    members[0].owns(3)
    sending.result()
    play.healthy()
    for member in members:
        member.close()
