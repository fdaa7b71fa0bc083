package org.kerasae.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.junit.Test;

public class BundleTest {
    private static final String[] FILES = {
        "bundle.json", "model.tflite", "model.tflite.json",
        "index.safetensors", "items.safetensors", "samples.safetensors"
    };

    /** The golden bundle, or the one that {@code -Dbundle=} names. */
    private static File folder() {
        String named = System.getProperty("bundle");
        return named == null ? Golden.file("bundle") : new File(named);
    }

    @Test
    public void fromImageToNeighboursAsInPython() throws IOException {
        Bundle bundle = Bundle.open(folder());
        long start = System.nanoTime();
        try (Encoder encoder = new LiteRtEncoder(bundle)) {
            for (int i = 0; i < bundle.samples; i++) {
                Bundle.Sample sample = bundle.sample(i);
                byte[] code = encoder.encode(bundle.input(sample.pixels));
                assertArrayEquals("code of sample " + i, sample.code, code);
                Neighbours found = bundle.index.search(code, sample.neighbours.size());
                assertArrayEquals(sample.neighbours.ids, found.ids);
                assertArrayEquals(sample.neighbours.distances, found.distances);
            }
        }
        System.out.printf(
                "Bundle: %d images encoded and found in %.1f ms%n",
                bundle.samples, (System.nanoTime() - start) / 1e6);
    }

    @Test
    public void thumbnailsAndLabelsAreThoseOfTheImages() throws IOException {
        Bundle bundle = Bundle.open(Golden.file("bundle"));
        assertEquals(500, bundle.samples);
        assertEquals(8, bundle.thumbnailHeight);
        assertEquals(8, bundle.thumbnailWidth);
        int right = 0;
        for (int i = 0; i < bundle.index.size; i++) {
            // Its thumbnail is the image itself here: encoded, it is at distance 0 of its code.
            assertEquals(64, bundle.thumbnail(i).length);
            right += bundle.label(i).matches("[0-9]") ? 1 : 0;
        }
        assertEquals(bundle.index.size, right);
        try (Encoder encoder = new LiteRtEncoder(bundle)) {
            for (int i = 0; i < bundle.index.size; i += 97) {
                byte[] code = encoder.encode(bundle.input(bundle.thumbnail(i)));
                assertTrue(contains(bundle.index.within(code, 0), i));
            }
        }
        String message = assertThrows(
                IllegalArgumentException.class, () -> bundle.label(bundle.index.size)).getMessage();
        assertTrue(message, message.startsWith("id must be from 0 to 1296. Received: id=1297"));
        message = assertThrows(
                IllegalArgumentException.class, () -> bundle.input(new byte[63])).getMessage();
        assertEquals("pixels must have 64 values. Received: 63", message);
    }

    private static boolean contains(Neighbours found, long id) {
        for (long other : found.ids) {
            if (other == id) {
                return true;
            }
        }
        return false;
    }

    @Test
    public void refusesDamagedFilesByName() throws IOException {
        for (String name : FILES) {
            byte[] whole = Golden.bytes("bundle/" + name);
            // The last byte of one is a line's end, which says nothing.
            byte[] shorter = Arrays.copyOf(whole, whole.length - 2);
            assertRefused(name, shorter);
            byte[] damaged = whole.clone();
            damaged[name.endsWith(".json") ? 0 : damaged.length / 2] ^= 1;
            assertRefused(name, damaged);
            assertRefused(name, new byte[0]);
            assertThrows(IOException.class, () -> new Bundle(with(name, null)));
        }
    }

    private static void assertRefused(String name, byte[] content) throws IOException {
        Source source = with(name, content);
        String message = assertThrows(FormatException.class, () -> new Bundle(source)).getMessage();
        assertTrue(message, message.startsWith(name + ": "));
    }

    @Test
    public void refusesWhatDoesNotBelongTogether() throws IOException {
        assertSaid("bundle.json: the index was made by another model", "\"variant\": \"", "x");
        assertSaid("bundle.json: not a bundle", "\"version\": ", "4");
        assertSaid("bundle.json: counts other codes", "\"count\": ", "9");
        assertSaid("bundle.json: images of an impossible size", "\"height\": ", "-");
        assertSaid("bundle.json: images of an impossible size", "\"channels\": ", "2");
        assertSaid("bundle.json: lacks what a bundle says", "\"divisor\"", ": {}, \"d\"");
        assertSaid("bundle.json: images of an impossible size", "\"height\": ", "65536000");
        assertSaid("bundle.json: lacks what a bundle says", "\"height\": ", "4294967304, \"h\": ");
        assertSaid("bundle.json: lacks what a bundle says", "\"count\": ", "1297.5, \"c\": ");
        assertSaid("bundle.json: lacks what a bundle says", "\"signature\": ", "null, \"s\": ");
        assertSaid("bundle.json: lacks what a bundle says", "\"labels\": ", "\"0123456789\", \"l\": ");
        assertSaid("bundle.json: lacks what a bundle says", "\"divisor\": ", "\"NaN\", \"d\": ");
        for (String divisor : new String[] {"0", "1e31", "1e-31", "-255"}) {
            assertSaid("bundle.json: an input that the images cannot become", "\"divisor\": ",
                    divisor + ", \"d\": ");
        }
        assertSaid("bundle.json: an input that the images cannot become", "\"offset\": ",
                "1e31, \"o\": ");
        assertSaid("bundle.json: an input that the images cannot become", "\"shape\": [", "2, ");
        assertSaid("bundle.json: has JSON that is no object", "}\n", "}");
        assertSaid("items.safetensors: a class without a name: 9", "\"9\"", null);
    }

    /** Puts a text after another, or takes the other away with the comma before it. */
    private static void assertSaid(String message, String after, String more) throws IOException {
        String text = new String(Golden.bytes("bundle/bundle.json"), StandardCharsets.UTF_8);
        String changed = more == null
                ? text.replaceFirst(",\\s*" + after, "")
                : after.endsWith("\n")
                        ? text.substring(0, text.length() - 1) + more
                        : text.replace(after, after + more);
        assertTrue(!changed.equals(text));
        Source source = with("bundle.json", changed.getBytes(StandardCharsets.UTF_8));
        String error = assertThrows(FormatException.class, () -> new Bundle(source)).getMessage();
        assertTrue(error, error.startsWith(message));
    }

    /** The golden bundle with one file of other content, or without it. */
    private static Source with(String name, byte[] content) throws IOException {
        Map<String, byte[]> files = new HashMap<>();
        for (String file : FILES) {
            files.put(file, Golden.bytes("bundle/" + file));
        }
        files.put(name, content);
        return asked -> {
            if (files.get(asked) == null) {
                throw new FileNotFoundException(asked);
            }
            return ByteBuffer.wrap(files.get(asked));
        };
    }
}
