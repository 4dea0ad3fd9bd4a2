"""What a scenario is written with: topics, records and consumers of one language on one broker, and its expectations."""

import itertools

from .. import processes
from .books import Books, differences, plain
from .driver import PATIENCE_S, Refused

NAMES = {"confluent": "Python", "java": "Java", "kafkajs": "Node", "franz": "Go"}
ALL = tuple(NAMES)
BOTH_PROTOCOLS = ("confluent", "java", "franz")  # kafkajs knows neither KIP-848, nor static members, nor cooperative ones
WITH_ASSIGN = ("confluent", "java", "franz")  # kafkajs has members only


# How clients say that a group is not empty.
STILL_MEMBERS = ("NON_EMPTY", "UNKNOWN_MEMBER", "UnknownMemberId", "GroupNotEmpty", "NonEmpty", "not empty", "KafkaJSDeleteGroupsError")
CLOSE_WAIT = "08"  # of /proc/net/tcp: the other side has closed


def workloads(declared):
    """A decorator for what is healthy. `declared` has (title, languages, function), in order."""

    def healthy(title, languages=ALL):
        def declare(run):
            declared.append((title, languages, run))
            return run

        return declare

    return healthy


def plantings(declared):
    """A decorator for what is planted. `declared` has (title, expected, languages, function), in order; `expected` is the
    class and the offsets, as the documentation has them."""

    def planted(title, expected, languages=ALL):
        def declare(run):
            declared.append((title, expected, languages, run))
            return run

        return declare

    return planted


class Wrong(Exception):
    """The account says something else than what happened."""


class Stage:
    """One broker with everything that plays on it. `afterwards` is looked at when it has stopped."""

    def __init__(self, broker, drivers, start_driver, *, tools=None, proxy=None):
        self.broker, self.drivers, self.start_driver, self.tools = broker, drivers, start_driver, tools
        self.proxy = proxy
        self.books = Books(broker)
        self.afterwards = []

    @property
    def address(self):
        """Where clients go."""
        return f"127.0.0.1:{self.proxy.port}" if self.proxy else self.broker.address

    def hung_up(self):
        """Until the broker has closed every connection that its client closed: it answers first what was asked."""

        def is_waiting():
            with open("/proc/net/tcp", encoding="ascii") as sockets:
                fields = [line.split() for line in list(sockets)[1:]]
            local = f":{self.broker.port:04X}"
            return any(each[1].endswith(local) and each[3] == CLOSE_WAIT for each in fields)

        until(lambda: not is_waiting(), "closed connections")


def until(condition, what):
    """Polls until `condition` says something, and gives that back."""
    return processes.until(condition, PATIENCE_S, what)


def settled(wrong):
    """Until there is nothing wrong any more with the account; raises what was wrong last."""
    last = []

    def is_right():
        last[:] = wrong()
        return not last

    try:
        until(is_right, "the account")
    except TimeoutError:
        raise Wrong("; ".join(last)) from None


class Member:
    """A consumer in a driver."""

    def __init__(self, play, name, driver, settings):
        self.play, self.name, self.driver = play, name, driver
        self.group = settings["group"]
        self.driver.call(name, "open", bootstrap=play.address, settings=settings)

    def _do(self, do, **fields):
        return self.driver.call(self.name, do, **fields)

    def subscribe(self, *topics, pattern=None, seek=None):
        more = {"pattern": pattern} if pattern else {"topics": topics or [self.play.topic]}
        self._do("subscribe", seek=seek or {}, **more)
        return self

    def assign(self, offsets):
        """Offsets by partition; "stored" is the group's position."""
        self._do("assign", topic=self.play.topic, offsets=offsets)
        return self

    def read(self, count):
        return self._do("read", count=count)

    def reading(self, count):
        return self.driver.begin(self.name, "read", count=count)

    def poll(self, owned, fetch=False):
        """Until the group gave it so many partitions. With `fetch`, what comes meanwhile is taken."""
        return self._do("poll", owned=owned, fetch=fetch)

    def commit(self, offsets=None):
        more = {} if offsets is None else {"offsets": offsets}
        self._do("commit", topic=self.play.topic, **more)

    def commit_at_last(self, offsets):
        """A member that was put out while the broker was away commits when it is back."""

        def done():
            try:
                self.commit(offsets)
                return True
            except Refused:
                return False

        until(done, f"{self.name} commits")

    def seek(self, offsets):
        self._do("seek", topic=self.play.topic, offsets=offsets)

    def pause(self, *partitions):
        self._do("pause", topic=self.play.topic, partitions=partitions)

    def resume(self, *partitions):
        self._do("resume", topic=self.play.topic, partitions=partitions)

    def work(self, commit="sync", delay_ms=0):
        """Reads and commits by itself from now on; `commit`: sync, async, each, none."""
        self._do("work", commit=commit, delay_ms=delay_ms)
        return self

    def owns(self, partitions):
        """While it works: until the group gave it so many partitions."""
        until(lambda: self.seen()["owned"] >= partitions, f"{self.name} owns {partitions} partitions")
        return self

    def seen(self):
        return self._do("seen")

    def rest(self):
        return self._do("rest")

    def hang(self):
        self._do("hang")

    def close(self):
        self._do("close")


class Play:
    """One scenario in one language. Topic, group and client ids are its own, so that many can play on one broker."""

    def __init__(self, stage, language, slug):
        self.stage, self.language = stage, language
        self.driver = stage.drivers[language]
        self.name = f"{slug}-{language}"
        self.topic, self.group, self.client = f"t-{self.name}", f"g-{self.name}", f"c-{self.name}"
        self.partitions, self.sent = 0, 0
        self.figures = ""
        self._numbers = itertools.count(1)

    @property
    def address(self):
        return self.stage.address

    def admin(self, do, **fields):
        return self.driver.call(f"admin-{self.name}", do, bootstrap=self.address, **({"topic": self.topic} | fields))

    def create(self, partitions=2, topic=None, **config):
        topic, self.partitions = topic or self.topic, partitions
        self.admin("create", topic=topic, partitions=partitions, config=config)

    def _records(self, count, fields):
        self.sent += count
        fields.setdefault("topic", self.topic)
        return {"bootstrap": self.address, "count": count, "partitions": self.partitions, **fields}

    def send(self, count, partition=None, **fields):
        """Stored when it returns; over all partitions if none is named."""
        self.sending(count, partition, **fields).result(PATIENCE_S)

    def sending(self, count, partition=None, **fields):
        if partition is not None:
            fields["partition"] = partition
        return self.driver.begin(f"producer-{self.name}-{next(self._numbers)}", "produce", **self._records(count, fields))

    def consumer(self, driver=None, **settings):
        """Of this play's group, from the earliest record on, with the client id of this play; None is the library's own."""
        wanted = {"group": self.group, "client_id": self.client, "reset": "earliest", **settings}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        driver = driver or self.driver
        return Member(self, f"member-{self.name}-{next(self._numbers)}", driver, wanted)

    def begun(self, unread=40, **config):
        """The usual beginning: a member read 5 records of partition 0 and 10 of partition 1, and has gone. Then more came."""
        self.create(2, **config)
        self.send(5, 0)
        self.send(10, 1)
        self.visit(15)
        if unread:
            self.send(unread, 1)

    def visit(self, count, offsets=None):
        """A member comes, reads so many records, commits, and goes."""
        member = self.consumer().subscribe()
        member.read(count)
        member.commit(offsets)
        member.close()

    def jump(self, to, **settings):
        """A member `other` sets itself to an offset of partition 1, and commits what it has not read. It is still there."""
        other = self.consumer(client_id="other", **settings).subscribe(seek={1: to})
        other.poll(owned=2)
        other.commit({1: to})
        return other

    def reset(self, offsets, group=None):
        """The group's positions by the client's own admin; the group has no members."""
        self._without_members("reset", group=group or self.group, offsets=offsets)

    def delete_group(self):
        self._without_members("delete_group", group=self.group)

    def _without_members(self, do, **fields):
        def done():
            try:
                self.admin(do, **fields)
                return True
            except Refused as refusal:  # its last member may still be leaving
                if not any(said in str(refusal) for said in STILL_MEMBERS):
                    raise
                return False

        until(done, f"{do} of {self.group}")

    def expect(self, expected, group=None):
        """Expectations by partition; all other partitions of the topic have nothing special."""
        group = group or self.group

        def wrong():
            books = self.stage.books
            accounts, alarms = books.partitions(self.topic, group), books.alarms(self.topic, group)
            found = []
            for number in sorted({*accounts, *expected}):
                raised = [each for each in alarms if each["partition"] == number]
                if number in expected:
                    said = differences(accounts.get(number), raised, expected[number])
                else:
                    said = plain(accounts[number], raised)
                found += [f"{self.topic}-{number}, {group}: {one}" for one in said]
            return found

        settled(wrong)

    def healthy(self, processed=None, group=None, topics=None, unwitnessed="under 1 %", **tallies):
        """Everything sent became processed: balanced, no alarm, nothing lost, and under 1 % unwitnessed (or "none", "any")."""
        group, topics = group or self.group, topics or [self.topic]
        processed = self.sent if processed is None else processed
        settled(lambda: self._unhealthy(group, topics, processed, unwitnessed, tallies))

    def has_processed(self, records, lag_max):
        """Whether its group has processed so many, and has no more than `lag_max` to go."""
        classes = [each["classes"] for each in self.stage.books.partitions(self.topic, self.group).values()]
        processed, lag = (sum(each[name] for each in classes) for name in ("processed", "pending"))
        return processed >= records and lag <= lag_max

    def _unhealthy(self, group, topics, processed, unwitnessed, tallies):
        books, total, found, counted = self.stage.books, {}, [], {}
        for topic in topics:
            for partition in books.partitions(topic, group).values():
                if not partition["balanced"]:
                    found.append(f"{topic}: not balanced: {partition['imbalances']}")
                for name, count in partition["classes"].items():
                    total[name] = total.get(name, 0) + count
                for name, count in partition["tallies"].items():
                    counted[name] = counted.get(name, 0) + count
            found += [f"a false alarm: {alarm}" for alarm in books.alarms(topic, group)]
        doubtful = total.get("unwitnessed", 0)
        if total.get("processed", 0) + doubtful != processed or sum(total.values()) != processed:
            found.append(f"{topics}, {group}: {processed} records sent, and {total}")
        bounds = {"none": 0, "any": processed, "under 1 %": max(0, processed - 1) // 100}
        if doubtful > bounds[unwitnessed]:
            found.append(f"{topics}, {group}: {doubtful} of {processed} unwitnessed")
        for name, count in tallies.items():
            if counted.get(name, 0) < count:
                found.append(f"{topics}, {group}: {name} {counted.get(name, 0)}, not at least {count}")
        self.figures = f"{doubtful} of {processed} unwitnessed" if doubtful else ""
        return found
