"""How an index chooses, and that the tables do find what they are for."""

import numpy as np
import pytest

from keras_ae.retrieval import HammingIndex, _multi_index, _searcher
from keras_ae.retrieval._words import as_words


def clustered(rng: np.random.Generator, n: int, bits: int = 64, noise: float = 0.03) -> np.ndarray:
    centres = rng.integers(0, 256, (max(1, n // 500), bits // 8), dtype=np.uint8)
    flips = np.packbits(rng.random((n, bits)) < noise, axis=1)
    return centres[rng.integers(len(centres), size=n)] ^ flips


def assert_equal(a: HammingIndex, b: HammingIndex, queries: np.ndarray) -> None:
    for k in (1, 10, 100):
        x, y = a.search(queries, k), b.search(queries, k)
        np.testing.assert_array_equal(x.ids, y.ids)
        np.testing.assert_array_equal(x.distances, y.distances)
    for radius in (0, 3, 9):
        x, y = a.radius_search(queries, radius), b.radius_search(queries, radius)
        np.testing.assert_array_equal(x.ids, y.ids)
        np.testing.assert_array_equal(x.distances, y.distances)
        np.testing.assert_array_equal(x.offsets, y.offsets)


def filled(codes: np.ndarray, method: str) -> HammingIndex:
    index = HammingIndex(8 * codes.shape[1], method=method)
    index.add(codes)
    return index


@pytest.mark.parametrize("bits", [32, 40, 64])
def test_tables_find_most_neighbours_in_clusters_and_leave_the_rest(bits):
    rng = np.random.default_rng(0)
    codes = clustered(rng, 60_000, bits)
    queries = np.concatenate([codes[:100], rng.integers(0, 256, (100, bits // 8), dtype=np.uint8)])
    tables = _multi_index.build_tables(as_words(codes)[:, 0], bits)
    _, _, left = _multi_index.nearest_in_tables(tables, as_words(queries)[:, 0], bits, 10)
    assert left[:100].mean() < 0.1
    assert left[100:].mean() > 0.5
    assert_equal(filled(codes, "multi_index"), filled(codes, "scan"), queries)


def test_tables_hold_every_code_once_by_each_substring():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 2**40, 3000, dtype=np.uint64)
    tables = _multi_index.build_tables(codes, 40)
    assert tables.widths.tolist() == [16, 16, 8]
    for j, keys in enumerate((codes & 0xFFFF, (codes >> 16) & 0xFFFF, codes >> 32)):
        assert sorted(tables.rows[j]) == list(range(3000))
        np.testing.assert_array_equal(tables.codes[j], codes[tables.rows[j]])
        for key in (0, 7, *keys[:50]):
            first, last = tables.offsets[j, key], tables.offsets[j, int(key) + 1]
            assert sorted(tables.rows[j, first:last]) == np.flatnonzero(keys == key).tolist()


def test_auto_takes_tables_where_they_pay():
    rng = np.random.default_rng(2)
    codes = clustered(rng, 60_000)
    index = filled(codes, "auto")
    assert index.why == "scan: fewer than 1,000 queries since the codes changed"
    assert_equal(index, filled(codes, "scan"), codes[:150])
    assert index.why.startswith("scan")
    assert_equal(index, filled(codes, "scan"), codes[:300])
    assert index.why.startswith("multi_index: to find the 10 nearest of one of 64 of the 60,000")
    assert_equal(index, filled(codes, "scan"), codes[:300])
    index.add(codes[:1])
    assert index.why.startswith("scan: fewer than 1,000 queries")


def test_auto_scans_random_wide_and_few_codes():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 256, (60_000, 8), dtype=np.uint8)
    index = filled(codes, "auto")
    index.search(codes[:1200], 1)
    assert index.why.startswith("scan: to find the 10 nearest")
    for wide, reason in (
        (clustered(rng, 60_000, 128), "scan: codes of more than 64 bits"),
        (codes[:100], "scan: 100 codes, fewer than 50,000"),
    ):
        index = filled(wide, "auto")
        index.search(np.repeat(wide[:10], 200, axis=0), 1)
        assert index.why == reason
    assert filled(codes, "scan").why == "scan: asked for"
    assert filled(codes, "multi_index").why == "multi_index: asked for"


def test_what_is_said_to_be_seen_is_what_is_looked_at(monkeypatch):
    """Codes in one bucket of each table, far from all others: a query sees them and no more."""
    codes = np.zeros((64_000, 8), np.uint8)
    codes[640:] = 255
    tables = _multi_index.build_tables(as_words(codes)[:, 0], 64)
    share = _multi_index.share_seen(tables, as_words(codes[:64])[:, 0], 64, 10)
    assert share == pytest.approx(640 / 64_000, rel=0.02)
    monkeypatch.setattr(_searcher, "_LOOK", 99)
    index = filled(codes, "auto")
    index.search(codes[:1000], 1)
    assert index.why.startswith("multi_index") == (99 * 0.0625 < 1)


@pytest.mark.parametrize("method", ["Scan", "hnsw", None])
def test_refuses_a_method(method, tmp_path):
    HammingIndex(64).save(tmp_path / "x")
    for make in (
        lambda: HammingIndex(64, method=method),
        lambda: HammingIndex.load(tmp_path / "x", method=method),
    ):
        with pytest.raises(ValueError, match=r"method must be one of .*'multi_index'"):
            make()
    with pytest.raises(ValueError, match=r"for more than 64 bits.* Received: .* with bits=72"):
        HammingIndex(72, method="multi_index")
