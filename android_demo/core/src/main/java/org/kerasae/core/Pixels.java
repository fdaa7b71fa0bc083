package org.kerasae.core;

/** From a picture of any size to the pixels that a model takes. */
public final class Pixels {
    private Pixels() {}

    /**
     * Returns the middle of a picture, as large as the shape of the result allows, each value the
     * mean of the area that it covers, rounded half up.
     *
     * @param argb the picture row by row, as Android's Bitmap.getPixels gives it; alpha is ignored
     * @param width of the picture
     * @param height of the picture
     * @param toWidth of the result
     * @param toHeight of the result
     * @param channels 1 for grey, (299 red + 587 green + 114 blue) / 1000, or 3
     * @return values from 0 to 255, row by row, the channel varying fastest
     */
    public static byte[] fit(
            int[] argb, int width, int height, int toWidth, int toHeight, int channels) {
        if (width < 1 || height < 1 || argb.length != width * height) {
            throw new IllegalArgumentException(
                    "argb must have width * height values. Received: " + argb.length + " for "
                            + width + " * " + height);
        }
        int cutWidth = (int) Math.max(1, Math.min(width, (long) height * toWidth / toHeight));
        int cutHeight = (int) Math.max(1, Math.min(height, (long) width * toHeight / toWidth));
        int left = (width - cutWidth) / 2;
        int top = (height - cutHeight) / 2;
        byte[] result = new byte[toWidth * toHeight * channels];
        int[] shifts = channels == 3 ? new int[] {16, 8, 0} : new int[] {-1};
        // In units of 1 / to of a pixel, every edge is an integer, and so is every area.
        long area = (long) cutWidth * cutHeight;
        int place = 0;
        for (int row = 0; row < toHeight; row++) {
            for (int column = 0; column < toWidth; column++) {
                for (int shift : shifts) {
                    long sum = 0;
                    long unit = shift < 0 ? 1000 : 1;
                    for (long y = (long) row * cutHeight / toHeight;
                            y * toHeight < (row + 1L) * cutHeight;
                            y++) {
                        long high = overlap(y, toHeight, row, cutHeight);
                        for (long x = (long) column * cutWidth / toWidth;
                                x * toWidth < (column + 1L) * cutWidth;
                                x++) {
                            long wide = overlap(x, toWidth, column, cutWidth);
                            int pixel = argb[(int) ((top + y) * width + left + x)];
                            sum += high * wide * value(pixel, shift);
                        }
                    }
                    result[place++] = (byte) ((2 * sum + unit * area) / (2 * unit * area));
                }
            }
        }
        return result;
    }

    /** Returns how much of pixel {@code source}, {@code to} units long, lies in {@code target}. */
    private static long overlap(long source, int to, int target, int from) {
        return Math.min((source + 1) * to, (target + 1L) * from)
                - Math.max(source * to, (long) target * from);
    }

    private static int value(int pixel, int shift) {
        if (shift >= 0) {
            return pixel >> shift & 0xff;
        }
        return 299 * (pixel >> 16 & 0xff) + 587 * (pixel >> 8 & 0xff) + 114 * (pixel & 0xff);
    }
}
