import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeTopicsResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Worker on kafka-clients. One argument, JSON; modes as in compat/README.md. */
public final class Worker {
    private final JsonNode parameters;
    private final String topic;

    private Worker(JsonNode parameters) {
        this.parameters = parameters;
        this.topic = parameters.get("topic").asText();
    }

    public static void main(String[] arguments) throws Exception {
        JsonNode parameters = new ObjectMapper().readTree(arguments[0]);
        Worker worker = new Worker(parameters);
        switch (parameters.get("mode").asText()) {
            case "admin" -> worker.admin();
            case "create" -> worker.create();
            case "produce" -> worker.produce(worker.history());
            case "consume" -> worker.consume(worker.history());
            case "group" -> worker.group(worker.history());
            default -> throw new IllegalArgumentException("mode");
        }
        System.exit(0); // the thread that reads standard input may still wait
    }

    private History history() throws IOException {
        Path path = Path.of(parameters.get("history").asText());
        return new History(path, parameters.get("process").asInt(), topic);
    }

    private Properties properties(Object... pairs) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", parameters.get("bootstrap").asText());
        properties.put("reconnect.backoff.max.ms", "500");
        for (int at = 0; at < pairs.length; at += 2) {
            properties.put(pairs[at], String.valueOf(pairs[at + 1]));
        }
        return properties;
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    private static void until(Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + 120_000_000_000L;
        while (!condition.call()) {
            check(System.nanoTime() < deadline, "not within 120 s");
            Thread.sleep(50);
        }
    }

    private void create() throws Exception {
        try (Admin admin = Admin.create(properties())) {
            int partitions = parameters.get("partitions").asInt();
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
            until(() -> admin.listTopics().names().get().contains(topic));
        }
    }

    /** What `allTopicNames` is since 3.1 was called `all` before. */
    @SuppressWarnings("unchecked")
    private TopicDescription describe(Admin admin) throws Exception {
        Set<String> names = Set.of("allTopicNames", "all");
        Method all = Stream.of(DescribeTopicsResult.class.getMethods())
            .filter(method -> names.contains(method.getName())).findFirst().get();
        return ((KafkaFuture<Map<String, TopicDescription>>) all.invoke(admin.describeTopics(List.of(topic)))).get().get(topic);
    }

    private void admin() throws Exception {
        try (Admin admin = Admin.create(properties())) {
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            Callable<Integer> partitions = () -> describe(admin).partitions().size();
            Callable<String> retention = () ->
                admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value();
            NewTopic fresh = new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "600000"));
            admin.createTopics(List.of(fresh)).all().get();
            until(() -> admin.listTopics().names().get().contains(topic));
            check(partitions.call() == 3, "not 3 partitions");
            check(retention.call().equals("600000"), "retention at creation");
            AlterConfigOp change =
                new AlterConfigOp(new ConfigEntry("retention.ms", "1200000"), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
            until(() -> retention.call().equals("1200000"));
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
            until(() -> partitions.call() == 5);
            check(admin.describeCluster().nodes().get().size() == 1, "not one broker");
            admin.deleteTopics(List.of(topic)).all().get();
            until(() -> !admin.listTopics().names().get().contains(topic));
        }
    }

    private void produce(History history) throws Exception {
        Properties properties = properties(
            "enable.idempotence", true, "compression.type", parameters.get("compression").asText(),
            "linger.ms", 5, "delivery.timeout.ms", 120_000);
        int count = parameters.get("count").asInt();
        int rate = parameters.get("rate").asInt();
        int size = parameters.get("size").asInt();
        int partitions = parameters.get("partitions").asInt();
        long begin = System.nanoTime();
        StringSerializer text = new StringSerializer();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, text, text)) {
            for (int number = 0; number < count; number++) {
                if (rate > 0) {
                    long wait = begin + number * 1_000_000_000L / rate - System.nanoTime();
                    Thread.sleep(Math.max(0, wait / 1_000_000));
                }
                send(producer, history, parameters.get("process").asInt() + "-" + number, number % partitions, size);
                if (number % 200 == 0) {
                    history.flush();
                }
            }
            producer.flush();
        } finally {
            history.flush();
        }
    }

    private void send(
            KafkaProducer<String, String> producer, History history, String value, int partition, int size) {
        String place = ",\"partition\":" + partition + ",\"value\":\"" + value + "\"";
        history.log("send", "invoke", place);
        String body = value + ":" + "x".repeat(Math.max(0, size - value.length() - 1));
        ProducerRecord<String, String> record = new ProducerRecord<>(topic, partition, "k" + value, body);
        record.headers().add("n", value.getBytes(StandardCharsets.UTF_8));
        producer.send(record, (metadata, error) -> {
            if (error == null) {
                history.log("send", "ok", place + ",\"offset\":" + metadata.offset());
            } else {
                history.log("send", "unknown", place + ",\"error\":\"" + error.getClass().getSimpleName() + "\"");
            }
        });
    }

    private static void logPoll(History history, ConsumerRecord<String, String> record) {
        String value = record.value().split(":", 2)[0];
        String header = new String(record.headers().lastHeader("n").value(), StandardCharsets.UTF_8);
        history.log("poll", "ok", ",\"partition\":" + record.partition() + ",\"offset\":" + record.offset()
            + ",\"value\":\"" + value + "\",\"key\":\"" + record.key() + "\",\"header\":\"" + header + "\"");
    }

    private void consume(History history) {
        Properties properties = properties("auto.offset.reset", "none", "enable.auto.commit", false);
        StringDeserializer text = new StringDeserializer();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties, text, text)) {
            List<TopicPartition> all = IntStream.range(0, parameters.get("partitions").asInt())
                .mapToObj(number -> new TopicPartition(topic, number)).collect(Collectors.toList());
            Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(all));
            ends.values().removeIf(end -> end == 0);
            consumer.assign(ends.keySet());
            consumer.seekToBeginning(ends.keySet());
            long deadline = System.nanoTime() + 120_000_000_000L;
            while (!ends.isEmpty()) {
                check(System.nanoTime() < deadline, "not read to " + ends);
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) {
                    logPoll(history, record);
                    ends.remove(new TopicPartition(topic, record.partition()), record.offset() + 1);
                }
            }
        } finally {
            history.flush();
        }
    }

    private void group(History history) {
        Properties properties = properties(
            "group.id", parameters.get("group").asText(), "group.protocol", parameters.get("protocol").asText(),
            "auto.offset.reset", "earliest", "enable.auto.commit", false);
        if (parameters.get("protocol").asText().equals("classic")) {
            properties.put("session.timeout.ms", parameters.get("session_ms").asText());
            properties.put("heartbeat.interval.ms", "500");
        }
        AtomicBoolean stop = new AtomicBoolean();
        Thread input = new Thread(() -> {
            try {
                System.in.readAllBytes();
            } catch (IOException closed) {
                // the same as an end of input
            }
            stop.set(true);
        });
        input.setDaemon(true);
        input.start();
        StringDeserializer text = new StringDeserializer();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties, text, text)) {
            consumer.subscribe(List.of(topic), new Moves(history));
            while (!stop.get()) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
                Map<Integer, Long> following = new TreeMap<>();
                for (ConsumerRecord<String, String> record : records) {
                    logPoll(history, record);
                    following.put(record.partition(), record.offset() + 1);
                }
                if (!following.isEmpty()) {
                    commit(history, consumer, following);
                }
                history.flush();
            }
        } finally {
            history.flush();
        }
    }

    private void commit(History history, KafkaConsumer<String, String> consumer, Map<Integer, Long> following) {
        String offsets = following.entrySet().stream()
            .map(entry -> "\"" + entry.getKey() + "\":" + entry.getValue())
            .collect(Collectors.joining(",", ",\"offsets\":{", "}"));
        history.log("commit", "invoke", offsets);
        history.flush();
        Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
        following.forEach((partition, offset) ->
            positions.put(new TopicPartition(topic, partition), new OffsetAndMetadata(offset)));
        try {
            consumer.commitSync(positions);
            history.log("commit", "ok", offsets);
        } catch (KafkaException error) { // a rebalance or a crash in between; the next owner reads again
            history.log("commit", "unknown", offsets);
        }
    }

    /** Logs what the group gave to this member and took from it. */
    private record Moves(History history) implements ConsumerRebalanceListener {
        private void log(String op, Collection<TopicPartition> places) {
            String numbers = places.stream().map(place -> String.valueOf(place.partition()))
                .collect(Collectors.joining(",", ",\"partitions\":[", "]"));
            history.log(op, "ok", numbers);
            history.flush();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            log("assign", assigned);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            log("revoke", revoked);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> lost) {
            log("revoke", lost);
        }
    }
}
