"""Predictive sparse decomposition: a predictor beside FISTA and coordinate descent.

    python benchmarks/tables/sparse_prediction.py --data mnist.npz
    python benchmarks/tables/sparse_prediction.py --quick     # scikit-learn's digits, a minute

A dictionary and a predictor are trained together on images, and on patches of scikit-learn's two
photographs. Codes of 2,000 test signals are then predicted, found by FISTA to a relative duality
gap of 1e-3, and found by scikit-learn's `lasso_cd`, in turns and on one thread: medians of the
times. The gap is the objective of the predicted codes over that of the optimal ones, the SNR that
of the codes themselves. The accuracy is of a logistic regression on the codes, and on FISTA's.

Before that, the two solvers on random signals: FISTA has to reach the objective of `lasso_cd`, in
double precision, to 1e-5. Writes `<out>.json` and `<out>.md`, and `<out>_solvers` likewise.
"""

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from decaying_adam import decaying_adam
from image_data import ImageData, command_line, load_images
from sklearn.datasets import load_sample_images
from sklearn.decomposition import sparse_encode
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.linear_model import LogisticRegression
from table import Table

import keras_ae
from keras_ae.ops.shrinkage import fista, objective

Array = npt.NDArray[Any]
TRAINED, SIGNALS, ATOMS, SIZE, PATCH = 20_000, 2000, 256, 144, 12
SOLVERS = {
    "units on": ".0f",
    "lasso_cd, ms": ".0f",
    "FISTA, ms": ".0f",
    "ratio": ".1f",
    "excess": ".0e",
}
MEASURES = {
    "us a signal": ".2f",
    "FISTA over it": ".0f",
    "lasso_cd over it": ".0f",
    "objective gap, %": ".1f",
    "SNR, dB": ".1f",
    "accuracy, %": ".2f",
    "with FISTA": ".2f",
}


def main() -> None:
    parser = command_line(__doc__, "sparse_prediction", epochs=10)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.epochs, arguments.runs, arguments.units = 1, 2, 1, 64
    out = Path(f"{arguments.out}_solvers")
    solvers = Table(out, vars(arguments), ("alpha",), SOLVERS)
    for alpha in (0.2,) if arguments.quick else (0.2, 0.1, 0.05):
        if not solvers.has(alpha):
            compare_solvers(solvers, alpha, arguments.runs)
    table = Table(arguments.out, vars(arguments), ("data", "predictor"), MEASURES)
    images = load_images(arguments).flat()
    sets = {"images": images, "patches": patches()}
    for name, data in sets.items():
        for kind in ("tanh", "lista"):
            for seed in range(arguments.seeds):
                if not table.has(name, kind, seed=seed):
                    start = time.perf_counter()
                    values = measure(data, kind, seed, arguments)
                    seconds = time.perf_counter() - start
                    table.add(name, kind, values=values, seed=seed, seconds=seconds)


def compare_solvers(table: Table, alpha: float, runs: int) -> None:
    """Add the row of a sparsity: random signals and atoms."""
    generator = np.random.default_rng(0)
    x, dictionary = (unit_rows(generator.normal(size=(n, SIZE))) for n in (SIGNALS, ATOMS))
    solve = compiled(dictionary, 2 * alpha, tolerance=1e-2)
    times, codes = in_turns(
        {
            "lasso_cd": partial(descend, x, dictionary, alpha),
            "FISTA": partial(solve, tf.constant(x, "float32")),
        },
        runs,
    )
    reached = [
        float(np.mean(objective(np.asarray(code, "float64"), x, dictionary, 2 * alpha)))
        for code in codes.values()
    ]
    excess = reached[1] / reached[0] - 1
    if excess > 1e-5:
        raise SystemExit(f"FISTA stopped {excess:.1e} above the objective of lasso_cd")
    on = float((codes["lasso_cd"] != 0).sum(axis=1).mean())
    ratio = times["lasso_cd"] / times["FISTA"]
    table.add(alpha, values=[on, times["lasso_cd"], times["FISTA"], ratio, excess])


def measure(data: ImageData, kind: str, seed: int, arguments: Any) -> list[float | None]:
    """Train a dictionary and a predictor, and measure both."""
    keras.utils.set_random_seed(seed)
    mean = data.x_train.mean(axis=0)
    scale = np.linalg.norm(data.x_train - mean, axis=1).mean()
    train, test = ((x - mean) / scale for x in (data.x_train[:TRAINED], data.x_test))
    model = keras_ae.PredictiveSparseDecomposition(
        train.shape[1], arguments.units, sparsity=0.1, prediction=1.0, predictor=kind
    )
    epochs = max(arguments.epochs, 5 * arguments.epochs * 2000 // len(train))
    model.compile(decaying_adam(3e-3, len(train), 128, epochs))
    model.fit(train, epochs=epochs, batch_size=128, verbose=0)

    signals = test[:SIGNALS]
    batch, atoms = tf.constant(signals, "float32"), model.dictionary.numpy()
    times, _ = in_turns(
        {
            "predictor": partial(tf.function(model.encoder), batch),
            "FISTA": partial(compiled(atoms, model.sparsity, tolerance=1e-3), batch),
            # It is slow, and its own time hardly varies.
            "lasso_cd": partial(descend, signals[:200], atoms, model.sparsity / 2),
        },
        arguments.runs,
    )
    microseconds = 1000 * times["predictor"] / len(signals)
    quality = model.prediction_quality(signals)
    return [
        microseconds,
        times["FISTA"] / times["predictor"],
        1000 * times["lasso_cd"] / 200 / microseconds,
        100 * quality.objective_gap,
        quality.snr,
        *accuracies(model, train, test, data),
    ]


def accuracies(
    model: keras_ae.PredictiveSparseDecomposition, train: Array, test: Array, data: ImageData
) -> list[float | None]:
    """Return those of a linear classifier on predicted codes, and on optimal ones."""
    if not data.y_train.any():
        return [None, None]
    found: list[float | None] = []
    for encode in (model.encode, partial(model.infer, prediction=0.0)):
        classifier = LogisticRegression(C=10, max_iter=300)
        classifier.fit(encode(train), data.y_train[: len(train)])
        found.append(100 * classifier.score(encode(test), data.y_test))
    return found


def patches() -> ImageData:
    """Return patches of grey photographs, each with its mean taken off; all are of class 0."""
    grey = [photograph.mean(axis=2) / 255 for photograph in load_sample_images().images]
    count = (TRAINED + SIGNALS) // len(grey)
    parts = [extract_patches_2d(x, (PATCH, PATCH), max_patches=count, random_state=0) for x in grey]
    flat = np.concatenate(parts).reshape(-1, PATCH**2)
    flat = (flat - flat.mean(axis=1, keepdims=True)).astype(np.float32)
    flat /= flat.std(axis=1, keepdims=True) + np.float32(0.05)
    flat = np.random.default_rng(0).permutation(flat)
    labels = np.zeros(len(flat), np.int64)
    return ImageData(flat[:-SIGNALS], labels[:-SIGNALS], flat[-SIGNALS:], labels[-SIGNALS:])


def descend(x: Array, dictionary: Array, alpha: float) -> Array:
    """Return codes by scikit-learn's coordinate descent, which does not converge in float32."""
    x, dictionary = x.astype(np.float64), dictionary.astype(np.float64)
    codes: Array = sparse_encode(x, dictionary, algorithm="lasso_cd", alpha=alpha, max_iter=10_000)
    return codes


def compiled(dictionary: Array, sparsity: float, tolerance: float) -> Callable[[tf.Tensor], Any]:
    """Return FISTA of a batch."""
    atoms = tf.constant(dictionary, "float32")

    @tf.function(jit_compile=True)
    def solve(x: tf.Tensor) -> tf.Tensor:
        return fista(x, atoms, sparsity, tolerance=tolerance).code

    return solve


def in_turns(
    functions: dict[str, Callable[[], Any]], runs: int
) -> tuple[dict[str, float], dict[str, Array]]:
    """Return the median of each function's time in ms, and what it returned."""
    results = {name: np.asarray(function()) for name, function in functions.items()}
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start = time.perf_counter()
            np.asarray(function())
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}, results


def unit_rows(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
