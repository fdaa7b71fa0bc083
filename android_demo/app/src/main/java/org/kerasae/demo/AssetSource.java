package org.kerasae.demo;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import org.kerasae.core.Source;

/** The files of a bundle among the assets of the app, which are stored uncompressed. */
final class AssetSource implements Source {
    private final AssetManager assets;
    private final String folder;

    AssetSource(AssetManager assets, String folder) {
        this.assets = assets;
        this.folder = folder;
    }

    @Override
    public ByteBuffer read(String name) throws IOException {
        try (AssetFileDescriptor file = assets.openFd(folder + "/" + name);
                FileInputStream stream = file.createInputStream();
                FileChannel channel = stream.getChannel()) {
            return channel.map(
                    FileChannel.MapMode.READ_ONLY, file.getStartOffset(), file.getLength());
        }
    }
}
