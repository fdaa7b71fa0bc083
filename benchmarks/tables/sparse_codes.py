"""Sparse autoencoders: error against sparsity, and how many units are dead.

    python benchmarks/tables/sparse_codes.py --data mnist.npz
    python benchmarks/tables/sparse_codes.py --quick          # scikit-learn's digits, seconds

Each model is trained on the training images, less their mean. L0 and the error, relative to
predicting the mean, are of the test images; a unit is dead if no training image turns it on. Writes
`<out>.json`, `<out>.md` and `<out>.png`, and takes up a run that was stopped.
"""

import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from decaying_adam import decaying_adam
from image_data import command_line, load_images
from matplotlib.figure import Figure
from table import Table

import keras_ae

Array = npt.NDArray[np.float32]
MEASURES = {"L0": ".1f", "normalised MSE": ".4f", "dead, %": ".1f"}


def laplace(rate: float) -> keras.layers.Layer:
    return keras.layers.ReLU(activity_regularizer=keras_ae.LaplaceActivityRegularizer(rate))


def jump_relu(threshold: float) -> keras.layers.Layer:
    # So short a training moves a threshold little.
    return keras_ae.JumpReLU(threshold, bandwidth=threshold, sparsity=3e-4)


METHODS: dict[str, tuple[Callable[[Any], keras.layers.Layer], list[float]]] = {
    "TopK": (keras_ae.TopK, [16, 32, 64]),
    "BatchTopK": (keras_ae.BatchTopK, [16, 32, 64]),
    "JumpReLU": (jump_relu, [0.4, 0.3, 0.2]),
    "ReLU + Laplace": (laplace, [3e-3, 1e-3, 3e-4]),
}
# Beside the rows above, which keep their units alive, the same without.
UNASSISTED = [("TopK", 16), ("TopK", 32), ("ReLU + Laplace", 1e-3)]
STYLES = ["o-", "s--", "^-.", "d:"]
COLORS = ["#1f6fb4", "#2a7f3f", "#c0392b", "#8e5ea2"]


def main() -> None:
    parser = command_line(__doc__, "sparse_codes", epochs=3)
    parser.add_argument("--units", type=int, default=4096)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.units = 1, 256
    data = load_images(arguments).flat()
    mean = data.x_train.mean(axis=0)
    train, test = data.x_train - mean, data.x_test - mean
    plan = [(method, level, "yes") for method, (_, levels) in METHODS.items() for level in levels]
    plan += [(method, level, "no") for method, level in UNASSISTED]
    table = Table(arguments.out, vars(arguments), ("method", "level", "helped"), MEASURES)
    for method, level, helped in plan[:: 5 if arguments.quick else 1]:
        for seed in range(arguments.seeds):
            if not table.has(method, level, helped, seed=seed):
                start = time.perf_counter()
                layer = METHODS[method][0](level)
                values = measure(layer, helped == "yes", train, test, arguments, seed)
                seconds = time.perf_counter() - start
                table.add(method, level, helped, values=values, seed=seed, seconds=seconds)
    plot(table).savefig(arguments.out.with_suffix(".png"))


def measure(
    layer: keras.layers.Layer, helped: bool, train: Array, test: Array, arguments: Any, seed: int
) -> list[float]:
    """Train one model, and return what it is like."""
    keras.utils.set_random_seed(seed)
    is_relu = isinstance(layer, keras.layers.ReLU)
    # A unit of a ReLU that is off has no positive pre-activation, which revival needs: it is
    # resampled instead. On this data a stronger revival than the default leaves fewer dead.
    revival = 1.0 if helped and not is_relu else 0.0
    units, epochs = arguments.units, arguments.epochs
    model = keras_ae.SparseAutoencoder(train.shape[1], units, layer, revival=revival)
    model.compile(decaying_adam(1e-3, len(train), 128, epochs), "mse")
    resampler = keras_ae.callbacks.DeadUnitResampler(train, seed=seed)
    model.fit(
        train,
        epochs=epochs,
        batch_size=128,
        callbacks=[resampler] if helped and is_relu else [],
        verbose=0,
    )

    used, alive, error = 0.0, np.zeros(units, bool), 0.0
    for i in range(0, len(train), 1000):
        alive |= (model.encode(train[i : i + 1000]) > 0).any(axis=0)
    for i in range(0, len(test), 1000):
        x = test[i : i + 1000]
        code = model.encode(x)
        used += (code > 0).sum()
        error += ((model.decode(code) - x) ** 2).sum()
    return [used / len(test), float(error / (test**2).sum()), 100 - 100 * float(alive.mean())]


def plot(table: Table) -> Figure:
    figure = Figure(figsize=(7, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for method, style, color in zip(METHODS, STYLES, COLORS, strict=True):
        points = sorted(
            tuple(np.mean([(row["L0"], row["normalised MSE"]) for row in rows], axis=0))
            for key, rows in table.groups().items()
            if key[0] == method and key[2] == "yes"
        )
        if points:
            axes.plot(*zip(*points, strict=True), style, color=color, label=method)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        ticks("{x:g}")
    axes.set_xlabel("units on in a test image (L0)")
    axes.set_ylabel("squared error, relative to the mean image")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    return figure


if __name__ == "__main__":
    main()
