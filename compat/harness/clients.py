"""The clients: how each is installed, started, and what its library can do."""

import re

from . import install
from .scenario import Client

BOTH_GROUP_PROTOCOLS = ("classic", "consumer")
JVM = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


# Where each client's version is pinned.
PINS = {
    "confluent": ("confluent/requirements.txt", r"confluent-kafka==(\S+)"),
    "kafka-python": ("kafka-python/requirements.txt", r"kafka-python==(\S+)"),
    "kafkajs": ("kafkajs/package.json", r'"kafkajs": "(\S+)"'),
    "java": ("java/pom.xml", r"kafka-clients</artifactId>\s*<version>(.+?)<"),
    "java-3.7": ("java-3.7/pom.xml", r"kafka-clients</artifactId>\s*<version>(.+?)<"),
    "franz": ("franz/go.mod", r"twmb/franz-go v(\S+)"),
    "rdkafka": ("rdkafka/Cargo.toml", r'rdkafka = \{ version = "=?([^"]+)"'),
}


def pinned(name):
    path, pattern = PINS[name]
    return re.search(pattern, (install.CLIENTS / path).read_text()).group(1)


def confluent():
    python = install.python("confluent")
    version = pinned("confluent")
    worker = install.CLIENTS / "confluent" / "worker.py"
    return Client("confluent-kafka", version, [python, worker], group_protocols=BOTH_GROUP_PROTOCOLS, killed_in_rebalance=("consumer",))


def kafka_python():
    python = install.python("kafka-python")
    version = pinned("kafka-python")
    worker = install.CLIENTS / "kafka-python" / "worker.py"
    return Client("kafka-python", version, [python, worker], killed_in_rebalance=("classic",))


def kafkajs():
    directory = install.node("kafkajs")
    version = pinned("kafkajs")
    worker = install.CLIENTS / "kafkajs" / "worker.js"
    env = install.environment(NODE_PATH=directory / "node_modules", KAFKAJS_NO_PARTITIONER_WARNING="1")
    return Client("kafkajs", version, ["node", worker], env=env)


def java():
    argv = [*JVM, "-cp", install.java("java"), "Worker"]
    return Client("kafka-clients (Java)", pinned("java"), argv, group_protocols=BOTH_GROUP_PROTOCOLS)


def java_37():
    """Of the new group protocol it has only a preview that is none of the protocol's versions."""
    worker = [install.CLIENTS / "java" / f"{program}.java" for program in ("History", "Worker")]
    argv = [*JVM, "-cp", install.java("java-3.7", worker), "Worker"]
    return Client("kafka-clients (Java)", pinned("java-3.7"), argv)


def franz():
    version = pinned("franz")
    return Client("franz-go", version, [install.go("franz")], group_protocols=BOTH_GROUP_PROTOCOLS)


def rdkafka():
    version = pinned("rdkafka")
    binary = install.cargo(install.CLIENTS / "rdkafka") / "compat-rdkafka"
    return Client("rust-rdkafka", version, [binary], group_protocols=BOTH_GROUP_PROTOCOLS)


ALL = {
    "confluent": confluent,
    "kafka-python": kafka_python,
    "kafkajs": kafkajs,
    "java": java,
    "java-3.7": java_37,
    "franz": franz,
    "rdkafka": rdkafka,
}
