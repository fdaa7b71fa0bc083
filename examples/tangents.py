"""Tangent planes: what a denoising autoencoder knows of a manifold.

    python examples/tangents.py     # a Swiss roll, no download

Points of a rolled-up sheet in three dimensions: everywhere there are two directions along the data
and one across it. Trains the same autoencoder, wide enough to copy its input, with and without
noise, and asks the Jacobian of each where the sheet lies. Writes one picture, tangents.png.
"""

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from sklearn.datasets import make_swiss_roll

import keras_ae
from keras_ae.types import FloatArray

POINTS, MEASURED, BATCH = 300_000, 500, 200
NOISE = {"with noise": 0.2, "without noise": 0.0}
COLORS = {"with noise": "#1f5fa8", "without noise": "#888888"}


class Measures(NamedTuple):
    """What the Jacobian of an autoencoder says at each point, and how right it is."""

    planes: FloatArray
    angles: FloatArray
    spectrum: FloatArray
    dimension: np.ndarray[Any, Any]
    profile: keras_ae.analysis.ContractionProfile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=Path("demo_out"), help="folder to write")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    x, planes = swiss_roll(POINTS)
    results = {}
    for name, stddev in NOISE.items():
        print(f"\n== Train {name}")
        model = train(x, stddev)
        results[name] = measure(model, x[:MEASURED], planes[:MEASURED])
    heads = f"{'angle to the true plane':>24}{'dimension 2':>13}{'|J u| along':>13}{'across':>8}"
    print(f"\n{'':16}{heads}")
    for name, (_, angles, _, dimension, profile) in results.items():
        print(
            f"{name:16}{f'{np.median(angles):.1f} degrees':>24}{np.mean(dimension == 2):13.0%}"
            f"{profile.along:13.2f}{profile.across:8.2f}"
        )
    path = out / "tangents.png"
    draw(x, results).savefig(path)
    print(f"\nSee {path}")


def swiss_roll(n: int) -> tuple[FloatArray, FloatArray]:
    """Return points, centred and of standard deviation 1, and their planes `(n, 2, 3)`."""
    x, t = make_swiss_roll(n, random_state=0)
    along = np.stack([np.cos(t) - t * np.sin(t), 0 * t, np.sin(t) + t * np.cos(t)], axis=1)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    planes = np.stack([along, np.broadcast_to([0.0, 1.0, 0.0], (n, 3))], axis=1)
    # One scale for all directions, so that right angles stay right.
    return (x - x.mean(axis=0)) / x.std(), planes


def train(x: FloatArray, stddev: float) -> keras_ae.Autoencoder:
    keras.utils.set_random_seed(0)
    wide: Any = {"units": 128, "activation": "leaky_relu"}
    model = keras_ae.Autoencoder(
        keras.Sequential([keras.layers.Dense(**wide), keras.layers.Dense(**wide)]),
        keras.Sequential([keras.layers.Dense(**wide), keras.layers.Dense(3)]),
        corruption=keras_ae.GaussianCorruption(stddev),
    )
    rate = keras.optimizers.schedules.CosineDecay(0.01, len(x) // BATCH)
    model.compile(keras.optimizers.Adam(rate), "mse", jit_compile=True)
    model.fit(x, batch_size=BATCH, verbose=2)
    return model


def measure(model: keras_ae.Autoencoder, x: FloatArray, planes: FloatArray) -> Measures:
    # Of the reconstruction, not of the code: it leads back to the data.
    learned = keras_ae.analysis.tangents(model, x, k=2)
    cosines = np.linalg.svd(learned @ planes.swapaxes(1, 2), compute_uv=False)[:, -1]
    return Measures(
        learned,
        np.degrees(np.arccos(np.minimum(cosines, 1))),
        keras_ae.analysis.jacobian_spectrum(model, x, verbose=0),
        keras_ae.analysis.local_dimension(model, x, verbose=0),
        keras_ae.analysis.contraction_profile(model, x, planes, verbose=0),
    )


def draw(x: FloatArray, results: dict[str, Measures]) -> Figure:
    figure = Figure(figsize=(13, 6), dpi=120, layout="constrained")
    ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=[2.2, 1])
    for position, (name, result) in enumerate(results.items(), start=1):
        axes: Any = left.add_subplot(1, 2, position, projection="3d")
        axes.scatter(*x[:4000].T, s=1, color="#bbbbbb", alpha=0.5)
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.12
        squares = x[:MEASURED, None] + corners @ result.planes
        axes.add_collection3d(
            Poly3DCollection(squares[:250], facecolor=COLORS[name], edgecolor="white", alpha=0.9)
        )
        axes.view_init(elev=12, azim=-70)
        axes.set_box_aspect(np.ptp(x, axis=0), zoom=1.5)
        axes.set_axis_off()
        axes.set_title(f"Tangent planes learned {name}")
    angle, spectrum, profile = right.subplots(3, 1)
    for position, (name, result) in enumerate(results.items()):
        color = COLORS[name]
        order = np.linspace(0, 100, len(result.angles))
        label = f"{name}: dimension 2 at {np.mean(result.dimension == 2):.0%}"
        angle.plot(order, np.sort(result.angles), color=color, label=label)
        low, middle, high = np.quantile(result.spectrum, [0.1, 0.5, 0.9], axis=0)
        ranks = np.arange(3) + 0.2 * position
        spectrum.bar(ranks, middle, 0.2, color=color, yerr=[middle - low, high - middle])
        places = np.arange(2) + 0.2 * position
        bars = profile.bar(places, result.profile, 0.2, color=color)
        profile.bar_label(bars, fmt="%.2f")
    angle.set(title="Angle to the true plane, degrees", xlabel="percent of the points")
    angle.set(yticks=[0, 30, 60, 90], ylim=(0, 160))  # The legend is above the curves.
    angle.legend(loc="upper left")
    spectrum.set(title="Singular values (median, 10 to 90 %)", xticks=[0.1, 1.1, 2.1])
    spectrum.set_xticklabels(["1", "2", "3"])
    profile.set(title="Step of the output for a unit step", xticks=[0.1, 1.1], ylim=(0, 1.2))
    profile.set_xticklabels(["along the data", "across it"])
    return figure


if __name__ == "__main__":
    main()
