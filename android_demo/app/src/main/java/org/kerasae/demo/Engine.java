package org.kerasae.demo;

import android.os.Handler;
import android.os.Looper;
import java.io.IOException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.kerasae.core.Bundle;
import org.kerasae.core.Encoder;
import org.kerasae.core.Neighbours;
import org.kerasae.core.Source;

/** Opens a bundle and searches it, on a thread of its own. Answers come on the main thread. */
final class Engine {
    static final int NEIGHBOURS = 12;

    /** What makes an encoder, on the thread that will use it. */
    interface MakeEncoder {
        Encoder make(Bundle bundle) throws IOException;
    }

    /** Who is told. */
    interface Listener {
        void onOpened(Bundle bundle);

        void onFound(Neighbours neighbours, double encodingMillis, double searchMillis);

        void onFailed(String message);
    }

    private final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService thread = Executors.newSingleThreadExecutor();
    // Of the main thread.
    private Listener listener;
    private Bundle opened;
    private int asked;
    // Of the other.
    private Encoder encoder;

    Engine(final Source source, final MakeEncoder makeEncoder) {
        thread.execute(new Runnable() {
            @Override
            public void run() {
                try {
                    final Bundle bundle = new Bundle(source);
                    encoder = makeEncoder.make(bundle);
                    // The first call takes longer than those after it.
                    encoder.encode(bundle.input(new byte[bundle.height * bundle.width * bundle.channels]));
                    main.post(new Runnable() {
                        @Override
                        public void run() {
                            opened = bundle;
                            if (listener != null) {
                                listener.onOpened(bundle);
                            }
                        }
                    });
                } catch (IOException | RuntimeException | LinkageError error) {
                    fail(error);
                }
            }
        });
    }

    /** Says who is told from now on: after a rotation another than before, or nobody. */
    void setListener(Listener listener) {
        this.listener = listener;
        if (listener != null && opened != null) {
            listener.onOpened(opened);
        }
    }

    /** Searches what is nearest to an image. Of several asked for, only the last is answered. */
    void find(final byte[] pixels) {
        final Bundle bundle = opened;
        final int number = ++asked;
        thread.execute(new Runnable() {
            @Override
            public void run() {
                try {
                    long start = System.nanoTime();
                    byte[] code = encoder.encode(bundle.input(pixels));
                    final long encoded = System.nanoTime();
                    final Neighbours found = bundle.index.search(code, NEIGHBOURS);
                    final double encoding = (encoded - start) / 1e6;
                    final double search = (System.nanoTime() - encoded) / 1e6;
                    main.post(new Runnable() {
                        @Override
                        public void run() {
                            if (listener != null && number == asked) {
                                listener.onFound(found, encoding, search);
                            }
                        }
                    });
                } catch (RuntimeException error) {
                    fail(error);
                }
            }
        });
    }

    /** Forgets what was asked for. */
    void cancel() {
        asked++;
    }

    void close() {
        listener = null;
        thread.execute(new Runnable() {
            @Override
            public void run() {
                try {
                    if (encoder != null) {
                        encoder.close();
                    }
                } catch (IOException error) {
                    fail(error);
                }
            }
        });
        thread.shutdown();
    }

    private void fail(final Throwable error) {
        main.post(new Runnable() {
            @Override
            public void run() {
                if (listener != null) {
                    listener.onFailed(String.valueOf(error.getMessage()));
                }
            }
        });
    }
}
