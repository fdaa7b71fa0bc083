package org.kerasae.core;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;

/** The vectors that Python and JavaScript read as well. */
final class Golden {
    private static final File FOLDER = new File(System.getProperty("golden", "../../tests/golden"));

    private Golden() {}

    static File file(String name) {
        return new File(FOLDER, name);
    }

    static byte[] bytes(String name) throws IOException {
        return Files.readAllBytes(file(name).toPath());
    }

    static Safetensors tensors(String name) throws IOException {
        return new Safetensors(name, ByteBuffer.wrap(bytes(name)));
    }

    static byte[] row(Safetensors.Tensor tensor, int row) {
        byte[] result = new byte[tensor.data.limit() / tensor.shape[0]];
        ByteBuffer view = tensor.data.duplicate();
        view.position(row * result.length);
        view.get(result);
        return result;
    }
}
