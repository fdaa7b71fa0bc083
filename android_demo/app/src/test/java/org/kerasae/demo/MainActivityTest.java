package org.kerasae.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.content.Intent;
import android.content.res.Configuration;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Color;
import android.net.Uri;
import android.os.Looper;
import android.os.SystemClock;
import android.view.MotionEvent;
import android.view.View;
import android.view.ViewGroup;
import android.widget.CheckBox;
import android.widget.TextView;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.function.BooleanSupplier;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.kerasae.core.Bundle;
import org.kerasae.core.LiteRtEncoder;
import org.kerasae.core.Neighbours;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.annotation.GraphicsMode;

/** The app on a JVM, with its own layout and pictures, and LiteRT in place of TensorFlow Lite. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34, qualifiers = "w360dp-h740dp-xhdpi")
@GraphicsMode(GraphicsMode.Mode.NATIVE)
public class MainActivityTest {
    private ActivityController<MainActivity> controller;

    @Before
    public void setUp() {
        MainActivity.makeEncoder = LiteRtEncoder::new;
    }

    private MainActivity start() {
        controller = Robolectric.buildActivity(MainActivity.class).setup();
        await(() -> !status().startsWith("Opening"));
        return controller.get();
    }

    private String status() {
        return controller.get().<TextView>findViewById(R.id.status).getText().toString();
    }

    private ViewGroup group(int id) {
        return controller.get().findViewById(id);
    }

    /** Waits for the other thread. */
    private static void await(BooleanSupplier condition) {
        long end = System.nanoTime() + 20_000_000_000L;
        while (!condition.getAsBoolean()) {
            assertTrue("nothing happened for 20 s", System.nanoTime() < end);
            SystemClock.sleep(5);
            shadowOf(Looper.getMainLooper()).idle();
        }
    }

    private void awaitNeighbours() {
        await(() -> status().startsWith("Encoded") && group(R.id.neighbours).getChildCount() > 0);
    }

    private void assertShows(Bundle bundle, Neighbours expected) {
        ViewGroup grid = group(R.id.neighbours);
        assertEquals(Engine.NEIGHBOURS, grid.getChildCount());
        for (int i = 0; i < expected.size(); i++) {
            assertEquals(
                    "Neighbour " + (i + 1) + ", " + bundle.label(expected.ids[i])
                            + ", at a distance of " + expected.distances[i]
                            + (expected.distances[i] == 1 ? " bit" : " bits"),
                    grid.getChildAt(i).getContentDescription().toString());
        }
    }

    private static void touch(View view, int action, float x, float y) {
        float side = view.getWidth();
        MotionEvent event = MotionEvent.obtain(0, 0, action, x * side, y * side, 0);
        assertTrue(view.dispatchTouchEvent(event));
        event.recycle();
    }

    private void drawASeven() {
        View canvas = controller.get().findViewById(R.id.canvas);
        touch(canvas, MotionEvent.ACTION_DOWN, .25f, .22f);
        touch(canvas, MotionEvent.ACTION_MOVE, .72f, .22f);
        touch(canvas, MotionEvent.ACTION_MOVE, .42f, .82f);
        touch(canvas, MotionEvent.ACTION_UP, .42f, .82f);
    }

    private Bitmap screen() {
        View root = controller.get().getWindow().getDecorView();
        Bitmap bitmap = Bitmap.createBitmap(
                root.getWidth(), root.getHeight(), Bitmap.Config.ARGB_8888);
        root.draw(new Canvas(bitmap));
        return bitmap;
    }

    /** Draws the whole screen into a file, to be looked at. */
    private void keep(String name) throws IOException {
        Bitmap bitmap = screen();
        File file = new File(System.getProperty("pictures"), "android_" + name + ".png");
        try (FileOutputStream stream = new FileOutputStream(file)) {
            assertTrue(bitmap.compress(Bitmap.CompressFormat.PNG, 100, stream));
        }
    }

    @Test
    public void aSampleHasTheNeighboursThatPythonFinds() throws IOException {
        MainActivity activity = start();
        Bundle bundle = new Bundle(new AssetSource(activity.getAssets(), "bundle"));
        assertEquals(
                String.format(
                        Locale.US, "%,d codes of %d bits. Draw, pick or tap.",
                        bundle.index.size, bundle.index.bits),
                status());
        ViewGroup strip = group(R.id.samples);
        assertEquals(16, strip.getChildCount());
        for (int i = 0; i < 16; i++) {
            group(R.id.neighbours).removeAllViews();
            assertTrue(strip.getChildAt(i).performClick());
            awaitNeighbours();
            assertShows(bundle, bundle.sample(i).neighbours);
        }
        keep("sample");
    }

    @Test
    public void aStrokeFindsNeighboursAndSurvivesARotation() throws IOException {
        MainActivity before = start();
        drawASeven();
        awaitNeighbours();
        String first = group(R.id.neighbours).getChildAt(0).getContentDescription().toString();
        keep("drawn");
        Configuration turned = new Configuration(before.getResources().getConfiguration());
        RuntimeEnvironment.setQualifiers("w740dp-h360dp-land-xhdpi");
        turned.orientation = Configuration.ORIENTATION_LANDSCAPE;
        controller.configurationChange(turned).visible();
        assertNotSame(before, controller.get());
        awaitNeighbours();
        assertEquals(
                first, group(R.id.neighbours).getChildAt(0).getContentDescription().toString());
        DrawingView canvas = controller.get().findViewById(R.id.canvas);
        assertTrue(!canvas.isBlank());
        keep("rotated");
        assertTrue(controller.get().findViewById(R.id.clear).performClick());
        assertTrue(canvas.isBlank());
        assertEquals(0, group(R.id.neighbours).getChildCount());
    }

    @Test
    @Config(qualifiers = "w360dp-h740dp-night-xhdpi")
    public void darkIsDark() throws IOException {
        start();
        drawASeven();
        awaitNeighbours();
        keep("dark");
        Bitmap screen = screen();
        assertTrue(Color.luminance(screen.getPixel(5, screen.getHeight() - 5)) < .1);
    }

    @Test
    public void aPickedPictureIsTakenAsThePixelsOfTheModel() throws IOException {
        MainActivity activity = start();
        Bundle bundle = new Bundle(new AssetSource(activity.getAssets(), "bundle"));
        Bundle.Sample sample = bundle.sample(3);
        // Five times as large, and its negative.
        byte[] negative = sample.pixels.clone();
        for (int i = 0; i < negative.length; i++) {
            negative[i] = (byte) ~negative[i];
        }
        Bitmap small = Pictures.of(negative, bundle.width, bundle.height);
        Bitmap large = Bitmap.createScaledBitmap(small, 5 * bundle.width, 5 * bundle.height, false);
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        large.compress(Bitmap.CompressFormat.PNG, 100, png);
        pick(activity, png.toByteArray());
        awaitNeighbours();
        group(R.id.neighbours).removeAllViews();
        ((CheckBox) activity.findViewById(R.id.invert)).setChecked(true);
        pick(activity, png.toByteArray());
        awaitNeighbours();
        assertShows(bundle, sample.neighbours);

        pick(activity, new byte[] {1, 2, 3});
        await(() -> status().startsWith("This image cannot be read: "));
        assertEquals(0, group(R.id.neighbours).getChildCount());
    }

    @Test
    public void whatIsDrawnBeforeTheModelIsOpenIsFoundOnceItIs() {
        CountDownLatch gate = new CountDownLatch(1);
        MainActivity.makeEncoder = bundle -> {
            try {
                gate.await();
            } catch (InterruptedException error) {
                throw new IOException(error);
            }
            return new LiteRtEncoder(bundle);
        };
        controller = Robolectric.buildActivity(MainActivity.class).setup();
        drawASeven();
        assertTrue(status().startsWith("Opening"));
        gate.countDown();
        awaitNeighbours();
        assertEquals(Engine.NEIGHBOURS, group(R.id.neighbours).getChildCount());
    }

    @Test
    public void aSecondFingerDrawsNothing() {
        start();
        DrawingView canvas = controller.get().findViewById(R.id.canvas);
        touch(canvas, MotionEvent.ACTION_DOWN, .1f, .2f);
        MotionEvent.PointerProperties[] fingers = new MotionEvent.PointerProperties[2];
        MotionEvent.PointerCoords[] places = new MotionEvent.PointerCoords[2];
        for (int i = 0; i < 2; i++) {
            fingers[i] = new MotionEvent.PointerProperties();
            fingers[i].id = i;
            places[i] = new MotionEvent.PointerCoords();
            places[i].x = (i == 0 ? .1f : .9f) * canvas.getWidth();
            places[i].y = .8f * canvas.getHeight();
        }
        for (int action : new int[] {
            MotionEvent.ACTION_POINTER_DOWN | 1 << MotionEvent.ACTION_POINTER_INDEX_SHIFT,
            MotionEvent.ACTION_MOVE,
            MotionEvent.ACTION_POINTER_UP,
        }) {
            canvas.dispatchTouchEvent(MotionEvent.obtain(
                    0, 0, action, 2, fingers, places, 0, 0, 1, 1, 0, 0, 0, 0));
        }
        touch(canvas, MotionEvent.ACTION_UP, .9f, .8f);
        awaitNeighbours();
        int[] argb = canvas.argb(100);
        for (int i = 0; i < argb.length; i++) {
            assertTrue((argb[i] & 0xff) == 0 || i % 100 < 20);
        }
    }

    @Test
    public void aTransparentPictureIsSeenOnWhite() {
        Bitmap clear = Bitmap.createBitmap(2, 1, Bitmap.Config.ARGB_8888);
        clear.setPixel(1, 0, 0x80000000);
        int[] argb = Pictures.argb(clear);
        assertEquals(0xffffffff, argb[0]);
        assertEquals(0xff7f7f7f, argb[1]);
    }

    private static void pick(MainActivity activity, byte[] file) {
        Uri uri = Uri.parse("content://pictures/" + file.length);
        shadowOf(activity.getContentResolver())
                .registerInputStreamSupplier(uri, () -> new ByteArrayInputStream(file));
        assertTrue(activity.findViewById(R.id.pick).performClick());
        Intent asked = shadowOf(activity).getNextStartedActivityForResult().intent;
        assertEquals("image/*", asked.getType());
        shadowOf(activity).receiveResult(
                asked, MainActivity.RESULT_OK, new Intent().setData(uri));
    }

    @Test
    public void aBrokenBundleIsSaid() {
        MainActivity.makeEncoder = bundle -> {
            throw new IOException("no such model");
        };
        start();
        assertEquals("This app cannot search: no such model", status());
        controller.recreate();
        assertEquals("This app cannot search: no such model", status());
        // Nothing crashes when it is used all the same.
        drawASeven();
        assertTrue(controller.get().findViewById(R.id.clear).performClick());
        assertNotNull(controller.get());
    }

    @Test
    public void everythingThatCanBeTouchedIsNamed() {
        start();
        drawASeven();
        awaitNeighbours();
        assertNamed(controller.get().getWindow().getDecorView());
    }

    private static void assertNamed(View view) {
        if (view.isClickable() || view instanceof DrawingView) {
            CharSequence name = view.getContentDescription();
            if (name == null && view instanceof TextView) {
                name = ((TextView) view).getText();
            }
            assertTrue(view.toString(), name != null && name.length() > 0);
        }
        if (view instanceof ViewGroup) {
            for (int i = 0; i < ((ViewGroup) view).getChildCount(); i++) {
                assertNamed(((ViewGroup) view).getChildAt(i));
            }
        }
    }
}
