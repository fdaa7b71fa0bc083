"""Write the vectors that Python, Java and JavaScript all read.

python tests/golden/make.py

Searches are by brute force over unpacked bits, pictures by integer sums over areas, and files by
the safetensors package: nothing here is computed by what it is to test. The bundle is that of a
hasher trained on scikit-learn's digits, of which 500 are samples.
"""

import zlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

FOLDER = Path(__file__).parent
# Whole words, less than one, and words with a rest.
WIDTHS = (24, 64, 136)
COUNT, QUERIES = 300, 20
# Width, height and channels of what a picture of 53 x 38 becomes.
SHAPES = ((28, 28, 1), (8, 8, 1), (7, 30, 3), (80, 20, 3), (53, 38, 3), (1, 1, 1))
SAMPLES = 500


def write_index(rng: np.random.Generator, bits: int) -> None:
    """An index with gaps among its ids, copies and ties, and what is found in it."""
    octets = bits // 8
    centres = rng.integers(0, 256, (8, octets), dtype=np.uint8)
    flips = np.packbits(rng.random((COUNT, bits)) < 0.06, axis=1)
    codes = centres[rng.integers(8, size=COUNT)] ^ flips
    codes[50:60] = codes[50]
    ids = np.sort(rng.choice(10**12, COUNT, replace=False)).astype("<i8")
    ids[-1] = 2**62 + 1  # More than a double holds.
    metadata = {
        "format": "keras_ae.HammingIndex",
        "version": "3",
        "bits": str(bits),
        "bit_order": "little",
        "count": str(COUNT),
        "next_id": str(ids[-1] + 7),
        "variant": f"golden-{bits}",
        "crc32_codes": str(zlib.crc32(codes.tobytes())),
        "crc32_ids": str(zlib.crc32(ids.tobytes())),
    }
    text = " ".join(metadata[name] for name in ("bits", "count", "next_id", "variant"))
    metadata["crc32_text"] = str(zlib.crc32(text.encode()))
    save_file({"codes": codes, "ids": ids}, FOLDER / f"index_{bits}.safetensors", metadata)

    near = np.packbits(rng.random((QUERIES, bits)) < 0.06, axis=1)
    queries = codes[rng.integers(COUNT, size=QUERIES)] ^ near
    queries[0] = codes[55]
    queries[1] = ~codes[0]
    unpacked = [np.unpackbits(x, axis=1).astype("int32") for x in (queries, codes)]
    distances = np.abs(unpacked[0][:, None] - unpacked[1]).sum(axis=2)
    order = np.argsort(distances, axis=1, kind="stable")
    ordered = np.take_along_axis(distances, order, axis=1)
    # Of each query, the distance of its twentieth neighbour: with all of its ties.
    radii = ordered[:, 19].astype("<i4")
    save_file(
        {
            "queries": queries,
            "ids": ids[order],
            "distances": ordered.astype("<i4"),
            "radii": radii,
            "within": (ordered <= radii[:, None]).sum(axis=1).astype("<i4"),
        },
        FOLDER / f"found_{bits}.safetensors",
    )


def fitted(picture: np.ndarray, width: int, height: int, channels: int) -> np.ndarray:
    """Area means as products with matrices of overlaps, in whole numbers."""
    tall, wide = picture.shape[:2]
    cut_wide, cut_tall = min(wide, tall * width // height), min(tall, wide * height // width)
    cut_wide, cut_tall = max(1, cut_wide), max(1, cut_tall)
    top, left = (tall - cut_tall) // 2, (wide - cut_wide) // 2
    middle = picture[top : top + cut_tall, left : left + cut_wide].astype("int64")
    unit = 1
    if channels == 1:
        middle, unit = (middle @ [299, 587, 114])[..., None], 1000

    def overlaps(of: int, to: int) -> np.ndarray:
        ends = np.arange(of + 1) * to, np.arange(to + 1) * of
        low = np.maximum(ends[0][:-1], ends[1][:-1, None])
        high = np.minimum(ends[0][1:], ends[1][1:, None])
        return np.maximum(high - low, 0)

    sums = np.einsum(
        "ij,jkc,lk->ilc", overlaps(cut_tall, height), middle, overlaps(cut_wide, width)
    )
    whole = unit * cut_tall * cut_wide
    return ((2 * sums + whole) // (2 * whole)).astype("uint8")


def write_pixels(rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (38, 53, 3), dtype=np.uint8)
    results = {f"{w}x{h}x{c}": fitted(picture, w, h, c) for w, h, c in SHAPES}
    save_file({"picture": picture, **results}, FOLDER / "pixels.safetensors")


def write_bundle() -> None:
    import keras
    from sklearn.datasets import load_digits

    import keras_ae

    digits = load_digits()
    images, labels = np.rint(digits.images * 255 / 16).astype("uint8"), digits.target
    x = images.reshape(-1, 64).astype("float32") / np.float32(255)
    for seed in range(100):
        keras.utils.set_random_seed(seed)
        hasher = keras_ae.SemanticHasher.dense(64, hidden=(64,), bits=64)
        hasher.compile("adam", "binary_crossentropy")
        hasher.fit(x[SAMPLES:], x[SAMPLES:], epochs=60, batch_size=64, verbose=0)
        # Nearer to 0, another order of sums might flip a bit of a sample.
        margin = float(np.abs(hasher.logits(x[:SAMPLES])).min())
        print(f"seed {seed}: no logit is nearer to 0 than {margin:.2g}", flush=True)
        if margin > 1e-4:
            break
    keras_ae.export.to_device_bundle(
        hasher,
        FOLDER / "bundle",
        images[SAMPLES:],
        labels[SAMPLES:],
        make_index=keras_ae.HammingIndex,
        samples=images[:SAMPLES],
    )


if __name__ == "__main__":
    generator = np.random.default_rng(0)
    for bits in WIDTHS:
        write_index(generator, bits)
    write_pixels(generator)
    write_bundle()
