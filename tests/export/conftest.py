"""Fixtures of the exports. Not to be changed."""

import keras
import numpy as np
import pytest

import keras_ae


@pytest.fixture(scope="session")
def x() -> np.ndarray:
    generator = np.random.default_rng(0)
    mixtures = generator.dirichlet(np.ones(6), 96) @ generator.random((6, 64))
    return mixtures.astype("float32")


@pytest.fixture(scope="session")
def model(x) -> keras_ae.SemanticHasher:
    """Kernels of 64 x 48 and 48 x 32 values: large enough to be quantized on their own."""
    keras.utils.set_random_seed(0)
    hasher = keras_ae.SemanticHasher.dense(64, hidden=(48,), bits=32)
    hasher.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    hasher.fit(x, epochs=10, batch_size=32, verbose=0)
    return hasher
