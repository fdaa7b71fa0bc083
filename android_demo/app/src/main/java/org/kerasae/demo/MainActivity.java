package org.kerasae.demo;

import android.app.Activity;
import android.content.ContentResolver;
import android.content.Intent;
import android.graphics.Bitmap;
import android.graphics.drawable.BitmapDrawable;
import android.net.Uri;
import android.text.BidiFormatter;
import android.text.TextUtils;
import android.view.Gravity;
import android.view.View;
import android.view.ViewGroup;
import android.widget.CheckBox;
import android.widget.GridLayout;
import android.widget.ImageView;
import android.widget.LinearLayout;
import android.widget.TextView;
import java.io.IOException;
import java.text.NumberFormat;
import org.kerasae.core.Bundle;
import org.kerasae.core.Encoder;
import org.kerasae.core.Neighbours;
import org.kerasae.core.Pixels;

/** Draw, pick or tap an image, and see its nearest neighbours among those of the bundle. */
public final class MainActivity extends Activity implements Engine.Listener {
    private static final int PICK = 1;
    private static final int DRAWN = 280;
    private static final String FOLDER = "bundle";

    /** How encoders are made; a test has another way than the phone. */
    static Engine.MakeEncoder makeEncoder = new Engine.MakeEncoder() {
        @Override
        public Encoder make(Bundle bundle) {
            return new TfLiteEncoder(bundle);
        }
    };

    private Engine engine;
    private Bundle bundle;
    private DrawingView canvas;
    private CheckBox invert;
    private TextView status;
    private GridLayout grid;

    @Override
    protected void onCreate(android.os.Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.main);
        canvas = findViewById(R.id.canvas);
        invert = findViewById(R.id.invert);
        status = findViewById(R.id.status);
        grid = findViewById(R.id.neighbours);
        canvas.setListener(new Runnable() {
            @Override
            public void run() {
                findDrawn();
            }
        });
        findViewById(R.id.clear).setOnClickListener(new View.OnClickListener() {
            @Override
            public void onClick(View view) {
                clear();
            }
        });
        findViewById(R.id.pick).setOnClickListener(new View.OnClickListener() {
            @Override
            public void onClick(View view) {
                Intent intent = new Intent(Intent.ACTION_GET_CONTENT).setType("image/*");
                startActivityForResult(intent.addCategory(Intent.CATEGORY_OPENABLE), PICK);
            }
        });
        // A rotation makes another activity, and keeps the engine.
        engine = (Engine) getLastNonConfigurationInstance();
        if (engine == null) {
            engine = new Engine(new AssetSource(getAssets(), FOLDER), makeEncoder);
        }
        engine.setListener(this);
    }

    @Override
    public Object onRetainNonConfigurationInstance() {
        return engine;
    }

    @Override
    protected void onPostCreate(android.os.Bundle saved) {
        super.onPostCreate(saved);
        // By now the canvas has its drawing back, also where the process was ended meanwhile.
        if (!engine.isAsked() && !canvas.isBlank()) {
            findDrawn();
        }
    }

    @Override
    protected void onDestroy() {
        engine.setListener(null);
        if (!isChangingConfigurations()) {
            engine.close();
        }
        super.onDestroy();
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (request != PICK || result != RESULT_OK || data == null || data.getData() == null) {
            return;
        }
        final ContentResolver resolver = getApplicationContext().getContentResolver();
        final Uri uri = data.getData();
        final boolean isInverted = invert.isChecked();
        canvas.clear();
        engine.find(new Engine.Query() {
            @Override
            public byte[] pixels(Bundle opened) throws IOException {
                Bitmap picture = Pictures.read(resolver, uri);
                byte[] values = fit(
                        opened, Pictures.argb(picture), picture.getWidth(), picture.getHeight());
                for (int i = 0; isInverted && i < values.length; i++) {
                    values[i] = (byte) ~values[i];
                }
                return values;
            }
        });
    }

    @Override
    public void onOpened(Bundle opened) {
        bundle = opened;
        status.setText(getString(R.string.ready, count(), bundle.index.bits));
        canvas.setShape(bundle.width, bundle.height);
        showSamples();
    }

    @Override
    public void onFound(Engine.Answer answer) {
        ImageView taken = findViewById(R.id.taken);
        taken.setImageDrawable(
                sharp(Pictures.of(answer.pixels, bundle.width, bundle.height)));
        status.setText(
                getString(R.string.times, answer.encodingMillis, count(), answer.searchMillis));
        grid.removeAllViews();
        Neighbours found = answer.neighbours;
        for (int i = 0; i < found.size(); i++) {
            grid.addView(neighbour(i, found.ids[i], found.distances[i]));
        }
    }

    @Override
    public void onUnreadable(String message) {
        clearAnswer();
        status.setText(getString(R.string.no_picture, message));
    }

    @Override
    public void onFailed(String message) {
        status.setText(getString(R.string.failed, message));
    }

    private void clear() {
        canvas.clear();
        engine.cancel();
        clearAnswer();
        if (bundle != null) {
            status.setText(getString(R.string.ready, count(), bundle.index.bits));
        }
    }

    private void clearAnswer() {
        grid.removeAllViews();
        ((ImageView) findViewById(R.id.taken)).setImageDrawable(null);
    }

    private void findDrawn() {
        final int width = canvas.pictureWidth(DRAWN);
        final int height = canvas.pictureHeight(DRAWN);
        final int[] argb = canvas.argb(DRAWN);
        engine.find(new Engine.Query() {
            @Override
            public byte[] pixels(Bundle opened) {
                return fit(opened, argb, width, height);
            }
        });
    }

    private static byte[] fit(Bundle opened, int[] argb, int width, int height) {
        return Pixels.fit(argb, width, height, opened.width, opened.height, opened.channels);
    }

    private void showSamples() {
        LinearLayout strip = findViewById(R.id.samples);
        strip.removeAllViews();
        int side = dp(48);
        for (int i = 0; i < Math.min(bundle.samples, 16); i++) {
            final byte[] values = bundle.sample(i).pixels;
            ImageView view = new ImageView(this);
            view.setImageDrawable(sharp(Pictures.of(values, bundle.width, bundle.height)));
            view.setContentDescription(getString(R.string.sample, i + 1));
            view.setFocusable(true);
            view.setOnClickListener(new View.OnClickListener() {
                @Override
                public void onClick(View clicked) {
                    canvas.clear();
                    engine.find(new Engine.Query() {
                        @Override
                        public byte[] pixels(Bundle opened) {
                            return values;
                        }
                    });
                }
            });
            LinearLayout.LayoutParams place = new LinearLayout.LayoutParams(side, side);
            place.setMargins(0, dp(4), dp(8), dp(4));
            strip.addView(view, place);
        }
    }

    private View neighbour(int rank, long id, int distance) {
        String label = bundle.label(id);
        String bits = getResources().getQuantityString(R.plurals.bits, distance, distance);
        String name = label == null ? getString(R.string.unlabelled, id) : label;
        ImageView image = new ImageView(this);
        image.setImageDrawable(
                sharp(Pictures.of(
                        bundle.thumbnail(id), bundle.thumbnailWidth, bundle.thumbnailHeight)));
        TextView text = new TextView(this);
        text.setGravity(Gravity.CENTER);
        text.setMaxLines(2);
        text.setEllipsize(TextUtils.TruncateAt.END);
        String wrapped = label == null ? null : BidiFormatter.getInstance().unicodeWrap(label);
        text.setText(label == null ? bits : getString(R.string.labelled, wrapped, bits));
        LinearLayout tile = new LinearLayout(this);
        tile.setOrientation(LinearLayout.VERTICAL);
        tile.setPadding(dp(4), dp(4), dp(4), dp(4));
        tile.setContentDescription(getString(R.string.neighbour, rank + 1, name, bits));
        tile.setFocusable(true);
        text.setImportantForAccessibility(View.IMPORTANT_FOR_ACCESSIBILITY_NO);
        tile.addView(image, new LinearLayout.LayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, dp(64)));
        tile.addView(text);
        GridLayout.LayoutParams place = new GridLayout.LayoutParams(
                GridLayout.spec(GridLayout.UNDEFINED),
                GridLayout.spec(GridLayout.UNDEFINED, 1, 1f));
        place.width = 0;
        tile.setLayoutParams(place);
        return tile;
    }

    /** Small pictures are enlarged pixel by pixel: what is seen is what is compared. */
    private BitmapDrawable sharp(Bitmap bitmap) {
        BitmapDrawable drawable = new BitmapDrawable(getResources(), bitmap);
        drawable.setFilterBitmap(false);
        return drawable;
    }

    private String count() {
        return NumberFormat.getIntegerInstance().format(bundle.index.size);
    }

    private int dp(int value) {
        return Math.round(value * getResources().getDisplayMetrics().density);
    }
}
