import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** One consumer. While it works it polls whenever there is no command. */
final class DriverMember implements Driver.Target, ConsumerRebalanceListener {
    private static final long PATIENCE_NS = 150_000_000_000L;
    private static final String ASSIGNORS = "org.apache.kafka.clients.consumer.";
    private static final Map<String, String> NAMES = Map.of(
        "group", "group.id", "client_id", "client.id", "reset", "auto.offset.reset", "protocol", "group.protocol",
        "instance", "group.instance.id", "max_poll_ms", "max.poll.interval.ms", "metadata_ms", "metadata.max.age.ms",
        "fetch_bytes", "max.partition.fetch.bytes", "isolation", "isolation.level", "max_poll_records", "max.poll.records");
    private static final Map<String, String> ASSIGNOR_NAMES = Map.of(
        "range", "RangeAssignor", "roundrobin", "RoundRobinAssignor", "sticky", "StickyAssignor",
        "cooperative", "CooperativeStickyAssignor");

    private KafkaConsumer<String, String> consumer;
    private String workAs;
    private long delay;
    private boolean auto;
    private int count;
    private Map<TopicPartition, Long> next = new HashMap<>();
    private final ObjectNode first = Driver.JSON.createObjectNode();
    private final ObjectNode last = Driver.JSON.createObjectNode();
    private Map<Integer, Long> jumps = new HashMap<>();
    private final Set<TopicPartition> owned = new HashSet<>();
    private final List<String> troubles = new ArrayList<>();

    @Override
    public ObjectNode run(JsonNode command) throws Exception {
        switch (command.get("do").asText()) {
            case "open" -> open(command);
            case "subscribe" -> subscribe(command);
            case "assign" -> assign(command);
            case "read" -> read(command.get("count").asInt());
            case "poll" -> {
                if (command.path("fetch").asBoolean()) {
                    take(Duration.ofMillis(50)); // this client fetches only while it is asked for records
                }
                await(command.get("owned").asInt());
            }
            case "seen", "rest" -> workAs = command.get("do").asText().equals("rest") ? null : workAs;
            case "commit" -> commit(command);
            case "seek" -> DriverAdmin.offsets(command).forEach(consumer::seek);
            case "pause" -> consumer.pause(places(command));
            case "resume" -> consumer.resume(places(command));
            case "work" -> {
                workAs = command.get("commit").asText();
                delay = command.path("delay_ms").asLong();
            }
            case "close" -> {
                workAs = null;
                consumer.close();
                return null;
            }
            default -> throw new IllegalArgumentException(command.toString());
        }
        ObjectNode seen = Driver.JSON.createObjectNode().put("count", count).put("owned", owned.size());
        seen.set("first", first.deepCopy());
        seen.set("next", last.deepCopy());
        troubles.subList(Math.max(0, troubles.size() - 3), troubles.size()).forEach(seen.putArray("troubles")::add);
        return seen;
    }

    private void open(JsonNode command) {
        JsonNode settings = command.get("settings");
        Properties properties = new Properties();
        properties.put("bootstrap.servers", command.get("bootstrap").asText());
        properties.put("reconnect.backoff.max.ms", "500");
        auto = settings.has("auto_commit_ms");
        properties.put("enable.auto.commit", String.valueOf(auto));
        if (auto) {
            properties.put("auto.commit.interval.ms", settings.get("auto_commit_ms").asText());
        }
        if (settings.has("session_ms")) {
            properties.put("session.timeout.ms", settings.get("session_ms").asText());
            properties.put("heartbeat.interval.ms", String.valueOf(settings.get("session_ms").asInt() / 4));
        }
        if (settings.has("assignor")) {
            String assignor = ASSIGNORS + ASSIGNOR_NAMES.get(settings.get("assignor").asText());
            properties.put("partition.assignment.strategy", assignor);
        }
        settings.properties().stream().filter(entry -> NAMES.containsKey(entry.getKey()))
            .forEach(entry -> properties.put(NAMES.get(entry.getKey()), entry.getValue().asText()));
        StringDeserializer text = new StringDeserializer();
        consumer = new KafkaConsumer<>(properties, text, text);
    }

    private void subscribe(JsonNode command) {
        command.path("seek").properties()
            .forEach(entry -> jumps.put(Integer.parseInt(entry.getKey()), entry.getValue().asLong()));
        if (command.has("pattern")) {
            consumer.subscribe(Pattern.compile("^" + command.get("pattern").asText()), this);
            return;
        }
        List<String> topics = new ArrayList<>();
        command.get("topics").forEach(topic -> topics.add(topic.asText()));
        consumer.subscribe(topics, this);
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> places) {
        owned.addAll(places);
        places.stream().filter(place -> jumps.containsKey(place.partition()))
            .forEach(place -> consumer.seek(place, jumps.get(place.partition())));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> places) {
        owned.removeAll(places);
    }

    /** `stored` begins at the group's position. */
    private void assign(JsonNode command) {
        List<TopicPartition> places = new ArrayList<>();
        Map<TopicPartition, Long> jumps = new HashMap<>();
        command.get("offsets").properties().forEach(entry -> {
            int partition = Integer.parseInt(entry.getKey());
            TopicPartition place = new TopicPartition(command.get("topic").asText(), partition);
            places.add(place);
            if (entry.getValue().isNumber()) {
                jumps.put(place, entry.getValue().asLong());
            }
        });
        consumer.assign(places);
        jumps.forEach(consumer::seek);
        owned.addAll(places);
    }

    private static List<TopicPartition> places(JsonNode command) {
        List<TopicPartition> places = new ArrayList<>();
        command.get("partitions").forEach(
            partition -> places.add(new TopicPartition(command.get("topic").asText(), partition.asInt())));
        return places;
    }

    private boolean take(Duration wait) {
        ConsumerRecords<String, String> records = consumer.poll(wait);
        for (ConsumerRecord<String, String> record : records) {
            next.put(new TopicPartition(record.topic(), record.partition()), record.offset() + 1);
            count++;
            String place = record.topic() + "/" + record.partition();
            if (!first.has(place)) {
                first.put(place, record.offset());
            }
            last.put(place, record.offset() + 1);
        }
        return !records.isEmpty();
    }

    private void read(int wanted) {
        int until = count + wanted;
        long deadline = System.nanoTime() + PATIENCE_NS;
        while (count < until) {
            check(System.nanoTime() < deadline, (until - count) + " of " + wanted + " records did not come");
            take(Duration.ofMillis(200));
        }
    }

    private void await(int partitions) {
        long deadline = System.nanoTime() + PATIENCE_NS;
        while (owned.size() < partitions) {
            check(System.nanoTime() < deadline, "owns " + owned.size() + " partitions");
            take(Duration.ofMillis(100));
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    private static Map<TopicPartition, OffsetAndMetadata> positions(Map<TopicPartition, Long> offsets) {
        Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
        offsets.forEach((place, offset) -> positions.put(place, new OffsetAndMetadata(offset)));
        return positions;
    }

    private void commit(JsonNode command) {
        Map<TopicPartition, Long> offsets = command.has("offsets") ? DriverAdmin.offsets(command) : next;
        consumer.commitSync(positions(offsets));
    }

    @Override
    public boolean works() {
        return workAs != null;
    }

    @Override
    public void step() {
        next = new HashMap<>();
        try {
            boolean some = take(Duration.ofMillis(100));
            if (some && delay > 0) {
                Thread.sleep(delay); // the work that a slow handler does
            }
            if (!some || auto || workAs.equals("none")) {
                return;
            }
            if (workAs.equals("async")) {
                consumer.commitAsync(positions(next), null);
            } else {
                consumer.commitSync(positions(next));
            }
        } catch (Exception error) { // a rebalance or a crash in between; the next owner reads again
            troubles.add(error.toString());
        }
    }
}
