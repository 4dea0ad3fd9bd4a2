import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs console tools one after the other in one process, which saves their start.
 * A line of input is {"main":"class","arguments":[..],"input":".."}, a line of output {"exit":0,"output":".."}.
 */
public final class Console {
    /** Thrown where a tool would end the process; some catch it and end once more, so that the first code counts. */
    private static final class Ended extends Error {
        private Ended(int code) {
            super("exit " + code, null, false, false);
        }
    }

    private static Integer code;

    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        PrintStream answers = System.out;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        // Set once, before a tool's classes keep a reference to it.
        ByteArrayOutputStream written = new ByteArrayOutputStream();
        PrintStream captured = new PrintStream(written, true, StandardCharsets.UTF_8);
        System.setOut(captured);
        System.setErr(captured);
        Exit.setExitProcedure((status, message) -> end(status));
        Exit.setHaltProcedure((status, message) -> end(status));
        Exit.setShutdownHookAdder((name, hook) -> { });
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode call = json.readTree(line);
            ObjectNode answer = json.createObjectNode();
            answer.put("exit", run(call, captured));
            captured.flush();
            answer.put("output", written.toString(StandardCharsets.UTF_8));
            written.reset();
            answers.println(answer);
            answers.flush();
        }
        Runtime.getRuntime().halt(0); // whatever threads the tools have left
    }

    private static void end(int status) {
        if (code == null) {
            code = status;
        }
        throw new Ended(status);
    }

    private static int run(JsonNode call, PrintStream captured) throws Exception {
        String[] arguments = new String[call.get("arguments").size()];
        for (int at = 0; at < arguments.length; at++) {
            arguments[at] = call.get("arguments").get(at).asText();
        }
        code = null;
        System.setIn(new ByteArrayInputStream(call.path("input").asText().getBytes(StandardCharsets.UTF_8)));
        try {
            Class.forName(call.get("main").asText()).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException thrown) {
            if (!(thrown.getCause() instanceof Ended)) {
                thrown.getCause().printStackTrace(captured);
                return 1;
            }
        }
        return code == null ? 0 : code;
    }
}
