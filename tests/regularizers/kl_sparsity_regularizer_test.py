import keras
import numpy as np
import pytest
import scipy.stats
from backends import value_and_gradients

import keras_ae

H = np.random.default_rng(0).uniform(0.01, 0.4, size=(32, 5)).astype("float32")


def divergence(target, mean):
    """The sum over units by SciPy, in float64."""
    rates = (np.stack([1 - np.atleast_1d(p), np.atleast_1d(p)]) for p in (target, mean))
    return np.sum(scipy.stats.entropy(*rates))


@pytest.mark.parametrize("target", [0.001, 0.05, 0.5, 0.9])
def test_is_the_divergence_of_the_batch_means_times_the_batch_size(target):
    value = float(keras_ae.KLSparsityRegularizer(target, weight=3.0)(H))
    expected = 32 * 3.0 * divergence(target, H.astype("float64").mean(axis=0))
    assert value == pytest.approx(expected, rel=1e-5)


def test_means_are_over_all_axes_but_the_last():
    maps = H.reshape(2, 4, 4, 5)
    value = float(keras_ae.KLSparsityRegularizer()(maps))
    assert value == pytest.approx(2 * divergence(0.05, H.astype("float64").mean(axis=0)), rel=1e-5)


def test_gradient_is_that_of_finite_differences():
    _, (gradient,) = value_and_gradients(keras_ae.KLSparsityRegularizer(0.05, weight=2.0), H)
    h, step = H.astype("float64"), 1e-6
    for index in ((0, 0), (7, 3), (31, 4)):
        moved = [h.copy(), h.copy()]
        moved[0][index] -= step
        moved[1][index] += step
        low, high = (32 * 2.0 * divergence(0.05, x.mean(axis=0)) for x in moved)
        assert float(gradient[index]) == pytest.approx((high - low) / (2 * step), rel=1e-4)


def test_the_penalty_in_fit_does_not_depend_on_the_batch_size():
    """15 examples in batches of 15, 5 and 6, the last one partial; every batch has equal means."""
    x = np.tile(H[:1], (15, 1))
    losses = []
    for batch_size in (15, 5, 6):
        layer = keras.layers.Activation(
            "linear", activity_regularizer=keras_ae.KLSparsityRegularizer(0.05, weight=0.5)
        )
        model = keras.Sequential([keras.Input((5,)), layer])
        model.compile(loss=lambda y, h: keras.ops.zeros_like(h[:, 0]))
        losses.append(model.evaluate(x, x, batch_size=batch_size, verbose=0))
    np.testing.assert_allclose(losses, 0.5 * divergence(0.05, H[0]), rtol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("activation", "sign"), [(0.0, -1), (1.0, 1)])
def test_a_saturated_unit_is_penalised_and_led_back(activation, sign, jit_compile):
    # 49 ones have a mean above or below 1 if they are summed or scaled in an unlucky way.
    regularizer = keras_ae.KLSparsityRegularizer(0.05)
    h = np.full((49, 2), activation, "float32")
    value, (gradient,) = value_and_gradients(regularizer, h, jit_compile=jit_compile)
    assert 49 * divergence(0.05, [0.001, 0.001]) < value < 1e4
    assert np.isfinite(gradient).all()
    assert (np.sign(gradient) == sign).all()


@pytest.mark.parametrize("activation", [-0.1, -1e-4, 1.001, 2.0, np.nan])
def test_means_outside_the_unit_interval_are_loud(activation):
    h = H.copy()
    h[:, 2] = activation
    value, (gradient,) = value_and_gradients(keras_ae.KLSparsityRegularizer(), h)
    assert np.isnan(value)
    assert np.isnan(gradient[:, 2]).all()


def test_the_target_is_the_minimum():
    value, (gradient,) = value_and_gradients(
        keras_ae.KLSparsityRegularizer(0.25), np.full((4, 3), 0.25, "float32")
    )
    assert value == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_half_precision_activations_are_averaged_in_float32():
    h = np.full((4096, 1), 0.3, "float16")
    expected = 4096 * divergence(0.05, np.float64(np.float16(0.3)))
    value = keras_ae.KLSparsityRegularizer()(keras.ops.convert_to_tensor(h))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert float(value) == pytest.approx(expected, rel=1e-4)


def test_an_empty_batch_has_no_penalty():
    assert float(keras_ae.KLSparsityRegularizer()(H[:0])) == 0


def test_is_a_loss_term_of_its_name_and_survives_saving(images, tmp_path):
    hidden = keras.layers.Dense(
        6, "sigmoid", activity_regularizer=keras_ae.KLSparsityRegularizer(0.1, weight=0.5)
    )
    model = keras_ae.Autoencoder(
        keras.Sequential([keras.Input((20,)), hidden]), keras.layers.Dense(20)
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(images, batch_size=64, verbose=0).history
    expected = 0.5 * divergence(0.1, model.encode(images).astype("float64").mean(axis=0))
    assert history["sparsity"][0] == pytest.approx(expected, rel=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    config = loaded.encoder.layers[0].activity_regularizer.get_config()
    assert config == {"target": 0.1, "weight": 0.5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 0}, r"target must be a finite number > 0\. Received: target=0"),
        ({"target": 1}, r"target must be a number < 1\. Received: target=1"),
        ({"target": float("nan")}, r"target must be a finite number > 0\. Received: target=nan"),
        ({"target": "0.1"}, r"target must be a finite number > 0\. Received: target='0.1'"),
        ({"weight": -1}, r"weight must be a finite number >= 0\. Received: weight=-1"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_ae.KLSparsityRegularizer(**arguments)


def test_refuses_activations_without_units():
    with pytest.raises(ValueError, match=r"activations of shape \(n, \.\.\., units\)\. .*\(32,\)"):
        keras_ae.KLSparsityRegularizer()(H[:, 0])
