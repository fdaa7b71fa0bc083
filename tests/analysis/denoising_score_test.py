import keras
import numpy as np
import pytest

import keras_ae
from keras_ae.analysis import score

X = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")


def test_a_trained_denoiser_knows_the_score_of_a_mixture(mixture, denoisers):
    x = mixture.sample(2000, seed=1)
    true = mixture.score(x)
    lengths = np.linalg.norm(true, axis=1)
    errors = {}
    for stddev, model in denoisers.items():
        estimate = score(model, x, stddev)
        cosines = np.sum(true * estimate, axis=1) / lengths / np.linalg.norm(estimate, axis=1)
        assert cosines.mean() > 0.98
        errors[stddev] = np.linalg.norm(estimate - true) / np.linalg.norm(true)
    assert errors[0.1] < errors[0.3] / 2
    assert errors[0.03] < 0.85 * errors[0.1]
    assert errors[0.03] < 0.12


@pytest.mark.parametrize("stddev", [0.5, 0.1])
def test_the_best_denoiser_of_a_normal_distribution_gives_its_score(stddev):
    """By Tweedie's formula, that of the data with the noise added."""
    mean, variance = np.array([0.5, -1, 0, 2], "float32"), np.array([1, 0.5, 2, 0.1], "float32")
    gain = variance / (variance + stddev**2)
    expected = (mean - X) / (variance + stddev**2)
    estimate = score(lambda x: mean + gain * (x - mean), X, stddev)
    np.testing.assert_allclose(estimate, expected, atol=1e-4)


def test_a_layer_is_called_as_at_inference():
    noise = keras_ae.GaussianCorruption(5.0)
    model = keras.Sequential([noise, keras.layers.Dropout(0.9), keras.layers.Dense(4)])
    expected = (np.asarray(model(X, training=False)) - X) / 0.25
    np.testing.assert_allclose(score(model, X, 0.5), expected, rtol=1e-5)
    autoencoder = keras_ae.Autoencoder(keras.layers.Dense(2), keras.layers.Dense(4), noise)
    expected = (autoencoder.reconstruct(X) - X) / 0.25
    np.testing.assert_allclose(score(autoencoder, X, 0.5), expected, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_any_batch_size_and_shape(batch_size):
    images = X.reshape(7, 2, 2, 1)
    estimate = score(lambda x: x - 0.5 * x**2, images, 0.5, batch_size)
    np.testing.assert_allclose(estimate, -2 * images**2, atol=1e-5)
    assert score(lambda x: x, X[:0], 0.5, batch_size).shape == (0, 4)


def test_integers_are_taken_as_floats_and_nothing_is_changed():
    x = np.arange(6).reshape(3, 2)
    estimate = score(keras.layers.Rescaling(0.5), x, 1.0)
    assert estimate.dtype == np.float32
    np.testing.assert_allclose(estimate, -x / 2)
    np.testing.assert_array_equal(x, np.arange(6).reshape(3, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dae": "model"}, "dae must be a Keras model or layer, or a function. Received: dae='mod"),
        ({"dae": lambda x: x[:, :3]}, r"shape it is given, \(7, 4\)\. .* shape=\(7, 3\)"),
        ({"dae": lambda x: x[:1]}, r"shape it is given, \(7, 4\)\. .* shape=\(1, 4\)"),
        ({"dae": lambda x: x * np.inf}, "dae must give finite numbers at x. Received: a dae that"),
        ({"x": X * np.nan}, "x must be finite. Received: x with 28 NaN or infinite values of 28"),
        ({"x": 1.0}, "x must be an array of numbers with one example a row"),
        ({"x": [["a"]]}, "x must be an array of numbers with one example a row"),
        ({"stddev": 0}, "stddev must be a finite number > 0. Received: stddev=0"),
        ({"stddev": -0.1}, "stddev must be a finite number > 0. Received: stddev=-0.1"),
        ({"stddev": float("nan")}, "stddev must be a finite number > 0. Received: stddev=nan"),
        ({"stddev": None}, "stddev must be a finite number > 0. Received: stddev=None"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1. Received: batch_size=0"),
    ],
)
def test_refuses_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        score(**{"dae": lambda x: x, "x": X, "stddev": 0.1, **changes})
