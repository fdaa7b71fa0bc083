"""Unsupervised hashing of images: how well do codes rank, beside classical ones and raw pixels?

    python benchmarks/tables/hashing_images.py --data mnist.npz
    python benchmarks/tables/hashing_images.py --dataset fashion_mnist
    python benchmarks/tables/hashing_images.py --quick        # scikit-learn's digits, seconds

Of all images of both parts, 100 a class are queries, drawn anew by each seed; the others are the
gallery and, without labels, the training set. An item is relevant if its class is the query's. The
full ranking is by distance and then by place in the gallery. The ablation changes one thing at a
time, at the longest code and the first seed. Writes `<out>.json` and `<out>.md` as it goes.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from table import Pair, Table, cosine, hamming

import keras_ae
from keras_ae.retrieval import ITQ, PCASigns, RandomProjection

Floats = npt.NDArray[np.float32]
QUERIES_A_CLASS = 100
ABLATION: dict[str, dict[str, Any]] = {
    "the decoder at a hundredth": {"strength": 100.0},
    "without consistency": {"strength": 0.0, "code_noise": 0.5},
    "views by noise alone": {"affine": False},
    "straight-through bits": {"code": "straight_through"},
    "temperature 0.2": {"temperature": 0.2},
    "temperature 1": {"temperature": 1.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help=".npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--dataset", default="mnist", help="a name of keras.datasets")
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("hashing_images"))
    parser.add_argument("--quick", action="store_true", help="digits, one seed, two epochs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.bits, arguments.seeds, arguments.epochs = [16], 1, 2
    images, labels = load(arguments)
    print(f"{len(images):,} images of {images.shape[1:]}", flush=True)
    table = Table(arguments.out, vars(arguments))
    for seed in range(arguments.seeds):
        split = draw_split(labels, seed)
        flat = images.reshape(len(images), -1)
        classes = halves(labels, split)
        table.add("cosine of raw pixels", 0, seed, cosine(halves(flat, split), classes))
        for bits in arguments.bits:
            for name, hasher in (
                ("random projections", RandomProjection(bits, seed=seed)),
                ("signs of PCA", PCASigns(bits)),
                ("PCA-ITQ", ITQ(bits, seed=seed)),
            ):
                if bits <= flat.shape[1]:
                    codes = hasher.fit(flat[split[0]]).transform(flat)
                    table.add(name, bits, seed, hamming(halves(codes, split), classes))
            codes, seconds = learned(images, split[0], bits, seed, arguments.epochs)
            found = hamming(halves(codes, split), classes)
            table.add("SemanticHasher with views", bits, seed, found, seconds)
    bits, split = max(arguments.bits), draw_split(labels, 0)
    for name, changes in list(ABLATION.items())[: 1 if arguments.quick else None]:
        codes, seconds = learned(images, split[0], bits, 0, arguments.epochs, **changes)
        found = hamming(halves(codes, split), halves(labels, split))
        table.add(f"ablation: {name}", bits, 0, found, seconds)


def halves(x: npt.NDArray[Any], split: Pair) -> Pair:
    return [x[rows] for rows in split]


def load(arguments: argparse.Namespace) -> tuple[Floats, npt.NDArray[Any]]:
    """Return all images `(n, height, width, channels)` in [0, 1], and their classes."""
    if arguments.quick:
        from sklearn.datasets import load_digits

        digits: Any = load_digits()
        return (digits.images[..., None] / 16).astype(np.float32), digits.target
    if arguments.data:
        with np.load(arguments.data) as file:
            parts = [(file[f"x_{part}"], file[f"y_{part}"]) for part in ("train", "test")]
    else:
        parts = getattr(keras.datasets, arguments.dataset).load_data()
    images = np.concatenate([x for x, _ in parts]).astype(np.float32) / np.float32(255)
    labels = np.concatenate([y for _, y in parts]).reshape(-1).astype(np.int64)
    return images.reshape(*images.shape[:3], -1), labels


def draw_split(labels: npt.NDArray[np.int64], seed: int) -> Pair:
    """Return the rows of the gallery and of the queries."""
    rng = np.random.default_rng(seed)
    queries = np.concatenate(
        [
            rng.choice(np.flatnonzero(labels == label), QUERIES_A_CLASS, replace=False)
            for label in np.unique(labels)
        ]
    )
    return np.setdiff1d(np.arange(len(labels)), queries), queries


def learned(
    images: Floats,
    gallery: npt.NDArray[np.int64],
    bits: int,
    seed: int,
    epochs: int,
    *,
    strength: float = 1.0,
    temperature: float = 0.5,
    affine: bool = True,
    code: str = "noisy_bits",
    code_noise: float = 0.25,
) -> tuple[npt.NDArray[np.uint8], float]:
    """Train a hasher on the gallery; return the codes of all images, and seconds."""
    keras.utils.set_random_seed(seed)
    x, shape = images.reshape(len(images), -1), images.shape[1:]
    views = [keras.Input((x.shape[1],)), keras_ae.GaussianCorruption(0.3)]
    if affine:
        views.insert(1, keras_ae.AffineCorruption(image_shape=shape))
    hasher = keras_ae.SemanticHasher.dense(
        x.shape[1],
        hidden=(1024, 512),
        bits=bits,
        contraction=0.0,
        code=keras_ae.BinaryCode(code, stddev=code_noise),
        corruption=keras.Sequential(views),
        consistency=keras_ae.ViewConsistency(strength, temperature),
    )
    steps = epochs * -(-len(gallery) // 512)
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    hasher.compile(keras.optimizers.Adam(schedule), "binary_crossentropy")
    start = time.perf_counter()
    hasher.fit(x[gallery], epochs=epochs, batch_size=512, verbose=0)
    return hasher.encode(x, 2048), time.perf_counter() - start


if __name__ == "__main__":
    main()
