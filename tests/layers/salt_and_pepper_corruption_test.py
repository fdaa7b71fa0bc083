import numpy as np
import pytest

import keras_ae


@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0])
def test_each_end_comes_at_half_the_rate_and_the_rest_stays(rate):
    x = np.random.default_rng(0).normal(size=(20_000, 3)).astype("float32")
    layer = keras_ae.SaltAndPepperCorruption(rate, low=-7.0, high=9.0, seed=0)
    y = np.asarray(layer(x, training=True))
    error = 5 * np.sqrt(rate / 2 * (1 - rate / 2) / len(x))
    for end in (-7.0, 9.0):
        np.testing.assert_allclose((y == end).mean(axis=0), rate / 2, atol=error)
    rest = (y != -7.0) & (y != 9.0)
    np.testing.assert_array_equal(y[rest], x[rest])
    assert rest.any() == (rate < 1)


def test_by_default_the_ends_are_those_of_pixels():
    y = keras_ae.SaltAndPepperCorruption(1.0)(np.full((50, 4), 0.5, "float32"), training=True)
    assert set(np.asarray(y).flat) == {0.0, 1.0}


def test_refuses_a_rate_above_one():
    message = r"rate must be a finite number >= 0 and <= 1\. Received: rate=1\.5"
    with pytest.raises(ValueError, match=message):
        keras_ae.SaltAndPepperCorruption(1.5)


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (0.5, 0.5)])
def test_refuses_ends_in_the_wrong_order(low, high):
    message = rf"low must be less than high\. Received: low={low}, high={high}"
    with pytest.raises(ValueError, match=message):
        keras_ae.SaltAndPepperCorruption(0.1, low, high)


@pytest.mark.parametrize("bad", [float("inf"), float("nan"), "0", None, True])
def test_refuses_ends_that_are_not_finite(bad):
    with pytest.raises(ValueError, match=rf"low must be a finite number\. Received: low={bad!r}"):
        keras_ae.SaltAndPepperCorruption(0.1, low=bad)
    with pytest.raises(ValueError, match=rf"high must be a finite number\. Received: high={bad!r}"):
        keras_ae.SaltAndPepperCorruption(0.1, high=bad)
