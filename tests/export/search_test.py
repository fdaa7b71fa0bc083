"""Search inside the graph of a .tflite file."""

import dataclasses

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import keras_ae
from keras_ae import export
from keras_ae.export import _flatbuffer, _tflite_search
from keras_ae.export._tflite_2_16 import VERSIONS


def nearest(codes: np.ndarray, ids: np.ndarray, query: np.ndarray, k: int) -> list[tuple]:
    """By hand: distances as counts of Python's integers, ties by the lower id."""
    number = int.from_bytes(query.tobytes())
    return sorted(
        ((number ^ int.from_bytes(code.tobytes())).bit_count(), int(i))
        for code, i in zip(codes, ids, strict=True)
    )[:k]


def run(path, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    outputs = Interpreter(str(path)).get_signature_runner("search")(x=x)
    return outputs["ids"], outputs["distances"]


def filled(bits: int, codes: np.ndarray, ids: np.ndarray | None = None) -> keras_ae.HammingIndex:
    index = keras_ae.HammingIndex(bits)
    index.add(codes, ids)
    return index


@pytest.fixture(scope="module")
def codes(model, x) -> np.ndarray:
    """Many equal ones and many at equal distances."""
    flips = np.random.default_rng(1).choice(np.array([0, 0, 0, 1, 128], "uint8"), (30, 96, 4))
    return (model.encode(x) ^ flips).reshape(-1, 4)


@pytest.mark.parametrize(
    ("quantize", "batch", "count", "k"),
    [
        ("float32", None, 1, 3),
        ("float32", None, 255, 10),
        ("float32", 1, 256, 256),
        ("int8", None, 257, 10),
        ("float16", 1, 2880, 40),
        ("dynamic", None, 2880, 1),
    ],
)
def test_it_finds_what_brute_force_finds(quantize, batch, count, k, model, x, codes, tmp_path):
    path = tmp_path / "search.tflite"
    ids = np.random.default_rng(2).permutation(5 * count)[:count]
    result = export.to_tflite(
        model,
        path,
        x[:20],
        quantize=quantize,
        calibration=x if quantize == "int8" else None,
        batch=batch,
        index=filled(32, codes[:count], ids),
        k=k,
    )
    assert result.signatures == ("encode", "search")
    interpreter = Interpreter(str(path))
    encode, search = (interpreter.get_signature_runner(name) for name in result.signatures)
    for i in range(20) if batch else (slice(0, 1), slice(1, 20)):
        part = x[i : i + 1] if batch else x[i]
        queries, found = encode(x=part)["codes"], search(x=part)
        assert found["ids"].dtype == found["distances"].dtype == np.int32
        for j, query in enumerate(queries):
            pairs = list(zip(found["distances"][j].tolist(), found["ids"][j].tolist(), strict=True))
            assert pairs == nearest(codes[:count], ids, query, k)


@pytest.mark.parametrize("bits", [8, 64, 248])
def test_every_distance_fits(bits, tmp_path):
    """Codes at each distance from a query, 0 and all bits too."""
    hasher = keras_ae.SemanticHasher.dense(16, hidden=(), bits=bits)
    x = np.random.default_rng(0).random((1, 16), dtype="float32")
    triangle = np.packbits(np.tri(bits + 1, bits, -1, dtype="uint8"), axis=1, bitorder="little")
    index = filled(bits, hasher.encode(x) ^ triangle)
    path = tmp_path / "search.tflite"
    export.to_tflite(hasher, path, x, index=index, k=bits + 1)
    ids, distances = run(path, x)
    np.testing.assert_array_equal(distances[0], np.arange(bits + 1))
    np.testing.assert_array_equal(ids[0], np.arange(bits + 1))


@pytest.mark.parametrize("count", [10_000, 100_000])
def test_it_finds_what_the_index_finds_in_many_codes(count, model, x, tmp_path):
    random = np.random.default_rng(3).integers(0, 256, (count, 4), dtype="uint8")
    index = filled(32, random)
    path = tmp_path / "search.tflite"
    result = export.to_tflite(model, path, x, index=index)
    assert 40 * count < path.stat().st_size == result.size < 41 * count + 2**16
    ids, distances = run(path, x)
    wanted = index.search(model.encode(x), 10)
    np.testing.assert_array_equal(ids, wanted.ids)
    np.testing.assert_array_equal(distances, wanted.distances)


def test_the_rest_of_the_file_stays_as_it_is(model, x, codes, tmp_path):
    plain, path = tmp_path / "plain.tflite", tmp_path / "search.tflite"
    names = ("encode", "reconstruct")
    export.to_tflite(model, plain, x, names, quantize="int8", calibration=x)
    export.to_tflite(model, path, x, names, quantize="int8", calibration=x, index=filled(32, codes))
    one, other = export.read_metadata(plain), export.read_metadata(path)
    # An index is made of the codes of this variant before it goes into the file.
    assert one["variant"] == other["variant"]
    assert other["search"] == {"k": 10, "codes": len(codes), "outputs": ["ids", "distances"]}
    assert "search" not in one
    a, b = (export.verify(p, model, x) for p in (plain, path))
    assert dataclasses.replace(a, microseconds=0) == dataclasses.replace(b, microseconds=0)
    assert "search.tflite" in export.compare([path], model, x)
    only = _flatbuffer.parse(path.read_bytes())
    only.signatureDefs = [s for s in only.signatureDefs if s.signatureKey == b"search"]
    path.write_bytes(_flatbuffer.with_metadata(only, b""))
    with pytest.raises(ValueError, match=r"one input and one output"):
        export.verify(path, model, x)


def test_an_old_runtime_has_its_operators(model, x, codes, tmp_path):
    path = tmp_path / "search.tflite"
    result = export.to_tflite(model, path, x, index=filled(32, codes))
    assert {"TOPK_V2", "REDUCE_MAX", "GATHER"} < set(result.operators)
    for name, version, *_ in _flatbuffer._operations(_flatbuffer.parse(path.read_bytes())):
        assert version <= VERSIONS[name], name


def test_a_search_that_is_not_the_index_s_is_not_written(model, x, codes, tmp_path, monkeypatch):
    monkeypatch.setattr(_tflite_search, "_FARTHEST", 0)
    path = tmp_path / "search.tflite"
    path.write_text("old")
    with pytest.raises(export.ExportError, match=r"'search' has other ids than the index"):
        export.to_tflite(model, path, x, index=filled(32, codes[:300]), k=300)
    assert [file.name for file in tmp_path.iterdir()] == ["search.tflite"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (np.zeros((3, 4), "uint8"), "index must be a HammingIndex or None"),
        (keras_ae.HammingIndex(32), "1 to 250000 codes .* Received: index with 0 codes"),
        (
            filled(32, np.zeros((250_001, 4), "uint8")),
            "save a larger one beside it.* Received: index with 250001 codes",
        ),
        (filled(64, np.zeros((1, 8), "uint8")), "bits of the model, 32, .* with bits=64"),
        (filled(32, np.zeros((1, 4), "uint8"), [2**31]), r"ids below 2\*\*31. .* id 2147483648"),
    ],
    ids=["array", "empty", "large", "bits", "ids"],
)
def test_bad_indexes_are_refused(index, message, model, x, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.to_tflite(model, tmp_path / "search.tflite", x, index=index)
    assert not list(tmp_path.iterdir())


def test_bad_arguments_beside_an_index_are_refused(model, x, codes, tmp_path):
    index = filled(32, codes)
    with pytest.raises(ValueError, match=r"k must be an integer >= 1. Received: k=0"):
        export.to_tflite(model, tmp_path / "search.tflite", x, index=index, k=0)
    other = keras_ae.HammingIndex(32, variant="other")
    other.add(codes)
    with pytest.raises(ValueError, match=r"index must be made of .* with variant='other'"):
        export.to_tflite(model, tmp_path / "search.tflite", x, index=other)
    with pytest.raises(ValueError, match=r"'encode'.* Received: an index with .*'logits'"):
        export.to_tflite(model, tmp_path / "search.tflite", x, ["logits"], index=index)
    wide = keras_ae.SemanticHasher.dense(8, hidden=(), bits=256)
    with pytest.raises(ValueError, match="at most 248"):
        export.to_tflite(
            wide, tmp_path / "search.tflite", index=filled(256, np.zeros((1, 32), "uint8"))
        )
    assert not list(tmp_path.iterdir())
