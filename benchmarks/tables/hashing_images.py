"""Hashing of images: how well do codes rank, beside classical ones and raw pixels?

    python benchmarks/tables/hashing_images.py --data mnist.npz
    python benchmarks/tables/hashing_images.py --data mnist.npz --labels
    python benchmarks/tables/hashing_images.py --data mnist.npz --ablation
    python benchmarks/tables/hashing_images.py --dataset fashion_mnist
    python benchmarks/tables/hashing_images.py --quick        # scikit-learn's digits, seconds

Of all images of both parts, 100 a class are queries, drawn anew by each seed; the others are the
gallery and, without labels, the training set; `--labels` trains with theirs. An item is relevant if
its class is the query's. The full ranking is by distance and then by place in the gallery.

The hasher is `SemanticHasher.dense(pixels, hidden, bits, image_shape=...)`. Where its defaults come
from is what `--ablation` shows, which changes settings one at a time, and then the best of them
together: it takes queries of its own from the gallery of the first seed, and does not look at those
of the table. Writes `<out>.json` and `<out>.md` as it goes, and takes up a run that was stopped.
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from decaying_adam import decaying_adam
from hashing_pictures import draw_codes
from image_data import command_line, load_images
from ranking import MEASURES, Pair, cosine, hamming, index_of
from table import Table

import keras_ae
from keras_ae.retrieval import ITQ, PCASigns, RandomProjection

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
QUERIES_A_CLASS = 100
SURE: dict[str, Any] = {
    "code": keras_ae.TanhCode,
    "bits_to": {"decorrelation": 0.01},
    "contraction": 1e-3,
}
ABLATION: dict[str, dict[str, Any]] = {
    "the start": {},
    "without consistency": {"strength": 0.0, "bit_noise": 0.5},
    "views by noise alone": {"affine": False},
    "views without noise": {"noise": 0.0},
    "views with noise 0.5": {"noise": 0.5},
    "the decoder at a hundredth": {"strength": 100.0},
    "temperature 0.3": {"temperature": 0.3},
    "temperature 1": {"temperature": 1.0},
    "bits without noise": {"bit_noise": 0.0},
    "bits with noise 0.5": {"bit_noise": 0.5},
    "noise before the sigmoid": {"code": partial(keras_ae.BinaryCode, "noisy", 1.0)},
    "straight-through bits": {"code": keras_ae.BinaryCode},
    "tanh continuation": {"code": keras_ae.TanhCode},
    "quantization 0.01": {"bits_to": {"quantization": 0.01}},
    "balance 0.1": {"bits_to": {"balance": 0.1}},
    "decorrelation 0.01": {"bits_to": {"decorrelation": 0.01}},
    "contraction 0.001": {"contraction": 1e-3},
    "start from ITQ": {"itq": True},
    "contraction 0.01": {"contraction": 1e-2},
    "decorrelation 0.1": {"bits_to": {"decorrelation": 0.1}},
    "tanh, contraction 0.001": {"code": keras_ae.TanhCode, "contraction": 1e-3},
    "tanh, contraction 0.01": {"code": keras_ae.TanhCode, "contraction": 1e-2},
    "tanh, decorrelation 0.003, contraction 0.01": {
        "code": keras_ae.TanhCode,
        "bits_to": {"decorrelation": 0.003},
        "contraction": 1e-2,
    },
    "tanh, contraction 0.001, views without noise": {
        "code": keras_ae.TanhCode,
        "contraction": 1e-3,
        "noise": 0.0,
    },
    "without consistency, contraction 0.001": {
        "strength": 0.0,
        "bit_noise": 0.5,
        "contraction": 1e-3,
    },
    "without consistency, noise alone, contraction 0.001": {
        "strength": 0.0,
        "bit_noise": 0.5,
        "contraction": 1e-3,
        "affine": False,
        "noise": 0.6,
    },
    "without consistency, noise alone, contraction 0.0001": {
        "strength": 0.0,
        "bit_noise": 0.5,
        "contraction": 1e-4,
        "affine": False,
        "noise": 0.6,
    },
    "A: tanh, decorrelation 0.01, contraction 0.001": SURE,
    "A, views without noise": {**SURE, "noise": 0.0},
    "A, temperature 0.3": {**SURE, "temperature": 0.3},
    "A, contraction 0.01": {**SURE, "contraction": 1e-2},
    "A, 512 and 256 hidden units": {**SURE, "hidden": (512, 256)},
    "tanh, contraction 0.01, 512 and 256 hidden units": {
        "code": keras_ae.TanhCode,
        "contraction": 1e-2,
        "hidden": (512, 256),
    },
}


def main() -> None:
    parser = command_line(__doc__, "hashing_images", epochs=10)
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--hidden", type=int, nargs="+", default=[512, 256])
    parser.add_argument("--labels", action="store_true", help="train with labels")
    parser.add_argument("--ablation", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.bits, arguments.seeds, arguments.epochs = [16], 1, 2
    data = load_images(arguments)
    images = np.concatenate([data.x_train, data.x_test])
    labels = np.concatenate([data.y_train, data.y_test])
    print(f"{len(images):,} images of {images.shape[1:]}", flush=True)
    table = Table(arguments.out, vars(arguments), ("method", "bits"), MEASURES)
    if arguments.ablation:
        ablate(table, images, labels, arguments)
        return
    drawn: dict[str, Pair] = {}
    flat = images.reshape(len(images), -1)
    for seed in range(arguments.seeds):
        split = draw_split(labels, seed)
        if not arguments.labels:
            drawn = classical(table, flat, labels, split, arguments.bits, seed)
        name = f"SemanticHasher with {'labels' if arguments.labels else 'views'}"
        for bits in arguments.bits:
            if table.has(name, bits, seed=seed):
                continue
            keras.utils.set_random_seed(seed)
            # As a user gets it who sets nothing but what the images are.
            hasher = keras_ae.SemanticHasher.dense(
                flat.shape[1],
                arguments.hidden,
                bits,
                image_shape=images.shape[1:],
                consistency=keras_ae.LabelConsistency() if arguments.labels else None,
            )
            known = labels[split[0]] if arguments.labels else None
            codes, seconds = learned(hasher, flat, split[0], arguments.epochs, known)
            found = hamming(halves(codes, split), halves(labels, split))
            table.add(name, bits, values=found, seed=seed, seconds=seconds)
            drawn[f"{name}, {bits} bits"] = halves(codes, split)
    if drawn:
        draw(images, labels, split, drawn, arguments.out)


def draw(images: Floats, labels: Labels, split: Pair, codes: dict[str, Pair], out: Path) -> None:
    """Write pictures of the last split: how codes rank and lie, and neighbours of some queries."""
    draw_codes(codes, halves(labels, split)).savefig(f"{out}.png")
    gallery, queries = list(codes.values())[-1]
    # One query a class.
    _, chosen = np.unique(labels[split[1]], return_index=True)
    result = index_of(gallery).search(queries[chosen], k=10)
    asked = split[1][chosen]
    keras_ae.plotting.neighbour_grid(
        images[asked], images[split[0]], result, labels[asked], labels[split[0]]
    ).savefig(f"{out}_neighbours.png")


def classical(
    table: Table, flat: Floats, labels: Labels, split: Pair, sizes: list[int], seed: int
) -> dict[str, Pair]:
    """Add the rows of what needs no training by gradients; return the longest codes."""
    drawn: dict[str, Pair] = {}
    classes = halves(labels, split)
    if not table.has("cosine of raw pixels", 0, seed=seed):
        table.add("cosine of raw pixels", 0, values=cosine(halves(flat, split), classes), seed=seed)
    for bits in sizes:
        for name, hasher in (
            ("random projections", RandomProjection(bits, seed=seed)),
            ("signs of PCA", PCASigns(bits)),
            ("PCA-ITQ", ITQ(bits, seed=seed)),
        ):
            if not table.has(name, bits, seed=seed):
                codes = halves(hasher.fit(flat[split[0]]).transform(flat), split)
                table.add(name, bits, values=hamming(codes, classes), seed=seed)
                if bits == max(sizes):
                    drawn[f"{name}, {bits} bits"] = codes
    return drawn


def ablate(table: Table, images: Floats, labels: Labels, arguments: argparse.Namespace) -> None:
    """Add a row for every setting, at the longest code."""
    gallery, _ = draw_split(labels, 0)
    images, labels = images[gallery], labels[gallery]
    split, bits = draw_split(labels, 0), max(arguments.bits)
    flat = images.reshape(len(images), -1)
    for name, changes in list(ABLATION.items())[: 2 if arguments.quick else None]:
        if not table.has(name, bits):
            hasher = by_parts(images, bits, **changes)
            codes, seconds = learned(hasher, flat, split[0], arguments.epochs)
            found = hamming(halves(codes, split), halves(labels, split))
            table.add(name, bits, values=found, seconds=seconds)


def halves(x: npt.NDArray[Any], split: Pair) -> Pair:
    return [x[rows] for rows in split]


def draw_split(labels: Labels, seed: int) -> Pair:
    """Return the rows of the gallery and of the queries."""
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    # The digits of --quick have fewer than 200 a class.
    drawn = [rng.choice(c, min(QUERIES_A_CLASS, len(c) // 4), replace=False) for c in classes]
    queries = np.concatenate(drawn)
    return np.setdiff1d(np.arange(len(labels)), queries), queries


def learned(
    hasher: keras_ae.SemanticHasher,
    x: Floats,
    gallery: npt.NDArray[np.int64],
    epochs: int,
    labels: Labels | None = None,
) -> tuple[npt.NDArray[np.uint8], float]:
    """Train a hasher on the gallery; return the codes of all images, and seconds."""
    start = time.perf_counter()
    hasher.compile(decaying_adam(2e-3, len(gallery), 512, epochs), "binary_crossentropy")
    hasher.fit(x[gallery], labels, epochs=epochs, batch_size=512, verbose=0)
    return hasher.encode(x, 2048), time.perf_counter() - start


def by_parts(
    images: Floats,
    bits: int,
    *,
    strength: float = 1.0,
    temperature: float = 0.5,
    affine: bool = True,
    noise: float = 0.3,
    code: Callable[[], keras.layers.Layer] | None = None,
    bit_noise: float = 0.25,
    bits_to: dict[str, float] | None = None,
    contraction: float = 0.0,
    hidden: tuple[int, ...] = (1024, 512),
    itq: bool = False,
) -> keras_ae.SemanticHasher:
    """Return a hasher with every setting given: what the ablation starts from, and changes."""
    keras.utils.set_random_seed(0)
    size, shape = math.prod(images.shape[1:]), images.shape[1:]
    views = [keras.Input((size,)), keras_ae.GaussianCorruption(noise)]
    if affine:
        views.insert(1, keras_ae.AffineCorruption(image_shape=shape))
    hasher = keras_ae.SemanticHasher.dense(
        size,
        hidden=hidden,
        bits=bits,
        contraction=contraction,
        code=code() if code else keras_ae.BinaryCode("noisy_bits", stddev=bit_noise),
        corruption=keras.Sequential(views),
        consistency=keras_ae.ViewConsistency(strength, temperature),
        logit_regularizer=None if bits_to is None else keras_ae.BitRegularizer(**bits_to),
    )
    if itq:
        below = keras.Sequential(hasher.encoder.layers[:-2])
        features = below.predict(images[:10_000].reshape(-1, size), batch_size=2048, verbose=0)
        hasher.encoder.layers[-2].set_weights([ITQ(bits, seed=0).fit(features).directions()])
    return hasher


if __name__ == "__main__":
    main()
