import numpy as np
import pytest
from backends import FLOAT64, value_and_gradients
from keras import ops

import keras_ae

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(20, 5))


def layer_with(log_scale, shift, **kwargs):
    layer = keras_ae.GatedReLU(**kwargs)
    layer.build((None, len(shift)))
    layer.log_scale.assign(log_scale)
    layer.shift.assign(shift)
    return layer


def test_is_the_gated_encoder_of_the_paper_in_other_parameters():
    """Gate `w x + c > 0`, magnitude `relu(exp(r) w x + d)`, on its own parameters."""
    kernel, r = GENERATOR.normal(size=(5, 8)), GENERATOR.normal(size=8)
    c, d = GENERATOR.normal(size=8), GENERATOR.normal(size=8)
    gate = X @ kernel + c > 0
    magnitude = np.maximum(np.exp(r) * (X @ kernel) + d, 0)
    assert 0 < (gate & (magnitude == 0)).sum() < (gate & (magnitude > 0)).sum()
    layer = layer_with(r, d - np.exp(r) * c)
    z = layer((X @ kernel + c).astype("float32"), training=True)
    np.testing.assert_allclose(z, gate * magnitude, rtol=1e-4, atol=1e-5)


def test_starts_as_a_relu():
    np.testing.assert_array_equal(keras_ae.GatedReLU()(X), np.maximum(X, 0).astype("float32"))


@pytest.mark.parametrize("dtype", ["float32", FLOAT64])
def test_the_gradients_are_those_of_finite_differences(dtype):
    r, b = GENERATOR.normal(size=5) / 2, GENERATOR.normal(size=5) / 2
    layer = layer_with(r, b, dtype=dtype)
    _, gradients = value_and_gradients(
        lambda p: ops.sum(layer(p) ** 2), X.astype(dtype), layer.log_scale, layer.shift
    )

    def objective(p, r, b):
        return ((p > 0) * np.maximum(np.exp(r) * p + b, 0) ** 2).sum()

    for which, gradient in enumerate(gradients):
        for i in np.ndindex(gradient.shape):
            ends = []
            for h in (1e-6, -1e-6):
                at = [X.copy(), r.copy(), b.copy()]
                at[which][i] += h
                ends.append(objective(*at))
            assert gradient[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-4)


@pytest.mark.parametrize("shape", [(20, 5), (4, 5, 5)])
def test_the_penalty_is_the_l1_norm_of_what_the_gate_sees(shape):
    layer = layer_with(np.ones(5), np.ones(5), sparsity=0.3)
    p = X.reshape(shape).astype("float32")
    layer(p, training=True)
    expected = 0.3 * np.maximum(p, 0).sum() / shape[0]
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)
    assert layer.penalty_names == ("sparsity",)
    layer._clear_losses()
    layer(p)
    assert layer.losses == []
    assert keras_ae.GatedReLU().penalty_names == ()
