package org.kerasae.core;

import com.sun.jna.Function;
import com.sun.jna.Memory;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * A bundle's model in LiteRT's C library.
 *
 * <p>The library is named by the system property {@code litert}; Python's package ai-edge-litert
 * has it as libLiteRt.so.
 */
public final class LiteRtEncoder implements Encoder {
    private static final int CPU = 1;
    private static final int READ = 0;
    private static final int WRITE = 1;
    // Larger than the type of a tensor, which is copied and not looked into.
    private static final int TYPE_BYTES = 256;

    private final NativeLibrary library;
    private final Memory content;
    private final Pointer environment;
    private final Pointer model;
    private final Pointer compiled;
    private final int index;
    private final Pointer input;
    private final Pointer output;
    private final int codeBytes;

    public LiteRtEncoder(Bundle bundle) throws IOException {
        String path = System.getProperty("litert");
        if (path == null) {
            throw new IOException("name LiteRT's library: mvn test -Dlitert=/path/to/libLiteRt.so");
        }
        library = NativeLibrary.getInstance(path);
        codeBytes = bundle.index.bits / 8;
        ByteBuffer file = bundle.model.duplicate();
        content = new Memory(file.remaining());
        content.getByteBuffer(0, content.size()).put(file);
        environment = made("LiteRtCreateEnvironment", 0, null);
        model = made("LiteRtCreateModelFromBuffer", environment, content, content.size());
        Pointer options = made("LiteRtCreateOptions");
        call("LiteRtSetOptionsHardwareAccelerators", options, CPU);
        compiled = made("LiteRtCreateCompiledModel", environment, model, options);
        library.getFunction("LiteRtDestroyOptions").invokeVoid(new Object[] {options});
        int found = -1;
        PointerByReference count = new PointerByReference();
        call("LiteRtGetNumModelSignatures", model, count);
        for (int i = 0; i < Pointer.nativeValue(count.getValue()); i++) {
            String key = made("LiteRtGetSignatureKey", signature(i)).getString(0);
            found = key.equals(bundle.signature) ? i : found;
        }
        if (found < 0) {
            throw new IOException("the model has no function " + bundle.signature);
        }
        index = found;
        input = buffer("Input");
        output = buffer("Output");
    }

    @Override
    public byte[] encode(float[] values) {
        locked(input, WRITE).write(0, values, 0, values.length);
        call("LiteRtUnlockTensorBuffer", input);
        call("LiteRtRunCompiledModel", compiled, (long) index, 1L, new Pointer[] {input}, 1L,
                new Pointer[] {output});
        byte[] code = locked(output, READ).getByteArray(0, codeBytes);
        call("LiteRtUnlockTensorBuffer", output);
        return code;
    }

    @Override
    public void close() {
        destroy("TensorBuffer", input);
        destroy("TensorBuffer", output);
        destroy("CompiledModel", compiled);
        destroy("Model", model);
        destroy("Environment", environment);
        content.close();
    }

    private Pointer signature(int i) {
        return made("LiteRtGetModelSignature", model, (long) i);
    }

    private Pointer buffer(String end) {
        Pointer tensor = made(
                "LiteRtGetSignature" + end + "TensorByIndex", signature(index), 0L);
        try (Memory type = new Memory(TYPE_BYTES)) {
            call("LiteRtGetRankedTensorType", tensor, type);
            Pointer needs = made(
                    "LiteRtGetCompiledModel" + end + "BufferRequirements", compiled, (long) index, 0L);
            return made("LiteRtCreateManagedTensorBufferFromRequirements", environment, type, needs);
        }
    }

    private void destroy(String kind, Pointer pointer) {
        library.getFunction("LiteRtDestroy" + kind).invokeVoid(new Object[] {pointer});
    }

    private Pointer locked(Pointer buffer, int mode) {
        PointerByReference result = new PointerByReference();
        call("LiteRtLockTensorBuffer", buffer, result, mode);
        return result.getValue();
    }

    /** Calls a function whose last argument is where it puts a pointer, and returns that. */
    private Pointer made(String name, Object... arguments) {
        PointerByReference result = new PointerByReference();
        Object[] all = Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = result;
        call(name, all);
        return result.getValue();
    }

    private void call(String name, Object... arguments) {
        Function function = library.getFunction(name);
        int status = function.invokeInt(arguments);
        if (status != 0) {
            throw new IllegalStateException(name + " failed with status " + status);
        }
    }
}
