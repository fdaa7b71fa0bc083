import keras
import numpy as np
import pytest
from backends import FLOAT64, value_and_gradients

import keras_ae


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_noise_is_relative_to_the_largest_activation(scale):
    x = np.random.default_rng(0).normal(size=(20_000, 3)).astype("float32") * scale
    x[7, 1] = -10 * scale
    noise = np.asarray(keras_ae.RangeCorruption(0.2, seed=0)(x, training=True)) - x
    np.testing.assert_allclose(noise.std(axis=0), 0.2 * 10 * scale, rtol=0.03)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.1 * scale)
    np.testing.assert_allclose(np.corrcoef(noise.T), np.eye(3), atol=0.03)


@pytest.mark.parametrize("dtype", ["float32", FLOAT64])
def test_the_largest_activation_has_the_gradient_of_the_noise(dtype):
    """By finite differences: with the same seed, the noise is the same."""
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(dtype)

    def noisy(values):
        layer = keras_ae.RangeCorruption(0.3, seed=1, dtype=dtype)
        return layer(values, training=True)

    def total(values):
        return keras.ops.sum(noisy(values) ** 2)

    _, (gradient,) = value_and_gradients(total, x)
    expected = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[i] = 1e-3
        expected[i] = (total(x + shift) - total(x - shift)) / 2e-3
    np.testing.assert_allclose(gradient, expected, rtol=2e-2, atol=2e-2)
    largest = np.unravel_index(np.abs(x).argmax(), x.shape)
    assert abs(gradient[largest] - 2 * np.asarray(noisy(x))[largest]) > 0.1


def test_zero_and_an_empty_batch():
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(keras_ae.RangeCorruption(0)(x, training=True), x)
    assert keras_ae.RangeCorruption(0.1)(x[:0], training=True).shape == (0, 3)


@pytest.mark.parametrize("fraction", [-1, float("nan"), "1", None])
def test_refuses_a_bad_fraction(fraction):
    with pytest.raises(ValueError, match=r"fraction must be a finite number >= 0\. Received: fra"):
        keras_ae.RangeCorruption(fraction)


def test_a_model_behind_it_uses_more_units_and_has_fewer_outliers():
    """Two units carry the same signal; ordinary training leaves them as unequal as they start."""
    rng = np.random.default_rng(0)
    x = rng.random((512, 1)).astype("float32")
    ratios = []
    for fraction in (0.0, 0.3):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(2, use_bias=False),
                keras_ae.RangeCorruption(fraction, seed=0),
                keras.layers.Dense(1, use_bias=False),
            ]
        )
        model.layers[0].kernel.assign([[2.0, 0.5]])
        model.layers[2].kernel.assign([[0.45], [0.2]])
        model.compile(keras.optimizers.Adam(0.02), "mse")
        model.fit(x, x, epochs=40, batch_size=64, verbose=0)
        hidden = np.abs(model.layers[0].kernel.numpy())[0]
        ratios.append(hidden.max() / hidden.min())
    assert ratios[1] < 1.2
    assert ratios[0] > 2
