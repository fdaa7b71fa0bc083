import keras
import numpy as np
import pytest

import keras_ae
from keras_ae import BitRegularizer


def oracle(z, quantization, balance, decorrelation):
    h = np.tanh(np.asarray(z, "float64")).reshape(-1, z.shape[-1])
    n, bits = h.shape
    value = 0.0
    for j in range(bits):
        value += quantization * np.mean([(1 - abs(h[i, j])) ** 2 for i in range(n)])
        value += balance * np.mean(h[:, j]) ** 2
        for k in range(bits):
            if k != j:
                value += decorrelation * np.mean([h[i, j] * h[i, k] for i in range(n)]) ** 2
    return value


@pytest.mark.parametrize("weights", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.3, 0.5, 0.7)])
@pytest.mark.parametrize("shape", [(7, 8), (1, 8), (4, 3, 8)])
def test_it_is_the_penalty_of_its_docstring(weights, shape):
    z = np.random.default_rng(0).normal(size=shape).astype("float32") + 0.3
    layer = keras.layers.Identity(activity_regularizer=BitRegularizer(*weights))
    layer(z)
    assert float(layer.losses[0]) == pytest.approx(oracle(z, *weights), rel=1e-5)


def test_an_empty_batch_and_bits_without_an_axis():
    assert float(BitRegularizer(1, 1, 1)(np.zeros((0, 8)))) == 0.0
    with pytest.raises(ValueError, match=r"needs logits of shape \(n, ..., bits\)"):
        BitRegularizer()(np.zeros(8))


@pytest.mark.parametrize("name", ["quantization", "balance", "decorrelation"])
def test_refuses(name):
    for bad in (-1, float("nan"), None, True):
        with pytest.raises(ValueError, match=f"{name} must be a finite number >= 0"):
            BitRegularizer(**{name: bad})


def test_a_hasher_shows_it_and_its_bits_get_sure_and_independent():
    rng = np.random.default_rng(0)
    x = rng.random((512, 6)).astype("float32") @ rng.random((6, 16)).astype("float32") / 6
    unsure, correlations = {}, {}
    for weights in ((0, 0, 0), (1, 0, 0), (1, 0, 1)):
        keras.utils.set_random_seed(0)
        model = keras_ae.SemanticHasher.dense(
            16, (32,), 8, stddev=0.0, logit_regularizer=BitRegularizer(*weights)
        )
        model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", jit_compile=True)
        history = model.fit(x, epochs=30, batch_size=128, verbose=0).history
        assert set(history) == {"bits", "contraction", "loss", "reconstruction"}
        h = np.tanh(model.logits(x))
        unsure[weights] = np.mean((1 - np.abs(h)) ** 2)
        correlations[weights] = np.square(h.T @ h / len(h))[~np.eye(8, dtype=bool)].mean()
    assert unsure[1, 0, 0] < 0.9 * unsure[0, 0, 0]
    assert correlations[1, 0, 1] < 0.5 * correlations[1, 0, 0]
