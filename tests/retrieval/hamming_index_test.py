"""HammingIndex against a brute-force oracle that shares no code with it."""

import copy
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_ae.retrieval import HammingIndex, SearchResult, _multi_index, _searcher

WIDTHS = [8, 16, 24, 64, 72, 128, 256, 512]
CAP = _multi_index._CAP
KINDS = ["random", "clustered", "equal", "ties"]


def oracle_distances(codes, queries):
    a, b = np.unpackbits(codes, axis=1), np.unpackbits(queries, axis=1)
    return np.stack([np.sum(a != row, axis=1) for row in b]) if len(b) else np.empty((0, len(a)))


def oracle_search(codes, ids, queries, k):
    distances = oracle_distances(codes, queries)
    order = np.array([np.lexsort((ids, row))[:k] for row in distances], dtype=int)
    order = order.reshape(len(queries), min(k, len(ids)))
    return ids[order], np.take_along_axis(distances, order, axis=1)


def oracle_radius(codes, ids, queries, radius):
    results = []
    for row in oracle_distances(codes, queries):
        order = [i for i in np.lexsort((ids, row)) if row[i] <= radius]
        results.append((ids[order], row[order]))
    return results


def make_codes(rng, kind, n, bits):
    shape = (n, bits // 8)
    if kind == "equal":
        return np.full(shape, rng.integers(256), np.uint8)
    if kind == "ties":
        return rng.choice(np.array([0, 1, 2, 128], np.uint8), size=shape)
    codes = rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == "clustered":
        centres = rng.integers(0, 256, (4, bits // 8), dtype=np.uint8)
        flips = np.packbits(rng.random((n, bits)) < 0.05, axis=1)
        codes = centres[rng.integers(4, size=n)] ^ flips
    return codes


def make_ids(rng, n):
    return rng.choice(5 * n + 1, size=n, replace=False).astype(np.int64) * 1_000_003


@pytest.fixture(autouse=True, scope="module")
def cap():
    yield
    _multi_index._CAP = CAP


def assert_search(index, codes, ids, queries, k):
    result = index.search(queries, k)
    expected_ids, expected_distances = oracle_search(codes, ids, queries, k)
    np.testing.assert_array_equal(result.ids, expected_ids)
    np.testing.assert_array_equal(result.distances, expected_distances)
    assert result.ids.dtype == np.int64
    assert result.distances.dtype == np.int32


def assert_radius(index, codes, ids, queries, radius):
    result = index.radius_search(queries, radius)
    expected = oracle_radius(codes, ids, queries, radius)
    assert len(result) == len(queries)
    assert (result.ids.dtype, result.distances.dtype) == (np.int64, np.int32)
    for hits, (expected_ids, expected_distances) in zip(result, expected, strict=True):
        np.testing.assert_array_equal(hits.ids, expected_ids)
        np.testing.assert_array_equal(hits.distances, expected_distances)


cases = given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(KINDS),
    n=st.one_of(st.integers(0, 600), st.integers(0, 5000)),
    bits=st.one_of(st.sampled_from(WIDTHS), st.integers(1, 64).map(lambda octets: 8 * octets)),
    q=st.integers(0, 5),
    tables=st.booleans(),
)


def make_case(seed, kind, n, bits, q, tables):
    """Codes, ids, queries of which half are in the index, and the index, filled in two steps."""
    rng = np.random.default_rng(seed)
    codes, ids = make_codes(rng, kind, n, bits), make_ids(rng, n)
    near = codes[rng.integers(n, size=q)] if n else codes[:0]
    queries = np.concatenate([near, make_codes(rng, kind, q, bits)])
    index = HammingIndex(bits, method="multi_index" if tables and bits <= 64 else "scan")
    # From all queries left to the scan to none.
    _multi_index._CAP = rng.choice([1 / 16, 1, 100])
    cut = rng.integers(n + 1)
    index.add(codes[:cut], ids[:cut])
    if rng.random() < 0.5:
        index.search(queries)
    index.add(codes[cut:], ids[cut:])
    assert len(index) == n
    return codes, ids, queries, index, rng


@settings(deadline=None, max_examples=150)
@cases
def test_search_equals_the_oracle(**case):
    codes, ids, queries, index, rng = make_case(**case)
    assert_search(index, codes, ids, queries, k=1)
    assert_search(index, codes, ids, queries, k=int(rng.integers(1, case["n"] + 20)))


@settings(deadline=None, max_examples=100)
@cases
def test_radius_search_equals_the_oracle(**case):
    codes, ids, queries, index, rng = make_case(**case)
    assert_radius(index, codes, ids, queries, radius=0)
    assert_radius(index, codes, ids, queries, radius=int(rng.integers(0, case["bits"] + 10)))


@settings(deadline=None, max_examples=30)
@cases
def test_flipping_the_same_bits_everywhere_changes_nothing(seed, kind, n, bits, q, tables):
    rng = np.random.default_rng(seed)
    codes, queries = make_codes(rng, kind, n, bits), make_codes(rng, kind, q, bits)
    mask = rng.integers(0, 256, bits // 8, dtype=np.uint8)
    method = "multi_index" if tables and bits <= 64 else "scan"
    plain, flipped = (HammingIndex(bits, method=method) for _ in range(2))
    plain.add(codes)
    flipped.add(codes ^ mask)
    a, b = plain.search(queries, 7), flipped.search(queries ^ mask, 7)
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.distances, b.distances)
    a, b = plain.radius_search(queries, bits // 3), flipped.radius_search(queries ^ mask, bits // 3)
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.offsets, b.offsets)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [511, 512, 513, 1024, 5000, 8192, 8193])
def test_across_slices_and_tiles(n, kind):
    _multi_index._CAP = 100
    cases = [(bits, "scan") for bits in (24, 64, 128, 192, 256)]
    for bits, method in [*cases, (24, "multi_index"), (64, "multi_index")]:
        rng = np.random.default_rng(n + bits)
        codes, queries = make_codes(rng, kind, n, bits), make_codes(rng, kind, 3, bits)
        index = HammingIndex(bits, method=method)
        index.add(codes)
        for k in (1, 10, 300):
            assert_search(index, codes, np.arange(n), queries, k)
        assert_radius(index, codes, np.arange(n), queries, bits // 3)


def test_many_rows_and_every_row():
    rng = np.random.default_rng(0)
    codes = make_codes(rng, "random", 70_000, 64)
    index = HammingIndex(64)
    index.add(codes)
    queries = codes[[3, 69_999]]
    for k in (1, 1000, 70_000):
        assert_search(index, codes, np.arange(70_000), queries, k)


def test_ever_nearer_rows_are_all_offered():
    codes = np.packbits(np.tri(65, 64, dtype=np.uint8)[::-1], axis=1)
    codes = np.repeat(codes, 200, axis=0)
    index = HammingIndex(64)
    index.add(codes)
    for k in (1, 5, 700):
        assert_search(index, codes, np.arange(len(codes)), np.zeros((2, 8), np.uint8), k)


def test_queries_beyond_one_chunk(monkeypatch):
    monkeypatch.setattr("keras_ae.retrieval._nearest.WORK_BYTES", 10_000)
    monkeypatch.setattr("keras_ae.retrieval._within.WORK_BYTES", 1_000)
    rng = np.random.default_rng(1)
    codes, queries = make_codes(rng, "ties", 700, 16), make_codes(rng, "ties", 41, 16)
    index = HammingIndex(16)
    index.add(codes)
    assert_search(index, codes, np.arange(700), queries, 20)
    assert_radius(index, codes, np.arange(700), queries, 3)


@pytest.mark.parametrize(("bits", "method"), [(128, "scan"), (64, "multi_index"), (64, "auto")])
def test_threads_search_at_once(bits, method, monkeypatch):
    monkeypatch.setattr(_searcher, "_FEW", 100)
    monkeypatch.setattr(_searcher, "_SCANS", 50)
    rng = np.random.default_rng(2)
    kind = "random" if bits == 128 else "clustered"
    codes, queries = make_codes(rng, kind, 20_000, bits), make_codes(rng, kind, 20, bits)
    index = HammingIndex(bits, method=method)
    for part in np.split(codes, 50):
        index.add(part)
    expected_ids, _ = oracle_search(codes, np.arange(20_000), queries, 10)
    barrier, found = threading.Barrier(6), [None] * 6

    def work(i):
        barrier.wait()
        found[i] = index.search(queries, 10).ids

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ids in found:
        np.testing.assert_array_equal(ids, expected_ids)


def test_bit_zero_is_the_lowest_bit_of_byte_zero():
    bits = np.zeros((1, 16), np.uint8)
    bits[0, 0] = bits[0, 9] = 1
    index = HammingIndex(16)
    index.add(np.packbits(bits, axis=1, bitorder="little"))
    assert index.search(np.array([[1, 2]], np.uint8)).distances == [[0]]


def test_ids_go_on_after_the_largest():
    index = HammingIndex(8)
    index.add(np.zeros((2, 1), np.uint8))
    assert index.ids.tolist() == [0, 1]
    index.add(np.zeros((2, 1), np.uint8), [9, 4])
    index.add(np.zeros((1, 1), np.uint8))
    index.add(np.zeros((1, 1), np.uint8), np.array([7], np.uint16))
    assert index.ids.tolist() == [0, 1, 4, 7, 9, 10]
    assert index.ids.dtype == np.int64
    with pytest.raises(ValueError, match=r"read-only"):
        index.ids[0] = 5


def test_last_id_leaves_no_default():
    index = HammingIndex(8)
    index.add(np.zeros((1, 1), np.uint8), [2**63 - 2])
    index.add(np.zeros((1, 1), np.uint8))
    index.add(np.zeros((0, 1), np.uint8))
    with pytest.raises(ValueError, match=r"none are left"):
        index.add(np.zeros((1, 1), np.uint8))
    assert len(index) == 2


def test_owns_its_codes_and_ids():
    codes, ids = np.arange(4, dtype=np.uint8).reshape(4, 1), np.arange(4)
    index = HammingIndex(8)
    index.add(codes, ids)
    codes[:], ids[:] = 255, 99
    assert index.search(np.array([[2]], np.uint8), k=1).ids == [[2]]


def test_empty_index():
    index = HammingIndex(16)
    result = index.search(np.zeros((3, 2), np.uint8))
    assert result.ids.shape == result.distances.shape == (3, 0)
    hits = index.radius_search(np.zeros((3, 2), np.uint8), 16)
    assert len(hits) == 3
    assert hits.offsets.tolist() == [0, 0, 0, 0]
    assert len(index) == len(index.ids) == 0


def test_takes_codes_in_any_memory_layout():
    rng = np.random.default_rng(3)
    codes = make_codes(rng, "random", 100, 64)
    index = HammingIndex(64)
    index.add(np.asfortranarray(codes))
    index.add(np.repeat(codes, 2, axis=0)[::2])
    both = np.concatenate([codes, codes])
    assert_search(index, both, np.arange(200), np.asfortranarray(codes[:5]), 12)
    assert_search(index, both, np.arange(200), codes[5:0:-1], 12)


def test_radius_result_is_a_sequence():
    index = HammingIndex(8)
    index.add(np.array([[0], [1], [3]], np.uint8))
    result = index.radius_search(np.array([[0], [255], [3]], np.uint8), 1)
    assert isinstance(result[0], SearchResult)
    assert [hits.ids.tolist() for hits in result] == [[0, 1], [], [2, 1]]
    assert result[-1].distances.tolist() == [0, 1]
    assert result[np.int64(1)].ids.shape == (0,)
    with pytest.raises(IndexError):
        result[3]


def test_numpy_integers_are_integers():
    index = HammingIndex(np.int32(8))
    index.add(np.zeros((3, 1), np.uint8))
    query = np.zeros((1, 1), np.uint8)
    assert index.search(query, np.uint8(2)).ids.shape == (1, 2)
    assert index.radius_search(query, np.int64(0)).ids.shape == (3,)
    assert index.search(query, 10**30).ids.shape == (1, 3)
    assert index.radius_search(query, 10**30).ids.shape == (3,)


@pytest.mark.parametrize("bits", [0, -8, 12, 8.0, True, "8", None])
def test_refuses_bits(bits):
    with pytest.raises(ValueError, match=r"bits must be .* Received: bits="):
        HammingIndex(bits)


@pytest.mark.parametrize("k", [0, -1, 1.0, True, None])
def test_refuses_k(k):
    with pytest.raises(ValueError, match=r"k must be an integer >= 1. Received: k="):
        HammingIndex(8).search(np.zeros((1, 1), np.uint8), k)


@pytest.mark.parametrize("radius", [-1, 1.5, False, None])
def test_refuses_radius(radius):
    with pytest.raises(ValueError, match=r"radius must be an integer >= 0. Received: radius="):
        HammingIndex(8).radius_search(np.zeros((1, 1), np.uint8), radius)


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((3, 2), np.int64),
        np.zeros((3, 2), bool),
        np.zeros((3, 3), np.uint8),
        np.zeros((3, 2, 1), np.uint8),
        np.zeros((2,), np.uint8),
        [[0, 1]],
    ],
)
def test_refuses_codes(codes):
    index = HammingIndex(16)
    message = r"must be a uint8 array of shape \(n, 2\). Received: "
    with pytest.raises(ValueError, match=r"codes " + message):
        index.add(codes)
    with pytest.raises(ValueError, match=r"queries " + message):
        index.search(codes)
    with pytest.raises(ValueError, match=r"queries " + message):
        index.radius_search(codes, 1)
    assert len(index) == 0


def test_a_single_code_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"pass a single code as code\[None\]"):
        HammingIndex(16).search(np.zeros(2, np.uint8))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([5, 6], r"ids must be integers of shape \(3,\)"),
        ([[5, 6, 7]], "ids must be integers of shape"),
        ([5.0, 6.0, 7.0], "ids must be integers of shape"),
        ([True, False, True], "ids must be integers of shape"),
        ([5, -1, 6], r"ids must lie in \[0, 2\*\*63\). Received: ids from -1 to 6"),
        (np.array([5, 6, 2**63], np.uint64), "ids must lie in"),
        ([5, 6, 5], "ids must be all different. Received: id 5 twice"),
        ([5, 2, 6], "ids must not be in the index yet. Received: id 2"),
    ],
)
@pytest.mark.parametrize("settle", [False, True])
def test_a_refused_add_changes_nothing(ids, message, settle):
    index = HammingIndex(8)
    codes = np.arange(3, dtype=np.uint8)[:, None]
    index.add(codes, [0, 2, 4])
    if settle:
        index.search(codes)
    with pytest.raises(ValueError, match=message):
        index.add(codes, ids)
    assert index.ids.tolist() == [0, 2, 4]
    index.add(codes[:1])
    assert index.ids.tolist() == [0, 2, 4, 5]
    assert index.search(codes, 1).ids[:, 0].tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda index: pickle.loads(pickle.dumps(index))]
)
def test_copies_are_equal_and_apart(duplicate):
    codes = np.random.default_rng(0).integers(0, 256, (50, 8), dtype=np.uint8)
    index = HammingIndex(64)
    index.add(codes[:30], np.arange(30) * 2)
    other = duplicate(index)
    np.testing.assert_array_equal(other.search(codes, 5).ids, index.search(codes, 5).ids)
    other.add(codes[30:])
    assert (len(index), len(other)) == (30, 50)
    index.add(codes[30:31])
    assert index.ids[-1] == 59 == other.ids[30]


def test_no_codes_take_no_ids():
    index = HammingIndex(8)
    index.add(np.empty((0, 1), np.uint8), ids=[])
    assert len(index) == 0


@pytest.mark.parametrize("bits", [8, 24, 64, 128])
def test_reconstruct_returns_the_codes_of_ids(bits):
    rng = np.random.default_rng(bits)
    codes, ids = make_codes(rng, "random", 200, bits), make_ids(rng, 200)
    index = HammingIndex(bits)
    index.add(codes[:150], ids[:150])
    index.add(codes[150:], ids[150:])
    wanted = rng.integers(200, size=500)
    found = index.reconstruct(ids[wanted].tolist())
    np.testing.assert_array_equal(found, codes[wanted])
    found[:] = 0
    np.testing.assert_array_equal(index.reconstruct(ids), codes)
    assert index.reconstruct([]).shape == (0, bits // 8)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 3], "ids must be in the index. Received: id 3, which is not"),
        ([5], "ids must be in the index. Received: id 5"),
        (0, r"ids must be integers of shape \(n,\)"),
        ([[0]], "ids must be integers of shape"),
        ([0.0], "ids must be integers of shape"),
        ([-1], "ids must lie in"),
    ],
)
def test_reconstruct_refuses_ids(ids, message):
    index = HammingIndex(8)
    index.add(np.zeros((3, 1), np.uint8), [0, 2, 4])
    with pytest.raises(ValueError, match=message):
        index.reconstruct(ids)
