"""Sparse codes of a batch: FISTA against coordinate descent, and a predictor against FISTA.

    python benchmarks/psd.py                     # and accuracy on scikit-learn's digits
    python benchmarks/psd.py --data mnist.npz    # accuracy on Keras's MNIST

Times are medians of runs that take turns. FISTA stops at a tolerance at which its objective, in
double precision, is within 1e-5 of that of scikit-learn's `lasso_cd`; the script checks it.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.decomposition import sparse_encode
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import keras_ae
from keras_ae.ops.shrinkage import fista, objective

Array = npt.NDArray[Any]
SIGNALS, ATOMS, SIZE = 2000, 256, 144
UNITS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="Keras's mnist.npz; scikit-learn's digits without it")
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    speed(arguments.runs)
    recognition(arguments.data, arguments.runs)


def speed(runs: int) -> None:
    generator = np.random.default_rng(0)
    x, dictionary = (unit_rows(generator.normal(size=(n, SIZE))) for n in (SIGNALS, ATOMS))
    print(f"{SIGNALS} random signals of {SIZE}, {ATOMS} atoms; ms")
    print("| alpha | units on | lasso_cd | FISTA | ratio | objective, relative |")
    print("|---|---|---|---|---|---|")
    for alpha in (0.2, 0.1, 0.05):
        solve = compiled(dictionary, 2 * alpha, tolerance=1e-2)

        descend = partial(
            sparse_encode, x, dictionary, algorithm="lasso_cd", alpha=alpha, max_iter=10_000
        )
        fast = partial(solve, tf.constant(x, "float32"))
        times, results = in_turns({"lasso_cd": descend, "FISTA": fast}, runs)
        reached = {
            name: float(np.mean(objective(np.asarray(code, "float64"), x, dictionary, 2 * alpha)))
            for name, code in results.items()
        }
        excess = reached["FISTA"] / reached["lasso_cd"] - 1
        if excess > 1e-5:
            raise SystemExit(f"FISTA stopped {excess:.1e} above the objective of lasso_cd")
        on = (results["lasso_cd"] != 0).sum(axis=1).mean()
        print(
            f"| {alpha} | {on:.0f} | {times['lasso_cd']:.0f} | {times['FISTA']:.0f} "
            f"| {times['lasso_cd'] / times['FISTA']:.1f} | {excess:+.0e} |",
            flush=True,
        )


def recognition(path: str | None, runs: int) -> None:
    """Time both codes of labelled images, and classify from each by a linear model."""
    x_train, x_test, y_train, y_test = images(path)
    mean = x_train.mean(axis=0)
    scale = np.linalg.norm(x_train - mean, axis=1).mean()
    x_train, x_test = ((x - mean) / scale for x in (x_train, x_test))
    print(f"\n{len(x_train)} + {len(x_test)} images, {UNITS} units; microseconds an image")
    print("| code | time | FISTA over it | test accuracy of a linear classifier |")
    print("|---|---|---|---|")
    batch = tf.constant(np.concatenate([x_test, x_train])[:SIGNALS], "float32")
    for kind in ("tanh", "lista"):
        keras.utils.set_random_seed(0)
        model = keras_ae.PredictiveSparseDecomposition(
            x_train.shape[1], UNITS, sparsity=0.1, prediction=1.0, predictor=kind
        )
        epochs = max(3, 100_000 // len(x_train))
        rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-len(x_train) // 128))
        model.compile(keras.optimizers.Adam(rate))
        model.fit(x_train, epochs=epochs, batch_size=128, verbose=0)
        solve = compiled(model.dictionary.numpy(), model.sparsity, tolerance=1e-3)
        predict = partial(tf.function(model.encoder), batch)
        times, _ = in_turns({kind: predict, "FISTA": partial(solve, batch)}, runs)
        codes: dict[str, Callable[[Array], Array]] = {
            kind: model.encode,
            "FISTA": partial(model.infer, prediction=0.0),
        }
        for name, encode in codes.items():
            classifier = LogisticRegression(C=10, max_iter=300)
            classifier.fit(encode(x_train), y_train)
            accuracy = classifier.score(encode(x_test), y_test)
            print(
                f"| {name if name == kind else f'FISTA, dictionary of {kind}'} "
                f"| {1000 * times[name] / len(batch):.2f} | {times['FISTA'] / times[name]:.0f} "
                f"| {accuracy:.2%} |",
                flush=True,
            )


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


def images(path: str | None) -> list[Array]:
    if path is None:
        x, y = load_digits(return_X_y=True)
        split: list[Array] = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
        return [a.astype("float32") if a.ndim == 2 else a for a in split]
    with np.load(path) as file:
        x = [file[name].reshape(-1, 784).astype("float32") / 255 for name in ("x_train", "x_test")]
        return [x[0][:20_000], x[1][:5000], file["y_train"][:20_000], file["y_test"][:5000]]


def unit_rows(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
