"""Topic administration with the same client. Each call waits for the broker's answer and raises on an error."""

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from .load import RECONNECT


class Admin:
    def __init__(self, address):
        self.client = AdminClient({"bootstrap.servers": address, "log_level": 0} | RECONNECT)

    def create(self, topics, config=None, timeout_s=30):
        """Creates {topic: partitions}; one that is there already is fine."""
        new = [NewTopic(name, parts, 1, config=config or {}) for name, parts in topics.items()]
        for future in self.client.create_topics(new, operation_timeout=timeout_s).values():
            try:
                future.result(timeout_s)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def delete(self, *topics, timeout_s=30):
        """Deletes topics; one that is gone already is fine."""
        for future in self.client.delete_topics(list(topics), operation_timeout=timeout_s).values():
            try:
                future.result(timeout_s)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise

    def delete_records(self, topic, partition, before, timeout_s=30):
        """Moves the log start to offset `before`."""
        place = TopicPartition(topic, partition, before)
        for future in self.client.delete_records([place], operation_timeout=timeout_s).values():
            future.result(timeout_s)

    def topics(self, timeout_s=10):
        return set(self.client.list_topics(timeout=timeout_s).topics)

    def partitions(self, timeout_s=30):
        """How many each topic has."""
        topics = self.client.list_topics(timeout=timeout_s).topics
        return {name: len(topic.partitions) for name, topic in topics.items()}
