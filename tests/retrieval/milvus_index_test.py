"""MilvusIndex beside HammingIndex: in a file, and on a server that the test starts."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_ae.retrieval import HammingIndex, MilvusIndex, milvus_index

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("milvus_lite") is None, reason="Milvus Lite has no wheel here"
    ),
    # Of its own imports.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(scope="module")
def uri(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("milvus") / "codes.db")


def make_codes(kind: str, n: int, bits: int) -> np.ndarray:
    rng = np.random.default_rng(n + bits)
    top = {"random": 256, "ties": 2, "equal": 1}[kind]
    return rng.integers(0, top, (n, bits // 8)).astype("uint8")


def assert_same(a: MilvusIndex, b: HammingIndex, queries: np.ndarray) -> None:
    assert len(a) == len(b)
    np.testing.assert_array_equal(a.ids, b.ids)
    for k in (1, 7, 300):
        x, y = a.search(queries, k), b.search(queries, k)
        np.testing.assert_array_equal(x.ids, y.ids)
        np.testing.assert_array_equal(x.distances, y.distances)
        assert (x.ids.dtype, x.distances.dtype) == (y.ids.dtype, y.distances.dtype)
    for radius in (0, 2, 10**6):
        x, y = a.radius_search(queries, radius), b.radius_search(queries, radius)
        np.testing.assert_array_equal(x.ids, y.ids)
        np.testing.assert_array_equal(x.distances, y.distances)
        np.testing.assert_array_equal(x.offsets, y.offsets)
        assert (x.ids.dtype, x.distances.dtype) == (y.ids.dtype, y.distances.dtype)


@pytest.mark.parametrize("kind", ["random", "ties", "equal"])
@pytest.mark.parametrize("bits", [8, 64, 256])
def test_it_finds_what_hamming_index_finds(kind, bits, uri, monkeypatch):
    # So that hits come in many parts, and ties beyond what Milvus returns.
    monkeypatch.setattr(milvus_index, "_MOST_HITS", 310)
    codes = make_codes(kind, 900, bits)
    ids = np.random.default_rng(0).permutation(5000)[:900]
    ours, theirs = HammingIndex(bits), MilvusIndex(uri, f"{kind}_{bits}", bits)
    assert_same(theirs, ours, codes[:0])
    for index in (ours, theirs):
        index.add(codes[:500], ids[:500])
        index.add(codes[500:900], ids[500:900])
    queries = np.concatenate([codes[:5], make_codes("random", 3, bits)])
    assert_same(theirs, ours, queries)
    for index in (ours, theirs):
        index.remove(ids[100:400])
        index.add(codes[100:110])
    assert_same(theirs, ours, queries)
    wanted = ours.ids[::-3]
    np.testing.assert_array_equal(theirs.reconstruct(wanted), ours.reconstruct(wanted))
    again = MilvusIndex(uri, f"{kind}_{bits}", bits)
    assert_same(again, ours, queries)
    for index in (ours, again):
        index.add(codes[:3])
    assert_same(again, ours, queries[:2])


def test_many_rows_at_a_time(uri, monkeypatch):
    monkeypatch.setattr(milvus_index, "_ROWS", 7)
    codes = make_codes("random", 100, 16)
    ours, theirs = HammingIndex(16), MilvusIndex(uri, "parts", 16)
    for index in (ours, theirs):
        index.add(codes)
        index.remove(np.arange(20, 60))
    np.testing.assert_array_equal(theirs.reconstruct(ours.ids), ours.reconstruct(ours.ids))
    assert_same(theirs, ours, codes[:3])


def test_an_id_that_was_removed_is_not_given_again(uri):
    index, code = MilvusIndex(uri, "given", 16), np.zeros((1, 2), "uint8")
    index.add(code, ids=[10])
    index.remove([10])
    index.add(code)
    assert index.ids.tolist() == [11]
    index.add(code, ids=[2**63 - 1])
    with pytest.raises(ValueError, match="ids must be given: none are left after the largest"):
        index.add(code)
    assert index.ids.tolist() == [11, 2**63 - 1]


@pytest.mark.parametrize("most", [50, 8])
def test_more_ties_than_milvus_returns(uri, monkeypatch, most):
    monkeypatch.setattr(milvus_index, "_MOST_HITS", most)
    ours, theirs = HammingIndex(16), MilvusIndex(uri, f"many_{most}", 16)
    codes = np.repeat(np.array([[0, 0], [0, 1], [0, 3]], "uint8"), [3, 400, 5], axis=0)
    ids = np.random.default_rng(0).permutation(10**6)[: len(codes)]
    for index in (ours, theirs):
        index.add(codes, ids)
    for k in (1, 2, 5, 8, 49, 50):
        if k <= most:
            a, b = ours.search(codes[:1], k), theirs.search(codes[:1], k)
            np.testing.assert_array_equal(a.ids, b.ids)
            np.testing.assert_array_equal(a.distances, b.distances)
    a, b = ours.radius_search(codes[:1], 1), theirs.radius_search(codes[:1], 1)
    np.testing.assert_array_equal(a.ids, b.ids)


def test_refuses_collections_that_others_have_made(uri):
    import pymilvus

    client = pymilvus.MilvusClient(uri)
    for name, kind, auto_id, metric in (
        ("texts", pymilvus.DataType.VARCHAR, False, "HAMMING"),
        ("auto", pymilvus.DataType.INT64, True, "HAMMING"),
        ("jaccard", pymilvus.DataType.INT64, False, "JACCARD"),
    ):
        schema = client.create_schema(auto_id=auto_id)
        schema.add_field("id", kind, is_primary=True, max_length=9)
        schema.add_field("code", pymilvus.DataType.BINARY_VECTOR, dim=16)
        params = client.prepare_index_params()
        params.add_index("code", index_name="code", index_type="BIN_FLAT", metric_type=metric)
        client.create_collection(name, schema=schema, index_params=params)
        with pytest.raises(ValueError, match=rf"as this class makes it.*collection='{name}'"):
            MilvusIndex(uri, name, 16)


@pytest.fixture(scope="module")
def small(uri) -> MilvusIndex:
    index = MilvusIndex(uri, "small", 16)
    index.add(np.zeros((3, 2), "uint8"), [1, 3, 5])
    return index


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i, c: i.add(c[:, :1]), r"codes must be a uint8 array of shape \(n, 2\)"),
        (lambda i, c: i.add(c, [7]), r"ids must be integers of shape \(2,\)"),
        (lambda i, c: i.add(c, [7, 7]), "ids must be all different"),
        (lambda i, c: i.add(c, [7, 3]), "not be in the index yet. Received: id 3"),
        (lambda i, c: i.add(c, [-1, 7]), "ids must lie in"),
        (lambda i, c: i.remove([1, 2]), "ids must be in the index. Received: id 2"),
        (lambda i, c: i.reconstruct([9]), "ids must be in the index. Received: id 9"),
        (lambda i, c: i.search(c[0]), r"pass a single code as code\[None\]"),
        (lambda i, c: i.search(c, 0), "k must be an integer >= 1"),
        (lambda i, c: i.search(c, 20_000), "k must be at most 16384"),
        (lambda i, c: i.radius_search(c, -1), "radius must be an integer >= 0"),
    ],
)
def test_a_call_that_is_refused_changes_nothing(call, message, small):
    with pytest.raises(ValueError, match=message):
        call(small, np.ones((2, 2), "uint8"))
    assert small.ids.tolist() == [1, 3, 5]
    assert not small.reconstruct([1, 3, 5]).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 32}, "of bits=32, .* Received: collection='small'"),
        ({"bits": 9}, "positive multiple of 8"),
        ({"index": "HNSW"}, "index must be one of"),
        ({"index": "BIN_IVF_FLAT"}, "index must be 'BIN_FLAT' in a file"),
        ({"probes": 0}, "probes must be an integer >= 1"),
        ({"probes": 9, "clusters": 8}, "probes must be at most clusters"),
        ({"clusters": 70_000}, "clusters at most 65536"),
        ({"collection": ""}, "must be texts"),
        ({"collection": "no name!"}, "collection a name that Milvus takes. Received: uri="),
        ({"uri": "/missing/folder/a.db"}, "uri must be that of a file or a server"),
        ({"bits": 32_776, "collection": "wide"}, "bits must be at most 32768"),
    ],
)
def test_refuses_bad_arguments(changes, message, small, uri):
    with pytest.raises(ValueError, match=message):
        MilvusIndex(**{"uri": uri, "collection": "small", "bits": 16, **changes})


def test_it_says_what_to_install(uri, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(ImportError, match=r'pip install "keras-ae\[milvus\]"'):
        MilvusIndex(uri, "small", 16)


def is_isolated() -> bool:
    """Whether this machine lets a test have a network of its own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rn", "true"], check=False).returncode == 0


@pytest.mark.skipif(
    importlib.util.find_spec("milvus") is None, reason="the server has a wheel on Linux x86-64 only"
)
def test_a_server_finds_what_hamming_index_finds(tmp_path):
    if not is_isolated():
        pytest.skip("this machine allows no network of its own, which keeps the server's ports in")
    script = Path(__file__).with_name("milvus_server.py")
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, script, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    exact, recall = done.stdout.split()
    assert exact == "exact"
    # Of 64 clusters, eight are looked at.
    assert 0.5 < float(recall) <= 1
