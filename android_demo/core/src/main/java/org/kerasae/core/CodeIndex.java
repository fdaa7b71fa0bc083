package org.kerasae.core;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;

/**
 * Exact search of binary codes by Hamming distance, in an index file of keras_ae.
 *
 * <p>The codes stay where they are: in a file mapped into memory, none is copied. Any number of
 * threads may search at once.
 */
public final class CodeIndex {
    private static final String FORMAT = "keras_ae.HammingIndex";
    private static final int VERSION = 3;

    /** Bits of a code, a multiple of 8. */
    public final int bits;

    /** Number of codes. */
    public final int size;

    /** What the codes were made by, or the empty text. */
    public final String variant;

    private final ByteBuffer codes;
    private final ByteBuffer ids;

    /**
     * Reads an index, and checks its numbers and checksums.
     *
     * @param name of the file, for messages
     * @param file all of its bytes
     */
    public CodeIndex(String name, ByteBuffer file) throws FormatException {
        Safetensors tensors = new Safetensors(name, file);
        if (!tensors.text("format").equals(FORMAT) || tensors.number("version") != VERSION) {
            throw new FormatException(name, "not an index, or of a version unknown here");
        }
        long width = tensors.number("bits");
        if (width < 8 || width % 8 != 0 || width > Short.MAX_VALUE
                || !tensors.text("bit_order").equals("little")) {
            throw new FormatException(name, "codes of " + width + " bits, or in another order");
        }
        bits = (int) width;
        Safetensors.Tensor rows = tensors.get("codes", "U8", -1, bits / 8);
        size = rows.shape[0];
        codes = rows.data;
        ids = tensors.get("ids", "I64", size).data;
        variant = tensors.text("variant");
        if (tensors.number("count") != size
                || tensors.number("crc32_codes") != crc32(codes)
                || tensors.number("crc32_ids") != crc32(ids)
                || tensors.number("crc32_text") != crc32(ByteBuffer.wrap(text(tensors)))) {
            throw new FormatException(name, "damaged: its checksums are those of other contents");
        }
        long last = -1;
        for (int row = 0; row < size; row++) {
            if (id(row) <= last) {
                throw new FormatException(name, "ids that do not ascend");
            }
            last = id(row);
        }
        if (tensors.number("next_id") <= last) {
            throw new FormatException(name, "a next id that is taken");
        }
    }

    /** Returns the largest id, or -1. */
    long lastId() {
        return size == 0 ? -1 : id(size - 1);
    }

    /** Opens an index file, mapped into memory. */
    public static CodeIndex open(File file) throws IOException {
        File folder = file.getAbsoluteFile().getParentFile();
        ByteBuffer bytes = new Source.Folder(folder).read(file.getName());
        return new CodeIndex(file.getName(), bytes);
    }

    /**
     * Returns the k nearest codes, all if there are fewer.
     *
     * @param code bits / 8 bytes; bit j is bit j % 8, from the lowest, of byte j / 8
     * @param k how many, >= 1
     */
    public Neighbours search(byte[] code, int k) {
        if (k < 1) {
            throw new IllegalArgumentException("k must be >= 1. Received: k=" + k);
        }
        short[] distances = distances(code);
        int[] counts = counts(distances);
        int wanted = Math.min(k, size);
        int most = -1;
        for (int found = 0; found < wanted; found += counts[most]) {
            most++;
        }
        return sorted(distances, counts, most, wanted);
    }

    /**
     * Returns all codes at a distance of at most {@code radius}.
     *
     * @param code as in {@link #search}
     * @param radius in bits, >= 0
     */
    public Neighbours within(byte[] code, int radius) {
        if (radius < 0) {
            throw new IllegalArgumentException("radius must be >= 0. Received: radius=" + radius);
        }
        short[] distances = distances(code);
        int[] counts = counts(distances);
        int most = Math.min(radius, bits);
        int found = 0;
        for (int distance = 0; distance <= most; distance++) {
            found += counts[distance];
        }
        return sorted(distances, counts, most, found);
    }

    private short[] distances(byte[] code) {
        if (code.length != bits / 8) {
            throw new IllegalArgumentException(
                    "code must have " + bits / 8 + " bytes. Received: " + code.length);
        }
        int whole = code.length / 8;
        ByteBuffer query = ByteBuffer.wrap(code).order(codes.order());
        long[] words = new long[whole];
        for (int i = 0; i < whole; i++) {
            words[i] = query.getLong(8 * i);
        }
        short[] distances = new short[size];
        int offset = 0;
        for (int row = 0; row < size; row++) {
            int distance = 0;
            for (int i = 0; i < whole; i++, offset += 8) {
                distance += Long.bitCount(codes.getLong(offset) ^ words[i]);
            }
            for (int i = 8 * whole; i < code.length; i++, offset++) {
                distance += Integer.bitCount((codes.get(offset) ^ code[i]) & 0xff);
            }
            distances[row] = (short) distance;
        }
        return distances;
    }

    private int[] counts(short[] distances) {
        int[] counts = new int[bits + 1];
        for (short distance : distances) {
            counts[distance]++;
        }
        return counts;
    }

    /** Sorts by counting: rows of one distance stay in the order of their ids. */
    private Neighbours sorted(short[] distances, int[] counts, int most, int wanted) {
        int[] next = new int[most + 1];
        for (int distance = 1; distance <= most; distance++) {
            next[distance] = next[distance - 1] + counts[distance - 1];
        }
        long[] found = new long[wanted];
        int[] far = new int[wanted];
        for (int row = 0; row < size; row++) {
            int distance = distances[row];
            // Of the largest distance there may be more than wanted.
            if (distance <= most && next[distance] < wanted) {
                found[next[distance]] = id(row);
                far[next[distance]++] = distance;
            }
        }
        return new Neighbours(found, far);
    }

    private static byte[] text(Safetensors tensors) {
        String text = tensors.text("bits") + " " + tensors.text("count") + " "
                + tensors.text("next_id") + " " + tensors.text("variant");
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private long id(int row) {
        return ids.getLong(8 * row);
    }

    private static long crc32(ByteBuffer bytes) {
        CRC32 crc = new CRC32();
        ByteBuffer rest = bytes.duplicate();
        byte[] part = new byte[1 << 16];
        while (rest.hasRemaining()) {
            int length = Math.min(part.length, rest.remaining());
            rest.get(part, 0, length);
            crc.update(part, 0, length);
        }
        return crc.getValue();
    }
}
