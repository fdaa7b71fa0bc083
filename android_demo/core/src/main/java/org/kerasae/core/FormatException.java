package org.kerasae.core;

import java.io.IOException;

/** A file that is truncated, foreign, of a version not known here, or does not fit the others. */
public final class FormatException extends IOException {
    private static final long serialVersionUID = 1L;

    FormatException(String file, String message) {
        super(file + ": " + message);
    }

    FormatException(String file, String message, Throwable cause) {
        super(file + ": " + message, cause);
    }
}
