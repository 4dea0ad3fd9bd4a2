import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringSerializer;

/** Topics, positions and records; each command is done when its effect is there. Used by several threads. */
final class DriverAdmin implements Driver.Target {
    private final Map<String, Admin> clients = new ConcurrentHashMap<>();

    @Override
    public ObjectNode run(JsonNode command) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", command.get("bootstrap").asText());
        properties.put("reconnect.backoff.max.ms", "500");
        if (command.get("do").asText().equals("produce")) {
            produce(command, properties);
            return null;
        }
        Admin admin = clients.computeIfAbsent(command.get("bootstrap").asText(), at -> Admin.create(properties));
        String topic = command.path("topic").asText();
        switch (command.get("do").asText()) {
            case "create" -> {
                Map<String, String> config = new HashMap<>();
                command.path("config").properties().forEach(entry -> config.put(entry.getKey(), entry.getValue().asText()));
                NewTopic fresh = new NewTopic(topic, command.get("partitions").asInt(), (short) 1);
                admin.createTopics(List.of(fresh.configs(config))).all().get();
            }
            case "delete" -> admin.deleteTopics(List.of(topic)).all().get();
            case "grow" -> admin.createPartitions(
                Map.of(topic, NewPartitions.increaseTo(command.get("partitions").asInt()))).all().get();
            case "configure" -> {
                List<AlterConfigOp> changes = new ArrayList<>();
                command.get("config").properties().forEach(entry -> changes.add(new AlterConfigOp(
                    new ConfigEntry(entry.getKey(), entry.getValue().asText()), AlterConfigOp.OpType.SET)));
                admin.incrementalAlterConfigs(
                    Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic), changes)).all().get();
            }
            case "delete_records" -> {
                Map<TopicPartition, RecordsToDelete> wanted = new HashMap<>();
                offsets(command).forEach((place, at) -> wanted.put(place, RecordsToDelete.beforeOffset(at)));
                admin.deleteRecords(wanted).all().get();
            }
            case "reset" -> {
                Map<TopicPartition, OffsetAndMetadata> wanted = new HashMap<>();
                offsets(command).forEach((place, at) -> wanted.put(place, new OffsetAndMetadata(at)));
                admin.alterConsumerGroupOffsets(command.get("group").asText(), wanted).all().get();
            }
            case "delete_group" -> admin.deleteConsumerGroups(List.of(command.get("group").asText())).all().get();
            case "bounds" -> {
                return bounds(admin, topic, command.get("partitions").asInt());
            }
            default -> throw new IllegalArgumentException(command.toString());
        }
        return null;
    }

    static Map<TopicPartition, Long> offsets(JsonNode command) {
        Map<TopicPartition, Long> offsets = new HashMap<>();
        command.get("offsets").properties().forEach(entry -> offsets.put(
            new TopicPartition(command.get("topic").asText(), Integer.parseInt(entry.getKey())),
            entry.getValue().asLong()));
        return offsets;
    }

    private static ObjectNode bounds(Admin admin, String topic, int partitions) throws Exception {
        ObjectNode found = Driver.JSON.createObjectNode();
        for (int partition = 0; partition < partitions; partition++) {
            TopicPartition place = new TopicPartition(topic, partition);
            ArrayNode both = found.putArray(String.valueOf(partition));
            for (OffsetSpec spec : List.of(OffsetSpec.earliest(), OffsetSpec.latest())) {
                both.add(admin.listOffsets(Map.of(place, spec)).partitionResult(place).get().offset());
            }
        }
        return found;
    }

    /** A producer of its own; `rate` records a second, all at once with 0. */
    private static void produce(JsonNode command, Properties properties) throws Exception {
        properties.put("linger.ms", String.valueOf(command.path("linger_ms").asInt(5)));
        properties.put("delivery.timeout.ms", "150000");
        properties.put("compression.type", command.path("compression").asText("none"));
        int count = command.get("count").asInt();
        int rate = command.path("rate").asInt();
        String body = "x".repeat(command.path("size").asInt(20));
        Long stamp = command.has("timestamp") ? command.get("timestamp").asLong() : null;
        StringSerializer text = new StringSerializer();
        List<Future<?>> sent = new ArrayList<>();
        long begin = System.nanoTime();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, text, text)) {
            for (int number = 0; number < count; number++) {
                if (rate > 0) {
                    long wait = begin + number * 1_000_000_000L / rate - System.nanoTime();
                    Thread.sleep(Math.max(0, wait / 1_000_000));
                }
                int partition = command.has("partition")
                    ? command.get("partition").asInt() : number % command.get("partitions").asInt();
                String topic = command.get("topic").asText();
                sent.add(producer.send(new ProducerRecord<>(topic, partition, stamp, String.valueOf(number), body)));
            }
            producer.flush();
            for (Future<?> one : sent) {
                one.get();
            }
        }
    }
}
