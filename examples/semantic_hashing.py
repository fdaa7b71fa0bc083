"""Semantic hashing from images to a search: train, export, index, query.

    python examples/semantic_hashing.py                     # scikit-learn's digits, no download
    python examples/semantic_hashing.py --dataset mnist     # or fashion_mnist, through Keras
    python examples/semantic_hashing.py --data mnist.npz    # x_train, y_train, x_test, y_test

Writes the model, its three exports, the index of the training codes and a picture of neighbours.
"""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from data import Images, command_line, load

import keras_ae
from keras_ae.retrieval import ITQ, RandomProjection, mean_average_precision, precision_at_k

QUERIES = 1000  # Quality is measured on this many test images at most.
Rank = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.int64]]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--bits", type=int, default=64, help="length of a code, a multiple of 8")
    parser.add_argument("--epochs", type=int, help="default: more for small data sets")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    try:
        images = load(arguments.dataset, arguments.data)
        pixels = images.x_train.shape[1]
        side = math.isqrt(pixels)
        hasher = keras_ae.SemanticHasher.dense(
            pixels,
            bits=arguments.bits,
            image_shape=(side, side, 1) if side**2 == pixels else None,
        )
        arguments.out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    epochs = arguments.epochs or max(10, 90_000 // len(images.x_train))

    print(f"\n== Train on {len(images.x_train)} images, {arguments.bits} bits, {epochs} epochs")
    hasher.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
    # Each batch of views is compared with itself: it should be large.
    hasher.fit(images.x_train, epochs=epochs, batch_size=256)
    hasher.save(arguments.out / "hasher.keras")

    print("\n== Export, and run each file in its own runtime")
    export_all(hasher, images.x_test[:QUERIES], arguments.out)

    print("\n== Index the training codes and search with the test codes")
    index = build_index(hasher, images, arguments.out / "codes.safetensors")
    compare(hasher, index, images)

    chosen = np.random.default_rng(0).permutation(len(images.x_test))[:8]
    result = index.search(hasher.encode(images.x_test[chosen]), k=10)
    figure = keras_ae.plotting.neighbour_grid(
        images.x_test[chosen], images.x_train, result, images.y_test[chosen], images.y_train
    )
    figure.savefig(arguments.out / "neighbours.png")
    print(f"\nSee {arguments.out / 'neighbours.png'}")


def export_all(hasher: keras_ae.SemanticHasher, inputs: npt.NDArray[np.float32], out: Path) -> None:
    results = [
        keras_ae.export.to_tflite(hasher, out / "hasher.tflite", inputs),
        keras_ae.export.to_onnx(hasher, out / "hasher.onnx", inputs),
        keras_ae.export.to_saved_model(hasher, out / "saved_model", inputs),
    ]
    print(f"{'artefact':20}{'KiB':>8}{'equal bits':>12}{'equal codes':>13}{'us an example':>15}")
    for result in results:
        parity = result.parity
        print(
            f"{result.path.relative_to(out)!s:20}{result.size / 1024:8.0f}{parity.equal_bits:12.4%}"
            f"{parity.equal_codes:13.2%}{parity.microseconds:15.1f}"
        )
    print(f"({parity.examples} test images in one batch, {parity.distinct_codes} distinct codes)")


def build_index(
    hasher: keras_ae.SemanticHasher, images: Images, path: Path
) -> keras_ae.HammingIndex:
    index = keras_ae.HammingIndex(hasher.bits)
    index.add(hasher.encode(images.x_train, batch_size=2048))
    index.save(path)
    index = keras_ae.HammingIndex.load(path)
    queries = hasher.encode(images.x_test)
    index.search(queries[:1])  # The first search compiles.
    start = time.perf_counter()
    index.search(queries, k=10)
    microseconds = 1e6 * (time.perf_counter() - start) / len(queries)
    print(
        f"{len(index)} codes, {path.stat().st_size / 1024:.0f} KiB, {microseconds:.1f} us a query\n"
    )
    return index


def compare(hasher: keras_ae.SemanticHasher, index: keras_ae.HammingIndex, images: Images) -> None:
    """Print the quality of the hasher's ranking beside those of classical codes and of pixels."""

    def by_codes(coder: RandomProjection | ITQ) -> Rank:
        other = keras_ae.HammingIndex(hasher.bits)
        other.add(coder.fit(images.x_train).transform(images.x_train))
        return lambda x: other.search(coder.transform(x), k=len(other)).ids

    lengths = np.linalg.norm(images.x_train, axis=1)

    def by_cosine(x: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        return np.argsort(-(x @ images.x_train.T) / np.maximum(lengths, 1e-9), axis=1)

    ranks: dict[str, Rank] = {
        f"SemanticHasher, {hasher.bits} bits": lambda x: (
            index.search(hasher.encode(x), k=len(index)).ids
        ),
        f"random projections, {hasher.bits} bits": by_codes(RandomProjection(hasher.bits)),
    }
    if hasher.bits <= images.x_train.shape[1]:  # ITQ has at most one bit a pixel.
        ranks[f"PCA-ITQ, {hasher.bits} bits"] = by_codes(ITQ(hasher.bits))
    ranks["cosine of raw pixels"] = by_cosine
    print(f"{'':30}{'P@10':>8}{'P@100':>8}{'mAP':>8}")
    for name, rank in ranks.items():
        scores = quality(rank, images)
        print(f"{name:30}" + "".join(f"{score:8.3f}" for score in scores))


def quality(rank: Rank, images: Images) -> npt.NDArray[np.float64]:
    """Precision at 10 and 100 and mean average precision of the full ranking."""
    x, y = images.x_test[:QUERIES], images.y_test[:QUERIES]
    sums = np.zeros(3)
    for start in range(0, len(x), 100):  # A whole ranking of every query at once takes gigabytes.
        part = slice(start, start + 100)
        labels = images.y_train[rank(x[part])]
        scores = [precision_at_k(labels, y[part], k=min(k, len(images.y_train))) for k in (10, 100)]
        sums += len(labels) * np.array([*scores, mean_average_precision(labels, y[part])])
    return sums / len(x)


if __name__ == "__main__":
    main()
