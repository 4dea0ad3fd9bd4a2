"""The brokers that clients are run against: TallyMQ, and Apache Kafka as the reference.

Both are one process on loopback with the same settings, so that a scenario that passes
against Kafka and fails against TallyMQ names a difference.
"""

import shutil
import time
import uuid
from pathlib import Path

from . import install, processes, wire

ROOT = Path(__file__).resolve().parents[2]
TALLYMQ = ROOT / "target" / "release" / "tallymq"

# What clients' own tests assume of a broker.
TEST_SETTINGS = {
    "node.id": "0",
    "num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    # The longest that is allowed. A member that a busy machine stalls for longer loses its partitions without hearing of it.
    "group.consumer.session.timeout.ms": "60000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
}

# Where members are killed, and others have to go on in their place.
SESSION_OF_KILLED_MS = 15_000
KILLED_MEMBERS = {"group.consumer.session.timeout.ms": str(SESSION_OF_KILLED_MS)}

# For TallyMQ: a broker writes one file of its log, of 64 MiB by default, to the disk before it listens.
SMALL_LOG = {"wal.bytes": str(64 << 20)}


class Broker:
    """Start, kill and restart of one broker; the address stays the same over restarts."""

    name = ""
    durability = ""

    def __init__(self, directory, settings=None):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.settings = dict(settings or {})
        self.data = self.directory / "data"
        self.log_path = self.directory / f"{self.name}.log"
        self.child = None
        self.port = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.child.pid

    def start(self, timeout_s=processes.PATIENCE_S):
        """Starts or restarts; returns seconds until a metadata answer lists the broker."""
        begin = time.monotonic()
        self._launch()

        def ready():
            if not self.child.alive():
                raise RuntimeError(f"{self.name} ended at start:\n{self.child.tail()}")
            return wire.brokers_in_metadata("127.0.0.1", self.port) > 0

        processes.until(ready, timeout_s, f"{self.name} ready", step_s=0.02)
        return time.monotonic() - begin

    def kill(self):
        self.child.kill()

    def stop(self):
        """SIGTERM; returns the exit code."""
        return self.child.terminate() if self.child else 0

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _launch(self):
        raise NotImplementedError


class Tallymq(Broker):
    """The release binary."""

    name = "tallymq"
    durability = "fsync before the ack"

    def __init__(self, directory, settings=None, binary=TALLYMQ):
        super().__init__(directory, settings)
        self.binary = Path(binary)
        self.port, self.http_port = wire.free_ports(2)

    def _launch(self):
        if not self.binary.exists():
            raise RuntimeError(f"{self.binary} is missing: cargo build --release")
        argv = [self.binary, "serve", "--data-dir", self.data]
        argv += ["--listen", self.address, "--http-listen", f"127.0.0.1:{self.http_port}"]
        for key, value in self.settings.items():
            argv += ["--set", f"{key}={value}"]
        self.child = processes.Child(argv, self.log_path)


class Kafka(Broker):
    """Apache Kafka in KRaft mode, broker and controller in one process, from its jars."""

    name = "kafka"
    durability = "no fsync before the ack (default)"
    flush_every_message = False

    def __init__(self, directory, settings=None):
        super().__init__(directory, settings)
        self.classpath = install.kafka_server()
        self.port, self.controller_port = wire.free_ports(2)

    def _properties(self):
        node = self.settings.get("node.id", "1")
        listeners = f"BROKER://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}"
        properties = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": f"{node}@127.0.0.1:{self.controller_port}",
            "listeners": listeners,
            "advertised.listeners": f"BROKER://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.data),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
        }
        properties.update(self.settings)
        return "".join(f"{key}={value}\n" for key, value in properties.items())

    def _launch(self):
        config = self.directory / "server.properties"
        logging = ROOT / "compat" / "kafka" / "log4j2.properties"
        java = ["java", f"-Dlog4j2.configurationFile={logging}", "-cp", self.classpath]
        if not config.exists():
            config.write_text(self._properties())
            format_ = java + ["kafka.tools.StorageTool", "format", "-c", config]
            format_ += ["-t", uuid.uuid4().hex[:22]]
            code, output = processes.run(format_, self.directory / "format.log", timeout_s=processes.PATIENCE_S)
            if code != 0:
                raise RuntimeError(f"kafka storage format failed:\n{output}")
        # The options of kafka-run-class.sh.
        jvm = ["-Xms1G", "-Xmx1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
        jvm += ["-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"]
        jvm += ["-Djava.awt.headless=true"]
        argv = java[:1] + jvm + java[1:] + ["kafka.Kafka", config]
        self.child = processes.Child(argv, self.log_path)


class KafkaSynced(Kafka):
    """Kafka that syncs each batch before it acknowledges."""

    name = "kafka-flush1"
    durability = "fsync before the ack (flush.messages=1)"
    flush_every_message = True


KINDS = {kind.name: kind for kind in (Tallymq, Kafka, KafkaSynced)}
