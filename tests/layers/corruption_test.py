"""What the three corruptions have in common. Bounds are five standard errors."""

import keras
import numpy as np
import pytest
from backends import FLOAT64, compiled
from keras.src.backend import get_keras_mask

import keras_ae

LAYERS = {
    "stddev": keras_ae.GaussianCorruption,
    "rate": keras_ae.MaskingCorruption,
    "rate_": keras_ae.SaltAndPepperCorruption,
}
every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=lambda layer: layer.__name__)


def changed(layer, x):
    return np.asarray(layer(x, training=True)) != x


@every_layer
def test_level_zero_is_exactly_the_identity(layer):
    for dtype in ("float32", "float16"):
        x = np.random.default_rng(0).normal(size=(50, 7)).astype(dtype)
        np.testing.assert_array_equal(layer(0, dtype=dtype)(x, training=True), x)


@every_layer
def test_outside_training_it_is_the_identity(layer):
    x = np.random.default_rng(0).normal(size=(50, 7)).astype("float32")
    np.testing.assert_array_equal(layer(0.9)(x, training=False), x)
    np.testing.assert_array_equal(layer(0.9)(x), x)


@every_layer
def test_examples_elements_and_calls_have_noise_of_their_own(layer):
    """Correlations of what 20,000 draws do at different places."""
    layer = layer(0.5, seed=0)
    x = np.full((20_000, 3), 0.5, "float32")
    first, second = (np.asarray(layer(x, training=True)) for _ in range(2))
    columns = np.concatenate([first, second, np.roll(first[:, :1], 1, axis=0)], axis=1)
    np.testing.assert_allclose(np.corrcoef(columns.T), np.eye(7), atol=5 / np.sqrt(20_000))


@every_layer
def test_a_changed_level_is_used_without_another_trace(layer):
    layer = layer(0.0, seed=0)
    model = keras.Sequential([keras.Input((7,)), layer])
    traces = []

    def traced(x):
        traces.append(1)
        return model(x, training=True)

    corrupt = compiled(traced, model.variables)
    x = np.full((50, 7), 0.5, "float32")
    np.testing.assert_array_equal(corrupt(x), x)
    layer.level.assign(0.9)
    assert np.mean(np.asarray(corrupt(x)) != x) > 0.5
    layer.level.assign(0.0)
    np.testing.assert_array_equal(corrupt(x), x)
    assert len(traces) == 1


@every_layer
def test_a_saved_model_keeps_the_level_and_the_argument(layer, tmp_path):
    model = keras.Sequential([keras.Input((3,)), layer(0.5), keras.layers.Dense(2)])
    model.layers[0].level.assign(0.25)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").layers[0]
    assert float(loaded.level) == 0.25
    assert loaded.get_config() == model.layers[0].get_config()
    assert 0.5 in loaded.get_config().values()


@every_layer
@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "mixed_bfloat16", FLOAT64])
def test_the_level_is_a_float32_weight_of_any_policy(layer, policy):
    layer = layer(0.1, dtype=policy)
    y = layer(np.ones((2, 3)), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
    assert layer.level.dtype == "float32"
    assert layer.level.name == layer.level_name
    assert float(layer.level) == np.float32(0.1)
    assert (layer.trainable_weights, layer.non_trainable_weights) == ([], [layer.level])


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
@pytest.mark.parametrize("layer", [keras_ae.MaskingCorruption, keras_ae.SaltAndPepperCorruption])
def test_half_precision_does_not_round_a_small_rate(layer, policy):
    """Half precision has steps of 1/1024 or 1/128 near 1, far above this rate."""
    rate, n = 2e-4, 2_000_000
    hits = changed(layer(rate, seed=0, dtype=policy), np.full((n,), 0.5, "float16")).sum()
    assert abs(hits - rate * n) < 5 * np.sqrt(rate * n)


@every_layer
def test_integers_are_taken_as_floats(layer):
    x = np.full((50, 4), 3, np.uint8)
    noisy = layer(0.5, seed=0)(x, training=True)
    assert keras.backend.standardize_dtype(noisy.dtype) == "float32"
    assert np.mean(np.asarray(noisy) != x) > 0.3


@every_layer
def test_a_mask_is_passed_on(layer):
    x = np.array([[[1.0], [0.0]], [[1.0], [1.0]]], "float32")
    y = layer(0.5)(keras.layers.Masking()(x), training=True)
    np.testing.assert_array_equal(get_keras_mask(y), [[True, False], [True, True]])


@every_layer
@pytest.mark.parametrize("level", [-1, float("nan"), float("inf"), "1", None, True])
def test_refuses_a_bad_level(layer, level):
    name = layer.level_name
    with pytest.raises(ValueError, match=rf"{name} must be a finite number .*{name}={level!r}"):
        layer(level)


@every_layer
@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_refuses_a_bad_seed(layer, seed):
    with pytest.raises(ValueError, match=r"seed must be an integer >= 0\. Received: seed="):
        layer(0.1, seed=seed)
