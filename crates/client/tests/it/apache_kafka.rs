//! Apache Kafka in place of TallyMQ: broker and controller in one process, from the jars that `APACHE_KAFKA_CLASSPATH` names.
//! It is there to show that the SDK asks of its broker nothing that only TallyMQ can do.

use std::{ffi::OsString, net::TcpListener, path::Path, process::Command};

/// What it says when it is ready.
pub const READY: &str = "[KafkaRaftServer nodeId=1] Kafka Server started";

/// Nothing but that, one message a line.
const LOGGING: &str = "
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %m%n
rootLogger.level = error
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
";

/// The class path, if these tests are to run against Apache Kafka.
pub fn class_path() -> Option<OsString> {
    std::env::var_os("APACHE_KAFKA_CLASSPATH")
}

/// Writes its configuration, formats its storage; gives the address that it will have.
pub fn prepare(class_path: &OsString, directory: &Path) -> String {
    let (broker, controller) = (free_port(), free_port());
    let properties = format!(
        "process.roles=broker,controller
        node.id=1
        controller.quorum.voters=1@127.0.0.1:{controller}
        listeners=BROKER://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
        advertised.listeners=BROKER://127.0.0.1:{broker}
        listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
        inter.broker.listener.name=BROKER
        controller.listener.names=CONTROLLER
        log.dirs={directory}/data
        auto.create.topics.enable=false
        broker.heartbeat.interval.ms=200
        broker.session.timeout.ms=3000
        group.initial.rebalance.delay.ms=0
        offsets.topic.num.partitions=1
        offsets.topic.replication.factor=1
        transaction.state.log.num.partitions=1
        transaction.state.log.replication.factor=1
        transaction.state.log.min.isr=1
        share.coordinator.state.topic.replication.factor=1
        share.coordinator.state.topic.min.isr=1\n",
        directory = directory.display()
    );
    std::fs::write(directory.join("server.properties"), properties).unwrap();
    std::fs::write(directory.join("log4j2.properties"), LOGGING).unwrap();
    let mut format = java(class_path, directory);
    format.args(["kafka.tools.StorageTool", "format", "-t", "dGFsbHltcS1zZGstdGVzdA", "-c"]);
    let output = format.arg(directory.join("server.properties")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    format!("127.0.0.1:{broker}")
}

/// The server, in front.
pub fn server(class_path: &OsString, directory: &Path) -> Command {
    let mut server = java(class_path, directory);
    server.arg("kafka.Kafka").arg(directory.join("server.properties"));
    server
}

/// A virtual machine that starts fast and stays small.
fn java(class_path: &OsString, directory: &Path) -> Command {
    let mut java = Command::new("java");
    java.args(["-Xmx512M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]);
    let mut logging = OsString::from("-Dlog4j2.configurationFile=");
    logging.push(directory.join("log4j2.properties"));
    java.arg(logging).arg("-cp").arg(class_path);
    java
}

/// A port that was free a moment ago: Kafka has to be told its address before it starts.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
