package org.kerasae.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** A file of tensors by name. The tensors are views of the bytes given, not copies. */
public final class Safetensors {
    /** Numbers of one type, row by row, little-endian. */
    public static final class Tensor {
        public final int[] shape;
        public final ByteBuffer data;

        Tensor(int[] shape, ByteBuffer data) {
            this.shape = shape;
            this.data = data;
        }
    }

    private static final int PREFIX = 8;
    private final String name;
    private final JSONObject metadata;
    private final Map<String, Tensor> tensors = new HashMap<>();
    private final Map<String, String> types = new HashMap<>();

    /**
     * Reads the header, and checks that the tensors lie in the file.
     *
     * @param name of the file, for messages
     * @param file all of its bytes
     */
    public Safetensors(String name, ByteBuffer file) throws FormatException {
        this.name = name;
        ByteBuffer bytes = file.slice().order(ByteOrder.LITTLE_ENDIAN);
        long length = bytes.limit() < PREFIX ? -1 : bytes.getLong(0);
        if (length < 2 || length > bytes.limit() - PREFIX) {
            throw new FormatException(name, "not a safetensors file, or truncated");
        }
        byte[] text = new byte[(int) length];
        bytes.position(PREFIX);
        bytes.get(text);
        ByteBuffer data = bytes.slice();
        JSONObject header = Json.parse(name, text);
        try {
            JSONObject given = header.optJSONObject("__metadata__");
            metadata = given == null ? new JSONObject() : given;
            for (Iterator<?> keys = header.keys(); keys.hasNext(); ) {
                String key = (String) keys.next();
                if (!key.equals("__metadata__")) {
                    add(key, header.getJSONObject(key), data);
                }
            }
        } catch (JSONException error) {
            throw new FormatException(name, "a header that does not describe tensors", error);
        }
    }

    private void add(String key, JSONObject described, ByteBuffer data)
            throws JSONException, FormatException {
        JSONArray sizes = described.getJSONArray("shape");
        JSONArray offsets = described.getJSONArray("data_offsets");
        String type = Json.text(described.get("dtype"));
        int begin = Json.integer(offsets.get(0));
        int end = Json.integer(offsets.get(1));
        int[] shape = new int[sizes.length()];
        long bytes = size(type);
        for (int i = 0; i < shape.length; i++) {
            shape[i] = Json.integer(sizes.get(i));
            if (shape[i] < 0) {
                throw new FormatException(name, "a tensor '" + key + "' of impossible shape");
            }
            bytes = Math.min(bytes * shape[i], Integer.MAX_VALUE + 1L);
        }
        if (begin < 0 || end < begin || end > data.limit() || end - begin != bytes) {
            throw new FormatException(
                    name, "truncated, or damaged: tensor '" + key + "' is not where it should be");
        }
        ByteBuffer view = data.duplicate();
        view.position(begin).limit(end);
        tensors.put(key, new Tensor(shape, view.slice().order(ByteOrder.LITTLE_ENDIAN)));
        types.put(key, type);
    }

    private static int size(String type) {
        switch (type) {
            case "U8":
                return 1;
            case "I32":
                return 4;
            case "I64":
                return 8;
            default:
                return 0;
        }
    }

    /**
     * Returns a tensor.
     *
     * @param type {@code "U8"}, {@code "I32"} or {@code "I64"}
     * @param shape its sizes; -1 for any
     */
    public Tensor get(String key, String type, int... shape) throws FormatException {
        Tensor tensor = tensors.get(key);
        boolean fits =
                tensor != null
                        && type.equals(types.get(key))
                        && tensor.shape.length == shape.length;
        for (int i = 0; fits && i < shape.length; i++) {
            fits = shape[i] == -1 || shape[i] == tensor.shape[i];
        }
        if (!fits) {
            throw new FormatException(
                    name, "must have a tensor '" + key + "' of " + type + " in the right shape");
        }
        return tensor;
    }

    /** Returns a text of the metadata, or the empty text. */
    public String text(String key) {
        return metadata.optString(key);
    }

    /** Returns a number of the metadata. */
    public long number(String key) throws FormatException {
        try {
            return Long.parseLong(text(key));
        } catch (NumberFormatException error) {
            throw new FormatException(name, "must have a number '" + key + "'", error);
        }
    }
}
