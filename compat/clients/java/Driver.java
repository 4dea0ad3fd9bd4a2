import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Driver on kafka-clients: does what its standard input says, commands as in compat/harness/account/README.md. */
public final class Driver {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream ANSWERS = System.out;

    private Driver() { }

    /** What commands are for: topics and records, or one consumer. */
    interface Target {
        /** Does one command; the answer may be null. */
        ObjectNode run(JsonNode command) throws Exception;

        /** Whether it has something to do while there is no command. */
        default boolean works() {
            return false;
        }

        /** A bit of that. */
        default void step() { }
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Map<String, BlockingQueue<JsonNode>> queues = new HashMap<>();
        DriverAdmin admin = new DriverAdmin();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode command = JSON.readTree(line);
            BlockingQueue<JsonNode> queue = queues.get(command.get("to").asText());
            if (queue == null) {
                queue = new LinkedBlockingQueue<>();
                queues.put(command.get("to").asText(), queue);
                Target target = command.get("do").asText().equals("open") ? new DriverMember() : admin;
                BlockingQueue<JsonNode> commands = queue;
                Thread thread = new Thread(() -> act(target, commands), command.get("to").asText());
                thread.setDaemon(true);
                thread.start();
            }
            queue.put(command);
        }
        Runtime.getRuntime().halt(0);
    }

    private static void act(Target target, BlockingQueue<JsonNode> commands) {
        while (true) {
            JsonNode command = target.works() ? commands.poll() : take(commands);
            if (command == null) {
                target.step();
                continue;
            }
            ObjectNode answer = JSON.createObjectNode();
            answer.put("id", command.get("id").asInt());
            try {
                ObjectNode said = target.run(command);
                answer.set("ok", said == null ? JSON.createObjectNode() : said);
            } catch (Exception error) {
                Throwable cause = error.getCause() == null ? error : error.getCause();
                answer.put("error", error + (cause == error ? "" : ", " + cause));
            }
            synchronized (ANSWERS) {
                ANSWERS.println(answer);
                ANSWERS.flush();
            }
        }
    }

    private static JsonNode take(BlockingQueue<JsonNode> commands) {
        try {
            return commands.take();
        } catch (InterruptedException never) {
            throw new IllegalStateException(never);
        }
    }
}
