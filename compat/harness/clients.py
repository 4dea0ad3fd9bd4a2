"""The clients: how each is installed, started, and what its library can do."""

import functools
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


def franz():
    version = pinned("franz")
    return Client("franz-go", version, [install.go("franz")], group_protocols=BOTH_GROUP_PROTOCOLS)


def rdkafka():
    version = pinned("rdkafka")
    binary = install.cargo(install.CLIENTS / "rdkafka") / "compat-rdkafka"
    return Client("rust-rdkafka", version, [binary], group_protocols=BOTH_GROUP_PROTOCOLS)


def older_java(version, group_protocols=("classic",)):
    argv = [*JVM, "-cp", install.older_java(version), "Worker"]
    return Client("kafka-clients (Java)", version, argv, ("zstd",), group_protocols, is_older=True)


def older_confluent(version):
    worker = install.CLIENTS / "confluent" / "worker.py"
    python = install.python("confluent", f"confluent-kafka=={version}")
    return Client("confluent-kafka", version, [python, worker], ("zstd",), is_older=True)


def older_kafkajs(version):
    directory = install.node("kafkajs", f"kafkajs@{version}")
    worker = install.CLIENTS / "kafkajs" / "worker.js"
    env = install.environment(NODE_PATH=directory / "node_modules")
    return Client("kafkajs", version, ["node", worker], ("zstd",), env=env, is_older=True)


ALL = {
    "confluent": confluent,
    "kafka-python": kafka_python,
    "kafkajs": kafkajs,
    "java": java,
    "franz": franz,
    "rdkafka": rdkafka,
}


# What users have not upgraded yet. A release says more than a language: Java clients of 3.3 to 3.8 close the connection over
# an ApiVersions answer that those before and after them take (KAFKA-17011).
OLDER = {
    **{f"java-{version}": functools.partial(older_java, version) for version in ("2.4.1", "2.8.2", "3.3.2", "3.7.2", "3.9.1")},
    # The first with the new group protocol for everybody.
    "java-4.0.0": functools.partial(older_java, "4.0.0", ("consumer",)),
    "confluent-2.6.1": functools.partial(older_confluent, "2.6.1"),
    "kafkajs-1.16.0": functools.partial(older_kafkajs, "1.16.0"),
}
