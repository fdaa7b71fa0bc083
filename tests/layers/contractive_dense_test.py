import keras
import numpy as np
import pytest
from backends import compiled, jacobians, value_and_gradients

import keras_ae

ELEMENTWISE = ["sigmoid", "tanh", "relu", "softplus", "gelu", "silu", "linear"]


def layer_and_inputs(**kwargs):
    layer = keras_ae.ContractiveDense(7, kernel_initializer="glorot_normal", **kwargs)
    x = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    layer(x)
    layer.bias.assign(np.linspace(-1, 1, 7))
    return layer, x


def jacobian(layer, x):
    """The whole Jacobian, by the backend and without our code."""
    plain = keras.layers.Dense(layer.units, activation=layer.activation)
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    return jacobians(plain, x)


def penalty(layer, x, **kwargs):
    layer(x, training=True, **kwargs)
    (value,) = layer.losses
    return float(value)


def swish_with_slope(x):
    return x * keras.ops.sigmoid(1.7 * x)


@pytest.mark.parametrize("activation", [*ELEMENTWISE, None, swish_with_slope])
def test_closed_form_is_the_squared_frobenius_norm(activation):
    layer, x = layer_and_inputs(activation=activation, contraction=0.3)
    expected = 0.3 * (jacobian(layer, x) ** 2).sum(axis=(1, 2)).mean()
    assert penalty(layer, x) == pytest.approx(expected, rel=1e-5)


def test_closed_form_against_finite_differences():
    layer, x = layer_and_inputs(activation="sigmoid", contraction=1.0)
    kernel, bias = (w.astype("float64") for w in layer.get_weights())

    def forward(v):
        return 1 / (1 + np.exp(-(v @ kernel + bias)))

    step = 1e-5 * np.eye(5)
    slopes = [(forward(x + e) - forward(x - e)) / 2e-5 for e in step]
    assert penalty(layer, x) == pytest.approx((np.stack(slopes) ** 2).sum() / len(x), rel=1e-5)


def test_it_is_not_the_norm_of_the_summed_jacobian():
    """The mistake of two public packages: ||J^T 1||^2, which adds the rows before squaring."""
    layer, x = layer_and_inputs(activation="sigmoid", contraction=1.0)
    layer.kernel.assign(np.abs(layer.kernel.numpy()))
    mistaken = (jacobian(layer, x).sum(axis=1) ** 2).sum(axis=-1).mean()
    assert penalty(layer, x) < 0.5 * mistaken


def test_positions_have_jacobians_of_their_own():
    layer = keras_ae.ContractiveDense(3, activation="tanh", contraction=1.0)
    x = np.random.default_rng(0).normal(size=(4, 6, 5)).astype("float32")
    whole = penalty(layer, x)
    parts = [penalty(layer, x[:, i]) for i in range(6)]
    assert whole == pytest.approx(sum(parts), rel=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_jacobian_estimator_is_exact_for_any_activation(activation):
    contraction = keras_ae.ContractiveRegularizer(0.3, estimator="jacobian")
    layer, x = layer_and_inputs(activation=activation, contraction=contraction)
    expected = 0.3 * (jacobian(layer, x) ** 2).sum(axis=(1, 2)).mean()
    assert penalty(layer, x) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("probes", [1, 3])
def test_hutchinson_is_unbiased_and_reproducible(probes):
    def make():
        contraction = keras_ae.ContractiveRegularizer(1.0, "hutchinson", probes=probes, seed=5)
        return layer_and_inputs(activation="tanh", contraction=contraction)

    layer, x = make()
    values = np.array([penalty(layer, x) for _ in range(300)])
    expected = (jacobian(layer, x) ** 2).sum(axis=(1, 2)).mean()
    assert values.std() > 0
    assert abs(values.mean() - expected) < 3 * values.std() / np.sqrt(len(values))
    again, _ = make()
    again.set_weights(layer.get_weights())
    assert penalty(again, x) == values[0]


def test_more_probes_vary_less():
    def spread(probes):
        contraction = keras_ae.ContractiveRegularizer(1.0, "hutchinson", probes=probes, seed=5)
        layer, x = layer_and_inputs(activation="tanh", contraction=contraction)
        return np.std([penalty(layer, x) for _ in range(200)])

    assert spread(8) == pytest.approx(spread(1) / np.sqrt(8), rel=0.4)


def test_gradient_of_the_penalty_against_finite_differences():
    layer, x = layer_and_inputs(activation="tanh", contraction=1.0)

    def loss():
        layer(x, training=True)
        return layer.losses[0]

    _, (gradient,) = value_and_gradients(loss, layer.kernel)
    kernel = layer.kernel.numpy()
    for i, j in [(0, 0), (3, 6), (4, 2)]:
        change = np.zeros_like(kernel)
        change[i, j] = 1e-2
        layer.kernel.assign(kernel + change)
        above = penalty(layer, x)
        layer.kernel.assign(kernel - change)
        below = penalty(layer, x)
        assert gradient[i, j] == pytest.approx((above - below) / 2e-2, rel=1e-2, abs=1e-3)


def test_penalty_in_fit_is_a_mean_over_examples_at_any_batch_size():
    """30 examples in batches of 30, 10 and 8, the last one partial."""
    x = np.random.default_rng(0).normal(size=(30, 5)).astype("float32")
    losses = []
    for batch_size in (30, 10, 8):
        layer = keras_ae.ContractiveDense(
            7, "tanh", kernel_initializer=keras.initializers.GlorotUniform(seed=0), contraction=0.3
        )
        model = keras.Sequential([keras.Input((5,)), layer])
        model.compile(keras.optimizers.SGD(0.0), lambda y, h: keras.ops.zeros_like(h[:, 0]))
        losses += model.fit(x, x, batch_size=batch_size, verbose=0).history["loss"]
    expected = 0.3 * (jacobian(layer, x) ** 2).sum(axis=(1, 2)).mean()
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_curvature_is_the_mean_distance_of_jacobians(activation):
    contraction = keras_ae.ContractiveRegularizer(0.3, curvature=2.0, stddev=0.5, seed=6)
    layer, x = layer_and_inputs(activation=activation, contraction=contraction)
    names = layer.penalty_names

    def losses():
        layer(x, training=True)
        return keras.ops.stack(layer.losses)

    draw = compiled(losses, layer.variables, jit_compile=False)
    draws = np.array([draw() for _ in range(500)])
    noise = np.random.default_rng(1).normal(scale=0.5, size=(200, *x.shape)).astype("float32")
    there = jacobian(layer, (x + noise).reshape(-1, 5)).reshape(200, 6, 7, 5)
    distances = 2 * ((there - jacobian(layer, x)) ** 2).sum(axis=(2, 3)).mean(axis=1)
    curvature = draws[:, names.index("curvature")]
    error = np.sqrt(distances.var() / 200 + curvature.var() / 500)
    assert abs(curvature.mean() - distances.mean()) < 3 * error
    expected = 0.3 * (jacobian(layer, x) ** 2).sum(axis=(1, 2)).mean()
    assert draws[0, names.index("contraction")] == pytest.approx(expected, rel=1e-5)


def test_penalty_stays_finite_in_float16():
    layer = keras_ae.ContractiveDense(500, dtype="mixed_float16", contraction=1.0)
    x = np.ones((4, 500), "float32")
    layer(x)
    layer.kernel.assign(np.full((500, 500), 0.9))
    # 500 * 500 * 0.81 is beyond float16's 65,504.
    assert penalty(layer, x) == pytest.approx(500 * 500 * 0.81, rel=1e-2)


def test_no_penalty_outside_training():
    layer, x = layer_and_inputs(activation="tanh")
    layer(x, training=False)
    assert layer.losses == []


def test_is_a_drop_in_for_dense():
    layer, x = layer_and_inputs(activation="tanh")
    plain = keras.layers.Dense(7, "tanh", True, "zeros")
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    for training in (False, True):
        np.testing.assert_allclose(layer(x, training=training), plain(x), rtol=1e-6)


@pytest.mark.parametrize(
    "activation", ["softmax", "log_softmax", lambda x: x - keras.ops.mean(x, axis=0)]
)
def test_refuses_an_activation_that_mixes_elements(activation):
    with pytest.raises(ValueError, match="activation must act on each element alone"):
        keras_ae.ContractiveDense(4, activation=activation)


def test_an_activation_with_weights_of_its_own_is_accepted():
    layer, x = layer_and_inputs(activation=keras.layers.LeakyReLU(0.2), contraction=0.5)
    expected = 0.5 * (jacobian(layer, x) ** 2).sum(axis=(1, 2)).mean()
    assert penalty(layer, x) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("contraction", [-1, float("nan"), float("inf"), "0.1", None, True])
def test_refuses_a_bad_contraction(contraction):
    with pytest.raises(ValueError, match=r"contraction must be a finite number >= 0\. Received"):
        keras_ae.ContractiveDense(4, contraction=contraction)


def test_refuses_an_unknown_argument():
    with pytest.raises(ValueError, match="contration"):
        keras_ae.ContractiveDense(4, contration=0.1)


@pytest.mark.parametrize("estimator", ["exact", "jacobian", "hutchinson"])
def test_integers_are_taken_as_floats(estimator):
    contraction = keras_ae.ContractiveRegularizer(1.0, estimator, seed=0)
    pixels = np.random.default_rng(0).integers(0, 3, (6, 5), dtype=np.uint8)
    values = []
    for x in (pixels, pixels.astype("float32")):
        layer, _ = layer_and_inputs(activation="tanh", contraction=contraction)
        layer.kernel.assign(np.linspace(-1, 1, 35).reshape(5, 7))
        values.append(penalty(layer, x))
    assert values[0] == values[1] > 0


def test_an_empty_batch_has_no_penalty():
    layer, x = layer_and_inputs(activation="tanh")
    assert penalty(layer, x[:0]) == 0
