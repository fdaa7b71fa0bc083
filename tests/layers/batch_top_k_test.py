import keras
import numpy as np
import pytest
from backends import value_and_gradients

import keras_ae


def kept(p, count):
    """Which of all values of an array go through, by sorting."""
    order = sorted(range(p.size), key=lambda i: -p.flat[i])[:count]
    mask = np.zeros(p.size, bool)
    mask[order] = p.flat[order] > 0
    return mask.reshape(p.shape)


def preactivations(shape=(7, 12), ties=False, seed=0):
    p = np.random.default_rng(seed).normal(size=shape).astype("float32")
    return np.round(p) if ties else p


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shape", [(7, 12), (1, 12), (3, 2, 12)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_training_keeps_the_largest_of_the_whole_batch(shape, ties, dtype):
    p = preactivations(shape, ties).astype("float16")
    z = np.asarray(keras_ae.BatchTopK(3, dtype=dtype)(p, training=True))
    expected = np.where(kept(p, 3 * p.size // 12), p, 0)
    np.testing.assert_array_equal(z, expected)
    if shape == (7, 12) and not ties:
        counts = (z != 0).sum(axis=1)
        assert counts.sum() == 21
        assert counts.min() < 3 < counts.max()


def test_the_gradient_flows_through_what_is_kept():
    layer, p = keras_ae.BatchTopK(3), preactivations(ties=True)
    layer.build(p.shape)
    upstream = np.random.default_rng(1).normal(size=p.shape).astype("float32")
    _, (gradient,) = value_and_gradients(
        lambda p: keras.ops.sum(layer(p, training=True) * upstream), p
    )
    np.testing.assert_array_equal(gradient, np.where(kept(p, 21), upstream, 0))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_threshold_is_the_running_average_of_the_smallest_kept(jit_compile):
    """Batches of 4, 4 and 3, the last one partial; the first does not average with 0."""
    layer = keras_ae.BatchTopK(2, momentum=0.75)
    model = keras.Sequential([keras.Input((12,)), layer, keras.layers.Dense(1)])
    model.compile("adam", "mse", jit_compile=jit_compile)
    p = preactivations((11, 12))
    model.fit(p, np.zeros((11, 1)), batch_size=4, shuffle=False, verbose=0)
    smallest = [np.sort(batch.ravel())[-2 * len(batch)] for batch in (p[:4], p[4:8], p[8:])]
    expected = 0.75 * (0.75 * smallest[0] + 0.25 * smallest[1]) + 0.25 * smallest[2]
    assert float(layer.threshold) == pytest.approx(expected, rel=1e-6)


def test_only_positive_values_move_the_threshold():
    layer = keras_ae.BatchTopK(3, momentum=0.5)
    layer(np.array([[0.5, 0.25, -1.0, -2.0]]), training=True)
    assert float(layer.threshold) == 0.25
    for nothing in (-np.ones((2, 4)), np.zeros((0, 4))):
        layer(nothing.astype("float32"), training=True)
        assert float(layer.threshold) == 0.25


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_outside_training_the_threshold_decides_and_stays(dtype):
    layer = keras_ae.BatchTopK(2, dtype=dtype)
    p = preactivations()
    np.testing.assert_allclose(layer(p), np.maximum(p, 0), rtol=1e-3)
    layer(p, training=True)
    threshold = float(layer.threshold)
    p = preactivations((30, 12), seed=2).astype("float16").astype("float32")
    z = np.asarray(layer(p))
    np.testing.assert_array_equal(z, np.where(p > threshold, p, 0))
    np.testing.assert_array_equal(layer(p[:1]), z[:1])
    assert float(layer.threshold) == threshold
    assert layer.threshold.dtype == "float32"


@pytest.mark.parametrize("momentum", [-0.1, float("nan"), "0.9", None])
def test_refuses_a_bad_momentum(momentum):
    with pytest.raises(ValueError, match=r"momentum must be a finite number >= 0\."):
        keras_ae.BatchTopK(2, momentum)


def test_refuses_a_momentum_that_never_moves():
    with pytest.raises(ValueError, match=r"momentum must be below 1\. Received: momentum=1.0"):
        keras_ae.BatchTopK(2, 1.0)
