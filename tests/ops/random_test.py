from functools import partial

import keras
import numpy as np
import pytest
from backends import compiled
from scipy import stats

from keras_ae.ops import random

DRAWS = {
    "uniform": (random.uniform, stats.uniform().cdf),
    "normal": (random.normal, stats.norm().cdf),
}


@pytest.mark.parametrize("name", DRAWS)
def test_numbers_are_of_their_distribution(name):
    draw, cdf = DRAWS[name]
    numbers = np.asarray(draw((20_000, 2), 3))
    assert numbers.dtype == np.float32
    assert stats.kstest(numbers.ravel(), cdf).pvalue > 1e-3
    assert abs(np.corrcoef(numbers.T)[0, 1]) < 0.03


def test_integers_are_all_as_likely():
    counts = np.bincount(np.asarray(random.integers((30_000,), 7, 3)), minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("name", DRAWS)
def test_a_graph_draws_the_same_with_xla_and_without(name):
    draw = partial(DRAWS[name][0], (50, 3), 5)
    eager = np.asarray(draw())
    for jit_compile in (False, True):
        np.testing.assert_allclose(compiled(draw, jit_compile=jit_compile)(), eager, rtol=1e-5)


def test_a_generator_goes_on_and_a_seed_or_key_does_not():
    generator = keras.random.SeedGenerator(1)
    first, second = (np.asarray(random.normal((9,), generator)) for _ in range(2))
    assert not np.intersect1d(first, second).size
    np.testing.assert_array_equal(first, random.normal((9,), keras.random.SeedGenerator(1)))
    key = keras.random.SeedGenerator(1).next()
    for _ in range(2):
        np.testing.assert_array_equal(first, random.normal((9,), key))
    np.testing.assert_array_equal(random.uniform((9,), 4), random.uniform((9,), 4))
    assert not np.array_equal(random.uniform((9,), None), random.uniform((9,), None))
