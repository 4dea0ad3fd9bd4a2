"""Topic administration with the same client. Each call waits for the broker's answer and raises on an error."""

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from .load import RECONNECT
from .patience import PATIENCE_S

# What the client gives up by itself, it says: before the wait for it ends.
ANSWER_S = PATIENCE_S + 30
_PATIENT = {"operation_timeout": PATIENCE_S, "request_timeout": PATIENCE_S}


class Admin:
    def __init__(self, address):
        self.client = AdminClient({"bootstrap.servers": address, "log_level": 0} | RECONNECT)

    def create(self, topics, config=None):
        """Creates {topic: partitions}; one that is there already is fine."""
        new = [NewTopic(name, parts, 1, config=config or {}) for name, parts in topics.items()]
        for future in self.client.create_topics(new, **_PATIENT).values():
            try:
                future.result(ANSWER_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def delete(self, *topics):
        """Deletes topics; one that is gone already is fine."""
        for future in self.client.delete_topics(list(topics), **_PATIENT).values():
            try:
                future.result(ANSWER_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise

    def delete_records(self, topic, partition, before):
        """Moves the log start to offset `before`."""
        place = TopicPartition(topic, partition, before)
        for future in self.client.delete_records([place], **_PATIENT).values():
            future.result(ANSWER_S)

    def topics(self):
        return set(self.client.list_topics(timeout=PATIENCE_S).topics)

    def partitions(self):
        """How many each topic has."""
        topics = self.client.list_topics(timeout=PATIENCE_S).topics
        return {name: len(topic.partitions) for name, topic in topics.items()}
