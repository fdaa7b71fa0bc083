"""The index file: round trips, and everything that must be refused."""

import copy
import json
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from keras_ae.retrieval import HammingIndex, _index_file

METADATA = {
    "format": "keras_ae.HammingIndex",
    "version": "3",
    "bits": "16",
    "bit_order": "little",
    "count": "3",
    "next_id": "10",
    "variant": "v1",
    # By an independent program: printf '\0\1\2\3\4\5' | gzip -c | tail -c8 | od -An -N4 -tu4
    "crc32_codes": "820760394",
    "crc32_ids": "1207068986",
    # printf '16 3 10 v1' | gzip -c | tail -c8 | od -An -N4 -tu4
    "crc32_text": "576524730",
}
CODES = np.arange(6, dtype=np.uint8).reshape(3, 2)
IDS = np.array([1, 5, 9])


def make_index(bits=64, n=1000):
    rng = np.random.default_rng(bits)
    index = HammingIndex(bits)
    index.add(
        rng.integers(0, 256, (n, bits // 8), dtype=np.uint8),
        rng.choice(10 * n + 1, n, replace=False),
    )
    return index, rng.integers(0, 256, (5, bits // 8), dtype=np.uint8)


def assert_same(a, b, queries):
    assert (len(a), a.bits) == (len(b), b.bits)
    np.testing.assert_array_equal(a.ids, b.ids)
    x, y = a.search(queries, 20), b.search(queries, 20)
    np.testing.assert_array_equal(x.ids, y.ids)
    np.testing.assert_array_equal(x.distances, y.distances)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("bits", [8, 64, 72, 128])
@pytest.mark.parametrize("n", [0, 1, 1000])
def test_round_trip(tmp_path, bits, mmap, n):
    index, queries = make_index(bits, n)
    path = tmp_path / "codes.safetensors"
    index.save(path)
    loaded = HammingIndex.load(str(path), mmap=mmap)
    assert_same(index, loaded, queries)
    assert [file.name for file in tmp_path.iterdir()] == ["codes.safetensors"]


def test_any_safetensors_reader_opens_it(tmp_path):
    index = HammingIndex(16, variant="v1")
    index.add(CODES[::-1], IDS[::-1])
    index.save(tmp_path / "x")
    tensors = load_file(tmp_path / "x")
    np.testing.assert_array_equal(tensors["codes"], CODES)
    np.testing.assert_array_equal(tensors["ids"], IDS)
    raw = (tmp_path / "x").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert header["__metadata__"] == METADATA


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("ids", [None, "below"])
def test_adding_after_load_leaves_the_file_alone(tmp_path, mmap, ids):
    index, queries = make_index()
    path = tmp_path / "x"
    index.save(path)
    before = path.read_bytes()
    loaded = HammingIndex.load(path, mmap=mmap)
    loaded.search(queries)
    if ids == "below":
        ids = np.setdiff1d(np.arange(10), index.ids)[:5]
    for each in (index, loaded):
        each.add(queries, ids)
    assert_same(index, loaded, queries)
    assert path.read_bytes() == before


@pytest.mark.parametrize("bits", [64, 128])
def test_saving_over_the_file_in_use(tmp_path, bits):
    index, queries = make_index(bits)
    path = tmp_path / "x"
    index.save(path)
    loaded = HammingIndex.load(path)
    loaded.save(path)
    loaded.add(queries)
    loaded.save(path)
    assert_same(HammingIndex.load(path), loaded, queries)


def test_mapped_codes_of_one_word_are_not_copied(tmp_path):
    index, queries = make_index(64)
    index.save(tmp_path / "x")
    loaded = HammingIndex.load(tmp_path / "x")
    loaded.search(queries)
    assert np.shares_memory(loaded._store.codes, loaded._searcher._planes)
    assert not loaded._store.codes.flags.writeable


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    index, queries = make_index()
    path = tmp_path / "x"
    index.save(path)

    def fail(_tensors, filename, _metadata):
        filename.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("keras_ae._files.save_file", fail)
    with pytest.raises(OSError, match=r"disk full"):
        HammingIndex(8).save(path)
    assert_same(HammingIndex.load(path), index, queries)
    assert len(list(tmp_path.iterdir())) == 1


def test_save_needs_a_folder(tmp_path):
    with pytest.raises(ValueError, match=r"path must lie in an existing, writable folder"):
        HammingIndex(8).save(tmp_path / "missing" / "x")


def write(path, codes=CODES, ids=IDS, drop=(), **changes):
    sums = {"crc32_codes": str(zlib.crc32(codes)), "crc32_ids": str(zlib.crc32(ids))}
    metadata = {**METADATA, **sums, **changes}
    text = " ".join(metadata[name] for name in ("bits", "count", "next_id", "variant"))
    metadata = {**metadata, "crc32_text": str(zlib.crc32(text.encode())), **changes}
    metadata = {k: v for k, v in metadata.items() if k not in drop}
    save_file({"codes": codes, "ids": ids}, path, metadata)


def assert_refused(path, reason):
    for mmap in (True, False):
        with pytest.raises(ValueError, match=reason) as error:
            HammingIndex.load(path, mmap=mmap)
        assert f"Received: path={str(path)!r}" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"codes": CODES.astype(np.int16)}, "tensors"),
        ({"codes": CODES[:2]}, "tensors"),
        ({"codes": CODES.ravel()}, "tensors"),
        ({"ids": IDS.astype(np.uint64)}, "tensors"),
        ({"ids": IDS[:, None]}, "tensors"),
        ({"ids": np.array([1, 1, 2])}, "strictly increasing"),
        ({"ids": np.array([1, 3, 2])}, "strictly increasing"),
        ({"ids": np.array([-1, 3, 4])}, "must be >= 0"),
        ({"crc32_ids": "1"}, "checksum of its ids is wrong"),
        ({"crc32_ids": ""}, "crc32_ids is '', expected a number"),
        ({"drop": ("crc32_ids",)}, "crc32_ids is None"),
        ({"next_id": "9"}, "next_id is 9, expected more than 9"),
        ({"next_id": str(2**63 + 1)}, "next_id is 9223372036854775809"),
        ({"drop": ("next_id",)}, "next_id is None"),
        ({"crc32_text": "1"}, "checksum of its metadata is wrong"),
        ({"drop": ("crc32_text",)}, "crc32_text is None"),
        ({"drop": ("variant",)}, "variant is None, expected a text"),
        ({"bits": "12"}, "multiple of 8"),
        ({"bits": "0"}, "multiple of 8"),
        ({"bits": "24"}, "tensors"),
        ({"bits": "-8"}, "bits is '-8', expected a number"),
        ({"bits": "9" * 5000}, "expected a number"),
        ({"count": "4"}, "tensors"),
        ({"count": "three"}, "count is 'three'"),
        ({"version": "1"}, "version '1'"),
        ({"bit_order": "big"}, "bit order 'big'"),
        ({"format": "pt"}, "does not say format="),
        ({"drop": ("bits",)}, "bits is None"),
        ({"drop": ("format",)}, "does not say format="),
    ],
)
def test_refuses_a_file_with(tmp_path, changes, reason):
    write(tmp_path / "x", **changes)
    assert_refused(tmp_path / "x", reason)


def test_refuses_missing_foreign_and_cut_files(tmp_path):
    assert_refused(tmp_path / "missing", "No such file")
    assert_refused(tmp_path, "directory")
    save_file({"codes": CODES}, tmp_path / "plain")
    assert_refused(tmp_path / "plain", "does not say format=")
    for content in (b"", b"1234", b"not a safetensors file at all", b"\x02" + bytes(7) + b"[]"):
        (tmp_path / "foreign").write_bytes(content)
        assert_refused(tmp_path / "foreign", "foreign")
    deep = b"[" * 100_000
    (tmp_path / "deep").write_bytes(len(deep).to_bytes(8, "little") + deep)
    assert_refused(tmp_path / "deep", "deep")

    write(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"cut"):
            HammingIndex.load(tmp_path / "cut")
    (tmp_path / "long").write_bytes(whole + b"\0")
    assert_refused(tmp_path / "long", "bytes of data")


def test_codes_may_stand_before_ids(tmp_path):
    # Other writers may put them so; the ids are then not aligned.
    header = {
        "__metadata__": METADATA,
        "codes": {"dtype": "U8", "shape": [3, 2], "data_offsets": [0, 6]},
        "ids": {"dtype": "I64", "shape": [3], "data_offsets": [6, 30]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "x"
    path.write_bytes(len(text).to_bytes(8, "little") + text + CODES.tobytes() + IDS.tobytes())
    index = HammingIndex.load(path)
    assert index.search(CODES, 1).ids[:, 0].tolist() == IDS.tolist()


def test_an_unaligned_file_is_searched(tmp_path):
    index, queries = make_index(64)
    index.save(tmp_path / "x")
    raw = (tmp_path / "x").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    padded = (size + 3).to_bytes(8, "little") + raw[8 : 8 + size] + b"   " + raw[8 + size :]
    (tmp_path / "y").write_bytes(padded)
    assert_same(HammingIndex.load(tmp_path / "y"), index, queries)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damage_is_refused_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    write(folder / "whole")
    raw = bytearray((folder / "whole").read_bytes())
    header_end = 8 + int.from_bytes(raw[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, header_end - 1))
        raw[position] = data.draw(
            st.one_of(st.integers(0, 255), st.sampled_from(b'0123456789"{}[],'))
        )
    cut = data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))
    (folder / "damaged").write_bytes(raw[:cut])
    try:
        index = HammingIndex.load(folder / "damaged", mmap=data.draw(st.booleans()))
    except ValueError as error:
        message = str(error)
    else:
        message = "damaged"
        assert index.search(CODES, 1).ids[:, 0].tolist() == IDS.tolist()
    assert "damaged" in message


def test_the_file_has_the_mode_of_any_new_file(tmp_path):
    index = HammingIndex(8)
    index.save(tmp_path / "index.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "index.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("variant", [None, "9f86d081884c7d65"])
@pytest.mark.parametrize("mmap", [True, False])
def test_an_index_keeps_its_variant(variant, mmap, tmp_path):
    HammingIndex(8, variant).save(tmp_path / "x")
    assert HammingIndex.load(tmp_path / "x", mmap=mmap).variant == variant
    assert copy.deepcopy(HammingIndex(8, variant)).variant == variant


@pytest.mark.parametrize("variant", ["", 3, b"v"])
def test_refuses_a_variant(variant):
    with pytest.raises(ValueError, match=r"variant must be a text that is not empty, or None"):
        HammingIndex(8, variant)


def test_changed_codes_are_seen_where_they_are_read(tmp_path):
    write(tmp_path / "x")
    raw = bytearray((tmp_path / "x").read_bytes())
    raw[raw.index(CODES.tobytes())] ^= 1
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(ValueError, match=r"checksum of its codes is wrong"):
        HammingIndex.load(tmp_path / "x", mmap=False)
    assert len(HammingIndex.load(tmp_path / "x", mmap=True)) == 3


def test_a_flipped_bit_is_never_other_contents(tmp_path):
    index = HammingIndex(16, variant="model-a")
    index.add(np.arange(40, dtype=np.uint8).reshape(20, 2))
    index.remove(range(10, 20))
    index.save(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        (tmp_path / "x").write_bytes(damaged)
        try:
            loaded = HammingIndex.load(tmp_path / "x", mmap=False)
        except ValueError:
            continue
        loaded.add(np.zeros((1, 2), np.uint8))
        assert (loaded.variant, loaded.ids.tolist()) == ("model-a", [*range(10), 20])
        np.testing.assert_array_equal(loaded.reconstruct(range(10)), index.reconstruct(range(10)))


@pytest.mark.parametrize("mmap", [True, False])
def test_a_save_in_the_middle_of_loading_changes_nothing(tmp_path, monkeypatch, mmap):
    first, second = HammingIndex(64, "first"), HammingIndex(64, "second")
    first.add(np.zeros((5, 8), np.uint8))
    second.add(np.full((5, 8), 255, np.uint8))
    first.save(tmp_path / "x")
    read_header = _index_file._read_header

    def late(stream):
        result = read_header(stream)
        second.save(tmp_path / "x")
        return result

    monkeypatch.setattr(_index_file, "_read_header", late)
    loaded = HammingIndex.load(tmp_path / "x", mmap=mmap)
    assert loaded.variant == "first"
    assert not loaded.reconstruct(range(5)).any()


def test_a_replaced_file_keeps_its_mode(tmp_path):
    index, _ = make_index()
    index.save(tmp_path / "x")
    (tmp_path / "x").chmod(0o600)
    index.save(tmp_path / "x")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
