import keras
import numpy as np
import pytest
from backends import compiled, jacobians

import keras_ae
from keras_ae.regularizers._jacobians import random_signs


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
    return (jacobians(encoder, x) ** 2).sum() / len(x)


def test_jacobian_of_any_encoder(encoder, x):
    regularizer = keras_ae.ContractiveRegularizer(0.5, "jacobian")
    outputs, penalties = regularizer.value_and_penalties(encoder, x)
    np.testing.assert_allclose(outputs, encoder(x), rtol=1e-5)
    assert float(penalties["contraction"]) == pytest.approx(
        0.5 * squared_norm(encoder, x), rel=1e-5
    )


def test_hutchinson_of_any_encoder(encoder, x):
    regularizer = keras_ae.ContractiveRegularizer(1.0, "hutchinson", probes=4)
    seed = keras.random.SeedGenerator(0)

    def contraction():
        return regularizer.value_and_penalties(encoder, x, seed)[1]["contraction"]

    draw = compiled(contraction, [seed.state], jit_compile=False)
    values = np.array([draw() for _ in range(200)])
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - squared_norm(encoder, x)) < 3 * error


@pytest.mark.parametrize("units", [1, 29, 30, 31, 100])
def test_signs_are_fair_and_independent(units):
    signs = np.asarray(random_signs((4000, 2, units), keras.random.SeedGenerator(3)))
    assert signs.shape == (4000, 2, units)
    assert set(np.unique(signs)) == {-1, 1}
    flat = signs.reshape(4000, -1)
    # The covariance of 4,000 draws is the identity to 5 / sqrt(4000).
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.08)
    np.testing.assert_allclose(flat.T @ flat / 4000, np.eye(2 * units), atol=0.08)


@pytest.mark.parametrize("estimator", ["jacobian", "hutchinson"])
def test_of_a_function_that_is_no_layer(x, estimator):
    """f(x) = x^2 has the Jacobian diag(2 x), and J(x + e) - J(x) = diag(2 e)."""
    regularizer = keras_ae.ContractiveRegularizer(
        0.5, estimator, curvature=2.0, stddev=0.2, samples=5, seed=4
    )
    outputs, penalties = regularizer.value_and_penalties(lambda x: x**2, x)
    np.testing.assert_allclose(outputs, x**2, rtol=1e-6)
    assert float(penalties["contraction"]) == pytest.approx(0.5 * 4 * (x**2).sum() / 5, rel=1e-5)
    # 2 * 4 * 16 pixels * 0.2^2, known to 1 / sqrt(5 * 5 * 16 / 2).
    assert float(penalties["curvature"]) == pytest.approx(2 * 4 * 16 * 0.04, rel=0.2)


def test_exact_needs_a_dense_stack(encoder, x):
    for part in (encoder, lambda x: x):
        with pytest.raises(ValueError, match='estimator must be "jacobian" or "hutchinson"'):
            keras_ae.ContractiveRegularizer(1.0).value_and_penalties(part, x)


def test_terms_without_a_weight_are_absent(encoder, x):
    for strength, curvature, names in [
        (0, 0, ()),
        (0, 1, ("curvature",)),
        (1, 0, ("contraction",)),
        (1, 1, ("contraction", "curvature")),
    ]:
        regularizer = keras_ae.ContractiveRegularizer(
            strength, "hutchinson", curvature=curvature, seed=0
        )
        assert regularizer.penalty_names == names
        assert tuple(regularizer.value_and_penalties(encoder, x)[1]) == names


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
        ({"strength": 1, "curvature": -1}, r"curvature must be a finite number >= 0\. .*=-1"),
        ({"strength": 1, "stddev": 0}, r"stddev must be a finite number > 0\. Received: stddev=0"),
        ({"strength": 1, "samples": 0}, r"samples must be an integer >= 1\. Received: samples=0"),
        ({"strength": 1, "seed": -3}, r"seed must be an integer >= 0\. Received: seed=-3"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_ae.ContractiveRegularizer(**arguments)
