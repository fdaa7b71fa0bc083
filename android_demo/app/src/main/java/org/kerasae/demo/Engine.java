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

/**
 * Opens a bundle and searches it, on a thread of its own. Answers come on the main thread.
 *
 * <p>What is asked before the bundle is open is answered once it is. A listener that comes later, as
 * after a rotation, is told what the one before it was told last.
 */
final class Engine {
    static final int NEIGHBOURS = 12;

    /** What makes an encoder, on the thread that will use it. */
    interface MakeEncoder {
        Encoder make(Bundle bundle) throws IOException;
    }

    /** What is asked: an image as the model takes it, made on the engine's thread. */
    interface Query {
        byte[] pixels(Bundle bundle) throws IOException;
    }

    /** What was found for an image. */
    static final class Answer {
        final byte[] pixels;
        final Neighbours neighbours;
        final double encodingMillis;
        final double searchMillis;

        Answer(byte[] pixels, Neighbours neighbours, double encodingMillis, double searchMillis) {
            this.pixels = pixels;
            this.neighbours = neighbours;
            this.encodingMillis = encodingMillis;
            this.searchMillis = searchMillis;
        }
    }

    /** Who is told. */
    interface Listener {
        void onOpened(Bundle bundle);

        void onFound(Answer answer);

        /** The image asked for cannot be read. */
        void onUnreadable(String message);

        /** Nothing can be searched. */
        void onFailed(String message);
    }

    /** Something to tell a listener. */
    private interface News {
        void tell(Listener listener);
    }

    private final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService thread = Executors.newSingleThreadExecutor();
    // Of the main thread.
    private Listener listener;
    private News opening;
    private News last;
    private int asked;
    private boolean isAsked;
    // Of the other.
    private Bundle bundle;
    private Encoder encoder;

    Engine(final Source source, final MakeEncoder makeEncoder) {
        thread.execute(new Runnable() {
            @Override
            public void run() {
                final News news = open(source, makeEncoder);
                main.post(new Runnable() {
                    @Override
                    public void run() {
                        opening = news;
                        tell(news);
                    }
                });
            }
        });
    }

    /** Says who is told from now on, or that nobody is. */
    void setListener(Listener listener) {
        this.listener = listener;
        tell(opening);
        tell(last);
    }

    /** Whether something has been asked and not been cancelled. */
    boolean isAsked() {
        return isAsked;
    }

    /** Searches what is nearest to an image. Of several asked for, only the last is answered. */
    void find(final Query query) {
        final int number = ++asked;
        isAsked = true;
        last = null;
        thread.execute(new Runnable() {
            @Override
            public void run() {
                final News news = answer(query);
                main.post(new Runnable() {
                    @Override
                    public void run() {
                        if (number == asked) {
                            last = news;
                            tell(news);
                        }
                    }
                });
            }
        });
    }

    /** Forgets what was asked for. */
    void cancel() {
        asked++;
        isAsked = false;
        last = null;
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
                    throw new IllegalStateException(error);
                }
            }
        });
        thread.shutdown();
    }

    private News open(Source source, MakeEncoder makeEncoder) {
        try {
            final Bundle opened = new Bundle(source);
            Encoder made = makeEncoder.make(opened);
            // The first call takes longer than those after it.
            made.encode(opened.input(new byte[opened.height * opened.width * opened.channels]));
            bundle = opened;
            encoder = made;
            return new News() {
                @Override
                public void tell(Listener to) {
                    to.onOpened(opened);
                }
            };
        } catch (IOException | RuntimeException | LinkageError | OutOfMemoryError error) {
            return failed(error);
        }
    }

    private News answer(Query query) {
        if (encoder == null) {
            return null;
        }
        byte[] pixels;
        try {
            pixels = query.pixels(bundle);
        } catch (final IOException | RuntimeException | OutOfMemoryError error) {
            return new News() {
                @Override
                public void tell(Listener to) {
                    to.onUnreadable(String.valueOf(error.getMessage()));
                }
            };
        }
        try {
            long start = System.nanoTime();
            byte[] code = encoder.encode(bundle.input(pixels));
            long encoded = System.nanoTime();
            Neighbours found = bundle.index.search(code, NEIGHBOURS);
            long end = System.nanoTime();
            final Answer answer =
                    new Answer(pixels, found, (encoded - start) / 1e6, (end - encoded) / 1e6);
            return new News() {
                @Override
                public void tell(Listener to) {
                    to.onFound(answer);
                }
            };
        } catch (RuntimeException | OutOfMemoryError error) {
            return failed(error);
        }
    }

    private static News failed(final Throwable error) {
        return new News() {
            @Override
            public void tell(Listener to) {
                to.onFailed(String.valueOf(error.getMessage()));
            }
        };
    }

    private void tell(News news) {
        if (listener != null && news != null) {
            news.tell(listener);
        }
    }
}
