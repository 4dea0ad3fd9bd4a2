import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageSizeAccumulator;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

/**
 * Sends single requests in Kafka's own message classes, in any version that they know. One argument: the port.
 * A line of input is {"api":"LIST_OFFSETS","version":3,"body":{..}}, a line of output {"response":{..}} or {"error":".."}.
 * In a body {"$records":{"compression":"gzip","records":[[timestamp,key,value],..]}} stands for a batch.
 */
public final class Wire {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int SILENCE_MS = 60_000;
    private final int port;
    private Socket socket;
    private int correlation;

    private Wire(int port) {
        this.port = port;
    }

    public static void main(String[] arguments) throws Exception {
        Wire wire = new Wire(Integer.parseInt(arguments[0]));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(wire.answer(JSON.readTree(line)));
        }
    }

    private JsonNode answer(JsonNode probe) throws Exception {
        ObjectNode answer = JSON.createObjectNode();
        ApiKeys api = ApiKeys.valueOf(probe.get("api").asText());
        if (probe.path("ranges").asBoolean()) {
            answer.put("oldest", api.oldestVersion());
            return answer.put("latest", api.latestVersion());
        }
        try {
            answer.set("response", exchange(api, (short) probe.get("version").asInt(), probe));
        } catch (SocketTimeoutException silent) {
            close();
            answer.put("error", "no answer");
        } catch (IOException closed) {
            close();
            answer.put("error", "connection closed");
        }
        return answer;
    }

    private void close() throws IOException {
        socket.close();
        socket = null;
    }

    private JsonNode exchange(ApiKeys api, short version, JsonNode probe) throws Exception {
        if (socket == null) {
            socket = new Socket("127.0.0.1", port);
            socket.setTcpNoDelay(true);
        }
        socket.setSoTimeout(probe.path("silent_ms").asInt(SILENCE_MS));
        ByteBuffer request = encode(api, version, records(probe.get("body")));
        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        out.writeInt(request.remaining());
        out.write(request.array(), 0, request.remaining());
        out.flush();
        DataInputStream in = new DataInputStream(socket.getInputStream());
        byte[] frame = new byte[in.readInt()];
        in.readFully(frame);
        return decode(api, version, ByteBuffer.wrap(frame));
    }

    private ByteBuffer encode(ApiKeys api, short version, JsonNode body) throws Exception {
        ApiMessage request = read(api, version, body);
        RequestHeaderData header = new RequestHeaderData()
            .setRequestApiKey(api.id).setRequestApiVersion(version)
            .setCorrelationId(++correlation).setClientId("wire");
        short headerVersion = api.requestHeaderVersion(version);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        MessageSizeAccumulator size = new MessageSizeAccumulator();
        header.addSize(size, cache, headerVersion);
        try {
            request.addSize(size, cache, version);
            request.write(new ByteBufferAccessor(ByteBuffer.allocate(size.totalSize())), cache, version);
        } catch (UnsupportedVersionException surplus) {
            return encode(api, version, without(body, surplusMember(surplus)));
        }
        ByteBuffer buffer = ByteBuffer.allocate(size.totalSize());
        ByteBufferAccessor accessor = new ByteBufferAccessor(buffer);
        header.write(accessor, cache, headerVersion);
        request.write(accessor, cache, version);
        buffer.flip();
        return buffer;
    }

    private static ApiMessage read(ApiKeys api, short version, JsonNode body) throws Exception {
        ApiMessage fresh = api.messageType.newRequest();
        Class<?> converter = converter(fresh);
        JsonNode members = (JsonNode) converter.getMethod("write", fresh.getClass(), short.class)
            .invoke(null, fresh, version);
        ObjectNode known = body.deepCopy();
        known.retain(members.propertyStream().map(Map.Entry::getKey).toList());
        return (ApiMessage) converter.getMethod("read", JsonNode.class, short.class).invoke(null, known, version);
    }

    /** The member that the version does not have: Kafka's classes refuse one that is set. */
    private static String surplusMember(UnsupportedVersionException surplus) {
        Matcher named = Pattern.compile("non-default (\\w+) at version").matcher(surplus.getMessage());
        if (!named.find()) {
            throw surplus;
        }
        return named.group(1);
    }

    private static JsonNode without(JsonNode node, String member) {
        JsonNode copy = node.deepCopy();
        for (JsonNode parent : copy.findParents(member)) {
            ((ObjectNode) parent).remove(member);
        }
        return copy;
    }

    private JsonNode decode(ApiKeys api, short version, ByteBuffer frame) throws Exception {
        ByteBufferAccessor accessor = new ByteBufferAccessor(frame);
        new ResponseHeaderData().read(accessor, api.responseHeaderVersion(version));
        ApiMessage response = api.messageType.newResponse();
        response.read(accessor, version);
        if (frame.hasRemaining()) {
            throw new EOFException(frame.remaining() + " bytes behind the response");
        }
        return (JsonNode) converter(response)
            .getMethod("write", response.getClass(), short.class).invoke(null, response, version);
    }

    private static Class<?> converter(ApiMessage message) throws ClassNotFoundException {
        return Class.forName(message.getClass().getName() + "JsonConverter");
    }

    /** The body with its batches built. */
    private static JsonNode records(JsonNode node) {
        if (node.has("$records")) {
            return batch(node.get("$records"));
        }
        if (node.isObject()) {
            ObjectNode copy = JSON.createObjectNode();
            for (Map.Entry<String, JsonNode> field : node.properties()) {
                copy.set(field.getKey(), records(field.getValue()));
            }
            return copy;
        }
        if (node.isArray()) {
            List<JsonNode> copies = new ArrayList<>();
            node.forEach(element -> copies.add(records(element)));
            return JSON.createArrayNode().addAll(copies);
        }
        return node;
    }

    private static JsonNode batch(JsonNode described) {
        List<SimpleRecord> records = new ArrayList<>();
        for (JsonNode record : described.get("records")) {
            byte[] key = record.get(1).isNull() ? null : record.get(1).asText().getBytes(StandardCharsets.UTF_8);
            byte[] value = record.get(2).asText().getBytes(StandardCharsets.UTF_8);
            records.add(new SimpleRecord(record.get(0).asLong(), key, value));
        }
        String name = described.path("compression").asText("none").toUpperCase(Locale.ROOT);
        Compression compression = Compression.of(CompressionType.valueOf(name)).build();
        SimpleRecord[] all = records.toArray(new SimpleRecord[0]);
        MemoryRecords batch = described.has("producer")
            ? MemoryRecords.withIdempotentRecords(compression, described.get("producer").asLong(),
                (short) described.path("epoch").asInt(0), described.get("sequence").asInt(), all)
            : MemoryRecords.withRecords(compression, all);
        byte[] bytes = new byte[batch.sizeInBytes()];
        batch.buffer().duplicate().get(bytes);
        if (described.has("flip")) {
            bytes[described.get("flip").asInt()] ^= (byte) described.path("mask").asInt(1);
        }
        return BinaryNode.valueOf(bytes);
    }
}
