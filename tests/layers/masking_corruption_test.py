import numpy as np
import pytest

import keras_ae


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_zeroes_at_the_given_rate_everywhere_and_leaves_the_rest(rate):
    x = np.random.default_rng(0).normal(size=(20_000, 3)).astype("float32")
    y = np.asarray(keras_ae.MaskingCorruption(rate, seed=0)(x, training=True))
    error = 5 * np.sqrt(rate * (1 - rate) / len(x))
    np.testing.assert_allclose((y == 0).mean(axis=0), rate, atol=error)
    # The others are not rescaled.
    np.testing.assert_array_equal(y[y != 0], x[y != 0])


def test_the_number_of_zeroes_of_an_example_is_binomial():
    rate, size, n = 0.3, 20, 20_000
    y = keras_ae.MaskingCorruption(rate, seed=0)(np.ones((n, size), "float32"), training=True)
    counts = (np.asarray(y) == 0).sum(axis=1)
    variance = size * rate * (1 - rate)
    assert counts.mean() == pytest.approx(size * rate, abs=5 * np.sqrt(variance / n))
    assert counts.var() == pytest.approx(variance, abs=5 * variance * np.sqrt(2 / n))


def test_rate_one_leaves_nothing():
    y = keras_ae.MaskingCorruption(1)(np.ones((1000, 100), "float32"), training=True)
    assert not np.any(y)


def test_masks_what_is_not_finite_too():
    x = np.full((5, 4), np.nan, "float32")
    np.testing.assert_array_equal(keras_ae.MaskingCorruption(1)(x, training=True), np.zeros((5, 4)))


def test_refuses_a_rate_above_one():
    message = r"rate must be a finite number >= 0 and <= 1\. Received: rate=1\.5"
    with pytest.raises(ValueError, match=message):
        keras_ae.MaskingCorruption(1.5)
