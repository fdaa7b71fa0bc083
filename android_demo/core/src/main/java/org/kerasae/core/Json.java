package org.kerasae.core;

import java.nio.charset.StandardCharsets;
import org.json.JSONException;
import org.json.JSONObject;

/** Reads JSON that anyone may have written. */
final class Json {
    private Json() {}

    static JSONObject parse(String file, byte[] text) throws FormatException {
        try {
            return new JSONObject(new String(text, StandardCharsets.UTF_8));
        } catch (JSONException | NumberFormatException | StackOverflowError error) {
            // Android's parser lets the last two out, for damaged escapes and for deep nesting.
            throw new FormatException(file, "has JSON that cannot be read", error);
        }
    }
}
