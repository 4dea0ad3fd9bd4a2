"""The requests that are compared with Apache Kafka's answers, in the order in which they are sent.

A body holds the members of all versions; Kafka's classes take those that the version has. `{v}` stands for the version,
`"$name"` for a value that the same broker answered earlier. May not know which broker it is sent to.
"""

import base64
import json
from dataclasses import dataclass, field

NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
UNKNOWN_ID = "AAAAAAAAAAAAAAAAAAAAZw"
BATCH_EPOCH = slice(12, 16)  # the leader's epoch inside a batch: each broker counts its own
# What a broker says while it is still at it: 3, 5, 6 and 100 after a creation, 14 to 16 before a coordinator is up.
EARLY = {3, 5, 6, 14, 15, 16, 100}
UNKNOWN_TOPIC_ID = 100
# A member that nothing is heard of has to stay for all probes of its group, with both brokers.
SESSION_MS = 60_000
# What requests give a broker to be done in; Wire.java waits longer.
TIMEOUT_MS = 30_000

KEYS = {
    "PRODUCE": 0, "FETCH": 1, "LIST_OFFSETS": 2, "METADATA": 3, "OFFSET_COMMIT": 8, "OFFSET_FETCH": 9,
    "FIND_COORDINATOR": 10, "JOIN_GROUP": 11, "HEARTBEAT": 12, "LEAVE_GROUP": 13, "SYNC_GROUP": 14,
    "DESCRIBE_GROUPS": 15, "LIST_GROUPS": 16, "API_VERSIONS": 18, "CREATE_TOPICS": 19, "DELETE_TOPICS": 20,
    "DELETE_RECORDS": 21, "INIT_PRODUCER_ID": 22, "OFFSET_FOR_LEADER_EPOCH": 23, "DESCRIBE_CONFIGS": 32,
    "ALTER_CONFIGS": 33, "DESCRIBE_LOG_DIRS": 35, "CREATE_PARTITIONS": 37, "DELETE_GROUPS": 42,
    "INCREMENTAL_ALTER_CONFIGS": 44, "OFFSET_DELETE": 47, "DESCRIBE_CLUSTER": 60, "DESCRIBE_PRODUCERS": 61,
    "CONSUMER_GROUP_HEARTBEAT": 68, "CONSUMER_GROUP_DESCRIBE": 69, "LIST_CONFIG_RESOURCES": 74,
    "DESCRIBE_TOPIC_PARTITIONS": 75,
}


@dataclass
class Probe:
    """One request in all versions that both brokers know from `known_from` on, or only in `versions`."""

    title: str
    api: str
    body: dict
    versions: tuple = ()
    known_from: int = 0
    learns: dict = field(default_factory=dict)  # name -> where it stands in the answer
    own: set = field(default_factory=set)  # more members to blank
    settles: bool = False  # ask again while the answer holds an early error
    awaits: int | None = None  # ask again until the answer holds this error
    silent_ms: int | None = None  # no answer is expected: how long one is waited for
    keep: object = None  # answer -> the part that counts
    on_purpose: dict = field(default_factory=dict)  # member that differs -> why that is right

    @property
    def key(self):
        return KEYS[self.api]

    def body_of(self, version):
        return json.loads(json.dumps(self.body).replace("{v}", str(version)))

    def is_early(self, answer):
        found = set(error_codes(answer))
        return self.settles and bool(EARLY & found) or self.awaits is not None and self.awaits not in found

    def kept(self, answer):
        answer = without_batch_epochs(answer)
        return self.keep(answer) if self.keep and "response" in answer else answer


def error_codes(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "errorCode":
                yield inner
            else:
                yield from error_codes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from error_codes(inner)


def without_batch_epochs(value):
    if isinstance(value, dict):
        return {
            key: batches(inner) if key == "records" and inner else without_batch_epochs(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [without_batch_epochs(inner) for inner in value]
    return value


def batches(text):
    data, at = bytearray(base64.b64decode(text)), 0
    while at + 61 <= len(data):
        data[at + BATCH_EPOCH.start : at + BATCH_EPOCH.stop] = bytes(4)
        at += 12 + int.from_bytes(data[at + 8 : at + 12], "big")
    return data.hex()


def records(*values, compression="none", at=1_700_000_000_000, **more):
    rows = [[at + number, f"k{value}", value] for number, value in enumerate(values)]
    return {"$records": {"compression": compression, "records": rows} | more}


def create(name, partitions=2, *, configs=None, replicas=1, assignments=(), validate=False):
    topic = {"name": name, "numPartitions": partitions, "replicationFactor": replicas}
    topic["assignments"] = list(assignments)
    topic["configs"] = [{"name": key, "value": value} for key, value in (configs or {}).items()]
    return {"topics": [topic], "timeoutMs": TIMEOUT_MS, "validateOnly": validate}


def produce(name, batch, *, id_=NO_ID, partition=0, acks=-1, transaction=None):
    data = [{"index": partition, "records": batch}]
    topic = {"name": name, "topicId": id_, "partitionData": data}
    return {"transactionalId": transaction, "acks": acks, "timeoutMs": TIMEOUT_MS, "topicData": [topic]}


def fetch(name, offset, *, id_=NO_ID, partition=0, epoch=-1, bytes_max=1 << 20, wait_ms=0, session=(0, -1), level=0):
    part = {
        "partition": partition, "currentLeaderEpoch": epoch, "fetchOffset": offset, "lastFetchedEpoch": -1,
        "logStartOffset": -1, "partitionMaxBytes": bytes_max,
    }
    return {
        "replicaId": -1, "maxWaitMs": wait_ms, "minBytes": 1, "maxBytes": bytes_max, "isolationLevel": level,
        "sessionId": session[0], "sessionEpoch": session[1], "forgottenTopicsData": [], "rackId": "",
        "topics": [{"topic": name, "topicId": id_, "partitions": [part]}],
    }


def list_offsets(name, timestamp, *, partition=0, epoch=-1, level=0):
    part = {"partitionIndex": partition, "currentLeaderEpoch": epoch, "timestamp": timestamp}
    topics = [{"name": name, "partitions": [part]}]
    return {"replicaId": -1, "isolationLevel": level, "topics": topics, "timeoutMs": TIMEOUT_MS}


def metadata(*names, ids=(), create_=False, all_=False):
    topics = [{"name": name, "topicId": NO_ID} for name in names] + [{"name": None, "topicId": id_} for id_ in ids]
    operations = {"includeClusterAuthorizedOperations": True, "includeTopicAuthorizedOperations": True}
    return {"topics": None if all_ else topics, "allowAutoTopicCreation": create_} | operations


def commit(group, name, offset, *, id_=NO_ID, partition=0, generation=-1, member="", text=""):
    part = {"partitionIndex": partition, "committedOffset": offset, "committedLeaderEpoch": -1}
    topic = {"name": name, "topicId": id_, "partitions": [part | {"committedMetadata": text}]}
    return {
        "groupId": group, "generationIdOrMemberEpoch": generation, "memberId": member, "groupInstanceId": None,
        "retentionTimeMs": -1, "topics": [topic],
    }


def offset_fetch(group, name, *, id_=NO_ID, partitions=(0, 1), member=None, epoch=-1):
    one = {"name": name, "topicId": id_, "partitionIndexes": list(partitions)}
    groups = [{"groupId": group, "memberId": member, "memberEpoch": epoch, "topics": [one]}]
    return {"groupId": group, "topics": [one], "groups": groups, "requireStable": False}


def all_offsets(group):
    groups = [{"groupId": group, "memberId": None, "memberEpoch": -1, "topics": None}]
    return {"groupId": group, "topics": None, "groups": groups, "requireStable": True}


def join(group, *, member="", protocol_type="consumer", protocols=("range",), session=SESSION_MS, instance=None):
    named = [{"name": name, "metadata": "AAEAAAABAAR3aXJl/////wAAAAA="} for name in protocols]
    return {
        "groupId": group, "sessionTimeoutMs": session, "rebalanceTimeoutMs": SESSION_MS, "memberId": member,
        "groupInstanceId": instance, "protocolType": protocol_type, "protocols": named, "reason": None,
    }


def sync(group, member, generation, *, leader=True, protocol="range"):
    assignments = [{"memberId": member, "assignment": "AAAAAAAA////"}] if leader else []
    return {
        "groupId": group, "generationId": generation, "memberId": member, "groupInstanceId": None,
        "protocolType": "consumer", "protocolName": protocol, "assignments": assignments,
    }


def heartbeat(group, member, generation):
    return {"groupId": group, "generationId": generation, "memberId": member, "groupInstanceId": None}


def leave(group, member):
    one = {"memberId": member, "groupInstanceId": None, "reason": None}
    return {"groupId": group, "memberId": member, "members": [one]}


def consumer_heartbeat(group, member, epoch, *, topics=("wire",), owned=(), regex=None, assignor=None, timeout=SESSION_MS):
    return {
        "groupId": group, "memberId": member, "memberEpoch": epoch, "instanceId": None, "rackId": None,
        "rebalanceTimeoutMs": timeout, "subscribedTopicNames": None if topics is None else list(topics),
        "subscribedTopicRegex": regex, "serverAssignor": assignor,
        "topicPartitions": None if owned is None else list(owned),
    }


def configs(kind, name, keys=None, *, synonyms=True):
    resource = {"resourceType": kind, "resourceName": name, "configurationKeys": keys}
    return {"resources": [resource], "includeSynonyms": synonyms, "includeDocumentation": False}


def edit(kind, name, *changes, validate=False):
    """Each change: (key, operation, value); operations 0 set, 1 delete, 2 append, 3 subtract."""
    rows = [{"name": key, "configOperation": operation, "value": value} for key, operation, value in changes]
    return {"resources": [{"resourceType": kind, "resourceName": name, "configs": rows}], "validateOnly": validate}


def delete_records(name, offset, *, partition=0):
    topics = [{"name": name, "partitions": [{"partitionIndex": partition, "offset": offset}]}]
    return {"topics": topics, "timeoutMs": TIMEOUT_MS}


def delete_topic(name, id_=NO_ID):
    state = [{"name": name, "topicId": id_}]
    return {"topics": state, "topicNames": [name or ""], "timeoutMs": TIMEOUT_MS}


def grow(name, count, assignments=None, validate=False):
    topics = [{"name": name, "count": count, "assignments": assignments}]
    return {"topics": topics, "timeoutMs": TIMEOUT_MS, "validateOnly": validate}


def groups_only(*wanted):
    def keep(answer):
        groups = [group for group in answer["response"]["groups"] if group["groupId"] in wanted]
        return {"groups": groups, "errorCode": answer["response"]["errorCode"]}

    return keep


def topics_only(*wanted):
    def keep(answer):
        return {"topics": [topic for topic in answer["response"]["topics"] if topic["name"] in wanted]}

    return keep


def settings_but_replicas(answer):
    """Kafka's controller sets min.insync.replicas by itself when a cluster is made."""
    rows = answer["response"]["results"][0]["configs"]
    return {"configs": [row for row in rows if row["name"] != "min.insync.replicas"]}


def codes_only(answer):
    return {"codes": sorted(error_codes(answer))}


TOPIC, BROKER, GROUP = 2, 4, 32
NO_START = "an error comes without a log start; no client reads it there"
ID = "$wire"  # learned from the first Metadata answer
LEARN_MEMBER = {"member": ["memberId"]}

TOPICS = [
    Probe("CreateTopics", "CREATE_TOPICS", create("made-{v}", configs={"retention.ms": "600000"}),
          keep=lambda answer: codes_and_counts(answer)),
    Probe("CreateTopics of the topic of all that follows", "CREATE_TOPICS", create("wire", configs={"retention.ms": "-1"}), versions=(7,), keep=codes_only),
    Probe("CreateTopics again", "CREATE_TOPICS", create("wire")),
    Probe("CreateTopics, a bad name", "CREATE_TOPICS", create("a/b")),
    Probe("CreateTopics, an empty name", "CREATE_TOPICS", create("")),
    Probe("CreateTopics, a name with a dot", "CREATE_TOPICS", create("co.llide"), versions=(7,), keep=codes_only),
    Probe("CreateTopics, a colliding name", "CREATE_TOPICS", create("co_llide")),
    Probe("CreateTopics, no partition", "CREATE_TOPICS", create("none", 0)),
    Probe("CreateTopics, default counts", "CREATE_TOPICS", create("default-{v}", -1, replicas=-1), known_from=4,
          keep=lambda answer: codes_and_counts(answer)),
    Probe("CreateTopics, more replicas than brokers", "CREATE_TOPICS", create("many", 1, replicas=3)),
    Probe("CreateTopics, placed", "CREATE_TOPICS",
          create("placed-{v}", -1, replicas=-1, assignments=[{"partitionIndex": 0, "brokerIds": [0]}]),
          keep=lambda answer: codes_and_counts(answer)),
    Probe("CreateTopics, placed on an unknown broker", "CREATE_TOPICS",
          create("placed", -1, replicas=-1, assignments=[{"partitionIndex": 0, "brokerIds": [9]}])),
    Probe("CreateTopics, placed with a gap", "CREATE_TOPICS",
          create("placed", -1, replicas=-1, assignments=[{"partitionIndex": 1, "brokerIds": [0]}])),
    Probe("CreateTopics, placed and counted", "CREATE_TOPICS",
          create("placed", 1, assignments=[{"partitionIndex": 0, "brokerIds": [0]}])),
    Probe("CreateTopics, an unknown setting", "CREATE_TOPICS", create("odd", configs={"no.such.key": "1"})),
    Probe("CreateTopics, a bad setting", "CREATE_TOPICS", create("odd", configs={"retention.ms": "soon"})),
    Probe("CreateTopics, validated only", "CREATE_TOPICS", create("never", validate=True),
          keep=lambda answer: codes_and_counts(answer)),
    Probe("Metadata", "METADATA", metadata("wire"), settles=True, known_from=1),
    Probe("Metadata, its id", "METADATA", metadata("wire"), versions=(12,), settles=True,
          learns={"wire": ["topics", 0, "topicId"]}),
    Probe("Metadata by id", "METADATA", metadata(ids=[ID]), known_from=12),
    Probe("Metadata, unknown id", "METADATA", metadata(ids=[UNKNOWN_ID]), known_from=12),
    Probe("Metadata, unknown topic", "METADATA", metadata("nowhere"), known_from=4),
    Probe("Metadata, bad name", "METADATA", metadata("a/b", create_=True), known_from=4),
    Probe("Metadata creates", "METADATA", metadata("asked-{v}", create_=True), settles=True, known_from=4),
    Probe("Metadata of no topic", "METADATA", metadata(), known_from=1),
    Probe("Metadata of all", "METADATA", metadata(all_=True), known_from=1, keep=topics_only("wire", "never", "made-2")),
    Probe("DescribeTopicPartitions", "DESCRIBE_TOPIC_PARTITIONS",
          {"topics": [{"name": "wire"}, {"name": "nowhere"}], "responsePartitionLimit": 2000, "cursor": None}),
    Probe("DescribeTopicPartitions, a page", "DESCRIBE_TOPIC_PARTITIONS",
          {"topics": [{"name": "wire"}, {"name": "made-2"}], "responsePartitionLimit": 3, "cursor": None}),
    Probe("DescribeTopicPartitions, the page behind it", "DESCRIBE_TOPIC_PARTITIONS",
          {"topics": [{"name": "wire"}, {"name": "made-2"}], "responsePartitionLimit": 3,
           "cursor": {"topicName": "wire", "partitionIndex": 1}}),
    Probe("CreatePartitions", "CREATE_PARTITIONS", grow("made-3", 5), versions=(3,)),
    Probe("CreatePartitions, not more", "CREATE_PARTITIONS", grow("wire", 2)),
    Probe("CreatePartitions, fewer", "CREATE_PARTITIONS", grow("wire", 1)),
    Probe("CreatePartitions, unknown topic", "CREATE_PARTITIONS", grow("nowhere", 3)),
    Probe("CreatePartitions, validated only", "CREATE_PARTITIONS", grow("wire", 3, validate=True)),
    Probe("CreatePartitions, wrong placement", "CREATE_PARTITIONS", grow("wire", 4, [{"brokerIds": [0]}])),
    Probe("DeleteTopics", "DELETE_TOPICS", delete_topic("made-2"), versions=(5,)),
    Probe("DeleteTopics, unknown", "DELETE_TOPICS", delete_topic("nowhere")),
    Probe("DeleteTopics by unknown id", "DELETE_TOPICS", delete_topic(None, UNKNOWN_ID), known_from=6),
]


def codes_and_counts(answer):
    topics = answer["response"]["topics"]
    counts = [(topic.get("numPartitions"), topic.get("replicationFactor")) for topic in topics]
    return {"codes": sorted(error_codes(answer)), "counts": [list(count) for count in counts]}


def compressed_times():
    """Times are found inside compressed batches too, and the largest one need not be the last."""
    for name in ("none", "gzip", "snappy", "lz4", "zstd"):
        topic = f"time-{name}"
        yield Probe(f"CreateTopics, for times in {name}", "CREATE_TOPICS", create(topic, 1, configs={"retention.ms": "-1"}),
                    versions=(7,), keep=codes_only)
        for at in (1_700_000_000_000, 1_700_000_001_000, 1_700_000_000_500):
            yield Probe(f"Produce, times in {name} from {at}", "PRODUCE",
                        produce(topic, records("a", "b", "c", compression=name, at=at)), versions=(9,), settles=True)
        for at in (1_700_000_000_001, 1_700_000_000_600, 1_700_000_001_002, 1_700_000_001_003, -3):
            yield Probe(f"ListOffsets in {name} at {at}", "LIST_OFFSETS", list_offsets(topic, at), versions=(9,))


RECORDS = [
    Probe("Produce", "PRODUCE", produce("wire", records("v{v}-a", "v{v}-b"), id_=ID), settles=True, known_from=3),
    *(Probe(f"Produce, {name}", "PRODUCE", produce("wire", records("c1", "c2", "c3", compression=name), id_=ID), versions=(9,))
      for name in ("gzip", "snappy", "lz4", "zstd")),
    Probe("Produce, zstd before it was allowed", "PRODUCE", produce("wire", records("c", compression="zstd")), versions=(6,)),
    Probe("Produce, acks=1", "PRODUCE", produce("wire", records("one"), acks=1, id_=ID), known_from=3),
    Probe("Produce, acks=0", "PRODUCE", produce("wire", records("zero"), acks=0), versions=(9,), silent_ms=2000),
    Probe("Produce, acks=0 to an unknown topic", "PRODUCE", produce("nowhere", records("zero"), acks=0), versions=(9,)),
    Probe("Produce, acks=2", "PRODUCE", produce("wire", records("two"), acks=2, id_=ID), known_from=3),
    Probe("Produce, unknown topic", "PRODUCE", produce("nowhere", records("x"), id_=UNKNOWN_ID), known_from=3),
    Probe("Produce, unknown partition", "PRODUCE", produce("wire", records("x"), partition=7, id_=ID), known_from=3),
    Probe("Produce, negative partition", "PRODUCE", produce("wire", records("x"), partition=-1, id_=ID), known_from=3),
    Probe("Produce, damaged", "PRODUCE", produce("wire", records("x" * 50, flip=90), id_=ID), known_from=3),
    Probe("Produce, an old format", "PRODUCE", produce("wire", records("x" * 50, flip=16, mask=3), id_=ID), known_from=3),
    Probe("Produce, a format unheard of", "PRODUCE", produce("wire", records("x" * 50, flip=16), id_=ID), known_from=3),
    Probe("Produce, a time of the far future", "PRODUCE", produce("wire", records("x", at=4_000_000_000_000), id_=ID),
          known_from=3, on_purpose={"logStartOffset": NO_START, "recordErrors": "the whole batch is refused, not one record"}),
    Probe("Produce, too large", "PRODUCE", produce("wire", records("x" * 1_200_000), id_=ID), known_from=3),
    Probe("Produce, idempotent", "PRODUCE", produce("wire", records("i1", "i2", producer=4242, sequence=0), id_=ID, partition=1),
          versions=(9,)),
    Probe("Produce, the same again", "PRODUCE",
          produce("wire", records("i1", "i2", producer=4242, sequence=0), id_=ID, partition=1), known_from=3,
          on_purpose={"logAppendTimeMs": "the topic is CreateTime: Kafka tells a client the time of the batch instead"}),
    Probe("Produce, a gap in the sequence", "PRODUCE",
          produce("wire", records("i9", producer=4242, sequence=9), id_=ID, partition=1), known_from=3,
          on_purpose={"logStartOffset": NO_START}),
    Probe("Produce, an unknown producer's later sequence", "PRODUCE",
          produce("wire", records("u", producer=777777, sequence=5), id_=ID, partition=1), known_from=3,
          on_purpose={"logAppendTimeMs": "a repetition from the second version on; as above"}),
    Probe("Produce, a newer epoch", "PRODUCE",
          produce("wire", records("e", producer=4242, sequence=0, epoch=1), id_=ID, partition=1), versions=(9,)),
    Probe("Produce, an older epoch", "PRODUCE",
          produce("wire", records("i3", producer=4242, sequence=2), id_=ID, partition=1), known_from=3,
          on_purpose={"logStartOffset": NO_START}),
    Probe("DescribeProducers", "DESCRIBE_PRODUCERS",
          {"topics": [{"name": "wire", "partitionIndexes": [1, 7]}, {"name": "nowhere", "partitionIndexes": [0]}]},
          keep=lambda answer: {"topics": sorted_topics(answer)}),
    Probe("Fetch from the start", "FETCH", fetch("wire", 0, id_=ID), known_from=4),
    Probe("Fetch from inside a batch", "FETCH", fetch("wire", 3, id_=ID, bytes_max=1), known_from=4),
    Probe("Fetch, committed only", "FETCH", fetch("wire", 0, id_=ID, level=1), known_from=4),
    Probe("Fetch beyond the end", "FETCH", fetch("wire", 99999, id_=ID), known_from=4),
    Probe("Fetch from a negative offset", "FETCH", fetch("wire", -5, id_=ID), known_from=4),
    Probe("Fetch, unknown topic", "FETCH", fetch("nowhere", 0, id_=UNKNOWN_ID), known_from=4),
    Probe("Fetch, unknown partition", "FETCH", fetch("wire", 0, id_=ID, partition=7), known_from=4),
    Probe("Fetch, an epoch of the future", "FETCH", fetch("wire", 0, id_=ID, epoch=1 << 20), known_from=9),
    Probe("Fetch, an unknown session", "FETCH", fetch("wire", 0, id_=ID, session=(123, 5)), known_from=7),
    Probe("Fetch, a session epoch without a session", "FETCH", fetch("wire", 0, id_=ID, session=(0, 5)), known_from=7),
    *(Probe(f"ListOffsets, {name}", "LIST_OFFSETS", list_offsets("wire", timestamp), known_from=version)
      for name, timestamp, version in (
          ("latest", -1, 1), ("earliest", -2, 1), ("largest timestamp", -3, 1), ("earliest local", -4, 1),
          ("latest tiered", -5, 1), ("a time before all", 1, 1), ("inside a batch", 1_700_000_000_001, 1),
          ("a time behind all", 1_900_000_000_000, 1), ("an odd timestamp", -77, 1))),
    Probe("ListOffsets, committed only", "LIST_OFFSETS", list_offsets("wire", -1, level=1), known_from=2),
    Probe("ListOffsets, unknown topic", "LIST_OFFSETS", list_offsets("nowhere", -1)),
    Probe("ListOffsets, unknown partition", "LIST_OFFSETS", list_offsets("wire", -1, partition=7)),
    Probe("ListOffsets, an epoch of the future", "LIST_OFFSETS", list_offsets("wire", -1, epoch=1 << 20), known_from=4),
    Probe("ListOffsets, an empty partition", "LIST_OFFSETS", list_offsets("made-4", 5)),
    Probe("ListOffsets, an empty partition's largest", "LIST_OFFSETS", list_offsets("made-4", -3), known_from=7),
    *compressed_times(),
    Probe("CreateTopics, log append time", "CREATE_TOPICS",
          create("stamped", 1, configs={"message.timestamp.type": "LogAppendTime"}), versions=(7,), keep=codes_only),
    Probe("Produce, log append time", "PRODUCE", produce("stamped", records("a", "b", compression="gzip")), versions=(9,),
          settles=True),
    Probe("ListOffsets, log append time", "LIST_OFFSETS", list_offsets("stamped", -3), versions=(9,), own={"timestamp"}),
    Probe("ListOffsets, before the log append time", "LIST_OFFSETS", list_offsets("stamped", 1), versions=(9,),
          own={"timestamp"}),
    Probe("OffsetForLeaderEpoch", "OFFSET_FOR_LEADER_EPOCH", {"replicaId": -2, "topics": [
        {"topic": "wire", "partitions": [{"partition": 0, "currentLeaderEpoch": -1, "leaderEpoch": 1 << 20},
                                         {"partition": 7, "currentLeaderEpoch": -1, "leaderEpoch": 0}]},
        {"topic": "nowhere", "partitions": [{"partition": 0, "currentLeaderEpoch": -1, "leaderEpoch": 0}]}]}),
    Probe("DeleteRecords", "DELETE_RECORDS", delete_records("wire", 4)),
    Probe("DeleteRecords, below the start", "DELETE_RECORDS", delete_records("wire", 1)),
    Probe("DeleteRecords, beyond the end", "DELETE_RECORDS", delete_records("wire", 99999)),
    Probe("DeleteRecords, negative", "DELETE_RECORDS", delete_records("wire", -5)),
    Probe("DeleteRecords, unknown topic", "DELETE_RECORDS", delete_records("nowhere", 1)),
    Probe("DeleteRecords, unknown partition", "DELETE_RECORDS", delete_records("wire", 1, partition=7)),
    Probe("Fetch below the start", "FETCH", fetch("wire", 0, id_=ID), known_from=4),
    Probe("ListOffsets, earliest after that", "LIST_OFFSETS", list_offsets("wire", -2)),
    Probe("DeleteRecords, to the end", "DELETE_RECORDS", delete_records("wire", -1, partition=1)),
    Probe("ListOffsets, of the emptied partition", "LIST_OFFSETS", list_offsets("wire", -2, partition=1)),
    Probe("DescribeLogDirs", "DESCRIBE_LOG_DIRS", {"topics": [{"topic": "wire", "partitions": [0, 1]}]}),
    Probe("InitProducerId", "INIT_PRODUCER_ID", {
        "transactionalId": None, "transactionTimeoutMs": 1000, "producerId": -1, "producerEpoch": -1,
        "enable2Pc": False, "keepPreparedTxn": False}, settles=True),
]


def sorted_topics(answer):
    return sorted(answer["response"]["topics"], key=lambda topic: topic["name"])


GROUPS = [
    Probe("FindCoordinator", "FIND_COORDINATOR", {"key": "wire-group", "keyType": 0, "coordinatorKeys": ["wire-group"]},
          settles=True),
    Probe("FindCoordinator, an odd type", "FIND_COORDINATOR", {"key": "wire-group", "keyType": 9, "coordinatorKeys": ["x"]},
          known_from=1),
    Probe("OffsetCommit without members", "OFFSET_COMMIT", commit("plain-{v}", "wire", 3, id_=ID, text="note"), settles=True),
    Probe("OffsetFetch", "OFFSET_FETCH", offset_fetch("plain-9", "wire", id_=ID)),
    Probe("OffsetFetch of all", "OFFSET_FETCH", all_offsets("plain-9"), known_from=2),
    Probe("OffsetFetch, unknown group", "OFFSET_FETCH", offset_fetch("no-group", "wire", id_=ID)),
    Probe("OffsetFetch, all of an unknown group", "OFFSET_FETCH", all_offsets("no-group"), known_from=2),
    Probe("OffsetFetch, unknown topic", "OFFSET_FETCH", offset_fetch("plain-9", "nowhere", id_=UNKNOWN_ID)),
    Probe("OffsetFetch, an empty group id", "OFFSET_FETCH", offset_fetch("", "wire", id_=ID)),
    Probe("OffsetCommit, unknown topic", "OFFSET_COMMIT", commit("plain-9", "nowhere", 3, id_=UNKNOWN_ID)),
    Probe("OffsetCommit, unknown partition", "OFFSET_COMMIT", commit("plain-9", "wire", 3, id_=ID, partition=7)),
    Probe("OffsetCommit, too much metadata", "OFFSET_COMMIT", commit("plain-9", "wire", 3, id_=ID, text="x" * 5000)),
    Probe("OffsetCommit by a stranger", "OFFSET_COMMIT", commit("plain-9", "wire", 3, id_=ID, generation=2, member="who")),
    Probe("OffsetCommit, an empty group id", "OFFSET_COMMIT", commit("", "wire", 3, id_=ID)),
    Probe("JoinGroup without a member id", "JOIN_GROUP", join("asked-{v}"), known_from=4),
    Probe("JoinGroup, an unknown member", "JOIN_GROUP", join("nobody", member="who")),
    Probe("JoinGroup, an empty group id", "JOIN_GROUP", join("")),
    Probe("JoinGroup, a session too short", "JOIN_GROUP", join("short", session=1)),
    Probe("JoinGroup, no protocol", "JOIN_GROUP", join("none", protocols=())),
    Probe("JoinGroup, no protocol type", "JOIN_GROUP", join("none", protocol_type="")),
    Probe("JoinGroup", "JOIN_GROUP", join("joined"), versions=(3,), learns={"joined": ["memberId"]}),
    Probe("DescribeGroups while it rebalances", "DESCRIBE_GROUPS", {"groups": ["joined"], "includeAuthorizedOperations": True}),
    Probe("SyncGroup, a wrong generation", "SYNC_GROUP", sync("joined", "$joined", 9)),
    Probe("SyncGroup, another protocol", "SYNC_GROUP", sync("joined", "$joined", 1, protocol="odd"), known_from=5),
    Probe("SyncGroup", "SYNC_GROUP", sync("joined", "$joined", 1), versions=(5,)),
    Probe("SyncGroup, unknown member", "SYNC_GROUP", sync("joined", "who", 1)),
    Probe("SyncGroup, unknown group", "SYNC_GROUP", sync("nobody", "who", 1)),
    Probe("Heartbeat", "HEARTBEAT", heartbeat("joined", "$joined", 1)),
    Probe("Heartbeat, a wrong generation", "HEARTBEAT", heartbeat("joined", "$joined", 9)),
    Probe("Heartbeat, unknown member", "HEARTBEAT", heartbeat("joined", "who", 1)),
    Probe("Heartbeat, unknown group", "HEARTBEAT", heartbeat("nobody", "who", 1)),
    Probe("OffsetCommit by the member", "OFFSET_COMMIT", commit("joined", "wire", 5, id_=ID, generation=1, member="$joined")),
    Probe("OffsetCommit, a wrong generation", "OFFSET_COMMIT",
          commit("joined", "wire", 5, id_=ID, generation=9, member="$joined")),
    Probe("OffsetCommit from outside an active group", "OFFSET_COMMIT", commit("joined", "wire", 5, id_=ID)),
    Probe("JoinGroup, another protocol type", "JOIN_GROUP", join("joined", protocol_type="connect"), versions=(3,)),
    Probe("JoinGroup, no common protocol", "JOIN_GROUP", join("joined", protocols=("odd",)), versions=(3,)),
    Probe("DescribeGroups", "DESCRIBE_GROUPS",
          {"groups": ["joined", "plain-9", "no-group", ""], "includeAuthorizedOperations": True}),
    Probe("ListGroups", "LIST_GROUPS", {"statesFilter": [], "typesFilter": []}, keep=groups_only("joined", "plain-9")),
    Probe("ListGroups, empty ones", "LIST_GROUPS", {"statesFilter": ["empty"], "typesFilter": []}, known_from=4,
          keep=groups_only("joined", "plain-9")),
    Probe("ListGroups, consumer ones", "LIST_GROUPS", {"statesFilter": [], "typesFilter": ["Consumer"]}, known_from=5,
          keep=groups_only("joined", "plain-9")),
    Probe("ListGroups, an odd state", "LIST_GROUPS", {"statesFilter": ["odd"], "typesFilter": []}, known_from=4),
    Probe("ConsumerGroupDescribe of a classic group", "CONSUMER_GROUP_DESCRIBE",
          {"groupIds": ["joined", "no-group", ""], "includeAuthorizedOperations": True}),
    Probe("OffsetDelete", "OFFSET_DELETE", {"groupId": "plain-8", "topics": [
        {"name": "wire", "partitions": [{"partitionIndex": 0}, {"partitionIndex": 7}]},
        {"name": "nowhere", "partitions": [{"partitionIndex": 0}]}]}),
    Probe("OffsetDelete, a subscribed topic", "OFFSET_DELETE",
          {"groupId": "joined", "topics": [{"name": "wire", "partitions": [{"partitionIndex": 0}]}]}),
    Probe("OffsetDelete, unknown group", "OFFSET_DELETE",
          {"groupId": "no-group", "topics": [{"name": "wire", "partitions": [{"partitionIndex": 0}]}]}),
    Probe("DeleteGroups", "DELETE_GROUPS", {"groupsNames": ["joined", "plain-{v}", "no-group", ""]}, versions=(2,)),
    Probe("DeleteGroups, gone or unknown", "DELETE_GROUPS", {"groupsNames": ["no-group"]}),
    Probe("LeaveGroup, unknown member", "LEAVE_GROUP", leave("joined", "who")),
    Probe("LeaveGroup, unknown group", "LEAVE_GROUP", leave("nobody", "who")),
    Probe("LeaveGroup", "LEAVE_GROUP", leave("joined", "$joined"), versions=(3,)),
    Probe("DescribeGroups, left", "DESCRIBE_GROUPS", {"groups": ["joined"], "includeAuthorizedOperations": False}),
]

CONSUMER_GROUPS = [
    Probe("ConsumerGroupHeartbeat, joins", "CONSUMER_GROUP_HEARTBEAT", consumer_heartbeat("new", "aaaa-{v}", 0), versions=(1,),
          learns={"epoch": ["memberEpoch"]}),
    Probe("ConsumerGroupHeartbeat, goes on", "CONSUMER_GROUP_HEARTBEAT",
          consumer_heartbeat("new", "aaaa-1", "$epoch", topics=None, owned=None, timeout=-1), versions=(1,)),
    Probe("ConsumerGroupHeartbeat, unknown member", "CONSUMER_GROUP_HEARTBEAT", consumer_heartbeat("new", "who", 3)),
    Probe("ConsumerGroupHeartbeat, unknown group", "CONSUMER_GROUP_HEARTBEAT", consumer_heartbeat("newer", "who", 3)),
    Probe("ConsumerGroupHeartbeat, an epoch ahead", "CONSUMER_GROUP_HEARTBEAT", consumer_heartbeat("new", "aaaa-1", 99)),
    Probe("ConsumerGroupHeartbeat, an odd assignor", "CONSUMER_GROUP_HEARTBEAT",
          consumer_heartbeat("new", "bbbb", 0, assignor="odd")),
    Probe("ConsumerGroupHeartbeat, an empty group id", "CONSUMER_GROUP_HEARTBEAT", consumer_heartbeat("", "bbbb", 0)),
    Probe("ConsumerGroupHeartbeat, no topics at joining", "CONSUMER_GROUP_HEARTBEAT",
          consumer_heartbeat("new", "bbbb", 0, topics=None)),
    Probe("ConsumerGroupHeartbeat, no timeout at joining", "CONSUMER_GROUP_HEARTBEAT",
          consumer_heartbeat("new", "bbbb", 0, timeout=-1)),
    Probe("ConsumerGroupHeartbeat, owning at joining", "CONSUMER_GROUP_HEARTBEAT",
          consumer_heartbeat("new", "bbbb", 0, owned=[{"topicId": ID, "partitions": [0]}])),
    Probe("ConsumerGroupHeartbeat, a bad expression", "CONSUMER_GROUP_HEARTBEAT",
          consumer_heartbeat("new", "bbbb", 0, topics=None, regex="[a"), known_from=1),
    Probe("OffsetCommit by the consumer member", "OFFSET_COMMIT",
          commit("new", "wire", 5, id_=ID, generation="$epoch", member="aaaa-1"), known_from=9),
    Probe("OffsetCommit with a wrong epoch", "OFFSET_COMMIT",
          commit("new", "wire", 5, id_=ID, generation=99, member="aaaa-1"), known_from=9),
    Probe("OffsetCommit in an old version", "OFFSET_COMMIT",
          commit("new", "wire", 5, generation="$epoch", member="aaaa-1"), versions=(8,)),
    Probe("OffsetCommit from outside a consumer group", "OFFSET_COMMIT", commit("new", "wire", 5, id_=ID)),
    Probe("OffsetFetch by the consumer member", "OFFSET_FETCH",
          offset_fetch("new", "wire", id_=ID, member="aaaa-1", epoch="$epoch"), known_from=9),
    Probe("OffsetFetch with a wrong epoch", "OFFSET_FETCH",
          offset_fetch("new", "wire", id_=ID, member="aaaa-1", epoch=99), known_from=9),
    Probe("OffsetFetch by a stranger", "OFFSET_FETCH", offset_fetch("new", "wire", id_=ID, member="who", epoch=1), known_from=9),
    Probe("ConsumerGroupDescribe", "CONSUMER_GROUP_DESCRIBE", {"groupIds": ["new"], "includeAuthorizedOperations": True}),
    Probe("DescribeGroups of a consumer group", "DESCRIBE_GROUPS", {"groups": ["new"], "includeAuthorizedOperations": False}),
    Probe("ListGroups with a consumer group", "LIST_GROUPS", {"statesFilter": [], "typesFilter": ["consumer"]}, known_from=5,
          keep=groups_only("new")),
    Probe("JoinGroup into a consumer group, an unknown member", "JOIN_GROUP", join("new", member="who"), known_from=4),
    Probe("Heartbeat of a stranger in a consumer group", "HEARTBEAT", heartbeat("new", "who", 1)),
    Probe("DeleteGroups of a consumer group in use", "DELETE_GROUPS", {"groupsNames": ["new"]}),
    Probe("ConsumerGroupHeartbeat, leaves", "CONSUMER_GROUP_HEARTBEAT",
          consumer_heartbeat("new", "aaaa-1", -1, topics=None, owned=None, timeout=-1), versions=(1,)),
    Probe("ConsumerGroupDescribe, left", "CONSUMER_GROUP_DESCRIBE",
          {"groupIds": ["new"], "includeAuthorizedOperations": False}),
]

SETTINGS = [
    Probe("DescribeConfigs of a topic", "DESCRIBE_CONFIGS",
          configs(TOPIC, "made-3", ["retention.ms", "segment.bytes", "cleanup.policy", "max.message.bytes", "message.timestamp.type"])),
    Probe("DescribeConfigs, all keys of a topic", "DESCRIBE_CONFIGS", configs(TOPIC, "wire"), versions=(4,), keep=settings_but_replicas),
    Probe("DescribeConfigs, unknown topic", "DESCRIBE_CONFIGS", configs(TOPIC, "nowhere")),
    Probe("DescribeConfigs of a broker", "DESCRIBE_CONFIGS",
          configs(BROKER, "0", ["num.partitions", "message.max.bytes", "auto.create.topics.enable", "log.retention.ms",
                                "group.min.session.timeout.ms"])),
    Probe("DescribeConfigs of all brokers", "DESCRIBE_CONFIGS", configs(BROKER, ""), keep=settings_but_replicas),
    Probe("DescribeConfigs, another broker", "DESCRIBE_CONFIGS", configs(BROKER, "7")),
    Probe("DescribeConfigs, no broker", "DESCRIBE_CONFIGS", configs(BROKER, "x")),
    Probe("DescribeConfigs, an odd resource", "DESCRIBE_CONFIGS", configs(77, "x")),
    Probe("DescribeConfigs of a group", "DESCRIBE_CONFIGS", configs(GROUP, "new", ["consumer.session.timeout.ms"])),
    Probe("IncrementalAlterConfigs", "INCREMENTAL_ALTER_CONFIGS", edit(TOPIC, "wire", ("retention.ms", 0, "7000{v}"))),
    Probe("IncrementalAlterConfigs, deletes", "INCREMENTAL_ALTER_CONFIGS", edit(TOPIC, "wire", ("retention.ms", 1, None))),
    Probe("IncrementalAlterConfigs, a bad value", "INCREMENTAL_ALTER_CONFIGS", edit(TOPIC, "wire", ("retention.ms", 0, "soon"))),
    Probe("IncrementalAlterConfigs, an unknown key", "INCREMENTAL_ALTER_CONFIGS", edit(TOPIC, "wire", ("no.such.key", 0, "1"))),
    Probe("IncrementalAlterConfigs, a key twice", "INCREMENTAL_ALTER_CONFIGS",
          edit(TOPIC, "wire", ("retention.ms", 0, "1"), ("retention.ms", 1, None))),
    Probe("IncrementalAlterConfigs, no value", "INCREMENTAL_ALTER_CONFIGS", edit(TOPIC, "wire", ("retention.ms", 0, None))),
    Probe("IncrementalAlterConfigs, appends to a number", "INCREMENTAL_ALTER_CONFIGS",
          edit(TOPIC, "wire", ("retention.ms", 2, "1"))),
    Probe("IncrementalAlterConfigs, an odd operation", "INCREMENTAL_ALTER_CONFIGS",
          edit(TOPIC, "wire", ("retention.ms", 9, "1")),
          on_purpose={"errorCode": "INVALID_REQUEST; Kafka fails with UNKNOWN_SERVER_ERROR"}),
    Probe("IncrementalAlterConfigs, unknown topic", "INCREMENTAL_ALTER_CONFIGS", edit(TOPIC, "nowhere", ("retention.ms", 0, "1"))),
    Probe("IncrementalAlterConfigs of a broker", "INCREMENTAL_ALTER_CONFIGS", edit(BROKER, "0", ("message.max.bytes", 0, "1048577"))),
    Probe("IncrementalAlterConfigs of a broker, back", "INCREMENTAL_ALTER_CONFIGS", edit(BROKER, "0", ("message.max.bytes", 1, None))),
    Probe("IncrementalAlterConfigs, read-only", "INCREMENTAL_ALTER_CONFIGS", edit(BROKER, "0", ("node.id", 0, "5"))),
    Probe("IncrementalAlterConfigs of a group", "INCREMENTAL_ALTER_CONFIGS",
          edit(GROUP, "new", ("consumer.session.timeout.ms", 0, "7000"))),
    Probe("IncrementalAlterConfigs of a group, too short", "INCREMENTAL_ALTER_CONFIGS",
          edit(GROUP, "new", ("consumer.session.timeout.ms", 0, "10"))),
    Probe("AlterConfigs", "ALTER_CONFIGS", edit(TOPIC, "wire", ("retention.ms", 0, "80000{v}"))),
    Probe("AlterConfigs, nothing left", "ALTER_CONFIGS", edit(TOPIC, "wire")),
    Probe("AlterConfigs, a bad value", "ALTER_CONFIGS", edit(TOPIC, "wire", ("retention.ms", 0, "soon"))),
    Probe("AlterConfigs, unknown topic", "ALTER_CONFIGS", edit(TOPIC, "nowhere", ("retention.ms", 0, "1"))),
    Probe("ListConfigResources of groups", "LIST_CONFIG_RESOURCES", {"resourceTypes": [GROUP]}, known_from=1),
    Probe("ListConfigResources, an odd type", "LIST_CONFIG_RESOURCES", {"resourceTypes": [77]}, known_from=1),
    Probe("DescribeCluster", "DESCRIBE_CLUSTER",
          {"includeClusterAuthorizedOperations": True, "endpointType": 1, "includeFencedBrokers": False}),
    Probe("DescribeCluster, controllers", "DESCRIBE_CLUSTER",
          {"includeClusterAuthorizedOperations": False, "endpointType": 2, "includeFencedBrokers": False}, known_from=1),
    Probe("ApiVersions, a bad name", "API_VERSIONS", {"clientSoftwareName": "-", "clientSoftwareVersion": ""}, known_from=3,
          keep=codes_only),
    Probe("DeleteTopics by id", "DELETE_TOPICS", delete_topic(None, ID), versions=(6,)),
    Probe("Fetch of the deleted topic", "FETCH", fetch("wire", 0, id_=ID), known_from=13, awaits=UNKNOWN_TOPIC_ID),
    Probe("Produce to the deleted topic", "PRODUCE", produce("wire", records("x"), id_=ID), versions=(13,),
          awaits=UNKNOWN_TOPIC_ID),
]

PROBES = TOPICS + RECORDS + GROUPS + CONSUMER_GROUPS + SETTINGS
