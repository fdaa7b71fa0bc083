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

/** A black square to draw on in white. */
public final class DrawingView extends View {
    private static final float STROKE = 0.09f;
    // Between the points of a stroke, x and y by turns, stands this one.
    private static final float BREAK = Float.NaN;

    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
    // In units of the side, so that they survive a change of size.
    private float[] points = new float[256];
    private int count;
    private Runnable listener;

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

    /** Returns the drawing as a picture, `side` pixels wide and high. */
    int[] argb(int side) {
        Bitmap bitmap = Bitmap.createBitmap(side, side, Bitmap.Config.ARGB_8888);
        paint(new Canvas(bitmap), side);
        int[] argb = new int[side * side];
        bitmap.getPixels(argb, 0, side, 0, 0, side, side);
        bitmap.recycle();
        return argb;
    }

    @Override
    protected void onDraw(Canvas canvas) {
        paint(canvas, getWidth());
    }

    private void paint(Canvas canvas, int side) {
        canvas.drawColor(Color.BLACK);
        paint.setStrokeWidth(STROKE * side);
        Path path = new Path();
        boolean isFirst = true;
        for (int i = 0; i < count; i += 2) {
            if (Float.isNaN(points[i])) {
                isFirst = true;
                continue;
            }
            float x = points[i] * side;
            float y = points[i + 1] * side;
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
        switch (event.getActionMasked()) {
            case MotionEvent.ACTION_DOWN:
                // The page must not scroll away under the finger.
                getParent().requestDisallowInterceptTouchEvent(true);
                add(BREAK, BREAK);
                break;
            case MotionEvent.ACTION_MOVE:
                for (int i = 0; i < event.getHistorySize(); i++) {
                    add(event.getHistoricalX(i) / getWidth(), event.getHistoricalY(i) / getHeight());
                }
                break;
            case MotionEvent.ACTION_UP:
                break;
            default:
                return super.onTouchEvent(event);
        }
        add(event.getX() / getWidth(), event.getY() / getHeight());
        invalidate();
        if (event.getActionMasked() == MotionEvent.ACTION_UP) {
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

    private void add(float x, float y) {
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
