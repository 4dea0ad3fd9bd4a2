import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes one history file; a line is one invocation or completion. */
final class History {
    private final BufferedWriter file;
    private final int process;
    private final String topic;

    History(Path path, int process, String topic) throws IOException {
        this.file = Files.newBufferedWriter(path);
        this.process = process;
        this.topic = topic;
    }

    /** {@code rest}: the line's further members, as JSON text that begins with a comma, or "". */
    synchronized void log(String op, String type, String rest) {
        long time = System.nanoTime(); // CLOCK_MONOTONIC on Linux
        String head = "{\"process\":" + process + ",\"time_ns\":" + time;
        String names = ",\"op\":\"" + op + "\",\"type\":\"" + type + "\",\"topic\":\"" + topic + "\"";
        try {
            file.write(head + names + rest + "}\n");
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    synchronized void flush() {
        try {
            file.flush();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
