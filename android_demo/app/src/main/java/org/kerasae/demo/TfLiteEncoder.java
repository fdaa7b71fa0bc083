package org.kerasae.demo;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collections;
import org.kerasae.core.Bundle;
import org.kerasae.core.Encoder;
import org.tensorflow.lite.Interpreter;

/** A bundle's model in TensorFlow Lite. */
final class TfLiteEncoder implements Encoder {
    private final Bundle bundle;
    private final Interpreter interpreter;

    TfLiteEncoder(Bundle bundle) {
        this.bundle = bundle;
        interpreter = new Interpreter(bundle.model.duplicate().order(ByteOrder.nativeOrder()));
    }

    @Override
    public byte[] encode(float[] input) {
        ByteBuffer values =
                ByteBuffer.allocateDirect(4 * input.length).order(ByteOrder.nativeOrder());
        values.asFloatBuffer().put(input);
        byte[][] code = new byte[1][bundle.index.bits / 8];
        interpreter.runSignature(
                Collections.<String, Object>singletonMap(bundle.inputName, values),
                Collections.<String, Object>singletonMap(bundle.outputName, code),
                bundle.signature);
        return code[0];
    }

    @Override
    public void close() {
        interpreter.close();
    }
}
