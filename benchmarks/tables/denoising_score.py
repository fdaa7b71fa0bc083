"""The score of a denoising autoencoder beside the analytic one, as the noise falls.

    python benchmarks/tables/denoising_score.py
    python benchmarks/tables/denoising_score.py --quick

For mixtures of Gaussians in the plane, whose density is known: the mean cosine between
`(r(x) - x) / stddev^2` and `grad log p(x)` at points drawn from the mixture, and the error relative
to the length of the latter. Theory says `r(x) - x = stddev^2 grad log p(x) + o(stddev^2)`: the rest
is the blur of the noise where it is large, and what the net has not learned where it is small.
Writes `<out>.json` and `<out>.md` as it goes.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from table import Table

from keras_ae.analysis import score

Array = npt.NDArray[np.float32]
WIDTH = 0.3  # Of every mode.
STDDEVS = (0.3, 0.1, 0.03)
BATCH, POINTS = 2048, 5000
MEASURES = {"cosine": ".4f", "relative error": ".3f"}


def on_circle(count: int, radius: float) -> Array:
    angles = 2 * np.pi * np.arange(count) / count
    return (radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.float32)


MIXTURES = {
    "3 modes": on_circle(3, 0.87),
    "8 modes on a circle": on_circle(8, 1.5),
    "9 modes on a grid": np.mgrid[-1:2, -1:2].reshape(2, -1).T.astype(np.float32),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6000, help="training steps a model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("denoising_score"))
    parser.add_argument("--quick", action="store_true", help="one mixture and seed, few steps")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps, arguments.seeds = 400, 1
    table = Table(arguments.out, vars(arguments), ("mixture", "stddev"), MEASURES)
    for name, means in list(MIXTURES.items())[: 1 if arguments.quick else None]:
        for stddev in STDDEVS:
            for seed in range(arguments.seeds):
                if table.has(name, stddev, seed=seed):
                    continue
                start = time.perf_counter()
                model = train(means, stddev, arguments.steps, seed)
                seconds = time.perf_counter() - start
                # Points that the training has not seen.
                x = draw(means, POINTS, np.random.default_rng([seed, 1]))
                values = agreement(score(model, x, stddev), analytic_score(means, x))
                table.add(name, stddev, values=values, seed=seed, seconds=seconds)


def draw(means: Array, count: int, rng: np.random.Generator) -> Array:
    noise = WIDTH * rng.normal(size=(count, 2))
    return (means[rng.integers(len(means), size=count)] + noise).astype(np.float32)


def analytic_score(means: Array, x: Array) -> npt.NDArray[np.float64]:
    """Return the gradient of the log density of the mixture, whose modes weigh the same."""
    steps = means.astype(np.float64) - x[:, None]
    weights = np.exp(-np.square(steps).sum(axis=-1) / (2 * WIDTH**2))
    weights /= weights.sum(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = (weights[..., None] * steps).sum(axis=1) / WIDTH**2
    return result


def agreement(estimate: Array, true: npt.NDArray[np.float64]) -> list[float]:
    lengths = np.linalg.norm(true, axis=1) * np.linalg.norm(estimate, axis=1)
    cosine = np.mean(np.sum(true * estimate, axis=1) / lengths)
    return [float(cosine), float(np.linalg.norm(estimate - true) / np.linalg.norm(true))]


def train(means: Array, stddev: float, steps: int, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(128, "gelu")(keras.layers.Dense(128, "gelu")(inputs))
    # What is learned is then of the size of the score: the residual itself is tiny.
    residual = keras.layers.Rescaling(10 * stddev**2)(keras.layers.Dense(2)(hidden))
    model = keras.Model(inputs, keras.layers.Add()([inputs, residual]))
    rate = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    model.compile(keras.optimizers.Adam(rate, epsilon=1e-12), "mse", steps_per_execution=100)
    # Each point twice in a batch, with opposite noise, most of which cancels in the gradient.
    rng = np.random.default_rng(seed)
    clean = draw(means, steps * BATCH // 2, rng)
    noise = stddev * rng.normal(size=clean.shape).astype(np.float32)
    noisy = np.stack([clean + noise, clean - noise], axis=1).reshape(-1, 2)
    model.fit(noisy, np.repeat(clean, 2, axis=0), batch_size=BATCH, shuffle=False, verbose=0)
    return model


if __name__ == "__main__":
    main()
