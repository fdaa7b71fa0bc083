import numpy as np
import pytest
from backends import value_and_gradients
from keras import ops

import keras_ae

LOGITS = np.array([[-3.0, -1e-12, 0.0, 1e-12, 0.5, 4.0]], "float32")


@pytest.mark.parametrize("gradient", ["straight_through", "noisy", "noisy_bits"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_plain_threshold_outside_training(gradient, dtype):
    layer = keras_ae.BinaryCode(gradient, dtype=dtype)
    np.testing.assert_array_equal(layer(LOGITS), [[0, 0, 0, 1, 1, 1]])


def test_straight_through_gives_bits_and_the_gradient_of_the_sigmoid():
    layer = keras_ae.BinaryCode()
    np.testing.assert_array_equal(layer(LOGITS, training=True), [[0, 0, 0, 1, 1, 1]])
    total, (gradient,) = value_and_gradients(
        lambda logits: ops.sum(layer(logits, training=True)), LOGITS
    )
    assert total == 3
    soft = 1 / (1 + np.exp(-LOGITS))
    np.testing.assert_allclose(gradient, soft * (1 - soft), rtol=1e-5)


def test_noisy_is_the_sigmoid_of_logits_with_gaussian_noise():
    layer = keras_ae.BinaryCode("noisy", stddev=2.0, seed=0)
    logits = np.full((20_000, 2), 1.5, "float32")
    soft = np.asarray(layer(logits, training=True), "float64")
    noise = np.log(soft / (1 - soft)) - 1.5
    np.testing.assert_allclose(noise.std(axis=0), 2.0, rtol=0.03)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.06)


def test_noisy_bits_are_a_steep_sigmoid_with_gaussian_noise():
    layer = keras_ae.BinaryCode("noisy_bits", stddev=0.5, seed=0)
    logits = np.tile(np.array([-1.0, 0.0, 0.2], "float32"), (20_000, 1))
    noise = np.asarray(layer(logits, training=True)) - 1 / (1 + np.exp(-4 * logits))
    np.testing.assert_allclose(noise.std(axis=0), 0.5, rtol=0.03)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.02)


def test_refuses_bad_arguments():
    with pytest.raises(ValueError, match=r"gradient must be one of .* Received: gradient='soft'"):
        keras_ae.BinaryCode("soft")
    with pytest.raises(ValueError, match=r"stddev must be a finite number >= 0\."):
        keras_ae.BinaryCode("noisy", stddev=-1)
