"""The index on disk: a safetensors file of two tensors, `codes` and `ids`, and text metadata."""

import json
import os
import zlib
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from keras_ae._files import replacing, write_tensors
from keras_ae.retrieval._code_store import Contents

_FORMAT = "keras_ae.HammingIndex"
_VERSION = "3"


def write_index(path: str | os.PathLike[str], contents: Contents) -> None:
    codes, ids = np.ascontiguousarray(contents.codes), np.ascontiguousarray(contents.ids)
    metadata = {
        "format": _FORMAT,
        "version": _VERSION,
        "bits": str(contents.bits),
        "bit_order": "little",
        "count": str(len(ids)),
        "next_id": str(contents.next_id),
        "variant": contents.variant or "",
        "crc32_codes": str(zlib.crc32(codes.data)),
        "crc32_ids": str(zlib.crc32(ids.data)),
    }
    metadata["crc32_text"] = str(_text_checksum(metadata))
    with replacing(path) as temporary:
        write_tensors(temporary, {"codes": codes, "ids": ids}, metadata)


def read_index(path: str | os.PathLike[str], mmap: bool) -> Contents:
    """Return what is in a file. With `mmap` the codes are mapped, read-only, and not read."""
    try:
        # One file, even if another is moved to its place meanwhile.
        with open(path, "rb") as stream:
            header, data_start, file_size = _read_header(stream)
            bits, count, code_start, id_start = _check_header(header, file_size - data_start)
            codes = _map_tensor(stream, "u1", (count, bits // 8), data_start + code_start)
            ids = _map_tensor(stream, "<i8", (count,), data_start + id_start)
        metadata = header["__metadata__"]
        for name, tensor in (("ids", ids), *([] if mmap else [("codes", codes)])):
            expected = _parse_count(metadata, f"crc32_{name}")
            if zlib.crc32(np.ascontiguousarray(tensor).data) != expected:
                raise ValueError(f"the checksum of its {name} is wrong: they were changed")
        if len(ids) and (ids[0] < 0 or not np.all(ids[1:] > ids[:-1])):
            raise ValueError("ids must be >= 0 and strictly increasing")
        next_id = _parse_count(metadata, "next_id")
        last = int(ids[-1]) if len(ids) else -1
        if not last < next_id <= 2**63:
            raise ValueError(f"next_id is {next_id}, expected more than {last}, at most 2**63")
        if _parse_count(metadata, "crc32_text") != _text_checksum(metadata):
            raise ValueError("the checksum of its metadata is wrong: they were changed")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"path must be a readable {_FORMAT} file. Received: path={os.fspath(path)!r} ({error})"
        ) from error
    if not mmap:
        codes, ids = codes.copy(), ids.copy()
    return Contents(bits, codes, ids, next_id, metadata["variant"] or None)


def _text_checksum(metadata: dict[str, str]) -> int:
    """Return the checksum of what the tensors do not show."""
    names = ("bits", "count", "next_id", "variant")
    return zlib.crc32(" ".join(metadata[name] for name in names).encode())


def _read_header(stream: BinaryIO) -> tuple[Any, int, int]:
    file_size = os.fstat(stream.fileno()).st_size
    length = int.from_bytes(stream.read(8), "little")
    data_start = 8 + length
    # Checked before reading, so that a damaged length cannot ask for all the memory there is.
    if file_size < 8 or data_start > file_size:
        raise ValueError("not a safetensors file, or cut short")
    return json.loads(stream.read(length).decode()), data_start, file_size


def _check_header(header: Any, data_size: int) -> tuple[int, int, int, int]:
    """Return bits, count, and where codes and ids start in the data."""
    tensors = dict(header) if isinstance(header, dict) else {}
    metadata = tensors.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get("format") != _FORMAT:
        raise ValueError(f"its metadata does not say format={_FORMAT}")
    if metadata.get("version") != _VERSION:
        raise ValueError(f"version {metadata.get('version')!r}, this release reads {_VERSION!r}")
    if metadata.get("bit_order") != "little":
        raise ValueError(f"bit order {metadata.get('bit_order')!r}, expected 'little'")
    if not isinstance(metadata.get("variant"), str):
        raise ValueError(f"variant is {metadata.get('variant')!r}, expected a text")
    bits, count = _parse_count(metadata, "bits"), _parse_count(metadata, "count")
    if bits == 0 or bits % 8:
        raise ValueError(f"bits={bits}, expected a positive multiple of 8")
    code_bytes, id_bytes = count * (bits // 8), 8 * count
    # safetensors allows no gaps, so the two tensors stand in one of two orders.
    for code_start, id_start in ((id_bytes, 0), (0, code_bytes)):
        expected = {
            "codes": {
                "dtype": "U8",
                "shape": [count, bits // 8],
                "data_offsets": [code_start, code_start + code_bytes],
            },
            "ids": {
                "dtype": "I64",
                "shape": [count],
                "data_offsets": [id_start, id_start + id_bytes],
            },
        }
        if tensors == expected:
            break
    else:
        raise ValueError(f"tensors {tensors}, expected {expected}")
    if data_size != code_bytes + id_bytes:
        raise ValueError(f"{data_size} bytes of data, expected {code_bytes + id_bytes}")
    return bits, count, code_start, id_start


def _parse_count(metadata: dict[str, Any], name: str) -> int:
    text = metadata.get(name)
    if not isinstance(text, str) or not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ValueError(f"{name} is {text!r}, expected a number")
    return int(text)


def _map_tensor(
    stream: BinaryIO, dtype: str, shape: tuple[int, ...], start: int
) -> npt.NDArray[Any]:
    if shape[0] == 0:  # an empty file region cannot be mapped
        return np.empty(shape, dtype)
    return np.memmap(stream, dtype, "r", start, shape).view(np.ndarray)
