import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;

/**
 * Says what a client makes of a property file: whether it starts with it. It needs no broker.
 * A line of input is {"kind":"producer","text":".."}, a line of output {"refused":null}, or with the client's words.
 */
public final class Settings {
    private static final String STRINGS = "org.apache.kafka.common.serialization.String";

    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode file = json.readTree(line);
            Properties settings = new Properties();
            settings.load(new StringReader(file.get("text").asText()));
            ObjectNode answer = json.createObjectNode();
            answer.put("refused", refused(file.get("kind").asText(), settings));
            System.out.println(answer);
        }
    }

    private static String refused(String kind, Properties settings) {
        settings.putIfAbsent("bootstrap.servers", "127.0.0.1:1");
        try {
            if (kind.equals("producer")) {
                settings.put("key.serializer", STRINGS + "Serializer");
                settings.put("value.serializer", STRINGS + "Serializer");
                new KafkaProducer<String, String>(settings).close(Duration.ZERO);
            } else {
                settings.put("key.deserializer", STRINGS + "Deserializer");
                settings.put("value.deserializer", STRINGS + "Deserializer");
                new KafkaConsumer<String, String>(settings).close(CloseOptions.timeout(Duration.ZERO));
            }
            return null;
        } catch (RuntimeException error) {
            Throwable cause = error;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            return cause.toString();
        }
    }
}
