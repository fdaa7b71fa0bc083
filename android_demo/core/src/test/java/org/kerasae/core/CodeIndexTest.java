package org.kerasae.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import java.util.zip.CRC32;
import org.junit.Test;

public class CodeIndexTest {
    private static final int[] WIDTHS = {24, 64, 136};

    private static String name(int bits) {
        return "index_" + bits + ".safetensors";
    }

    private static void assertFinds(CodeIndex index, int bits) throws IOException {
        Safetensors found = Golden.tensors("found_" + bits + ".safetensors");
        Safetensors.Tensor queries = found.get("queries", "U8", -1, bits / 8);
        int count = queries.shape[0];
        int size = index.size;
        ByteBuffer ids = found.get("ids", "I64", count, size).data;
        ByteBuffer distances = found.get("distances", "I32", count, size).data;
        ByteBuffer radii = found.get("radii", "I32", count).data;
        ByteBuffer within = found.get("within", "I32", count).data;
        for (int i = 0; i < count; i++) {
            long[] near = new long[size];
            int[] far = new int[size];
            for (int j = 0; j < size; j++) {
                near[j] = ids.getLong(8 * (i * size + j));
                far[j] = distances.getInt(4 * (i * size + j));
            }
            byte[] query = Golden.row(queries, i);
            for (int k : new int[] {1, 2, 9, size - 1, size, size + 1, Integer.MAX_VALUE}) {
                assertEqual(index.search(query, k), near, far, Math.min(k, size));
            }
            assertEqual(index.within(query, radii.getInt(4 * i)), near, far, within.getInt(4 * i));
            assertEqual(index.within(query, far[0]), near, far, count(far, far[0]));
            assertEqual(index.within(query, bits), near, far, size);
            assertEqual(index.within(query, Integer.MAX_VALUE), near, far, size);
            if (far[0] > 0) {
                assertEquals(0, index.within(query, far[0] - 1).size());
            }
        }
    }

    private static int count(int[] values, int value) {
        int count = 0;
        for (int other : values) {
            count += other == value ? 1 : 0;
        }
        return count;
    }

    private static void assertEqual(Neighbours actual, long[] ids, int[] distances, int count) {
        assertArrayEquals(Arrays.copyOf(ids, count), actual.ids);
        assertArrayEquals(Arrays.copyOf(distances, count), actual.distances);
        assertEquals(count, actual.size());
    }

    @Test
    public void findsWhatBruteForceFinds() throws IOException {
        for (int bits : WIDTHS) {
            CodeIndex index = CodeIndex.open(Golden.file(name(bits)));
            assertEquals(bits, index.bits);
            assertEquals(300, index.size);
            assertEquals("golden-" + bits, index.variant);
            assertFinds(index, bits);
        }
    }

    @Test
    public void refusesArgumentsThatMakeNoSense() throws IOException {
        CodeIndex index = CodeIndex.open(Golden.file(name(64)));
        byte[] code = new byte[8];
        assertMessage("k must be >= 1. Received: k=0", () -> index.search(code, 0));
        assertMessage("radius must be >= 0. Received: radius=-1", () -> index.within(code, -1));
        assertMessage("code must have 8 bytes. Received: 7", () -> index.search(new byte[7], 1));
    }

    private static void assertMessage(String message, org.junit.function.ThrowingRunnable call) {
        Exception error = assertThrows(IllegalArgumentException.class, call);
        assertEquals(message, error.getMessage());
    }

    @Test
    public void refusesEveryTruncatedFile() throws IOException {
        byte[] whole = Golden.bytes(name(24));
        for (int length = 0; length < whole.length; length++) {
            ByteBuffer part = ByteBuffer.wrap(Arrays.copyOf(whole, length));
            FormatException error =
                    assertThrows(FormatException.class, () -> new CodeIndex("a.file", part));
            assertTrue(error.getMessage().startsWith("a.file: "));
        }
    }

    @Test
    public void findsTheSameInADamagedFileOrRefusesIt() throws IOException {
        Random random = new Random(0);
        byte[] whole = Golden.bytes(name(24));
        int header = 8 + (int) ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
        int opened = 0;
        for (int round = 0; round < 40_000; round++) {
            byte[] bytes = whole.clone();
            // Every byte of the header in turn, and others of all the file.
            int first = round < 20 * header ? round % header : random.nextInt(whole.length);
            bytes[first] ^= (byte) (1 + random.nextInt(255));
            for (int more = random.nextInt(3); more > 0; more--) {
                bytes[random.nextInt(whole.length)] = (byte) random.nextInt(256);
            }
            CodeIndex index;
            try {
                index = new CodeIndex("a.file", ByteBuffer.wrap(bytes));
            } catch (FormatException error) {
                continue;
            }
            opened++;
            assertEquals(24, index.bits);
            assertEquals("golden-24", index.variant);
            assertFinds(index, 24);
        }
        // A space, the name of the next id: what changes nothing.
        assertTrue("opened " + opened, opened < 1_000);
    }

    @Test
    public void refusesForeignFiles() throws IOException {
        for (String text : new String[] {
            "", "PK", "{\"a\": 1}", "not an index at all, but long enough for a header"
        }) {
            assertRefused(text.getBytes(StandardCharsets.UTF_8));
        }
        assertRefused(Golden.bytes("found_64.safetensors"));
        assertRefused(Golden.bytes("bundle/model.tflite"));
        StringBuilder deep = new StringBuilder();
        for (int i = 0; i < 100_000; i++) {
            deep.append("{\"a\":");
        }
        byte[] text = deep.toString().getBytes(StandardCharsets.UTF_8);
        ByteBuffer nested = ByteBuffer.allocate(8 + text.length);
        nested.order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text);
        assertRefused(nested.array());
        assertThrows(IOException.class, () -> CodeIndex.open(new File("missing.safetensors")));
    }

    private static void assertRefused(byte[] bytes) {
        assertThrows(FormatException.class, () -> new CodeIndex("a.file", ByteBuffer.wrap(bytes)));
    }

    @Test
    public void anEmptyIndexFindsNothing() throws IOException {
        CodeIndex index = new CodeIndex("empty", file(new byte[0], 64));
        assertEquals(0, index.search(new byte[8], 3).size());
        assertEquals(0, index.within(new byte[8], 64).size());
    }

    @Test
    public void searchesAMillionCodes() throws IOException {
        int size = 1_000_000;
        byte[] codes = new byte[8 * size];
        new Random(0).nextBytes(codes);
        CodeIndex index = new CodeIndex("million", file(codes, 64));
        long best = Long.MAX_VALUE;
        for (int i = 0; i < 50; i++) {
            int row = (int) (i * 19_997L % size);
            long start = System.nanoTime();
            Neighbours found = index.search(Arrays.copyOfRange(codes, 8 * row, 8 * row + 8), 10);
            best = Math.min(best, System.nanoTime() - start);
            assertEquals(row, found.ids[0]);
            assertEquals(0, found.distances[0]);
        }
        System.out.printf("CodeIndex: 1,000,000 codes of 64 bits in %.2f ms%n", best / 1e6);
    }

    @Test
    public void threadsFindTheSame() throws Exception {
        CodeIndex index = CodeIndex.open(Golden.file(name(136)));
        AtomicReference<Throwable> failed = new AtomicReference<>();
        Thread[] threads = new Thread[4];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(() -> {
                try {
                    for (int round = 0; round < 5; round++) {
                        assertFinds(index, 136);
                    }
                } catch (Throwable error) {
                    failed.set(error);
                }
            });
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        if (failed.get() != null) {
            throw new AssertionError(failed.get());
        }
    }

    /** An index file with ids 0, 1, ... */
    private static ByteBuffer file(byte[] codes, int bits) {
        int size = codes.length / (bits / 8);
        ByteBuffer ids = ByteBuffer.allocate(8 * size).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < size; i++) {
            ids.putLong(i);
        }
        String header = String.format(
                "{\"__metadata__\":{\"format\":\"keras_ae.HammingIndex\",\"version\":\"3\","
                        + "\"bits\":\"%d\",\"bit_order\":\"little\",\"count\":\"%d\","
                        + "\"next_id\":\"%d\",\"variant\":\"\",\"crc32_codes\":\"%d\","
                        + "\"crc32_ids\":\"%d\",\"crc32_text\":\"%d\"},"
                        + "\"codes\":{\"dtype\":\"U8\",\"shape\":[%d,%d],\"data_offsets\":[%d,%d]},"
                        + "\"ids\":{\"dtype\":\"I64\",\"shape\":[%d],\"data_offsets\":[0,%d]}}",
                bits, size, size, crc32(codes), crc32(ids.array()),
                crc32((bits + " " + size + " " + size + " ").getBytes(StandardCharsets.UTF_8)),
                size, bits / 8, 8 * size, 8 * size + codes.length, size, 8 * size);
        byte[] text = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer file = ByteBuffer.allocateDirect(8 + text.length + 8 * size + codes.length);
        file.order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text);
        file.put(ids.array()).put(codes);
        file.rewind();
        return file;
    }

    private static long crc32(byte[] bytes) {
        CRC32 crc = new CRC32();
        crc.update(bytes, 0, bytes.length);
        return crc.getValue();
    }
}
