"""A denoising autoencoder knows the gradient of the density of its data, and so how to draw more.

    python examples/score_field.py

Trains a small net to remove Gaussian noise from points of a mixture whose density is known, at
three standard deviations of the noise. Compares `(r(x) - x) / stddev^2` with the gradient of the
log density, and draws samples by following it. Writes one picture, score_field.png.
"""

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow_probability as tfp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_ae.analysis import sample, score

tfd = tfp.distributions
STDDEVS = (0.3, 0.1, 0.03)
SAMPLED = 0.1  # The noise of the model that samples: small against the width of the modes, 0.3.
BATCH, SAMPLES, CHAIN = 256, 600, 2000
LIMITS = (-1.8, 1.8)
Array = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--steps", type=int, default=3000, help="training steps a model")
    parser.add_argument("--out", type=Path, default=Path("demo_out"), help="folder to write")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    angles = np.pi * np.array([1 / 2, 7 / 6, 11 / 6])
    means = 0.87 * np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
    mixture = tfd.MixtureSameFamily(
        tfd.Categorical(probs=np.array([0.4, 0.35, 0.25], "float32")),
        tfd.MultivariateNormalDiag(means, np.full((3, 2), 0.3, "float32")),
    )
    figure = Figure(figsize=(13, 6.6), dpi=120, layout="constrained")
    top, bottom = figure.subplots(2, 4, sharex=True, sharey=True)

    x = mixture.sample(5000, seed=1).numpy()
    true = gradient(mixture, x)
    draw_field(top[0], mixture, lambda points: gradient(mixture, points))
    top[0].set_title("gradient of the log density")
    print(f"{'stddev':>8}{'cosine':>9}{'relative error':>16}")
    models = {stddev: train(mixture, stddev, arguments.steps) for stddev in STDDEVS}
    for axes, (stddev, model) in zip(top[1:], models.items(), strict=True):
        estimate = score(model, x, stddev)
        lengths = np.linalg.norm(true, axis=1) * np.linalg.norm(estimate, axis=1)
        cosine = float(np.mean(np.sum(true * estimate, axis=1) / lengths))
        error = float(np.linalg.norm(estimate - true) / np.linalg.norm(true))
        print(f"{stddev:8g}{cosine:9.4f}{error:16.3f}")
        draw_field(axes, mixture, partial(score, model, stddev=stddev))
        axes.set_title(f"learned, noise {stddev:g}\ncosine {cosine:.3f}, error {error:.0%}")

    starts = np.random.default_rng(0).uniform(*LIMITS, (SAMPLES, 2)).astype("float32")
    clouds = {"samples of the mixture": x[:SAMPLES], "start of the chains": starts}
    for method in ("langevin", "walkback"):
        print(f"{method}, {SAMPLES} chains:")
        name = f"{method}, {CHAIN} steps"
        clouds[name] = sample(models[SAMPLED], starts, SAMPLED, CHAIN, method, seed=0)
    for axes, (name, points) in zip(bottom, clouds.items(), strict=True):
        nearest = ((points[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)
        shares = [f"{share:.0%}" for share in np.bincount(nearest, minlength=3) / len(points)]
        print(f"{name:24} share of each mode: {', '.join(shares)}")
        draw_density(axes, mixture)
        axes.plot(*points.T, ".", color="black", markersize=2.5)
        axes.set_title(f"{name}\nmodes {', '.join(shares)}")
    path = arguments.out / "score_field.png"
    figure.savefig(path)
    print(f"\nSee {path}")


def gradient(mixture: Any, x: Array) -> Array:
    return np.asarray(tfp.math.value_and_gradient(mixture.log_prob, x)[1])


def train(mixture: Any, stddev: float, steps: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(64, "relu")(keras.layers.Dense(64, "relu")(inputs))
    # The net learns the score, up to a factor: the residual is stddev^2 times that, and tiny.
    residual = keras.layers.Rescaling(10 * stddev**2)(keras.layers.Dense(2)(hidden))
    model = keras.Model(inputs, keras.layers.Add()([inputs, residual]))
    rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
    model.compile(keras.optimizers.Adam(rate, epsilon=1e-12), "mse", steps_per_execution=100)
    # Each clean point twice in a batch, with opposite noise: most of it cancels in the gradient.
    # GaussianCorruption does without, and needs many more steps where the noise is small.
    clean = mixture.sample(steps * BATCH // 2, seed=0).numpy()
    noise = stddev * np.random.default_rng(0).normal(size=clean.shape).astype("float32")
    noisy = np.stack([clean + noise, clean - noise], axis=1).reshape(-1, 2)
    model.fit(noisy, np.repeat(clean, 2, axis=0), batch_size=BATCH, shuffle=False, verbose=0)
    return model


def draw_density(axes: Axes, mixture: Any) -> None:
    ticks = np.linspace(*LIMITS, 200, dtype="float32")
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    axes.contourf(ticks, ticks, mixture.prob(points), levels=12, cmap="Blues", alpha=0.7)
    axes.set(aspect="equal", xlim=LIMITS, ylim=LIMITS, xticks=[], yticks=[])


def draw_field(axes: Axes, mixture: Any, field: Callable[[Array], Array]) -> None:
    """Draw a field where there is data to learn it from."""
    draw_density(axes, mixture)
    ticks = np.linspace(*LIMITS, 24, dtype="float32")
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    points = points[mixture.prob(points) > 0.01]
    axes.quiver(*points.T, *field(points).T, color="#c0392b", scale=90, width=0.007)


if __name__ == "__main__":
    main()
