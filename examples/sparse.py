"""Sparse autoencoders: how much is lost for how few units, and what the units stand for.

    python examples/sparse.py                     # scikit-learn's digits, no download
    python examples/sparse.py --dataset mnist     # or fashion_mnist, through Keras
    python examples/sparse.py --data mnist.npz    # x_train, y_train, x_test, y_test

Writes a picture: error against sparsity, and the atoms of one dictionary.
"""

import math
import os
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from data import Images, command_line, start
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import keras_ae

STEPS = 1500  # Training steps of each model at least.
FAMILIES: dict[str, tuple[Any, list[float]]] = {
    "TopK": (keras_ae.TopK, [2, 4, 8, 16]),
    "ReLU + Laplace": (
        lambda rate: keras.layers.ReLU(
            activity_regularizer=keras_ae.LaplaceActivityRegularizer(rate)
        ),
        [1e-2, 5e-3, 2e-3, 1e-3],
    ),
}
SHOWN = ("TopK", 8)


@dataclass(frozen=True)
class Score:
    """Units on in an example, error relative to the mean image's, units no training image uses."""

    l0: float
    nmse: float
    dead: float


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--units", type=int, default=256, help="atoms of the dictionary, >= 16")
    arguments, images = start(parser)
    epochs = math.ceil(STEPS / math.ceil(len(images.x_train) / 64))

    print(f"{'':15}{'level':>8}{'units on':>10}{'error':>8}{'dead':>7}")
    scores: dict[str, list[Score]] = {name: [] for name in FAMILIES}
    for name, (make, levels) in FAMILIES.items():
        for level in levels:
            keras.utils.set_random_seed(0)
            model = keras_ae.SparseAutoencoder(
                images.x_train.shape[1], arguments.units, make(level), revival=1 / 4
            )
            # A rate that falls to 0 lets units settle: at a constant one, more of them die.
            rate = keras.optimizers.schedules.CosineDecay(2e-3, STEPS)
            model.compile(keras.optimizers.Adam(rate), "mse")
            model.fit(images.x_train, epochs=epochs, batch_size=64, verbose=0)
            score = measure(model, images)
            scores[name].append(score)
            print(f"{name:15}{level:8g}{score.l0:10.1f}{score.nmse:8.1%}{score.dead:7.1%}")
            if (name, level) == SHOWN:
                shown = model

    figure = Figure(figsize=(11, 5), dpi=120, layout="constrained")
    ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.2))
    draw_scores(left.subplots(), scores)
    draw_atoms(right, shown, images)
    figure.savefig(arguments.out / "sparse.png")
    print(f"\nSee {arguments.out / 'sparse.png'}")


def measure(model: keras_ae.SparseAutoencoder, images: Images) -> Score:
    code = model.encode(images.x_test)
    error = ((model.decode(code) - images.x_test) ** 2).sum()
    spread = ((images.x_test - images.x_train.mean(axis=0)) ** 2).sum()
    on = (model.encode(images.x_train) > 0).any(axis=0)
    return Score(float((code > 0).sum(axis=1).mean()), float(error / spread), 1 - float(on.mean()))


def draw_scores(axes: Axes, scores: dict[str, list[Score]]) -> None:
    for (name, points), style in zip(scores.items(), ("o-", "s--"), strict=True):
        axes.loglog([p.l0 for p in points], [p.nmse for p in points], style, label=name)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        set_formatter("{x:g}")
    axes.set_xlabel("units on in an example")
    axes.set_ylabel("squared error, relative to the mean image")
    axes.grid(which="both", alpha=0.3)
    axes.legend()


def draw_atoms(figure: Any, model: keras_ae.SparseAutoencoder, images: Images) -> None:
    """Draw the atoms that most images use; blue adds ink and red takes it away."""
    used = (model.encode(images.x_train) > 0).mean(axis=0)
    best = np.argsort(-used)[:48]
    side = math.isqrt(model.input_dim)
    figure.suptitle(f"most used atoms of {SHOWN[0]}({SHOWN[1]:g}), with the share of images")
    for axes, unit in zip(figure.subplots(6, 8).flat, best, strict=False):
        atom = model.decoder_layer.kernel[unit].numpy().reshape(side, side)
        limit = np.abs(atom).max()
        axes.imshow(atom, cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set_title(f"{used[unit]:.0%}", fontsize=7, pad=2)
        axes.set_axis_off()


if __name__ == "__main__":
    main()
