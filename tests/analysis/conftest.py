"""A mixture whose score is known, and denoising autoencoders trained on it."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

STEPS, BATCH = 2000, 256


class Mixture:
    """Three normal distributions in the plane."""

    angles = np.pi * np.array([1 / 2, 7 / 6, 11 / 6])
    means = 0.87 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    shares = np.array([0.4, 0.35, 0.25])
    variance = 0.3**2

    def sample(self, n, seed):
        generator = np.random.default_rng(seed)
        component = generator.choice(3, n, p=self.shares)
        noise = generator.normal(scale=np.sqrt(self.variance), size=(n, 2))
        return (self.means[component] + noise).astype("float32")

    def score(self, x):
        """The gradient of the log density: of each component's, by the share that it has at x."""
        steps = self.means - x[:, None]
        squares = (steps**2).sum(axis=2)
        there = softmax(np.log(self.shares) - squares / (2 * self.variance), axis=1)
        return (there[..., None] * steps).sum(axis=1) / self.variance


@pytest.fixture(scope="session")
def mixture():
    return Mixture()


@pytest.fixture(scope="session")
def denoisers(mixture):
    """A model for each standard deviation of the noise. Not to be changed."""
    return {stddev: train(mixture, stddev) for stddev in (0.3, 0.1, 0.03)}


def train(mixture, stddev):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(64, "relu")(keras.layers.Dense(64, "relu")(inputs))
    # The net learns the score, up to a factor: the residual is stddev^2 times that.
    residual = keras.layers.Rescaling(10 * stddev**2)(keras.layers.Dense(2)(hidden))
    model = keras.Model(inputs, keras.layers.Add()([inputs, residual]))
    rate = keras.optimizers.schedules.CosineDecay(1e-2, STEPS)
    model.compile(keras.optimizers.Adam(rate, epsilon=1e-12), "mse", steps_per_execution=100)
    # Each clean point twice in a batch, with opposite noise: most of it cancels in the gradient.
    clean = mixture.sample(STEPS * BATCH // 2, seed=0)
    noise = stddev * np.random.default_rng(0).normal(size=clean.shape).astype("float32")
    noisy = np.stack([clean + noise, clean - noise], axis=1).reshape(-1, 2)
    model.fit(noisy, np.repeat(clean, 2, axis=0), batch_size=BATCH, shuffle=False, verbose=0)
    return model
