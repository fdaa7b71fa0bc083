package org.kerasae.core;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Locale;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * A model, the index of its codes of some images, and what to show of them.
 *
 * <p>The format is that of {@code export/FORMAT.md}. Sizes and checksums of all files are checked
 * when it is opened, and that the model and the index belong together.
 */
public final class Bundle {
    /** An image to try the bundle with, and what must be found for it. */
    public static final class Sample {
        public final byte[] pixels;
        public final byte[] code;
        public final Neighbours neighbours;

        Sample(byte[] pixels, byte[] code, Neighbours neighbours) {
            this.pixels = pixels;
            this.code = code;
            this.neighbours = neighbours;
        }
    }

    private static final String FORMAT = "keras_ae.bundle";
    private static final int VERSION = 1;
    private static final int MOST_VALUES = 1 << 24;
    private static final double LARGEST = 1e30;
    private static final String ABOUT = "bundle.json";
    private static final String MODEL = "model.tflite";
    private static final String INDEX = "index.safetensors";
    private static final String ITEMS = "items.safetensors";
    private static final String SAMPLES = "samples.safetensors";

    public final int height;
    public final int width;
    public final int channels;

    /** Names of the function in the model's file, of its input and of its output. */
    public final String signature;

    public final String inputName;
    public final String outputName;

    /** The model's file. */
    public final ByteBuffer model;

    public final CodeIndex index;
    public final int thumbnailHeight;
    public final int thumbnailWidth;
    public final int samples;

    private final float divisor;
    private final float offset;
    private final Safetensors.Tensor thumbnails;
    private final Safetensors.Tensor labels;
    private final String[] labelNames;
    private final Safetensors.Tensor sampleImages;
    private final Safetensors.Tensor sampleCodes;
    private final Safetensors.Tensor sampleIds;
    private final Safetensors.Tensor sampleDistances;

    /** Opens the bundle in a folder. */
    public static Bundle open(File folder) throws IOException {
        return new Bundle(new Source.Folder(folder));
    }

    /** Opens a bundle. */
    public Bundle(Source source) throws IOException {
        try {
            JSONObject about = json(ABOUT, source.read(ABOUT));
            if (!FORMAT.equals(about.get("format"))
                    || Json.integer(about.get("version")) != VERSION) {
                throw new FormatException(ABOUT, "not a bundle, or of a version unknown here");
            }
            JSONObject files = about.getJSONObject("files");
            model = checked(source, files, MODEL);
            JSONObject said = json(MODEL + ".json", checked(source, files, MODEL + ".json"));
            index = new CodeIndex(INDEX, checked(source, files, INDEX));
            String variant = Json.text(about.get("variant"));
            if (!variant.equals(said.get("variant")) || !variant.equals(index.variant)) {
                throw new FormatException(
                        ABOUT, "the index was made by another model than the one beside it");
            }
            int count = Json.integer(about.get("count"));
            if (index.bits != Json.integer(about.get("bits")) || index.size != count) {
                throw new FormatException(ABOUT, "counts other codes than the index has");
            }
            if (index.lastId() != count - 1) {
                throw new FormatException(INDEX, "ids that are not the rows of the items");
            }
            JSONObject image = about.getJSONObject("image");
            height = Json.integer(image.get("height"));
            width = Json.integer(image.get("width"));
            channels = Json.integer(image.get("channels"));
            if (height < 1 || width < 1 || channels != 1 && channels != 3
                    || (long) height * width > MOST_VALUES / channels) {
                throw new FormatException(ABOUT, "images of an impossible size");
            }
            JSONObject input = about.getJSONObject("input");
            signature = Json.text(input.get("signature"));
            inputName = Json.text(input.get("name"));
            outputName = Json.text(input.get("output"));
            divisor = (float) Json.number(input.get("divisor"));
            offset = (float) Json.number(input.get("offset"));
            JSONArray shape = input.getJSONArray("shape");
            long values = 1;
            for (int i = 0; i < shape.length(); i++) {
                values = Math.min(values * Json.integer(shape.get(i)), MOST_VALUES + 1L);
            }
            // So that NaN is refused as well.
            if (values != (long) height * width * channels
                    || !(divisor >= 1 / LARGEST && divisor <= LARGEST)
                    || !(Math.abs(offset) <= LARGEST)) {
                throw new FormatException(ABOUT, "an input that the images cannot become");
            }

            Safetensors items = new Safetensors(ITEMS, checked(source, files, ITEMS));
            thumbnails = items.get("thumbnails", "U8", count, -1, -1, channels);
            thumbnailHeight = thumbnails.shape[1];
            thumbnailWidth = thumbnails.shape[2];
            if (thumbnailHeight < 1 || thumbnailWidth < 1) {
                throw new FormatException(ITEMS, "thumbnails of an impossible size");
            }
            JSONArray names = about.isNull("labels") ? null : about.getJSONArray("labels");
            labels = names == null ? null : items.get("labels", "I32", count);
            labelNames = new String[names == null ? 0 : names.length()];
            for (int i = 0; i < labelNames.length; i++) {
                labelNames[i] = Json.text(names.get(i));
            }
            for (int i = 0; labels != null && i < count; i++) {
                int label = labels.data.getInt(4 * i);
                if (label < 0 || label >= labelNames.length) {
                    throw new FormatException(ITEMS, "a class without a name: " + label);
                }
            }

            Safetensors tried = new Safetensors(SAMPLES, checked(source, files, SAMPLES));
            sampleImages = tried.get("images", "U8", -1, height, width, channels);
            samples = sampleImages.shape[0];
            sampleCodes = tried.get("codes", "U8", samples, index.bits / 8);
            sampleIds = tried.get("ids", "I64", samples, -1);
            sampleDistances = tried.get("distances", "I32", samples, sampleIds.shape[1]);
        } catch (JSONException error) {
            throw new FormatException(ABOUT, "lacks what a bundle says of itself: " + error, error);
        }
    }

    /**
     * Returns what the model takes.
     *
     * @param pixels height * width * channels values, the channel varying fastest
     */
    public float[] input(byte[] pixels) {
        if (pixels.length != height * width * channels) {
            throw new IllegalArgumentException(
                    "pixels must have " + height * width * channels + " values. Received: "
                            + pixels.length);
        }
        float[] input = new float[pixels.length];
        for (int i = 0; i < input.length; i++) {
            input[i] = (pixels[i] & 0xff) / divisor + offset;
        }
        return input;
    }

    /** Returns the name of the class of an image, or {@code null} without classes. */
    public String label(long id) {
        return labels == null ? null : labelNames[labels.data.getInt(4 * row(id))];
    }

    /** Returns the thumbnail of an image, its channel varying fastest. */
    public byte[] thumbnail(long id) {
        return bytes(thumbnails, row(id));
    }

    /** Returns one of the samples. */
    public Sample sample(int i) {
        int k = sampleIds.shape[1];
        long[] ids = new long[k];
        int[] distances = new int[k];
        for (int j = 0; j < k; j++) {
            ids[j] = sampleIds.data.getLong(8 * (i * k + j));
            distances[j] = sampleDistances.data.getInt(4 * (i * k + j));
        }
        return new Sample(
                bytes(sampleImages, i), bytes(sampleCodes, i), new Neighbours(ids, distances));
    }

    private int row(long id) {
        if (id < 0 || id >= index.size) {
            throw new IllegalArgumentException(
                    "id must be from 0 to " + (index.size - 1) + ". Received: id=" + id);
        }
        return (int) id;
    }

    private static byte[] bytes(Safetensors.Tensor tensor, int row) {
        int length = tensor.data.limit() / tensor.shape[0];
        byte[] result = new byte[length];
        ByteBuffer view = tensor.data.duplicate();
        view.position(row * length);
        view.get(result);
        return result;
    }

    private static JSONObject json(String name, ByteBuffer file) throws FormatException {
        byte[] text = new byte[file.remaining()];
        file.duplicate().get(text);
        return Json.parse(name, text);
    }

    private static ByteBuffer checked(Source source, JSONObject files, String name)
            throws IOException, JSONException {
        ByteBuffer file = source.read(name);
        JSONObject described = files.getJSONObject(name);
        if (file.remaining() != described.getLong("bytes")) {
            throw new FormatException(
                    name, "truncated, or another: it has " + file.remaining() + " bytes");
        }
        StringBuilder hexadecimal = new StringBuilder();
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            digest.update(file.duplicate());
            for (byte octet : digest.digest()) {
                hexadecimal.append(String.format(Locale.ROOT, "%02x", octet));
            }
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError(error); // Every Java and every Android has it.
        }
        if (!described.getString("sha256").contentEquals(hexadecimal)) {
            throw new FormatException(name, "damaged: its checksum is that of another file");
        }
        return file;
    }
}
