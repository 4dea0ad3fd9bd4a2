"""The clients: how each is installed, started, and what its library can do."""

import re

from . import install
from .scenario import Client

BOTH_GROUP_PROTOCOLS = ("classic", "consumer")


def _pinned(path, pattern):
    return re.search(pattern, (install.CLIENTS / path).read_text()).group(1)


def confluent():
    python = install.python("confluent")
    version = _pinned("confluent/requirements.txt", r"confluent-kafka==(\S+)")
    worker = install.CLIENTS / "confluent" / "worker.py"
    return Client("confluent-kafka", version, [python, worker], group_protocols=BOTH_GROUP_PROTOCOLS)


def kafka_python():
    python = install.python("kafka-python")
    version = _pinned("kafka-python/requirements.txt", r"kafka-python==(\S+)")
    return Client("kafka-python", version, [python, install.CLIENTS / "kafka-python" / "worker.py"])


def kafkajs():
    directory = install.node("kafkajs")
    version = _pinned("kafkajs/package.json", r'"kafkajs": "(\S+)"')
    worker = install.CLIENTS / "kafkajs" / "worker.js"
    env = install.environment(NODE_PATH=directory / "node_modules", KAFKAJS_NO_PARTITIONER_WARNING="1")
    return Client("kafkajs", version, ["node", worker], env=env)


def java():
    classpath = install.java("java")
    version = _pinned("java/pom.xml", r"kafka-clients</artifactId>\s*<version>(.+?)<")
    argv = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath, "Worker"]
    return Client("kafka-clients (Java)", version, argv, group_protocols=BOTH_GROUP_PROTOCOLS)


def franz():
    version = _pinned("franz/go.mod", r"twmb/franz-go v(\S+)")
    return Client("franz-go", version, [install.go("franz")], group_protocols=BOTH_GROUP_PROTOCOLS)


def rdkafka():
    version = _pinned("rdkafka/Cargo.toml", r'rdkafka = \{ version = "=?([^"]+)"')
    binary = install.cargo(install.CLIENTS / "rdkafka") / "compat-rdkafka"
    return Client("rust-rdkafka", version, [binary], group_protocols=BOTH_GROUP_PROTOCOLS)


ALL = {
    "confluent": confluent,
    "kafka-python": kafka_python,
    "kafkajs": kafkajs,
    "java": java,
    "franz": franz,
    "rdkafka": rdkafka,
}
