"""The console tools that come with Kafka (kafka-topics.sh and the rest), against a broker.

Each step runs one tool and checks what it printed. May not talk to the broker in another way.
"""

import json
import re
import time

from . import clients, install, processes

CLIENT = "Java console tools"
TOPIC, GROUP, RECORDS = "tools", "tools-group", 5000
TOOLS = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "configs": "kafka.admin.ConfigCommand",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "groups": "org.apache.kafka.tools.GroupsCommand",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "producer-perf": "org.apache.kafka.tools.ProducerPerformance",
    "consumer-perf": "org.apache.kafka.tools.ConsumerPerformance",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
}
JVM = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


class Wrong(Exception):
    """A tool failed or printed something else than it should."""


class Tools:
    def __init__(self, broker, directory):
        self.broker = broker
        self.directory = directory
        self.classpath = install.java("java")

    def argv(self, tool, *arguments):
        return [*JVM, "-cp", self.classpath, TOOLS[tool], "--bootstrap-server", self.broker.address, *arguments]

    def run(self, tool, *arguments, timeout_s=60):
        log = self.directory / "tools.log"
        code, output = processes.run(self.argv(tool, *arguments), log, timeout_s=timeout_s)
        if code != 0 or re.search(r"Exception|^Error", output, re.M):
            raise Wrong(f"{tool} {' '.join(arguments)}: exit {code}: {output.strip()[-600:]}")
        return output


def expect(pattern, output):
    if not re.search(pattern, output, re.M):
        raise Wrong(f"no {pattern!r} in: {output.strip()[-600:]}")


def topics(tools):
    tools.run("topics", "--create", "--topic", TOPIC, "--partitions", "2", "--config", "retention.ms=600000")
    expect(rf"^{TOPIC}$", tools.run("topics", "--list"))
    described = tools.run("topics", "--describe", "--topic", TOPIC)
    expect(r"PartitionCount: 2\s", described)
    expect(r"retention\.ms=600000", described)
    tools.run("topics", "--create", "--topic", "tools-gone", "--partitions", "1")
    tools.run("topics", "--alter", "--topic", "tools-gone", "--partitions", "3")
    expect(r"PartitionCount: 3\s", tools.run("topics", "--describe", "--topic", "tools-gone"))
    tools.run("topics", "--delete", "--topic", "tools-gone")
    if "tools-gone" in tools.run("topics", "--list"):
        raise Wrong("a deleted topic is still listed")


def configs(tools):
    entity = ["--entity-type", "topics", "--entity-name", TOPIC]
    tools.run("configs", "--alter", *entity, "--add-config", "retention.ms=1200000,max.message.bytes=900000")
    expect(r"retention\.ms=1200000", tools.run("configs", "--describe", *entity))
    tools.run("configs", "--alter", *entity, "--delete-config", "max.message.bytes")
    described = tools.run("configs", "--describe", *entity)
    if "max.message.bytes" in described:
        raise Wrong(f"a deleted setting is still described: {described}")
    expect(r"segment\.bytes=", tools.run("configs", "--describe", "--all", *entity))
    broker = re.search(r"id: (\d+)|^\S+ \(id: (\d+)", tools.run("api-versions"), re.M)
    node = next(found for found in broker.groups() if found)
    expect(r"message\.max\.bytes=", tools.run(
        "configs", "--describe", "--all", "--entity-type", "brokers", "--entity-name", node))


def producer_perf(tools):
    size = ["--topic", TOPIC, "--num-records", str(RECORDS), "--record-size", "100", "--throughput", "-1"]
    expect(rf"{RECORDS} records sent.*99\.9th", tools.run("producer-perf", *size))


def get_offsets(tools):
    offsets = re.findall(rf"^{TOPIC}:\d:(\d+)$", tools.run("get-offsets", "--topic", TOPIC), re.M)
    if sum(map(int, offsets)) != RECORDS or len(offsets) != 2:
        raise Wrong(f"end offsets {offsets}, sum should be {RECORDS}")
    for when, wanted in (("earliest", "0"), ("-1", None), ("max-timestamp", None)):
        output = tools.run("get-offsets", "--topic-partitions", f"{TOPIC}:0", "--time", when)
        expect(rf"^{TOPIC}:0:{wanted or chr(92) + 'd+'}$", output)


def consumer_perf(tools):
    arguments = ["--topic", TOPIC, "--num-records", str(RECORDS), "--group", GROUP, "--timeout", "20000"]
    output = tools.run("consumer-perf", *arguments)
    expect(rf", {RECORDS}, ", output)


def reset(mode, wanted):
    """`wanted(end, previous)`: the position of partition 0 that the mode must give, or None for any."""

    def run(tools):
        arguments = [part.replace("{directory}", str(tools.directory)) for part in mode]
        before = position(tools)
        scope = ["--topic", f"{TOPIC}:0"]
        if "--from-file" in arguments:
            (tools.directory / "reset.csv").write_text(f'"{TOPIC}",0,7\n')
        output = tools.run("consumer-groups", "--reset-offsets", "--group", GROUP, *scope, *arguments, "--execute")
        found = re.search(rf"^{GROUP}\s+{TOPIC}\s+0\s+(\d+)", output, re.M)
        if not found:
            raise Wrong(f"no new position in: {output}")
        after = position(tools)
        expected = wanted(after["end"], before["current"])
        if int(found.group(1)) != expected or after["current"] != expected:
            raise Wrong(f"{mode}: printed {found.group(1)}, described {after}, expected {expected}")

    return run


def position(tools):
    output = tools.run("consumer-groups", "--describe", "--group", GROUP)
    found = re.search(rf"^{GROUP}\s+{TOPIC}\s+0\s+(\d+)\s+(\d+)\s+(\d+)", output, re.M)
    if not found:
        raise Wrong(f"partition 0 is not described: {output}")
    current, end, lag = map(int, found.groups())
    if lag != end - current:
        raise Wrong(f"lag {lag} is not {end} - {current}")
    return {"current": current, "end": end}


RESETS = {
    "--to-earliest": (["--to-earliest"], lambda end, previous: 0),
    "--to-offset": (["--to-offset", "20"], lambda end, previous: 20),
    "--shift-by": (["--shift-by", "-5"], lambda end, previous: previous - 5),
    "--to-current": (["--to-current"], lambda end, previous: previous),
    "--from-file": (["--from-file", "{directory}/reset.csv"], lambda end, previous: 7),
    "--to-datetime": (["--to-datetime", "2020-01-01T00:00:00.000"], lambda end, previous: 0),
    "--by-duration": (["--by-duration", "PT0S"], lambda end, previous: end),
    "--to-latest": (["--to-latest"], lambda end, previous: end),
}


def consumer_groups(tools):
    expect(rf"^{GROUP}$", tools.run("consumer-groups", "--list"))
    expect(rf"^{GROUP}\s.*Empty", tools.run("consumer-groups", "--list", "--state"))
    expect(rf"{GROUP}.*Empty", tools.run("consumer-groups", "--describe", "--group", GROUP, "--state"))
    expect(rf"^{GROUP}\s", tools.run("groups", "--list"))
    tools.run("consumer-groups", "--delete-offsets", "--group", GROUP, "--topic", TOPIC)
    tools.run("consumer-groups", "--delete", "--group", GROUP)
    if GROUP in tools.run("consumer-groups", "--list"):
        raise Wrong("a deleted group is still listed")


def delete_records(tools):
    plan = tools.directory / "delete.json"
    place = {"topic": TOPIC, "partition": 0, "offset": 10}
    plan.write_text(json.dumps({"partitions": [place], "version": 1}))
    expect(r"low_watermark: 10", tools.run("delete-records", "--offset-json-file", str(plan)))
    output = tools.run("get-offsets", "--topic-partitions", f"{TOPIC}:0", "--time", "earliest")
    expect(rf"^{TOPIC}:0:10$", output)


def cluster(tools):
    id_ = [*JVM, "-cp", tools.classpath, TOOLS["cluster"], "cluster-id"]
    log = tools.directory / "tools.log"
    code, output = processes.run([*id_, "--bootstrap-server", tools.broker.address], log, timeout_s=60)
    if code != 0:
        raise Wrong(output[-600:])
    expect(r"Cluster ID: \S+", output)
    expect(r"Produce\(0\): ", tools.run("api-versions"))
    expect(rf'"partition":"{TOPIC}-0"', tools.run("log-dirs", "--describe", "--topic-list", TOPIC))


def verifiable(protocol):
    """VerifiableProducer and VerifiableConsumer together: each acknowledged value is consumed."""

    def run(tools):
        topic, group, count = f"verifiable-{protocol}", f"verifiable-{protocol}", "2000"
        tools.run("topics", "--create", "--topic", topic, "--partitions", "1")
        consume = ["--topic", topic, "--group-id", group, "--max-messages", count, "--verbose"]
        consume += ["--group-protocol", protocol]
        if protocol == "classic":
            consume += ["--session-timeout", "6000"]
        log = tools.directory / f"verifiable-{protocol}.log"
        consumer = processes.Child(tools.argv("verifiable-consumer", *consume), log)
        produce = ["--topic", topic, "--max-messages", count, "--throughput", "1000", "--acks", "-1"]
        produced = _events(tools.run("verifiable-producer", *produce))
        code = consumer.wait(60)
        consumer.kill()
        consumed = _events(log.read_text())
        sent = {(e["partition"], e["offset"]): e["value"] for e in produced if e["name"] == "producer_send_success"}
        read = {(e["partition"], e["offset"]): e["value"] for e in consumed if e["name"] == "record_data"}
        if code != 0 or len(sent) != int(count) or sent != read:
            raise Wrong(f"exit {code}, {len(sent)} sent, {len(read)} read, equal: {sent == read}")
        if any(e["name"] == "offsets_committed" and not e["success"] for e in consumed):
            raise Wrong("a commit failed")

    return run


def _events(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


STEPS = [
    ("kafka-topics", topics),
    ("kafka-configs", configs),
    ("kafka-producer-perf-test", producer_perf),
    ("kafka-get-offsets", get_offsets),
    ("kafka-consumer-perf-test", consumer_perf),
    *((f"kafka-consumer-groups {name}", reset(*mode)) for name, mode in RESETS.items()),
    ("kafka-consumer-groups list, describe, delete", consumer_groups),
    ("kafka-delete-records", delete_records),
    ("kafka-cluster, api-versions, log-dirs", cluster),
    ("VerifiableProducer and -Consumer, classic", verifiable("classic")),
    ("VerifiableProducer and -Consumer, consumer", verifiable("consumer")),
]


def play(broker, directory, quick):
    """Yields (client, version, tool, problem or None, seconds). The steps build on each other."""
    del quick
    tools = Tools(broker, directory)
    version = clients.java().version
    for name, step in STEPS:
        begin, problem = time.monotonic(), None
        try:
            step(tools)
        except (Wrong, KeyError, ValueError, AttributeError) as error:
            problem = f"{type(error).__name__}: {error}"
        yield CLIENT, version, name, problem, time.monotonic() - begin
