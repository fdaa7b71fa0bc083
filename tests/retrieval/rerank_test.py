import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_ae.retrieval import HammingIndex


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 999),
    n=st.integers(0, 80),
    k=st.integers(1, 20),
    more=st.integers(0, 90),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
)
def test_candidates_are_put_in_the_order_of_their_vectors(seed, n, k, more, dtype):
    rng = np.random.default_rng(seed)
    codes, queries = (rng.integers(0, 4, (m, 2), dtype=np.uint8) for m in (n, 3))
    # Whole numbers, so that distances tie.
    vectors, near = (rng.integers(0, 3, (m, 2)).astype(dtype) for m in (n, 3))
    ids = 7 * rng.permutation(n)
    index = HammingIndex(16)
    index.add(codes, ids)
    of = dict(zip(ids.tolist(), vectors, strict=True))
    stored = np.array([of[i] for i in index.ids.tolist()], dtype).reshape(n, 2)
    result = index.search(queries, k, rerank=(near, stored), candidates=k + more)
    plain = index.search(queries, k + more)
    for q in range(3):
        pairs = sorted(
            (float(np.sum((of[i].astype(float) - near[q]) ** 2)), i) for i in plain.ids[q].tolist()
        )[:k]
        assert result.ids[q].tolist() == [i for _, i in pairs]
        np.testing.assert_allclose(result.distances[q], np.sqrt([d for d, _ in pairs]), rtol=1e-6)
    assert result.distances.dtype == np.float32


def test_ten_times_as_many_candidates_by_default_and_a_file_that_is_mapped(tmp_path):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (200, 8), dtype=np.uint8)
    vectors = rng.normal(size=(200, 4)).astype("float32")
    np.save(tmp_path / "v.npy", vectors)
    index = HammingIndex(64)
    index.add(codes)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    a = index.search(codes[:9], 3, rerank=(vectors[:9], mapped))
    b = index.search(codes[:9], 3, rerank=(vectors[:9], vectors), candidates=30)
    np.testing.assert_array_equal(a.ids, b.ids)
    assert (a.ids[:, 0] == np.arange(9)).all()
    assert not a.distances[:, 0].any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rerank": np.zeros((2, 5, 3))}, "rerank must be a tuple of two arrays"),
        ({"rerank": (np.zeros((1, 3)), np.zeros((4, 3)))}, r"\(1, d\) and \(5, d\)"),
        ({"rerank": (np.zeros((2, 3)), np.zeros((5, 3)))}, r"\(1, d\) and \(5, d\)"),
        ({"rerank": (np.zeros((1, 2)), np.zeros((5, 3)))}, "arrays of floats"),
        ({"rerank": (np.zeros((1, 3), int), np.zeros((5, 3)))}, "arrays of floats"),
        ({"rerank": (np.zeros(3), np.zeros((5, 3)))}, "arrays of floats"),
        ({"rerank": (np.full((1, 3), np.nan), np.zeros((5, 3)))}, "differences are finite"),
        ({"rerank": (np.zeros((1, 3)), np.full((5, 3), np.inf))}, "differences are finite"),
        ({"rerank": (np.zeros((1, 3)), np.full((5, 3), 1e200))}, "differences are finite"),
        ({"candidates": 9}, "candidates must be None without rerank"),
        ({"candidates": 1, "rerank": (np.zeros((1, 3)), np.zeros((5, 3)))}, "integer >= 2"),
    ],
)
def test_refuses(given, message):
    index = HammingIndex(8)
    index.add(np.zeros((5, 1), np.uint8))
    with pytest.raises(ValueError, match=message):
        index.search(np.zeros((1, 1), np.uint8), 2, **given)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
def test_candidates_of_any_kind_of_integer(kind):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (1000, 8), dtype=np.uint8)
    vectors = rng.normal(size=(1000, 3))
    index = HammingIndex(64)
    index.add(codes)
    a = index.search(codes[:5], 3, rerank=(vectors[:5], vectors), candidates=kind(100))
    b = index.search(codes[:5], 3, rerank=(vectors[:5], vectors), candidates=100)
    np.testing.assert_array_equal(a.ids, b.ids)
