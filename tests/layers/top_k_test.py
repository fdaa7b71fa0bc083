import keras
import numpy as np
import pytest
from backends import FLOAT64, value_and_gradients

import keras_ae


def kept(p, k):
    """The same by sorting: which values of each row go through."""
    mask = np.zeros(p.shape, bool)
    for row, chosen in zip(p, mask, strict=True):
        # Python's sort is stable: of equal values the first stays first.
        for index in sorted(range(len(row)), key=lambda i: -row[i])[:k]:
            chosen[index] = row[index] > 0
    return mask


def preactivations(rows=7, units=12, ties=False):
    p = np.random.default_rng(0).normal(size=(rows, units)).astype("float32")
    return np.round(p) if ties else p


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("k", [1, 4, 12])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_keeps_the_k_largest_as_far_as_they_are_positive(k, ties, dtype):
    p = preactivations(ties=ties)
    z = np.asarray(keras_ae.TopK(k, dtype=dtype)(p))
    expected = np.where(kept(p, k), p, 0)
    np.testing.assert_array_equal(z, expected.astype(z.dtype))
    assert (z != 0).sum(axis=1).max() <= k


def test_values_that_are_equal_in_half_precision_are_ties():
    p = np.array([[1.0, 1.0001, 1.0002, 0.5]], "float32")
    z = np.asarray(keras_ae.TopK(2, dtype="mixed_float16")(p))
    np.testing.assert_array_equal(z, [[1, 1, 0, 0]])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_gradient_flows_through_what_is_kept(jit_compile):
    layer, p = keras_ae.TopK(3), preactivations(ties=True)
    upstream = np.random.default_rng(1).normal(size=p.shape).astype("float32")
    _, (gradient,) = value_and_gradients(
        lambda p: keras.ops.sum(layer(p) * upstream), p, jit_compile=jit_compile
    )
    np.testing.assert_array_equal(gradient, np.where(kept(p, 3), upstream, 0))


@pytest.mark.parametrize("dtype", ["float32", FLOAT64])
def test_the_gradient_is_that_of_finite_differences(dtype):
    layer, p = keras_ae.TopK(3, dtype=dtype), preactivations().astype(dtype)
    _, (gradient,) = value_and_gradients(lambda p: keras.ops.sum(layer(p) ** 2), p)

    def objective(p):
        return (np.where(kept(p, 3), p, 0) ** 2).sum()

    for i in np.ndindex(p.shape):
        step = np.zeros(p.shape)
        step[i] = 1e-6
        above, below = (objective(p + s) for s in (step, -step))
        assert gradient[i] == pytest.approx((above - below) / 2e-6, abs=1e-6)


def test_each_position_keeps_k():
    p = preactivations(rows=12).reshape(3, 4, 12)
    inputs = keras.Input((None, 12))
    model = keras.Model(inputs, keras_ae.TopK(2)(inputs))
    expected = np.where(kept(p.reshape(12, 12), 2).reshape(p.shape), p, 0)
    np.testing.assert_array_equal(model.predict(p, verbose=0), expected)


def test_an_empty_batch_is_empty():
    assert keras_ae.TopK(2)(np.zeros((0, 5), "float32")).shape == (0, 5)


@pytest.mark.parametrize("k", [0, -1, 2.0, "2", None, True])
@pytest.mark.parametrize("layer", [keras_ae.TopK, keras_ae.BatchTopK])
def test_refuses_a_bad_k(layer, k):
    with pytest.raises(ValueError, match=rf"k must be an integer >= 1\. Received: k={k!r}"):
        layer(k)


@pytest.mark.parametrize("layer", [keras_ae.TopK, keras_ae.BatchTopK])
def test_refuses_more_than_there_are(layer):
    with pytest.raises(ValueError, match=r"k must be at most .* last axis, 5\. Received: k=6"):
        layer(6).build((None, 5))
