"""The console tools that come with Kafka (kafka-topics.sh and the rest), against a broker.

Each step runs tools and checks what they printed. They run one after the other in one process (`clients/java/Console.java`),
which saves their start; VerifiableProducer and VerifiableConsumer have processes of their own. May not talk to the broker
in another way.
"""

import json
import re
import subprocess
import threading
import time

from . import clients, install, processes
from .processes import PATIENCE_S

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
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "transactions": "org.apache.kafka.tools.TransactionsCommand",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
}
# What console-consumer and consumer-perf get to join and read what is there; less than `Tools.run` waits.
READ_MS = "180000"
# By default it gives up on a record after 6 s.
MORE = {"console-producer": ["--request-timeout-ms", "30000"]}
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

    def start(self):
        argv = [*JVM, "-cp", self.classpath, "Console"]
        self.console = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end(self):
        processes.end(self.console)

    def run(self, tool, *arguments, **more):
        """What the tool printed; it must succeed."""
        address = ["--bootstrap-server", self.broker.address]
        return self.run_at([*address, *arguments], tool, **more)

    def run_at(self, arguments, tool, *, input_="", fails=False):
        """The same with the address among the arguments, or with a tool that must fail, or may (`fails=None`)."""
        call = {"main": TOOLS[tool], "arguments": [*map(str, arguments), *MORE.get(tool, [])], "input": input_}
        self.console.stdin.write(json.dumps(call) + "\n")
        self.console.stdin.flush()
        timer = threading.Timer(PATIENCE_S, self.console.kill)
        timer.start()
        line = self.console.stdout.readline()
        timer.cancel()
        if not line:
            self.console.wait()
            self.start()
            raise Wrong(f"{tool} {' '.join(arguments)}: ended, or not within {PATIENCE_S} s")
        answer = json.loads(line)
        output = answer["output"]
        if fails is not None and fails != (answer["exit"] != 0 or bool(re.search(r"Exception|^Error", output, re.M))):
            raise Wrong(f"{tool} {' '.join(arguments)}: exit {answer['exit']}: {output.strip()[-600:]}")
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
    expect(r"already exists", tools.run("topics", "--create", "--topic", TOPIC, fails=True))
    tools.run("topics", "--create", "--topic", TOPIC, "--if-not-exists")
    expect(r"does not exist", tools.run("topics", "--describe", "--topic", "nowhere", fails=True))
    overridden = tools.run("topics", "--describe", "--topics-with-overrides")
    expect(rf"Topic: {TOPIC}\s.*retention\.ms=600000", overridden)
    if "Topic:" in tools.run("topics", "--describe", "--under-replicated-partitions"):
        raise Wrong("a partition is under-replicated")
    expect(r"PartitionCount: 4\s", _created_with_defaults(tools))


def _created_with_defaults(tools):
    tools.run("topics", "--create", "--topic", "tools-default")
    return tools.run("topics", "--describe", "--topic", "tools-default")


def console(tools):
    topic = ["--topic", "tools-console"]
    tools.run("topics", "--create", *topic, "--partitions", "1")
    lines = "".join(f"h:{n}\tk{n}\tv{n}\n" for n in range(100))
    for compression in ("none", "gzip", "snappy", "lz4", "zstd"):
        tools.run("console-producer", *topic, "--compression-codec", compression, "--property", "parse.key=true",
                  "--property", "parse.headers=true", input_=lines)
    shown = ["print.key=true", "print.headers=true", "print.offset=true"]
    shown = [part for each in shown for part in ("--property", each)]
    output = tools.run("console-consumer", *topic, "--from-beginning", "--max-messages", "500", "--timeout-ms", READ_MS, *shown)
    found = re.findall(r"^Offset:(\d+)\th:(\d+)\tk(\d+)\tv(\d+)$", output, re.M)
    wanted = [(str(offset), *[str(offset % 100)] * 3) for offset in range(500)]
    if found != wanted:
        raise Wrong(f"{len(found)} records: {output[:300]}")
    some = ["--partition", "0", "--offset", "490", "--max-messages", "3", "--timeout-ms", READ_MS]
    if tools.run("console-consumer", *topic, *some).split()[:3] != ["v90", "v91", "v92"]:
        raise Wrong("not from offset 490 on")


def configs(tools):
    entity = ["--entity-type", "topics", "--entity-name", TOPIC]
    tools.run("configs", "--alter", *entity, "--add-config", "retention.ms=1200000,max.message.bytes=900000")
    expect(r"retention\.ms=1200000", tools.run("configs", "--describe", *entity))
    tools.run("configs", "--alter", *entity, "--delete-config", "max.message.bytes")
    described = tools.run("configs", "--describe", *entity)
    if "max.message.bytes" in described:
        raise Wrong(f"a deleted setting is still described: {described}")
    expect(r"segment\.bytes=", tools.run("configs", "--describe", "--all", *entity))
    node = re.search(r"id: (\d+)", tools.run("api-versions")).group(1)
    broker = ["--entity-type", "brokers", "--entity-name", node]
    expect(r"message\.max\.bytes=", tools.run("configs", "--describe", "--all", *broker))
    tools.run("configs", "--alter", *broker, "--add-config", "log.retention.ms=86400000")
    expect(r"log\.retention\.ms=86400000.*DYNAMIC_BROKER_CONFIG", tools.run("configs", "--describe", *broker))
    tools.run("configs", "--alter", *broker, "--delete-config", "log.retention.ms")
    every = ["--entity-type", "brokers", "--entity-default"]
    tools.run("configs", "--alter", *every, "--add-config", "log.retention.ms=96400000")
    expect(r"log\.retention\.ms=96400000.*DYNAMIC_DEFAULT_BROKER_CONFIG", tools.run("configs", "--describe", *every))
    tools.run("configs", "--alter", *every, "--delete-config", "log.retention.ms")
    group = ["--entity-type", "groups", "--entity-name", GROUP]
    tools.run("configs", "--alter", *group, "--add-config", "consumer.session.timeout.ms=5000")
    expect(r"consumer\.session\.timeout\.ms=5000", tools.run("configs", "--describe", *group))
    tools.run("configs", "--alter", *group, "--delete-config", "consumer.session.timeout.ms")
    tools.run("configs", "--alter", *entity, "--add-config", "retention.ms=soon", fails=True)
    tools.run("configs", "--alter", *entity, "--add-config", "no.such.key=1", fails=True)


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
    arguments = ["--topic", TOPIC, "--num-records", str(RECORDS), "--group", GROUP, "--timeout", READ_MS]
    output = tools.run("consumer-perf", *arguments)
    expect(rf", {RECORDS}, ", output)
    await_state(tools, GROUP, "Empty")


def await_state(tools, group, state):
    """Who joined has joined, and who left has left."""
    described = ["--describe", "--group", group, "--state"]
    processes.until(
        lambda: state in tools.run("consumer-groups", *described, fails=None), PATIENCE_S, f"{group} {state}", step_s=0.5)


def reset(mode, wanted):
    """`wanted(end, previous)`: the position of partition 0 that the mode must give, or None for any."""

    def run(tools):
        arguments = [part.replace("{directory}", str(tools.directory)) for part in mode]
        before = position(tools)
        scope = ["--topic", f"{TOPIC}:0"]
        if "--from-file" in arguments:
            (tools.directory / "reset.csv").write_text(f'"{TOPIC}",0,7\n')
        reset_ = ["--reset-offsets", "--group", GROUP, *scope, *arguments]
        tools.run("consumer-groups", *reset_, "--dry-run")
        if position(tools) != before:
            raise Wrong(f"{mode}: a dry run moved the group from {before} to {position(tools)}")
        output = tools.run("consumer-groups", *reset_, "--execute")
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
    expect(rf"^{GROUP}\s+Classic\s", tools.run("consumer-groups", "--list", "--type"))
    expect(rf"^{GROUP}\s+Classic\s", tools.run("consumer-groups", "--list", "--type", "classic"))
    if GROUP in tools.run("consumer-groups", "--list", "--type", "consumer"):
        raise Wrong("a classic group is listed as a consumer group")
    expect(r"no active members", tools.run("consumer-groups", "--describe", "--group", GROUP, "--members", "--verbose"))
    expect(rf"^{GROUP}\s+{TOPIC}\s", tools.run("consumer-groups", "--describe", "--all-groups"))
    exported = tools.run("consumer-groups", "--reset-offsets", "--group", GROUP, "--all-topics", "--to-current", "--export")
    expect(rf'^"?{TOPIC}"?,0,\d+$', exported)
    unknown = tools.run("consumer-groups", "--describe", "--group", "nobody", fails=True)
    expect(r"nobody.*not (exist|found)|not found", unknown)
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
    address = ["--bootstrap-server", tools.broker.address]
    expect(r"Cluster ID: \S+", tools.run_at(["cluster-id", *address], "cluster"))
    expect(r"127\.0\.0\.1\s", tools.run_at(["list-endpoints", *address], "cluster"))
    expect(r"Feature: group\.version\s.*FinalizedVersionLevel: 1", tools.run_at([*address, "describe"], "features"))
    producers = ["describe-producers", "--topic", TOPIC, "--partition", "0"]
    expect(r"ProducerId\s+ProducerEpoch", tools.run_at([*address, *producers], "transactions"))
    expect(r"Produce\(0\): ", tools.run("api-versions"))
    expect(rf'"partition":"{TOPIC}-0"', tools.run("log-dirs", "--describe", "--topic-list", TOPIC))


def members(protocol):
    """What is said of a group with a member: described, and neither reset nor deleted."""

    def run(tools):
        group, topic = f"tools-{protocol}", f"tools-{protocol}"
        tools.run("topics", "--create", "--topic", topic, "--partitions", "2")
        consume = ["--topic", topic, "--group-id", group, "--group-protocol", protocol]
        log = tools.directory / f"members-{protocol}.log"
        consumer = processes.Child(tools.argv("verifiable-consumer", *consume), log)
        try:
            described = ["--describe", "--group", group]
            await_state(tools, group, "Stable")
            shown = tools.run("consumer-groups", *described, "--members", "--verbose")
            expect(rf"^{group}\s+\S+\s+/127\.0\.0\.1\s+\S+\s+2\s.*{topic}(\(0,1\)|:0,1)", shown)
            expect(rf"^{group}\s+{topic}\s+1\s+-\s+0\s+-\s+\S+\s+/127\.0\.0\.1\s", tools.run("consumer-groups", *described))
            expect(rf"^{group}\s+Stable", tools.run("consumer-groups", "--list", "--state", "stable"))
            reset_ = ["--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute"]
            refused = tools.run("consumer-groups", *reset_, fails=True)
            expect(r"inactive", refused)
            expect(r"not empty|NonEmpty", tools.run("consumer-groups", "--delete", "--group", group, fails=True))
        finally:
            consumer.terminate()

    return run


def verifiable(protocol):
    """VerifiableProducer and VerifiableConsumer together: each acknowledged value is consumed."""

    def run(tools):
        topic, group, count = f"verifiable-{protocol}", f"verifiable-{protocol}", "2000"
        tools.run("topics", "--create", "--topic", topic, "--partitions", "1")
        consume = ["--topic", topic, "--group-id", group, "--max-messages", count, "--verbose"]
        consume += ["--group-protocol", protocol]
        if protocol == "classic":
            consume += ["--session-timeout", "30000"]
        log = tools.directory / f"verifiable-{protocol}.log"
        consumer = processes.Child(tools.argv("verifiable-consumer", *consume), log)
        produce = ["--topic", topic, "--max-messages", count, "--throughput", "1000", "--acks", "-1"]
        produced = _events(_alone(tools, "verifiable-producer", *produce))
        code = consumer.wait(PATIENCE_S)
        consumer.kill()
        consumed = _events(log.read_text())
        sent = {(e["partition"], e["offset"]): e["value"] for e in produced if e["name"] == "producer_send_success"}
        read = {(e["partition"], e["offset"]): e["value"] for e in consumed if e["name"] == "record_data"}
        if code != 0 or len(sent) != int(count) or sent != read:
            raise Wrong(f"exit {code}, {len(sent)} sent, {len(read)} read, equal: {sent == read}")
        if any(e["name"] == "offsets_committed" and not e["success"] for e in consumed):
            raise Wrong("a commit failed")

    return run


def _alone(tools, tool, *arguments):
    """The output of a tool in a process of its own."""
    code, output = processes.run(tools.argv(tool, *arguments), tools.directory / "tools.log", timeout_s=PATIENCE_S)
    if code != 0:
        raise Wrong(f"{tool}: exit {code}: {output.strip()[-600:]}")
    return output


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
    ("kafka-cluster, -features, -transactions, -log-dirs", cluster),
    ("kafka-console-producer and -consumer", console),
    ("kafka-consumer-groups with members, classic", members("classic")),
    ("kafka-consumer-groups with members, consumer", members("consumer")),
    ("VerifiableProducer and -Consumer, classic", verifiable("classic")),
    ("VerifiableProducer and -Consumer, consumer", verifiable("consumer")),
]


def play(broker, directory, quick):
    """Yields (client, version, tool, problem or None, seconds). The steps build on each other."""
    del quick
    tools = Tools(broker, directory)
    tools.start()
    try:
        yield from _steps(tools)
    finally:
        tools.end()


def _steps(tools):
    version = clients.java().version
    for name, step in STEPS:
        begin, problem = time.monotonic(), None
        try:
            step(tools)
        except (Wrong, TimeoutError, KeyError, ValueError, AttributeError) as error:
            problem = f"{type(error).__name__}: {error}"
        yield CLIENT, version, name, problem, time.monotonic() - begin
