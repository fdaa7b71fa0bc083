"""RandomProjection keeps angles, and refuses what it cannot read."""

import numpy as np
import pytest

from keras_ae.retrieval import ITQ, RandomProjection


@pytest.mark.parametrize("angle", [0.1, 0.5, 1.0, np.pi / 2, 2.5])
def test_bits_agree_as_often_as_the_angle_says(angle):
    bits = 65536
    x = np.array([[1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0]])
    # Mirror images make the mean zero, so that the angle is that of the centred data.
    hasher = RandomProjection(bits, seed=3).fit(np.concatenate([x, -x]))
    a, b = np.unpackbits(hasher.transform(x), axis=1)
    expected = 1 - angle / np.pi
    assert abs(np.mean(a == b) - expected) < 4 * np.sqrt(expected * (1 - expected) / bits)


def test_codes_are_the_sides_of_the_hyperplanes():
    x = np.random.default_rng(0).normal(5.0, size=(50, 7))
    hasher = RandomProjection(24).fit(x)
    codes = hasher.transform(x)
    assert (codes.shape, codes.dtype) == ((50, 3), np.uint8)
    expected = (x - x.mean(0)) @ hasher.components_ > 0
    np.testing.assert_array_equal(np.unpackbits(codes, axis=1, bitorder="little"), expected)


def test_the_seed_decides():
    x = np.random.default_rng(0).normal(size=(50, 7))
    first, same, other = (RandomProjection(64, seed=s).fit(x).transform(x) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)


@pytest.mark.parametrize("kind", [RandomProjection, ITQ])
def test_both_refuse_bad_vectors(kind):
    x = np.random.default_rng(0).normal(size=(50, 9))
    with pytest.raises(ValueError, match=r"transform must come after fit"):
        kind(8).transform(x)
    for bad in (x[0], x[:0], x[:, :0]):
        with pytest.raises(ValueError, match=r"x must have shape \(n, features\).* Received: x"):
            kind(8).fit(bad)
    with pytest.raises(ValueError, match=r"x must be finite"):
        kind(8).fit(x * np.nan)
    hasher = kind(8).fit(x)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 9\), as in fit. Received: x"):
        hasher.transform(x[:, :8])
    assert hasher.transform(x[:0]).shape == (0, 1)


@pytest.mark.parametrize("kind", [RandomProjection, ITQ])
def test_both_read_integers_and_single_precision(kind):
    x = np.random.default_rng(0).integers(0, 255, size=(50, 9), dtype=np.uint8)
    expected = kind(8).fit(x.astype(np.float64)).transform(x.astype(np.float64))
    for dtype in (np.uint8, np.float32):
        np.testing.assert_array_equal(
            kind(8).fit(x.astype(dtype)).transform(x.astype(dtype)), expected
        )
