"""What the broker says became of the records (`/v1/account`, `/v1/alarms`), and how that differs from what is expected."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from .driver import PATIENCE_S

LOSSES = ("expired_unread", "skipped", "lost")
ORDINARY = ("pending", "in_flight", "processed")


class Books:
    """The HTTP side of one broker."""

    def __init__(self, broker):
        self.broker = broker

    def _ask(self, path, body=None, **query):
        wanted = urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
        url = f"http://127.0.0.1:{self.broker.http_port}{path}?{wanted}".rstrip("?")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise OSError(f"{path}: {refusal.code} {refusal.read().decode(errors='replace')}") from None

    def everything(self):
        return self._ask("/v1/account", limit=300_000)

    def partitions(self, topic, group):
        """By number; empty if the group has no account in the topic."""
        found = self._ask("/v1/account", topic=topic, group=group)["accounts"]
        return {each["partition"]: each for account in found for each in account["partitions"]}

    def alarms(self, topic=None, group=None):
        return self._ask("/v1/alarms", topic=topic, group=group)["alarms"]

    def open(self, topic, group, from_="earliest"):
        return self._ask("/v1/account/open", {"topic": topic, "group": group, "from": from_})["opened"]


@dataclass
class Expected:
    """Of one partition's account. `intervals`: (class, from, to), all that there are and in order; `classes`: those that are
    not empty. Each interval of a loss has its alarm, by whom `by` says (None: not looked at) and with `cause` in its text."""

    intervals: list
    classes: dict
    cause: str = "position"
    by: dict | None = None
    tallies: dict = field(default_factory=dict)
    alarms: list | None = None
    window: int | None = None

    def expected_alarms(self):
        if self.alarms is not None:
            return self.alarms
        return [each for each in self.intervals if each[0] in LOSSES]


def differences(partition, alarms, expected):
    """Sentences; none if all is as expected. `alarms` are those of the partition."""
    if partition is None:
        return ["there is no account"]
    found = [] if partition["balanced"] else [f"not balanced: {partition['imbalances']}"]

    def same(what, is_, should):
        if is_ != should:
            found.append(f"{what}: {is_}, not {should}")

    classes = {name: count for name, count in partition["classes"].items() if count}
    same("classes", classes, {name: count for name, count in expected.classes.items() if count})
    same("sum", sum(classes.values()), partition["stored"])
    intervals = [(each["class"], each["from"], each["to"]) for each in partition["intervals"]]
    same("intervals", intervals, expected.intervals)
    raised = sorted((each["class"], each["from"], each["to"]) for each in alarms)
    same("alarms", raised, sorted(expected.expected_alarms()))
    for name, count in expected.tallies.items():
        same(name, partition["tallies"][name], count)
    if expected.window is not None:
        same("crash window", partition.get("crash_window", {}).get("below"), expected.window)
    for alarm in alarms:
        place = f"alarm at {alarm['from']}"
        same(f"records of {place}", alarm["records"], alarm["to"] - alarm["from"])
        if expected.cause not in alarm["cause"]:
            found.append(f"cause of {place}: {alarm['cause']!r} without {expected.cause!r}")
        found += named(alarm, place)
        for name, value in (expected.by or {}).items():
            # True: it is known, and who it is the client does not say.
            same(f"{name} of {place}", bool(alarm[name]) if value is True else alarm[name], value)
    return found


def named(alarm, place):
    """Who committed is known by his address, and when it was."""
    found = []
    if alarm["class"] == "skipped" and not alarm["address"].startswith("127.0.0.1:"):
        found.append(f"address of {place}: {alarm['address']!r}")
    if abs(time.time() - alarm["at"] / 1000) > 3600:
        found.append(f"time of {place}: {alarm['at']}")
    return found


def plain(partition, alarms):
    """Sentences about a partition where nothing was planted: each of its records is on its usual way."""
    found = [] if partition["balanced"] else [f"not balanced: {partition['imbalances']}"]
    odd = {name: count for name, count in partition["classes"].items() if count and name not in ORDINARY}
    if odd or alarms:
        found.append(f"nothing was planted there, and there are {odd}, alarms {alarms}")
    return found
