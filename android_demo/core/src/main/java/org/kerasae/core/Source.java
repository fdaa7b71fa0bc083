package org.kerasae.core;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

/** Where the files of a bundle are: a folder, or the assets of an app. */
public interface Source {
    /** Returns the whole file of this name, mapped into memory where that can be. */
    ByteBuffer read(String name) throws IOException;

    /** The files of a folder, mapped into memory. */
    final class Folder implements Source {
        private final File folder;

        public Folder(File folder) {
            this.folder = folder;
        }

        @Override
        public ByteBuffer read(String name) throws IOException {
            try (FileInputStream stream = new FileInputStream(new File(folder, name));
                    FileChannel channel = stream.getChannel()) {
                if (channel.size() > Integer.MAX_VALUE) {
                    throw new FormatException(name, "larger than can be mapped, 2 GiB");
                }
                return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size());
            }
        }
    }
}
