package org.kerasae.demo;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Paint;
import android.graphics.Path;
import android.os.Bundle;
import android.os.Parcelable;
import android.util.AttributeSet;
import android.view.MotionEvent;
import android.view.View;
import java.util.Arrays;

/** A black canvas, of the shape of the model's images, to draw on in white. */
public final class DrawingView extends View {
    private static final float STROKE = 0.09f;
    // Between the points of a stroke, x and y by turns, stands this one.
    private static final float BREAK = Float.NaN;
    // As many as fit into what the system keeps of a stopped app.
    private static final int MOST = 20_000;
    private static final int NOBODY = -1;

    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
    // In parts of the width and height, so that they survive a change of size.
    private float[] points = new float[256];
    private int count;
    private Runnable listener;
    private float shape = 1;
    // The finger that draws; others are left out.
    private int finger = NOBODY;

    public DrawingView(Context context, AttributeSet attributes) {
        super(context, attributes);
        paint.setColor(Color.WHITE);
        paint.setStyle(Paint.Style.STROKE);
        paint.setStrokeCap(Paint.Cap.ROUND);
        paint.setStrokeJoin(Paint.Join.ROUND);
    }

    /** Says what to do after each stroke. */
    void setListener(Runnable listener) {
        this.listener = listener;
    }

    void clear() {
        count = 0;
        invalidate();
    }

    boolean isBlank() {
        return count == 0;
    }

    /** Takes the shape of a model's images. */
    void setShape(int width, int height) {
        shape = (float) height / width;
        requestLayout();
    }

    int pictureWidth(int longest) {
        return Math.max(1, Math.round(longest / Math.max(1, shape)));
    }

    int pictureHeight(int longest) {
        return Math.max(1, Math.round(longest * Math.min(1, shape)));
    }

    /** Returns the drawing as a picture. */
    int[] argb(int longest) {
        int width = pictureWidth(longest);
        int height = pictureHeight(longest);
        Bitmap bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888);
        paint(new Canvas(bitmap), width, height);
        int[] argb = new int[width * height];
        bitmap.getPixels(argb, 0, width, 0, 0, width, height);
        bitmap.recycle();
        return argb;
    }

    @Override
    protected void onMeasure(int widthSpec, int heightSpec) {
        int longest = MeasureSpec.getSize(widthSpec);
        setMeasuredDimension(pictureWidth(longest), pictureHeight(longest));
    }

    @Override
    protected void onDraw(Canvas canvas) {
        paint(canvas, getWidth(), getHeight());
    }

    private void paint(Canvas canvas, int width, int height) {
        canvas.drawColor(Color.BLACK);
        paint.setStrokeWidth(STROKE * Math.max(width, height));
        Path path = new Path();
        boolean isFirst = true;
        for (int i = 0; i < count; i += 2) {
            if (Float.isNaN(points[i])) {
                isFirst = true;
                continue;
            }
            float x = points[i] * width;
            float y = points[i + 1] * height;
            if (isFirst) {
                path.moveTo(x, y);
                isFirst = false;
            }
            path.lineTo(x, y);
        }
        canvas.drawPath(path, paint);
    }

    @Override
    public boolean onTouchEvent(MotionEvent event) {
        int action = event.getActionMasked();
        if (action == MotionEvent.ACTION_DOWN) {
            // The page must not scroll away under the finger.
            getParent().requestDisallowInterceptTouchEvent(true);
            finger = event.getPointerId(0);
            add(BREAK, BREAK);
        }
        int index = finger == NOBODY ? NOBODY : event.findPointerIndex(finger);
        if (index == NOBODY) {
            return true;
        }
        if (action == MotionEvent.ACTION_MOVE) {
            for (int i = 0; i < event.getHistorySize(); i++) {
                addPixel(event.getHistoricalX(index, i), event.getHistoricalY(index, i));
            }
        }
        if (action != MotionEvent.ACTION_CANCEL) {
            addPixel(event.getX(index), event.getY(index));
        }
        invalidate();
        boolean isLast = action == MotionEvent.ACTION_UP
                || action == MotionEvent.ACTION_CANCEL
                || action == MotionEvent.ACTION_POINTER_UP && event.getActionIndex() == index;
        if (isLast) {
            finger = NOBODY;
            performClick();
        }
        return true;
    }

    @Override
    public boolean performClick() {
        super.performClick();
        if (listener != null && !isBlank()) {
            listener.run();
        }
        return true;
    }

    private void addPixel(float x, float y) {
        add(x / getWidth(), y / getHeight());
    }

    private void add(float x, float y) {
        if (count >= MOST) {
            return;
        }
        if (count + 2 > points.length) {
            points = Arrays.copyOf(points, 2 * points.length);
        }
        points[count++] = x;
        points[count++] = y;
    }

    @Override
    protected Parcelable onSaveInstanceState() {
        Bundle state = new Bundle();
        state.putParcelable("super", super.onSaveInstanceState());
        state.putFloatArray("points", Arrays.copyOf(points, count));
        return state;
    }

    @Override
    protected void onRestoreInstanceState(Parcelable saved) {
        Bundle state = (Bundle) saved;
        Parcelable above = state.getParcelable("super");
        super.onRestoreInstanceState(above);
        points = state.getFloatArray("points");
        count = points.length;
        points = Arrays.copyOf(points, Math.max(256, count));
    }
}
