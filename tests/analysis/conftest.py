"""A mixture whose score is known, and denoising autoencoders trained on it."""

import keras
import numpy as np
import pytest
import tensorflow_probability as tfp

tfd = tfp.distributions
STEPS, BATCH = 2000, 256


@pytest.fixture(scope="session")
def mixture():
    angles = np.pi * np.array([1 / 2, 7 / 6, 11 / 6])
    means = 0.87 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return tfd.MixtureSameFamily(
        tfd.Categorical(probs=np.array([0.4, 0.35, 0.25], "float32")),
        tfd.MultivariateNormalDiag(means.astype("float32"), np.full((3, 2), 0.3, "float32")),
    )


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
    clean = mixture.sample(STEPS * BATCH // 2, seed=0).numpy()
    noise = stddev * np.random.default_rng(0).normal(size=clean.shape).astype("float32")
    noisy = np.stack([clean + noise, clean - noise], axis=1).reshape(-1, 2)
    model.fit(noisy, np.repeat(clean, 2, axis=0), batch_size=BATCH, shuffle=False, verbose=0)
    return model
