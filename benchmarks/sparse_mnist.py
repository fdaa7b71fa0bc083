"""Sparse autoencoders on MNIST: error against sparsity, and how many units are dead.

    python benchmarks/sparse_mnist.py --data mnist.npz --out sparse_mnist

Each model is trained on the 60,000 training images, less their mean, and measured on the 10,000
test images. What is in the folder already is not trained again, so that an interrupted run can be
taken up. Writes `sparse_mnist.json`, `sparse_mnist.md` and `sparse_mnist.png`.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

import keras_ae

Array = npt.NDArray[np.float32]
Row = dict[str, Any]


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
XS = ("x_train", "x_test")
STYLES = ["o-", "s--", "^-.", "d:"]
COLORS = ["#1f6fb4", "#2a7f3f", "#c0392b", "#8e5ea2"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="Keras's mnist.npz")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--units", type=int, default=4096)
    parser.add_argument("--out", type=Path, default=Path("sparse_mnist"), help="folder to write")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with np.load(arguments.data) as file:
        train, test = (file[name].reshape(-1, 784) / np.float32(255) for name in XS)
    mean = train.mean(axis=0)
    train, test = train - mean, test - mean
    plan = [
        (method, level, True) for method in arguments.methods for level in METHODS[method][1]
    ] + [(method, level, False) for method, level in UNASSISTED if method in arguments.methods]

    path = arguments.out / "sparse_mnist.json"
    rows: list[Row] = json.loads(path.read_text()) if path.exists() else []
    shown = []
    for number, (method, level, assisted) in enumerate(plan, start=1):
        run = {
            "method": method,
            "level": level,
            "assisted": assisted,
            "units": arguments.units,
            "epochs": arguments.epochs,
        }
        done = next((row for row in rows if run.items() <= row.items()), None)
        if done is None:
            done = run | measure(run, train, test)
            rows.append(done)
            path.write_text(json.dumps(rows, indent=1) + "\n")
        shown.append(done)
        print(f"{number:2}/{len(plan)}  {line(done)}", flush=True)
    (arguments.out / "sparse_mnist.md").write_text(table(shown))
    plot(shown).savefig(arguments.out / "sparse_mnist.png")
    print(f"See {arguments.out / 'sparse_mnist.png'}")


def measure(run: Row, train: Array, test: Array) -> Row:
    """Train one model, and return what it is like."""
    keras.utils.set_random_seed(0)
    make, _ = METHODS[run["method"]]
    is_relu = run["method"] == "ReLU + Laplace"
    # A unit of a ReLU that is off has no positive pre-activation, which revival needs: it is
    # resampled instead. On this data a stronger revival than the default leaves fewer dead.
    revival = 1.0 if run["assisted"] and not is_relu else 0.0
    model = keras_ae.SparseAutoencoder(784, run["units"], make(run["level"]), revival=revival)
    steps = run["epochs"] * -(-len(train) // 128)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)), "mse")
    resampler = keras_ae.callbacks.DeadUnitResampler(train, seed=0)
    model.fit(
        train,
        epochs=run["epochs"],
        batch_size=128,
        callbacks=[resampler] if run["assisted"] and is_relu else [],
        verbose=2,
    )

    used, alive, error = 0.0, np.zeros(run["units"], bool), 0.0
    for i in range(0, len(train), 1000):
        alive |= (model.encode(train[i : i + 1000]) > 0).any(axis=0)
    for i in range(0, len(test), 1000):
        x = test[i : i + 1000]
        code = model.encode(x)
        used += (code > 0).sum()
        error += ((model.decode(code) - x) ** 2).sum()
    return {
        "l0": used / len(test),
        "nmse": float(error / (test**2).sum()),
        "dead": 1 - float(alive.mean()),
    }


def line(row: Row) -> str:
    return (
        f"{row['method']:15}{row['level']:8g}{'' if row['assisted'] else '  (unassisted)':14}"
        f"  L0 {row['l0']:6.1f}  NMSE {row['nmse']:.4f}  dead {row['dead']:6.1%}"
    )


def table(rows: list[Row]) -> str:
    lines = [
        "| method | level | dead units helped | L0 | normalised MSE | dead |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['method']} | {row['level']:g} | {'yes' if row['assisted'] else 'no'} "
        f"| {row['l0']:.1f} | {row['nmse']:.4f} | {row['dead']:.1%} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def plot(rows: list[Row]) -> Figure:
    figure = Figure(figsize=(7, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for method, style, color in zip(METHODS, STYLES, COLORS, strict=True):
        chosen = [row for row in rows if row["method"] == method and row["assisted"]]
        points = sorted((row["l0"], row["nmse"]) for row in chosen)
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
