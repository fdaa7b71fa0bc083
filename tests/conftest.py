"""Fixtures shared by all tests."""

import os

os.environ.setdefault("MPLBACKEND", "agg")

import keras
import numpy as np
import pytest

import keras_ae


@pytest.fixture(autouse=True)
def _seeded() -> None:
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """64 small pictures in [0, 1] with structure: random mixtures of four patterns."""
    generator = np.random.default_rng(0)
    patterns = generator.random((4, 20))
    return (generator.dirichlet(np.ones(4), 64) @ patterns).astype("float32")


@pytest.fixture(scope="session")
def hasher(images: np.ndarray) -> keras_ae.SemanticHasher:
    """A hasher of 16 bits, trained for a moment. Not to be changed."""
    keras.utils.set_random_seed(1)
    model = keras_ae.SemanticHasher.dense(20, hidden=(12,), bits=16, stddev=0.05)
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    model.fit(images, epochs=20, batch_size=16, verbose=0)
    return model
