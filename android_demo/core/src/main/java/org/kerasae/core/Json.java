package org.kerasae.core;

import java.nio.charset.StandardCharsets;
import org.json.JSONException;
import org.json.JSONObject;
import org.json.JSONTokener;

/** Reads JSON that anyone may have written, without taking one type for another. */
final class Json {
    private Json() {}

    static JSONObject parse(String file, byte[] text) throws FormatException {
        try {
            JSONTokener tokens = new JSONTokener(new String(text, StandardCharsets.UTF_8));
            Object value = tokens.nextValue();
            if (value instanceof JSONObject && tokens.nextClean() == 0) {
                return (JSONObject) value;
            }
        } catch (JSONException | NumberFormatException | StackOverflowError error) {
            // Android's parser lets the last two out, for damaged escapes and for deep nesting.
            throw new FormatException(file, "has JSON that cannot be read", error);
        }
        throw new FormatException(file, "has JSON that is no object");
    }

    static int integer(Object value) throws JSONException {
        if (!(value instanceof Integer)) {
            throw new JSONException("not an integer of 32 bits: " + value);
        }
        return (Integer) value;
    }

    static double number(Object value) throws JSONException {
        if (!(value instanceof Number)) {
            throw new JSONException("not a number: " + value);
        }
        return ((Number) value).doubleValue();
    }

    static String text(Object value) throws JSONException {
        if (!(value instanceof String)) {
            throw new JSONException("not a text: " + value);
        }
        return (String) value;
    }
}
