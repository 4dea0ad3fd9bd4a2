"""Healthy groups whose connections are cut again and again: a client that comes back reads again what it did not get."""

from .play import BOTH_PROTOCOLS, WITH_ASSIGN, Wrong, workloads

WORKLOADS = []
healthy = workloads(WORKLOADS)
RECORDS = 5000


def live(play, members=2, **settings):
    play.create(4)
    with play.stage.proxy.cutting():
        sending = play.sending(RECORDS, rate=500)
        for number in range(members):
            play.consumer(client_id=f"{play.client}-{number}", **settings).subscribe().work()
        sending.result()
    play.healthy()
    if play.stage.proxy.cut < 10:
        raise Wrong(f"only {play.stage.proxy.cut} connections were cut")


@healthy("connections are cut again and again while records flow")
def members(play):
    live(play, session_ms=10_000)


@healthy("connections are cut again and again, new group protocol (KIP-848)", BOTH_PROTOCOLS)
def members_new_protocol(play):
    live(play, protocol="consumer")


@healthy("connections are cut again and again, automatic commits")
def automatic(play):
    live(play, members=1, session_ms=10_000, auto_commit_ms=200)


@healthy("connections are cut again and again, partitions assigned by hand (may be *unwitnessed*)", WITH_ASSIGN)
def by_hand(play):
    """What such a client read over a connection that is gone may be another's, by all that the broker knows."""
    play.create(1)
    play.stage.books.open(play.topic, play.group)
    with play.stage.proxy.cutting():
        member = play.consumer().assign({0: 0}).work()
        play.send(RECORDS, rate=500)
    play.healthy(unwitnessed="any")
    member.rest()
