package org.kerasae.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import java.io.IOException;
import org.junit.Test;

public class PixelsTest {
    private static final int[][] SHAPES = {
        {28, 28, 1}, {8, 8, 1}, {7, 30, 3}, {80, 20, 3}, {53, 38, 3}, {1, 1, 1}
    };

    @Test
    public void aPictureBecomesWhatSumsOverAreasSay() throws IOException {
        Safetensors golden = Golden.tensors("pixels.safetensors");
        Safetensors.Tensor picture = golden.get("picture", "U8", -1, -1, 3);
        int height = picture.shape[0];
        int width = picture.shape[1];
        int[] argb = new int[height * width];
        for (int i = 0; i < argb.length; i++) {
            for (int channel = 0; channel < 3; channel++) {
                argb[i] = argb[i] << 8 | picture.data.get(3 * i + channel) & 0xff;
            }
            argb[i] |= i << 24;
        }
        for (int[] shape : SHAPES) {
            String key = shape[0] + "x" + shape[1] + "x" + shape[2];
            Safetensors.Tensor expected = golden.get(key, "U8", shape[1], shape[0], shape[2]);
            byte[] values = new byte[expected.data.limit()];
            expected.data.duplicate().get(values);
            byte[] actual = Pixels.fit(argb, width, height, shape[0], shape[1], shape[2]);
            assertArrayEquals(key, values, actual);
        }
    }

    @Test
    public void aThinPictureBecomesALargeOne() {
        byte[] actual = Pixels.fit(new int[] {0xffffff, 0, 0xffffff}, 1, 3, 100, 2, 1);
        assertEquals(200, actual.length);
        assertEquals(0, actual[0]);
    }

    @Test
    public void refusesAPictureOfAnotherSize() {
        Exception error = assertThrows(
                IllegalArgumentException.class, () -> Pixels.fit(new int[5], 2, 3, 1, 1, 1));
        assertEquals(
                "argb must have width * height values. Received: 5 for 2 * 3", error.getMessage());
    }
}
