import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_ae


@pytest.fixture
def encoder():
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(2, 3, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(5, 4, 4, 1)).astype("float32")


def squared_norm(encoder, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        h = encoder(x)
    return float(tf.reduce_sum(tape.batch_jacobian(h, x) ** 2)) / len(x)


def test_jacobian_of_any_encoder(encoder, x):
    regularizer = keras_ae.ContractiveRegularizer(0.5, "jacobian")
    outputs, penalty = regularizer.value_and_penalty(encoder, tf.constant(x))
    np.testing.assert_allclose(outputs, encoder(x), rtol=1e-5)
    assert float(penalty) == pytest.approx(0.5 * squared_norm(encoder, x), rel=1e-5)


def test_hutchinson_of_any_encoder(encoder, x):
    regularizer = keras_ae.ContractiveRegularizer(1.0, "hutchinson", probes=4)
    seed = keras.random.SeedGenerator(0)
    values = np.array(
        [float(regularizer.value_and_penalty(encoder, tf.constant(x), seed)[1]) for _ in range(200)]
    )
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - squared_norm(encoder, x)) < 3 * error


def test_exact_needs_a_dense_layer(encoder, x):
    with pytest.raises(ValueError, match='estimator must be "jacobian" or "hutchinson"'):
        keras_ae.ContractiveRegularizer(1.0).value_and_penalty(encoder, tf.constant(x))


def test_is_refused_as_an_activity_regularizer():
    layer = keras.layers.Dense(3, activity_regularizer=keras_ae.ContractiveRegularizer(1.0))
    with pytest.raises(ValueError, match=r"must be given as ContractiveDense\(contraction="):
        layer(np.ones((2, 4)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": -0.1}, r"strength must be a finite number >= 0\. Received: strength=-0.1"),
        ({"strength": 1, "estimator": "fast"}, r"estimator must be one of .*'fast'"),
        ({"strength": 1, "probes": 0}, r"probes must be an integer >= 1\. Received: probes=0"),
        ({"strength": 1, "probes": 1.5}, r"probes must be an integer >= 1\. Received: probes=1.5"),
        ({"strength": 1, "seed": -3}, r"seed must be an integer >= 0\. Received: seed=-3"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_ae.ContractiveRegularizer(**arguments)
