package org.kerasae.demo;

import android.content.ContentResolver;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.ImageDecoder;
import android.net.Uri;
import android.os.Build;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;

/** Pictures from files and from bundles. */
final class Pictures {
    // Enough for any model here, and little enough for any memory.
    private static final int LARGEST = 1024;

    private Pictures() {}

    /** Reads a picture that the user has picked, made smaller where it is large. */
    static Bitmap read(ContentResolver resolver, Uri uri) throws IOException {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) {
            // Unlike BitmapFactory, it turns a photograph the way it was taken.
            return ImageDecoder.decodeBitmap(
                    ImageDecoder.createSource(resolver, uri),
                    new ImageDecoder.OnHeaderDecodedListener() {
                        @Override
                        public void onHeaderDecoded(
                                ImageDecoder decoder,
                                ImageDecoder.ImageInfo info,
                                ImageDecoder.Source source) {
                            decoder.setAllocator(ImageDecoder.ALLOCATOR_SOFTWARE);
                            int side = Math.max(info.getSize().getWidth(), info.getSize().getHeight());
                            decoder.setTargetSampleSize(Math.max(1, side / LARGEST));
                        }
                    });
        }
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        decode(resolver, uri, options);
        int side = Math.max(options.outWidth, options.outHeight);
        options.inSampleSize = Math.max(1, side / LARGEST);
        options.inJustDecodeBounds = false;
        Bitmap bitmap = decode(resolver, uri, options);
        if (bitmap == null) {
            throw new IOException("it is in no format known here");
        }
        return bitmap;
    }

    private static Bitmap decode(ContentResolver resolver, Uri uri, BitmapFactory.Options options)
            throws IOException {
        try (InputStream stream = resolver.openInputStream(uri)) {
            if (stream == null) {
                throw new FileNotFoundException(uri.toString());
            }
            return BitmapFactory.decodeStream(stream, null, options);
        }
    }

    static int[] argb(Bitmap bitmap) {
        int width = bitmap.getWidth();
        int[] argb = new int[width * bitmap.getHeight()];
        bitmap.getPixels(argb, 0, width, 0, 0, width, bitmap.getHeight());
        for (int i = 0; i < argb.length; i++) {
            argb[i] = onWhite(argb[i]);
        }
        return argb;
    }

    /** Returns a colour as it is seen where what lies behind it is white, as in most viewers. */
    private static int onWhite(int argb) {
        int alpha = argb >>> 24;
        int result = 0xff;
        for (int shift = 16; shift >= 0; shift -= 8) {
            int value = argb >> shift & 0xff;
            result = result << 8 | (value * alpha + 255 * (255 - alpha) + 127) / 255;
        }
        return result;
    }

    /** Makes a picture of values from 0 to 255, row by row, the channel varying fastest. */
    static Bitmap of(byte[] values, int width, int height) {
        int channels = values.length / (width * height);
        int[] argb = new int[width * height];
        for (int i = 0; i < argb.length; i++) {
            argb[i] = 0xff;
            for (int channel = 0; channel < 3; channel++) {
                argb[i] = argb[i] << 8 | values[channels * i + channel % channels] & 0xff;
            }
        }
        return Bitmap.createBitmap(argb, width, height, Bitmap.Config.ARGB_8888);
    }
}
