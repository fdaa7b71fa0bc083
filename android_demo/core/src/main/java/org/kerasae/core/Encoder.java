package org.kerasae.core;

import java.io.Closeable;

/** What runs the model of a bundle. One thread at a time. */
public interface Encoder extends Closeable {
    /**
     * Returns the code of one image, bits / 8 bytes.
     *
     * @param input what {@link Bundle#input} returns
     */
    byte[] encode(float[] input);
}
