import keras
import numpy as np
import pytest

import keras_ae

LOGITS = np.array([[-3.0, -0.2, 0.0, 1e-6, 2.5]], "float32")


@pytest.mark.parametrize("dtype", ["float32", "float16", "mixed_bfloat16"])
def test_outside_training_it_is_the_threshold(dtype):
    layer = keras_ae.TanhCode(dtype=dtype)
    np.testing.assert_array_equal(np.asarray(layer(LOGITS), "float32"), [[0, 0, 0, 1, 1]])
    assert int(layer.steps) == 0


def test_in_training_the_slope_grows_by_the_step():
    layer = keras_ae.TanhCode(growth=0.7)
    for step in range(4):
        expected = (1 + np.tanh(np.sqrt(1 + 0.7 * step) * LOGITS)) / 2
        np.testing.assert_allclose(layer(LOGITS, training=True), expected, atol=1e-6)
    # The largest count that its last step can reach.
    layer.steps.assign(np.iinfo(layer.steps.dtype).max - 1)
    steep = np.asarray(layer(LOGITS, training=True))
    np.testing.assert_array_equal(steep[:, [0, 1, 4]], [[0, 0, 1]])


def test_float16_counts_beyond_its_integers():
    layer = keras_ae.TanhCode(growth=1.0, dtype="float16")
    layer.steps.assign(5000)
    layer(LOGITS, training=True)
    assert int(layer.steps) == 5001


@pytest.mark.parametrize("growth", [-1, float("inf"), "fast"])
def test_refuses(growth):
    with pytest.raises(ValueError, match="growth must be a finite number >= 0"):
        keras_ae.TanhCode(growth)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_hasher_counts_its_steps(jit_compile):
    x = np.random.default_rng(0).random((40, 16)).astype("float32")
    model = keras_ae.SemanticHasher.dense(16, (8,), 8, code=keras_ae.TanhCode())
    model.compile("adam", "mse", jit_compile=jit_compile)
    model.fit(x, batch_size=16, epochs=2, verbose=0)
    assert int(model.code.steps) == 6
    model.evaluate(x, verbose=0)
    assert int(model.code.steps) == 6


def test_a_hasher_refuses_other_layers_as_code():
    with pytest.raises(ValueError, match="code must be a BinaryCode, a TanhCode or None"):
        keras_ae.SemanticHasher.dense(16, code=keras.layers.ReLU())
