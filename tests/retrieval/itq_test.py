"""ITQ does what the paper says."""

import keras
import numpy as np
import pytest

import keras_ae
from keras_ae.retrieval import ITQ, PCASigns, RandomProjection


def make_data(n=400, features=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)) @ rng.normal(size=(features, features)) + 3.0


def test_error_never_rises_and_ends_below_the_start():
    hasher = ITQ(bits=32).fit(make_data())
    assert hasher.errors_.shape == (51,)
    assert np.all(np.diff(hasher.errors_) <= 1e-9)
    assert hasher.errors_[-1] < 0.99 * hasher.errors_[0]


def test_rotation_is_orthogonal_and_components_are_orthonormal():
    hasher = ITQ(bits=32, iterations=5).fit(make_data())
    np.testing.assert_allclose(hasher.rotation_.T @ hasher.rotation_, np.eye(32), atol=1e-12)
    np.testing.assert_allclose(hasher.components_.T @ hasher.components_, np.eye(32), atol=1e-12)


def test_components_are_the_leading_ones():
    x = make_data()
    components = ITQ(bits=8, iterations=0).fit(x).components_
    _, _, directions = np.linalg.svd(x - x.mean(0), full_matrices=False)
    overlap = np.abs(np.sum(components.T * directions[:8], axis=1))
    np.testing.assert_allclose(overlap, 1.0, atol=1e-8)


def test_beats_the_signs_of_principal_components():
    x = make_data()
    hasher = ITQ(bits=16).fit(x)
    projected = (x - x.mean(0)) @ hasher.components_
    signs = np.where(projected > 0, 1.0, -1.0)
    assert hasher.errors_[-1] < np.sum((signs - projected) ** 2) / len(x)


def test_codes_are_the_signs_of_the_rotated_components():
    x = make_data()
    hasher = ITQ(bits=16).fit(x)
    rotated = (x - x.mean(0)) @ hasher.components_ @ hasher.rotation_
    codes = hasher.transform(x)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(np.unpackbits(codes, axis=1, bitorder="little"), rotated > 0)
    error = np.sum((np.where(rotated > 0, 1, -1) - rotated) ** 2) / len(x)
    assert hasher.errors_[-1] == pytest.approx(error)


def test_the_seed_decides():
    x = make_data()
    first, same, other = (ITQ(bits=16, seed=s).fit(x).transform(x) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)


def test_does_not_change_the_data():
    x = make_data()
    before = x.copy()
    ITQ(bits=16).fit(x)
    np.testing.assert_array_equal(x, before)


def test_refuses_fewer_features_than_bits():
    with pytest.raises(ValueError, match=r"x must have at least 48 features.* Received: x with"):
        ITQ(bits=48).fit(make_data())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 12}, "bits must be a positive multiple of 8. Received: bits=12"),
        ({"bits": 8, "iterations": -1}, "iterations must be an integer >= 0. Rec"),
        ({"bits": 8, "iterations": True}, "iterations must be an integer >= 0. Rec"),
        ({"bits": 8, "seed": -1}, "seed must be an integer >= 0. Received: seed=-1"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ITQ(**arguments)


@pytest.mark.parametrize("cls", [ITQ, RandomProjection])
def test_large_integers_keep_their_precision(cls):
    x = np.random.default_rng(0).integers(0, 50, (100, 16)) + 1_700_000_000
    codes = cls(8).fit(x).transform(x)
    np.testing.assert_array_equal(codes, cls(8).fit(x.astype("float64")).transform(x))
    assert len(np.unique(codes)) > 10


@pytest.mark.parametrize("cls", [ITQ, RandomProjection])
def test_a_fit_that_fails_leaves_the_one_before_it(cls):
    x = np.random.default_rng(0).normal(size=(100, 16))
    hasher = cls(8).fit(x)
    codes = hasher.transform(x)
    with pytest.raises(ValueError, match="x must have squares that can be summed"):
        hasher.fit(x * 1e200)
    np.testing.assert_array_equal(hasher.transform(x), codes)


@pytest.mark.parametrize("hasher", [ITQ(16), PCASigns(16), RandomProjection(64)])
def test_the_layer_has_the_same_codes(hasher):
    x = make_data()
    with pytest.raises(ValueError, match="to_layer must come after fit"):
        hasher.to_layer()
    layer = hasher.fit(x).to_layer(name="turned")
    assert layer.name == "turned"
    logits = np.asarray(layer(x.astype("float32")))
    np.testing.assert_array_equal(
        np.packbits(logits > 0, axis=1, bitorder="little"), hasher.transform(x)
    )


def test_a_hasher_can_start_from_the_rotation():
    x = make_data()
    itq = ITQ(16).fit(x)
    encoder = keras.Sequential([keras.Input((40,)), itq.to_layer()])
    hasher = keras_ae.SemanticHasher(encoder, keras.layers.Dense(40), 16)
    np.testing.assert_array_equal(hasher.encode(x.astype("float32")), itq.transform(x))
