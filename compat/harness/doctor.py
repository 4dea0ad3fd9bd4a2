"""`tallymq doctor`, `audit` and `dlq` against the broker and against Apache Kafka: what is planted must be found and named,
what is healthy must not be, and dead letters are sent again once.

Topics, records and members come from Kafka's own console tools. What doctor says of property files is compared with what
the clients themselves say when they are started with them.
"""

import itertools
import json
import subprocess
import time
from pathlib import Path

from . import brokers, clients, install, processes
from .console_tools import JVM, READ_MS, Tools, Wrong
from .processes import PATIENCE_S

SUITE = "doctor, audit and dlq"
WATCH = ["--watch-seconds", "3"]
LOOK = ["--watch-seconds", "0"]
# What is judged by watching is judged only if the client that moves paused for less than a watch, and doctor did not take so
# long itself that one commit is few (group-commit-interval).
PAUSE_MAX_MS, WATCHED_MAX_MS = 2000, 10_000
EXIT_LOSS, EXIT_DUPLICATE, EXIT_DISORDER = 5, 6, 7


class Bench:
    """A broker, Kafka's tools, and the binary that is tried."""

    def __init__(self, broker, binary, directory):
        self.broker, self.binary, self.directory = broker, Path(binary), Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.tools = Tools(broker, self.directory)
        self.is_kafka = broker.name != "tallymq"

    def run(self, *arguments):
        """Exit code, standard output and standard error of the binary."""
        argv = [self.binary, *arguments]
        done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=PATIENCE_S)
        return done.returncode, done.stdout, done.stderr

    def found(self, command, *arguments):
        """Exit code and JSON."""
        code, output, errors = self.run(command, "--json", "--bootstrap", self.broker.address, *arguments)
        if not output.strip():
            raise Wrong(f"{command} {arguments}: exit {code}: {errors.strip()[-600:]}")
        return code, json.loads(output)

    def create(self, topic, *arguments):
        self.tools.run("topics", "--create", "--topic", topic, "--partitions", "1", *arguments)

    def send(self, topic, lines, *arguments):
        """`lines`: headers as kafka-console-producer has them (`name:value,name:value`), or None, for each record."""
        text = "".join(f"{headers or 'null'}\tx\n" for headers in lines)
        properties = [*arguments, "--reader-property", "parse.headers=true", "--reader-property", "null.marker=null"]
        self.produce(topic, text, *properties)

    def produce(self, topic, text, *arguments):
        """The tool leaves its records to a producer that nobody waits for."""
        end = self.log_end(topic) + text.count("\n")
        self.tools.run("console-producer", "--topic", topic, *arguments, input_=text)
        processes.until(lambda: self.log_end(topic) == end, PATIENCE_S, f"{end} records in {topic}")

    def log_end(self, topic):
        code, output, errors = self.run("topic", "describe", topic, "--json", "-b", self.broker.address)
        if code != 0:
            raise Wrong(f"{topic}: {errors}")
        return json.loads(output)["partitions"][0]["log_end"]

    def delete_records(self, topic, offset):
        plan = self.directory / f"{topic}.json"
        place = {"topic": topic, "partition": 0, "offset": offset}
        plan.write_text(json.dumps({"partitions": [place], "version": 1}))
        self.tools.run("delete-records", "--offset-json-file", str(plan))

    def group(self, name):
        """What is said of a group; nothing if it is not there yet."""
        code, output, _ = self.run("group", "describe", name, "--json", "-b", self.broker.address)
        return json.loads(output) if code == 0 else {"state": "", "members": [], "positions": []}


def same(what, found, expected):
    if found != expected:
        raise Wrong(f"{what}: {found!r} is not {expected!r}")


def rules(found, **object_):
    """The rules that found something about an object, all of whose members are as given."""
    matching = [each for each in found["findings"] if object_.items() <= each["object"].items()]
    return sorted(f"{each['severity']} {each['rule']}" for each in matching)


def labels(producer, *numbers):
    return [f"tally-producer:{producer},tally-seq:{number}" for number in numbers]


def an_empty_cluster(bench):
    code, found = bench.found("doctor", *LOOK)
    same("recognised", found["cluster"]["tallymq"], not bench.is_kafka)
    same("not checked", found["unchecked"], [])
    if bench.is_kafka:
        losses = ["loss broker-default-replication", "loss broker-flush"]
        same("broker", rules(found, kind="broker"), ["advice broker-auto-create-topics", *losses])
        same("exit code", code, EXIT_LOSS)
    else:
        same("broker", rules(found, kind="broker"), ["advice broker-auto-create-topics"])
        same("cluster", rules(found, kind="cluster"), ["advice cluster-single-broker"])
        same("exit code", code, 0)
    same("exit code with --fail-on never", bench.found("doctor", *LOOK, "--fail-on", "never")[0], 0)


def topics(bench):
    bench.create("dated", "--config", "message.timestamp.type=LogAppendTime")
    bench.create("plain")
    if bench.is_kafka:
        bench.create("compacted", "--config", "cleanup.policy=compact")
    _, found = bench.found("doctor", *LOOK)
    replication = ["loss topic-replication"] if bench.is_kafka else []
    same("dated", rules(found, kind="topic", topic="dated"), replication)
    same("plain", rules(found, kind="topic", topic="plain"), ["advice topic-timestamps", *replication])
    if bench.is_kafka:
        same("compacted", rules(found, kind="topic", topic="compacted"), ["advice topic-compaction", *replication])


def watched(bench, group, log, event, expected):
    """Exit code and findings about a group, watched while a client did `event` again and again, as its log says. Where it stood
    still, as on a busy machine, what doctor says of it may be true: then it watches again."""

    def found():
        begin_ms = time.time() * 1000
        code, findings = bench.found("doctor", *WATCH)
        end_ms = time.time() * 1000
        steady = findings["cluster"]["watched_ms"] <= WATCHED_MAX_MS and pause_ms(log, event, begin_ms, end_ms) <= PAUSE_MAX_MS
        return (steady or rules(findings, group=group) == expected) and (code, findings)

    code, findings = processes.until(found, PATIENCE_S, f"a watch of {group} in which its client does not stand still")
    same(group, rules(findings, group=group), expected)
    return code, findings


def pause_ms(log, event, begin_ms, end_ms):
    """The longest between two events of a Verifiable tool."""
    *whole, _ = log.read_text().split("\n")
    events = [json.loads(line) for line in whole if line.startswith("{")]
    times = [each["timestamp"] for each in events if each["name"] == event and begin_ms < each["timestamp"] < end_ms]
    times = [begin_ms, *times, end_ms]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def a_healthy_group(protocol):
    """A member that reads and commits while records come."""

    def run(bench):
        name = f"healthy-{protocol}"
        bench.create(name)
        read = ["--topic", name, "--group-id", name, "--group-protocol", protocol]
        log = bench.directory / f"{name}.log"
        reader = processes.Child(bench.tools.argv("verifiable-consumer", *read), log)
        write = ["--topic", name, "--throughput", "200"]
        writer = processes.Child(bench.tools.argv("verifiable-producer", *write), bench.directory / f"{name}-write.log")
        try:
            await_commits(bench, name)
            watched(bench, name, log, "offsets_committed", [])
        finally:
            writer.terminate()
            reader.terminate()

    return run


def await_commits(bench, group):
    def committed():
        return any(each["position"] for each in bench.group(group)["positions"])

    processes.until(committed, PATIENCE_S, f"commits of {group}", step_s=0.3)


def a_stuck_group(protocol):
    """A member that is there and never commits, behind a position from before."""

    def run(bench):
        name = f"stuck-{protocol}"
        bench.create(name)
        bench.send(name, [None] * 5)
        once = ["--group", name, "--from-beginning", "--max-messages", "2", "--timeout-ms", READ_MS]
        bench.tools.run("console-consumer", "--topic", name, *once)
        holds = [f"group.protocol={protocol}", "enable.auto.commit=false"]
        read = ["--topic", name, "--group", name]
        read += [part for each in holds for part in ("--command-property", each)]
        reader = processes.Child(bench.tools.argv("console-consumer", *read), bench.directory / f"{name}.log")
        write = ["--topic", name, "--throughput", "50"]
        log = bench.directory / f"{name}-write.log"
        writer = processes.Child(bench.tools.argv("verifiable-producer", *write), log)
        try:
            processes.until(lambda: stable(bench, name), PATIENCE_S, f"a member of {name}", step_s=0.3)
            code, found = watched(bench, name, log, "producer_send_success", ["loss group-stuck"])
            same("exit code", code, EXIT_LOSS)
            why = next(each["why"] for each in found["findings"] if each["rule"] == "group-stuck")
            if "unread records expire in about 6 d at 2" not in why:
                raise Wrong(f"when they expire is not said: {why}")
        finally:
            writer.terminate()
            reader.terminate()

    return run


def stable(bench, group):
    described = bench.group(group)
    return described["state"] == "Stable" and any(member["partitions"] for member in described["members"])


def a_group_without_members(bench):
    bench.create("left")
    bench.send("left", [None] * 5)
    once = ["--group", "left", "--from-beginning", "--max-messages", "2", "--timeout-ms", READ_MS]
    bench.tools.run("console-consumer", "--topic", "left", *once)
    processes.until(lambda: bench.group("left")["state"] == "Empty", PATIENCE_S, "the end of its member")
    _, found = bench.found("doctor", *LOOK)
    same("left", rules(found, kind="position", group="left"), ["advice group-empty"])
    bench.delete_records("left", 4)
    _, found = bench.found("doctor", *LOOK)
    same("removed unread", rules(found, kind="position", group="left"), ["loss group-expired"])


def an_audit(bench):
    bench.create("audited")
    numbers = labels("a", 0, 1, 2, 5, 6, 1, 3, 8)
    bench.send("audited", [*labels("b", 0, 1, 2), *numbers, None, "tally-producer:a"], "--compression-codec", "lz4")
    code, found = bench.found("audit", "--topic", "audited")
    same("exit code", code, EXIT_LOSS)
    partition = found["partitions"][0]
    same("without headers", (partition["without_headers"], partition["malformed_headers"]), (1, 1))
    a, b = partition["producers"]
    same("gaps", a["gaps"], [{"from": 4, "to": 4}, {"from": 7, "to": 7}])
    same("duplicates", a["duplicates"], [{"number": 1, "offset": 8, "first_offset": 4}])
    same("out of order", a["out_of_order"], [{"number": 3, "offset": 9, "after": 6}])
    same("b", (b["producer"], b["records"], b["missing"], b["duplicate_count"]), ("b", 3, 0, 0))
    bench.delete_records("audited", 8)
    code, found = bench.found("audit", "--topic", "audited")
    a = found["partitions"][0]["producers"][0]
    same("after records were deleted", (a["unknown_before"], a["gaps"]), (1, [{"from": 2, "to": 2}, {"from": 4, "to": 7}]))


def exit_codes_of_audit(bench):
    cases = [("whole", (0, 1, 2), 0), ("twice", (0, 1, 0), EXIT_DUPLICATE), ("late", (0, 2, 1), EXIT_DISORDER)]
    for topic, numbers, expected in cases:
        bench.create(f"audit-{topic}")
        bench.send(f"audit-{topic}", labels("a", *numbers))
        same(topic, bench.found("audit", "--topic", f"audit-{topic}")[0], expected)
    if bench.is_kafka:
        bench.create("audit-compacted", "--config", "cleanup.policy=compact")
        keyed = ["--reader-property", "parse.key=true", "--reader-property", "parse.headers=true"]
        bench.produce("audit-compacted", "".join(f"{headers}\tk\tx\n" for headers in labels("a", 0, 2)), *keyed)
        code, found = bench.found("audit", "--topic", "audit-compacted")
        same("compacted", (code, found["compacted"], found["missing"]), (0, True, 1))


def dead_letters(bench):
    letters = "bought.billing.dead"
    bench.create("bought")
    bench.create(letters)
    story = "tally-origin-topic:bought,tally-origin-partition:0,tally-origin-offset:4,tally-attempts:5,tally-group:billing"
    bench.send(letters, [f"tally-cause:no stock,{story}"] * 3 + [f"tally-cause:card refused,{story}"])

    def ask(command, *arguments):
        code, output, errors = bench.run("dlq", command, letters, "--json", "-b", bench.broker.address, *arguments)
        if code != 0:
            raise Wrong(f"dlq {command} {arguments}: exit {code}: {errors.strip()[-600:]}")
        return [json.loads(line) for line in output.splitlines()]

    def causes():
        return {kind["cause"]: kind["letters"] for listed in ask("list")[0] for kind in listed["kinds"]}

    same("listed", causes(), {"no stock": 3, "card refused": 1})
    same("shown", [each["origin"]["offset"] for each in ask("show")], [4] * 4)
    same("planned", ask("redrive", "--cause", "stock")[0]["letters"], 3)
    same("only planned", bench.log_end("bought"), 0)
    same("sent again", ask("redrive", "--cause", "stock", "--execute")[0]["letters"], 3)
    same("stored", bench.log_end("bought"), 3)
    same("twice", ask("redrive", "--cause", "stock", "--execute")[0]["letters"], 0)
    same("left", causes(), {"card refused": 1})
    same("purged", ask("purge", "--execute")[0]["letters"], 1)
    same("nothing left", causes(), {})


# Kind, property file. Each is started with Java's client and with librdkafka.
FILES = [
    ("producer", "acks=1"),
    ("producer", "acks=1\nenable.idempotence=true"),
    ("producer", "acks=-1\nenable.idempotence=true"),
    ("producer", "acks=ALL"),
    ("producer", "acks=quorum"),
    ("producer", "retries=0"),
    ("producer", "retries=0\nenable.idempotence=true"),
    ("producer", "retries=-1"),
    ("producer", "max.in.flight.requests.per.connection=6"),
    ("producer", "max.in.flight.requests.per.connection=6\nacks=1"),
    ("producer", "max.in.flight.requests.per.connection=6\nenable.idempotence=false"),
    ("producer", "max.in.flight.requests.per.connection=6\nenable.idempotence=true"),
    ("producer", "enable.idempotence=yes"),
    ("producer", "enable.idempotence=TRUE"),
    ("producer", "delivery.timeout.ms=30004\nacks=all"),
    ("producer", "delivery.timeout.ms=30005\nacks=all"),
    ("producer", "delivery.timeout.ms=100\nlinger.ms=100\nacks=all"),
    ("producer", "linger.ms=0.5\nacks=all"),
    ("producer", "transactional.id=x\nenable.idempotence=false"),
    ("producer", "transactional.id=x\nacks=1"),
    ("producer", "transactional.id=x\ndelivery.timeout.ms=70000"),
    ("consumer", "group.id=g\nsession.timeout.ms=3000\nheartbeat.interval.ms=3000"),
    ("consumer", "group.id=g\nsession.timeout.ms=10000"),
    ("consumer", "group.id=g\nmax.poll.interval.ms=10000"),
    ("consumer", "group.id=g\ngroup.protocol=consumer"),
    ("consumer", "group.id=g\ngroup.protocol=consumer\nsession.timeout.ms=10000"),
    ("consumer", "group.id=g\ngroup.protocol=consumer\nheartbeat.interval.ms=1000"),
    ("consumer", "group.id=g\nauto.offset.reset=smallest"),
    ("consumer", "group.id=g\nauto.offset.reset=none"),
    ("consumer", "group.id=g\nauto.offset.reset=Latest"),
    ("consumer", "group.id=g\nauto.offset.reset=by_duration:PT1H"),
    ("consumer", "group.id=g\nisolation.level=READ_COMMITTED"),
    ("consumer", "group.id=g\nenable.auto.commit=on"),
    ("consumer", "group.id=g\nmax.poll.records=5"),
]
ALSO_REFUSED_BY_LIBRDKAFKA = "client-unknown-key"


def property_files(kind, argv):
    """doctor says that a client does not start with a file exactly if it does not."""

    def run(bench):
        answers = "".join(json.dumps({"kind": each, "text": text}) + "\n" for each, text in FILES)
        done = subprocess.run(list(map(str, argv())), input=answers, capture_output=True, text=True, timeout=PATIENCE_S)
        said = [json.loads(line)["refused"] for line in done.stdout.splitlines() if line.startswith("{")]
        if len(said) != len(FILES):
            raise Wrong(f"{len(said)} answers for {len(FILES)} files: {done.stderr.strip()[-600:]}")
        path, wrong = bench.directory / f"{kind}.properties", []
        for (_, text), refused in zip(FILES, said):
            path.write_text(text)
            _, output, _ = bench.run("doctor", "--json", "--client-kind", kind, "--client-config", path)
            named = {each["rule"] for each in json.loads(output)["findings"]}
            refusals = {"client-conflict", "client-value"}
            if kind == "librdkafka":
                refusals.add(ALSO_REFUSED_BY_LIBRDKAFKA)
            if bool(named & refusals) != (refused is not None):
                wrong.append(f"{text!r}: the client says {refused}, doctor {sorted(named)}")
        if wrong:
            raise Wrong("; ".join(wrong))

    return run


def java_settings():
    return [*JVM, "-cp", install.java("java"), "Settings"]


def librdkafka_settings():
    return [install.python("confluent"), install.CLIENTS / "confluent" / "settings.py"]


ON_EACH_BROKER = [
    ("an empty cluster", an_empty_cluster),
    ("topics", topics),
    ("a healthy group, classic", a_healthy_group("classic")),
    ("a healthy group, consumer", a_healthy_group("consumer")),
    ("a stuck group, classic", a_stuck_group("classic")),
    ("a stuck group, consumer", a_stuck_group("consumer")),
    ("a group without members", a_group_without_members),
    ("audit names what is planted", an_audit),
    ("audit's exit codes", exit_codes_of_audit),
    ("dead letters", dead_letters),
]
ONCE = [
    ("property files, as Java takes them", property_files("java", java_settings)),
    ("property files, as librdkafka takes them", property_files("librdkafka", librdkafka_settings)),
]


def play(broker, directory, quick):
    """Yields (suite, version, step, problem or None, seconds): on the broker, and on Apache Kafka if that is another one."""
    del quick
    binary = getattr(broker, "binary", brokers.TALLYMQ)
    first = Bench(broker, binary, directory / "doctor")
    yield from steps(first, ON_EACH_BROKER)
    yield from steps(first, ONCE)
    if not first.is_kafka:
        settings = brokers.TEST_SETTINGS | {"offsets.topic.num.partitions": "4"}
        kafka = brokers.Kafka(directory / "kafka", settings)
        kafka.start()
        try:
            yield from steps(Bench(kafka, binary, directory / "doctor-kafka"), ON_EACH_BROKER)
        finally:
            kafka.stop()


def steps(bench, listed):
    version = clients.java().version if bench.is_kafka else ""
    bench.tools.start()
    try:
        for name, step in listed:
            begin, problem = time.monotonic(), None
            try:
                step(bench)
            except (Wrong, TimeoutError, KeyError, ValueError, StopIteration, subprocess.TimeoutExpired) as error:
                problem = f"{type(error).__name__}: {error}"
            where = "" if listed is ONCE else f" on {bench.broker.name}"
            yield SUITE, version, f"{name}{where}", problem, time.monotonic() - begin
    finally:
        bench.tools.end()
