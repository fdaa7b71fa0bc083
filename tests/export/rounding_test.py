"""Kernels that are rounded together, against rounding one by one and against every choice."""

import itertools

import keras
import numpy as np
import pytest

import keras_ae
from keras_ae import export
from keras_ae.export import _rounding


def nearest(kernel: np.ndarray) -> np.ndarray:
    step = np.abs(kernel).max(axis=0) / 127
    return np.rint(kernel / step) * step


def loss(kernel: np.ndarray, other: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.square(x @ (kernel - other)).sum(axis=0)


@pytest.fixture(scope="module")
def alike() -> np.ndarray:
    """Inputs that vary together, as pixels do."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 5)) @ rng.normal(size=(5, 40)) + 0.1 * rng.normal(size=(400, 40))


def test_values_lie_on_the_grid_of_the_kernel(alike):
    kernel = np.random.default_rng(1).normal(size=(40, 7)).astype("float32")
    result = _rounding.rounded(kernel, alike)
    step = np.abs(kernel).max(axis=0) / 127
    levels = result / step
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
    # A converter that looks at the result finds the same grid.
    np.testing.assert_allclose(np.abs(result).max(axis=0), np.abs(kernel).max(axis=0), rtol=1e-6)
    assert result.dtype == np.float32


def test_outputs_change_far_less_than_by_rounding_each_value(alike):
    kernel = np.random.default_rng(2).normal(size=(40, 30)).astype("float32")
    together, apart = (
        loss(kernel, other, alike).sum()
        for other in (_rounding.rounded(kernel, alike), nearest(kernel))
    )
    assert together < 0.1 * apart


def test_it_is_near_the_best_of_all_choices():
    """Four inputs, up or down each, tried out."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 5)) + 0.05 * rng.normal(size=(200, 5))
    kernel = rng.normal(size=(5, 40)).astype("float32")
    kernel[0] = 2 * np.abs(kernel).max()  # The largest, which has to stay.
    step = np.abs(kernel).max(axis=0) / 127
    floor = np.floor(kernel / step)
    every = [
        loss(kernel, np.vstack([kernel[:1], (floor[1:] + np.array(up)[:, None]) * step]), x)
        for up in itertools.product((-1, 0, 1, 2), repeat=4)
    ]
    ours, plain = (
        np.median(np.mean(every < loss(kernel, other, x), axis=0))
        for other in (_rounding.rounded(kernel, x), nearest(kernel))
    )
    assert ours < 0.02
    assert plain > 2 * ours


def test_inputs_that_are_always_0_and_units_without_weights():
    kernel = np.random.default_rng(4).normal(size=(6, 3)).astype("float32")
    kernel[:, 1] = 0
    x = np.random.default_rng(5).normal(size=(50, 6))
    x[:, 2:] = 0
    result = _rounding.rounded(kernel, x)
    assert np.isfinite(result).all()
    assert not result[:, 1].any()
    kernel = kernel[:, [0, 2]]
    np.testing.assert_allclose(_rounding.rounded(kernel, 0 * x), nearest(kernel), rtol=1e-6)


@pytest.mark.parametrize("kind", ["sequential", "functional", "nested"])
def test_a_copy_is_rounded_layer_by_layer_and_the_model_left_alone(kind, x):
    keras.utils.set_random_seed(0)
    parts = [
        keras_ae.ContractiveDense(24, "relu", contraction=0.1),
        keras_ae.RangeCorruption(0.1),
        keras.layers.Dense(16, use_bias=False),
        keras.layers.BatchNormalization(),
    ]
    if kind == "functional":
        given = keras.Input((64,))
        h = given
        for part in parts:
            h = part(h)
        model = keras.Model(given, h)
    elif kind == "nested":
        inner = keras.Sequential(parts[:2])
        model = keras.Sequential([keras.Input((64,)), inner, *parts[2:]])
    else:
        model = keras.Sequential([keras.Input((64,)), *parts])
    before, y = [w.copy() for w in model.get_weights()], model.predict(x, verbose=0)
    copy = _rounding.rounded_copy(model, x)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    changed = [not np.array_equal(a, b) for a, b in zip(before, copy.get_weights(), strict=True)]
    assert [w.shape for w, c in zip(before, changed, strict=True) if c] == [(64, 24), (24, 16)]
    error = np.abs(copy.predict(x, verbose=0) - y).max()
    assert 0 < error < 0.02 * np.abs(y).max()


def test_models_of_another_kind_are_left_as_they_are(x):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(8)

        def call(self, inputs):
            return self.dense(inputs)

    own = Own()
    own(x)
    assert _rounding.rounded_copy(own, x) is None
    flat = keras.Sequential([keras.Input((64,)), keras.layers.ReLU()])
    assert _rounding.rounded_copy(flat, x) is None
    assert _rounding.rounded_copy(keras.layers.Dense(3), x) is None


@keras.saving.register_keras_serializable("tests")
class Gain(keras.layers.Layer):
    gain = 1.0

    def call(self, inputs):
        return inputs * self.gain


def test_models_that_a_copy_does_not_equal_are_left_as_they_are(x):
    gained = keras.Sequential([keras.Input((64,)), keras.layers.Dense(8), Gain()])
    gained.layers[1].gain = 1.3
    adapted = keras.layers.Normalization()
    adapted.adapt(5 * x + 3)
    hidden = keras_ae.ContractiveDense(8, activation="sigmoid")
    lora = keras.Sequential([keras.Input((64,)), keras.layers.Dense(8)])
    lora.layers[0].enable_lora(2)
    for model in (
        gained,
        keras.Sequential([keras.Input((64,)), adapted, keras.layers.Dense(8)]),
        keras.Sequential([keras.Input((64,)), hidden, keras_ae.TiedDense(hidden)]),
        keras.Sequential([keras.Input((64,)), keras.layers.Dense(8), keras.layers.Lambda(abs)]),
        lora,
    ):
        before = model.get_weights()
        copy = _rounding.rounded_copy(model, x)
        if copy is not None:
            np.testing.assert_allclose(copy(x), model(x), atol=0.05)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    assert _rounding.rounded_copy(gained, x) is None


@pytest.mark.parametrize("exporter", ["tflite", "onnx"])
def test_a_file_in_int8_keeps_more_codes(exporter, model, x, tmp_path, monkeypatch):
    write, quantize = {
        "tflite": (export.to_tflite, "int8"),
        "onnx": (export.to_onnx, "static"),
    }[exporter]
    path = tmp_path / f"model.{exporter}"
    # Many, so that a few bits near the threshold decide nothing.
    shares = np.random.default_rng(1).dirichlet(np.full(len(x), 0.03), 4000)
    inputs = (shares @ x).astype("float32")
    together = write(model, path, inputs, quantize=quantize, calibration=x)
    monkeypatch.setattr("keras_ae.export.signatures.rounded_copy", lambda *_: None)
    apart = write(model, path, inputs, quantize=quantize, calibration=x)
    assert together.parity.equal_bits > apart.parity.equal_bits
    assert together.size == pytest.approx(apart.size, rel=0.02)
