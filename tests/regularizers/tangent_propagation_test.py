import keras
import numpy as np
import pytest
from backends import FLOAT64, jacobian_tensors, value_and_gradients
from keras import ops

import keras_ae
from keras_ae.ops.differentiation import value_and_jvp

layers = keras.layers


def dense():
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, "tanh"), layers.Dense(3, "softmax")]
    )


def convolutional():
    return keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            layers.Conv2D(2, 2, activation="swish"),
            layers.MaxPooling2D(2),
            layers.LayerNormalization(),
            layers.Conv2D(3, 2, activation="elu"),
        ]
    )


both = pytest.mark.parametrize("make", [dense, convolutional])


def data(function, n=4, k=2):
    generator = np.random.default_rng(0)
    shape = function.input_shape[1:]
    x = generator.normal(size=(n, *shape)).astype("float32")
    return x, generator.normal(size=(n, k, *shape)).astype("float32")


def explicit(function, x, tangents):
    """From the backend's whole Jacobian, in one piece and without our code."""
    n, k = tangents.shape[:2]
    flat = ops.reshape(jacobian_tensors(function, x), (n, -1, x[0].size))
    changes = ops.einsum("boi,bki->bko", flat, tangents.reshape(n, k, -1))
    return ops.sum(changes**2) / n


@both
def test_against_the_whole_jacobian(make):
    function = make()
    x, tangents = data(function)
    propagation = keras_ae.TangentPropagation(0.5)
    outputs, penalties = propagation.value_and_penalties(function, x, tangents)
    np.testing.assert_allclose(outputs, function(x), rtol=1e-5, atol=1e-6)
    assert list(penalties) == ["tangent_propagation"]
    expected = 0.5 * float(explicit(function, x, tangents))
    assert float(penalties["tangent_propagation"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dtype", ["float32", FLOAT64])
def test_against_finite_differences(dtype):
    def function(x, ops=ops):
        return ops.stack([ops.sin(x[:, 0] * x[:, 1]), ops.exp(x[:, 2])], axis=1)

    generator = np.random.default_rng(0)
    x, tangents = generator.normal(size=(4, 3)), generator.normal(size=(4, 2, 3))
    total = 0.0
    for direction in range(2):
        step = 1e-5 * tangents[:, direction]
        change = (function(x + step, np) - function(x - step, np)) / 2e-5
        total += (change**2).sum() / 4
    propagation = keras_ae.TangentPropagation(2.0)
    _, penalties = propagation.value_and_penalties(
        function, x.astype(dtype), tangents.astype(dtype)
    )
    assert float(penalties["tangent_propagation"]) == pytest.approx(2 * total, rel=1e-6)


@both
@pytest.mark.parametrize("jit_compile", [None, False, True], ids=["eager", "graph", "xla"])
def test_gradient_of_weights_against_the_whole_jacobian(make, jit_compile):
    function = make()
    x, tangents = data(function)
    weights = function.trainable_variables
    propagation = keras_ae.TangentPropagation(1.0)

    def ours():
        outputs, penalties = propagation.value_and_penalties(function, x, tangents)
        return penalties["tangent_propagation"] + ops.sum(outputs**2)

    def theirs():
        return explicit(function, x, tangents) + ops.sum(function(x) ** 2)

    _, actual = value_and_gradients(ours, *weights, jit_compile=jit_compile)
    _, expected = value_and_gradients(theirs, *weights)
    for mine, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)


def test_gradient_of_weights_against_finite_differences():
    function = dense()
    x, tangents = data(function)
    propagation = keras_ae.TangentPropagation(1.0)
    kernel = function.layers[0].kernel

    def loss():
        _, penalties = propagation.value_and_penalties(function, x, tangents)
        return penalties["tangent_propagation"]

    _, (gradient,) = value_and_gradients(loss, kernel)
    start = kernel.numpy()
    for place in [(0, 0), (3, 2), (5, 4)]:
        change = np.zeros_like(start)
        change[place] = 1e-2
        kernel.assign(start + change)
        above = float(loss())
        kernel.assign(start - change)
        below = float(loss())
        assert gradient[place] == pytest.approx((above - below) / 2e-2, rel=2e-2, abs=1e-3)


def test_product_with_a_vector_is_linear_and_zero_for_a_constant():
    x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(3, 4)).astype("float32"))
    calls = []

    def function(x):
        calls.append(1)
        return ops.relu(x[:, :2]) * x[:, 2:]

    y, push_forward = value_and_jvp(function, x)
    np.testing.assert_array_equal(y, ops.relu(x[:, :2]) * x[:, 2:])
    u, w = ops.ones_like(x), ops.cos(x)
    np.testing.assert_allclose(
        push_forward(2 * u - w), 2 * push_forward(u) - push_forward(w), rtol=1e-5, atol=1e-6
    )
    assert len(calls) == 1
    _, push_forward = value_and_jvp(lambda x: ops.ones((3, 2)), x)
    np.testing.assert_array_equal(push_forward(u), np.zeros((3, 2)))


def test_the_penalty_sees_the_dropout_mask_of_the_output():
    """Of y = mask * x the change along t is mask * t, twice as large where it is kept."""
    function = layers.Dropout(0.5, seed=1)
    x, tangents = np.ones((5, 6)), np.ones((5, 1, 6))
    for _ in range(3):
        outputs, penalties = keras_ae.TangentPropagation(1.0).value_and_penalties(
            function, x, tangents
        )
        assert set(np.unique(outputs)) == {0, 2}
        expected = (np.asarray(outputs) ** 2).sum() / 5
        assert float(penalties["tangent_propagation"]) == pytest.approx(expected, rel=1e-6)


def test_batch_statistics_are_constants():
    """Through them, a step that all examples take alike would be normalised away."""
    function = layers.BatchNormalization(epsilon=0.01)
    x = np.random.default_rng(0).normal(size=(7, 3)).astype("float32")
    _, penalties = keras_ae.TangentPropagation(1.0).value_and_penalties(
        function, x, np.ones((7, 1, 3))
    )
    expected = (1 / (x.var(axis=0) + 0.01)).sum()
    assert float(penalties["tangent_propagation"]) == pytest.approx(expected, rel=1e-4)


def test_integers_have_a_derivative():
    _, penalties = keras_ae.TangentPropagation(1.0).value_and_penalties(
        lambda x: x**2, np.array([[3, 1]]), np.array([[[1, 0]]])
    )
    assert float(penalties["tangent_propagation"]) == 36


def test_tangents_are_constants():
    x, dense = np.ones((2, 3), "float32"), layers.Dense(2)
    dense.build(x.shape)

    def penalty(tangents):
        _, penalties = keras_ae.TangentPropagation(1.0).value_and_penalties(dense, x, tangents)
        return penalties["tangent_propagation"]

    value, (gradient,) = value_and_gradients(penalty, np.ones((2, 1, 3), "float32"))
    assert value > 0
    assert not np.any(gradient)


def test_half_precision_does_not_overflow():
    _, penalties = keras_ae.TangentPropagation(1.0).value_and_penalties(
        lambda x: 300 * x, np.ones((2, 3), "float16"), np.ones((2, 1, 3), "float16")
    )
    assert float(penalties["tangent_propagation"]) == 3 * 300**2


def test_no_weight_no_penalty():
    propagation = keras_ae.TangentPropagation(0)
    assert propagation.penalty_names == ()
    assert propagation.value_and_penalties(dense(), *data(dense()))[1] == {}


def test_is_refused_as_an_activity_regularizer():
    layer = layers.Dense(3, activity_regularizer=keras_ae.TangentPropagation(1.0))
    with pytest.raises(ValueError, match=r"must be given as TangentPropagated\(layer, propagation"):
        layer(np.ones((2, 4)))


def test_refuses_bad_arguments():
    for bad in (-0.1, float("nan"), "much", None, True):
        with pytest.raises(ValueError, match="strength must be a finite number >= 0"):
            keras_ae.TangentPropagation(bad)
    for shape in ((2, 3), (1, 1, 3), (2, 1, 4), (2, 0, 3), (2, 1, 3, 1)):
        with pytest.raises(ValueError, match=r"tangents must have shape \(n, k, \*input_shape\)"):
            keras_ae.TangentPropagation(1).value_and_penalties(
                layers.Dense(2), np.ones((2, 3)), np.ones(shape)
            )
