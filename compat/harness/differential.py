"""The same single requests, in every version that is advertised, to the broker and to Apache Kafka: both must answer alike.

The requests are written and the answers read by Kafka's own message classes (`clients/java/Wire.java`). What may differ
(ids, addresses, sentences for people) is blanked before the comparison; what differs on purpose stands with its probe.
"""

import json
import re
import subprocess
import time

from . import brokers, clients, install, processes, wire_probes

SUITE = "answers compared with Apache Kafka's"
EARLY_S = 60  # for how long a broker may still be at it

# Blanked wherever they stand: made by each broker for itself, or sentences for people.
OWN = {
    "throttleTimeMs", "host", "port", "clusterId", "topicId", "memberId", "leader", "leaderId", 
    "producerId", "sessionId", "correlationId", "leaderEpoch", "committedLeaderEpoch", "offsetLag",
    "logDir", "totalBytes", "usableBytes", "partitionSize", "documentation", "size", "controllerId", "clientHost",
    "lastTimestamp", "logAppendTimeMs", "assignmentEpoch", "groupEpoch", "memberEpoch",
    "heartbeatIntervalMs", "rack",
}


# Dropped: whether there is a sentence beside an error code.
SENTENCES = {"errorMessage"}


class Speaker:
    """One process of Wire.java, connected to one broker."""

    def __init__(self, broker):
        classpath = install.java("java")
        argv = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath, "Wire"]
        self.child = subprocess.Popen(
            [*argv, str(broker.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.known = {}

    def ask(self, probe, version):
        line = {"api": probe.api, "version": version, "body": self._filled(probe.body_of(version))}
        if probe.silent_ms is not None:
            line["silent_ms"] = probe.silent_ms
        self.child.stdin.write(json.dumps(line) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline() or '{"error": "the speaker ended"}')

    def _filled(self, body):
        """The body with `$name` replaced by what this broker answered before."""
        text = json.dumps(body)
        for name, value in self.known.items():
            text = text.replace(f'"${name}"', json.dumps(value))
        return json.loads(text)

    def learn(self, name, answer, path):
        for step in path:
            answer = answer[step]
        self.known[name] = answer

    def end(self):
        processes.end(self.child)


def blanked(value, probe):
    if isinstance(value, dict):
        if "abortedTransactions" in value:  # none, in one of two ways
            value = value | {"abortedTransactions": value["abortedTransactions"] or None}
        return {
            key: ("*" if inner not in (None, "", -1) else inner) if key in OWN | probe.own else blanked(inner, probe)
            for key, inner in value.items()
            if key not in SENTENCES and key not in probe.on_purpose
        }
    if isinstance(value, list):
        items = [blanked(inner, probe) for inner in value]
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    return value


def differences(ours, kafkas, path=""):
    """Sentences about where two answers differ."""
    if type(ours) is type(kafkas) is dict:
        for key in sorted(ours.keys() | kafkas.keys()):
            yield from differences(ours.get(key, "absent"), kafkas.get(key, "absent"), f"{path}.{key}")
    elif type(ours) is type(kafkas) is list and len(ours) == len(kafkas):
        for at, (one, other) in enumerate(zip(ours, kafkas)):
            yield from differences(one, other, f"{path}[{at}]")
    elif ours != kafkas:
        yield f"{path[1:]} is {short(ours)}, Kafka's is {short(kafkas)}"


def short(value):
    text = json.dumps(value)
    return text if len(text) <= 160 else text[:160] + ".."


def advertised(speaker):
    """API key -> (oldest, latest) version, as the broker says."""
    body = {"clientSoftwareName": "wire", "clientSoftwareVersion": "1"}
    keys = speaker.ask(wire_probes.Probe("ApiVersions", "API_VERSIONS", body), 3)["response"]["apiKeys"]
    return {key["apiKey"]: (key["minVersion"], key["maxVersion"]) for key in keys}


def play(broker, directory, quick):
    """Yields (client, version, probe, problem or None, seconds), one row for each probe."""
    del quick
    version = clients.java().version
    reference = brokers.Kafka(directory / "reference", brokers.TEST_SETTINGS | {"offsets.topic.num.partitions": "1"})
    reference.start()
    speakers = []
    try:
        speakers = [Speaker(broker), Speaker(reference)]
        yield from compare(version, *speakers)
    finally:
        for speaker in speakers:
            speaker.end()
        reference.stop()


def compare(version, ours, kafkas):
    ranges = advertised(ours), advertised(kafkas)
    for probe in wire_probes.PROBES:
        begin, found = time.monotonic(), []
        for number in versions(probe, *ranges):
            found += run(probe, number, ours, kafkas)
        problem = "; ".join(found[:4]) + (f" (and {len(found) - 4} more)" if len(found) > 4 else "") or None
        yield SUITE, version, probe.title, problem, time.monotonic() - begin


def versions(probe, ours, kafkas):
    if probe.versions:
        return probe.versions
    low = max(ours[probe.key][0], kafkas[probe.key][0], probe.known_from)
    return range(low, min(ours[probe.key][1], kafkas[probe.key][1]) + 1)


def run(probe, number, ours, kafkas):
    answers = []
    for speaker in (ours, kafkas):
        answer, deadline = speaker.ask(probe, number), time.monotonic() + EARLY_S
        while probe.is_early(answer) and time.monotonic() < deadline:
            time.sleep(0.1)
            answer = speaker.ask(probe, number)
        for name, path in probe.learns.items():
            if "response" in answer:
                speaker.learn(name, answer["response"], path)
        answers.append(blanked(probe.kept(answer), probe))
    return [f"v{number}: {text}" for text in differences(*answers)]
