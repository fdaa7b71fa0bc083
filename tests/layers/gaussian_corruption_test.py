import numpy as np
import pytest

import keras_ae


def test_noise_has_the_given_mean_and_deviation_everywhere():
    layer = keras_ae.GaussianCorruption(0.3, seed=0)
    x = np.random.default_rng(0).normal(size=(20_000, 3)).astype("float32")
    noise = np.asarray(layer(x, training=True)) - x
    np.testing.assert_allclose(noise.std(axis=0), 0.3, rtol=0.03)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.01)
    # Each example and each element gets noise of its own.
    np.testing.assert_allclose(np.corrcoef(noise.T), np.eye(3), atol=0.03)


def test_noise_may_be_larger_than_one():
    x = np.zeros((20_000,), "float32")
    noise = np.asarray(keras_ae.GaussianCorruption(7.0, seed=0)(x, training=True))
    # The standard error of a deviation is that over sqrt(2 n).
    assert noise.std() == pytest.approx(7.0, abs=5 * 7.0 / np.sqrt(2 * len(x)))


def test_zero_is_the_identity():
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(keras_ae.GaussianCorruption(0)(x, training=True), x)


@pytest.mark.parametrize("stddev", [-1, float("nan"), float("inf"), "1", None, True])
def test_refuses_a_bad_stddev(stddev):
    message = rf"stddev must be a finite number >= 0\. Received: stddev={stddev!r}"
    with pytest.raises(ValueError, match=message):
        keras_ae.GaussianCorruption(stddev)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_refuses_a_bad_seed(seed):
    with pytest.raises(ValueError, match=r"seed must be an integer >= 0\. Received: seed="):
        keras_ae.GaussianCorruption(0.1, seed=seed)


def test_integers_are_taken_as_floats():
    x = np.zeros((50, 4), np.uint8)
    assert np.std(keras_ae.GaussianCorruption(0.5, seed=0)(x, training=True)) > 0.3
    np.testing.assert_array_equal(keras_ae.GaussianCorruption(0.5)(x), x)
