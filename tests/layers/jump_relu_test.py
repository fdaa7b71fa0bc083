import numpy as np
import pytest
from backends import value_and_gradients
from keras import ops

import keras_ae

P = np.random.default_rng(0).normal(size=(500, 6)).astype("float32")
THETA = np.array([0.1, 0.2, 0.3, 0.5, 0.8, 1.2], "float32")


def layer_with(thresholds, **kwargs):
    layer = keras_ae.JumpReLU(**kwargs)
    layer.build((None, len(thresholds)))
    layer.log_threshold.assign(np.log(thresholds))
    return layer


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_passes_on_what_is_above_the_threshold(training, dtype):
    layer = layer_with(THETA, bandwidth=0.4, sparsity=0.1, dtype=dtype)
    z = np.asarray(layer(P, training=training))
    np.testing.assert_array_equal(z, np.where(P > THETA, P, 0).astype(z.dtype))


def test_starts_at_the_threshold_given():
    layer = keras_ae.JumpReLU(threshold=0.25)
    layer.build((None, 3))
    np.testing.assert_allclose(np.exp(layer.log_threshold), [0.25] * 3, rtol=1e-6)


@pytest.mark.parametrize("bandwidth", [0.05, 0.4])
def test_the_gradients_are_those_of_the_paper(bandwidth):
    upstream = np.random.default_rng(1).normal(size=P.shape).astype("float32")
    layer = layer_with(THETA, bandwidth=bandwidth)
    _, (to_p, to_log) = value_and_gradients(
        lambda p: ops.sum(layer(p, training=True) * upstream), P, layer.log_threshold
    )
    np.testing.assert_array_equal(to_p, np.where(P > THETA, upstream, 0))
    window = np.abs((P - THETA) / bandwidth) < 0.5
    assert window.sum() > 20
    to_theta = (-THETA / bandwidth * window * upstream).sum(axis=0)
    # theta = exp(log_threshold), so the chain rule multiplies by theta.
    np.testing.assert_allclose(to_log, THETA * to_theta, rtol=1e-4, atol=1e-6)


def test_the_penalty_counts_units_and_its_gradient_is_that_of_the_paper():
    layer = layer_with(THETA, bandwidth=0.4, sparsity=0.5)

    def penalty(p):
        layer(p, training=True)
        (loss,) = layer.losses
        return loss

    value, (to_p, to_log) = value_and_gradients(penalty, P, layer.log_threshold)
    assert value == pytest.approx(0.5 * (P > THETA).sum(axis=1).mean(), rel=1e-6)
    assert not np.any(to_p)
    window = np.abs((P - THETA) / 0.4) < 0.5
    to_theta = -0.5 / 0.4 * window.sum(axis=0) / len(P)
    np.testing.assert_allclose(to_log, THETA * to_theta, rtol=1e-5)


def test_the_straight_through_gradient_estimates_that_of_the_expectation():
    """Against finite differences of means over many draws, where the mean is smooth in theta."""
    p = np.random.default_rng(2).normal(size=(400_000, 1)).astype("float32")
    layer = layer_with(np.array([0.7], "float32"), bandwidth=0.05, sparsity=1.0)

    def value():
        return ops.mean(layer(p, training=True))

    def count():
        layer(p, training=True)
        (loss,) = layer.losses
        return loss

    def means(theta):
        return np.array([(p * (p > theta)).mean(dtype="float64"), (p > theta).mean()])

    expected = 0.7 * (means(0.75) - means(0.65)) / 0.1
    gradients = [value_and_gradients(y, layer.log_threshold)[1][0] for y in (value, count)]
    np.testing.assert_allclose(np.ravel(gradients), expected, rtol=0.05)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_a_narrow_window_and_a_large_batch_fit_half_precision(dtype):
    layer = keras_ae.JumpReLU(1e-3, bandwidth=1e-5, sparsity=1.0, dtype=dtype)
    p = np.full((300, 300), 1e-3, "float32")
    layer.build(p.shape)

    def loss():
        return ops.sum(ops.cast(layer(p, training=True), "float32")) + layer.losses[0]

    _, (gradient,) = value_and_gradients(loss, layer.log_threshold)
    assert np.isfinite(gradient).all()


def test_a_penalty_of_an_example_is_the_sum_over_positions_and_only_in_training():
    layer = keras_ae.JumpReLU(threshold=0.1, sparsity=1.0)
    p = P.reshape(50, 10, 6)
    layer(p, training=True)
    assert float(layer.losses[0]) == pytest.approx((p > 0.1).sum() / 50)
    layer._clear_losses()
    layer(p)
    assert layer.losses == []
    assert layer.penalty_names == ("sparsity",)
    free = keras_ae.JumpReLU()
    free(p, training=True)
    assert free.losses == []
    assert free.penalty_names == ()


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf"), "1", None])
@pytest.mark.parametrize("name", ["threshold", "bandwidth"])
def test_refuses_what_is_not_positive(name, bad):
    with pytest.raises(ValueError, match=rf"{name} must be a finite number > 0\. .*={bad!r}"):
        keras_ae.JumpReLU(**{name: bad})


@pytest.mark.parametrize("layer", [keras_ae.JumpReLU, keras_ae.GatedReLU])
def test_refuses_a_bad_weight_of_the_penalty(layer):
    with pytest.raises(ValueError, match=r"sparsity must be a finite number >= 0\. .*sparsity=-1"):
        layer(sparsity=-1)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "layer", [keras_ae.BatchTopK(3), keras_ae.GatedReLU(), keras_ae.JumpReLU(), keras_ae.TopK(3)]
)
def test_nan_is_not_taken_for_a_unit_that_is_off(layer, training):
    p = np.array([[1.0, np.nan, -1.0, 0.5]], "float32")
    z = np.asarray(layer(p, training=training))
    np.testing.assert_array_equal(z, [[1.0, np.nan, 0.0, 0.5]])
