"""Exact nearest-neighbour search in binary codes."""

import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae._checks import check_bits, check_integer
from keras_ae.retrieval._index_file import Contents, read_index, write_index
from keras_ae.retrieval._nearest import nearest
from keras_ae.retrieval._slices import Words
from keras_ae.retrieval._within import within
from keras_ae.retrieval.radius_result import RadiusResult
from keras_ae.retrieval.search_result import SearchResult
from keras_ae.types import Codes


class HammingIndex:
    """Exact search of binary codes by Hamming distance.

    The distance of two codes is the number of bits in which they differ:

        d(a, b) = sum_j (a_j XOR b_j)

    Every search compares the query with every code and returns the true neighbours, ordered by
    distance and, at equal distance, by id. It runs on the calling thread without the interpreter
    lock, and several threads may search at once. The first search in a process compiles for a few
    seconds.

    Memory is `bits / 8 + 8` bytes a code; widths other than 64 bits take a second copy of the codes
    on the first search. Adding ids above all those present is cheap; other ids are merged in, in
    time linear in the size of the index.

    Args:
        bits: Bits in a code, a positive multiple of 8.
        variant: Name of what encodes the codes, `read_metadata(path)["variant"]` of an artefact,
            kept in the file so that a program can refuse to search with the codes of another.

    Raises:
        ValueError: If `bits` is not a positive multiple of 8, or `variant` not a text or `None`.

    Example:
        >>> import numpy as np
        >>> from keras_ae import HammingIndex
        >>> rng = np.random.default_rng(0)
        >>> codes = rng.integers(0, 256, size=(1000, 8), dtype="uint8")
        >>> index = HammingIndex(bits=64)
        >>> index.add(codes)
        >>> result = index.search(codes[:2], k=5)
        >>> result.ids[:, 0], result.distances[:, 0]
        (array([0, 1]), array([0, 0], dtype=int32))
    """

    def __init__(self, bits: int, variant: str | None = None) -> None:
        self._bits = check_bits(bits)
        if variant is not None and (not isinstance(variant, str) or not variant):
            raise ValueError(f"variant must be a text or None. Received: variant={variant!r}")
        self._variant = variant
        self._codes: Codes = np.empty((0, self._bits // 8), np.uint8)
        self._ids: npt.NDArray[np.int64] = np.empty(0, np.int64)
        # Adds wait here until something reads them, so that many small ones cost no more than one.
        self._pending: list[tuple[Codes, npt.NDArray[np.int64]]] = []
        self._last_id = -1
        self._planes: Words | None = None
        self._lock = threading.Lock()

    @property
    def bits(self) -> int:
        """Bits in a code."""
        return self._bits

    @property
    def variant(self) -> str | None:
        """Name of what encodes the codes, if it is known."""
        return self._variant

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """All ids, int64 `(n,)`, ascending and read-only."""
        with self._lock:
            self._settle()
            ids = self._ids.view()
        ids.flags.writeable = False
        return ids

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or a copy holds: codes and ids, without the lock and the planes."""
        with self._lock:
            self._settle()
            return {"contents": Contents(self._bits, self._codes, self._ids, self._variant)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._restore(state["contents"])

    def __len__(self) -> int:
        with self._lock:
            return len(self._ids) + sum(len(ids) for _, ids in self._pending)

    def add(self, codes: Codes, ids: npt.ArrayLike | None = None) -> None:
        """Add codes. A call that raises adds nothing.

        Args:
            codes: uint8 `(n, bits / 8)`, bit 0 of a code in the lowest bit of its first byte.
            ids: Integers `(n,)`, >= 0, all different and not in the index yet. By default they go
                on after the largest id in the index: 0 to n - 1 in a new one.

        Raises:
            ValueError: If `codes` or `ids` is not of this form.
        """
        codes = self._check_codes("codes", codes)
        with self._lock:
            new_ids = self._next_ids(len(codes)) if ids is None else _check_ids(ids, len(codes))
            order = np.argsort(new_ids, kind="stable")
            new_codes, new_ids = codes[order], new_ids[order]
            if np.any(new_ids[1:] == new_ids[:-1]):
                repeated = new_ids[1:][new_ids[1:] == new_ids[:-1]][0]
                raise ValueError(f"ids must be all different. Received: id {repeated} twice")
            if not len(new_ids):
                return
            if new_ids[0] > self._last_id:
                self._pending.append((new_codes, new_ids))
            else:
                self._merge(new_codes, new_ids)
            self._last_id = max(self._last_id, int(new_ids[-1]))
            self._planes = None

    def search(self, queries: Codes, k: int = 10) -> SearchResult:
        """Find the `k` nearest codes of each query.

        Args:
            queries: uint8 `(q, bits / 8)`. One query `code` is passed as `code[None]`.
            k: Neighbours to return, >= 1. An index with fewer codes returns all it has.

        Returns:
            `SearchResult` of ids and distances, `(q, min(k, n))`, by distance, then id.

        Raises:
            ValueError: If `queries` or `k` is not of this form.
        """
        k = check_integer("k", k, minimum=1)
        queries = self._check_codes("queries", queries)
        planes, ids = self._snapshot()
        if not len(ids):
            shape = (len(queries), 0)
            return SearchResult(np.empty(shape, np.int64), np.empty(shape, np.int32))
        rows, distances = nearest(planes, _as_words(queries), self._bits, min(k, len(ids)))
        return SearchResult(ids[rows], distances)

    def radius_search(self, queries: Codes, radius: int) -> RadiusResult:
        """Find every code at most `radius` bits away from each query: `distance <= radius`.

        Args:
            queries: uint8 `(q, bits / 8)`. One query `code` is passed as `code[None]`.
            radius: Largest distance to report, >= 0, in bits. At 0 only equal codes are found.

        Returns:
            `RadiusResult`; `result[i]` holds the hits of query `i` by distance, then id.

        Raises:
            ValueError: If `queries` or `radius` is not of this form.
        """
        radius = min(check_integer("radius", radius, minimum=0), self._bits)
        queries = self._check_codes("queries", queries)
        planes, ids = self._snapshot()
        rows, distances, offsets = within(planes, _as_words(queries), radius)
        return RadiusResult(ids[rows], distances, offsets)

    def reconstruct(self, ids: npt.ArrayLike) -> Codes:
        """Return the codes of some ids.

        Args:
            ids: Integers `(n,)`, all of them in the index; one may come several times.

        Returns:
            uint8 `(n, bits / 8)`, in the order of `ids`.

        Raises:
            ValueError: If `ids` is not of this form.
        """
        wanted = np.asarray(ids)
        wanted = _check_ids(wanted, len(wanted) if wanted.ndim else 1)
        with self._lock:
            self._settle()
            rows = self._rows(wanted)
            return self._codes[rows]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a safetensors file, whole or not at all.

        The file holds `codes` (uint8, `(n, bits / 8)`), `ids` (int64, `(n,)`, ascending) and text
        metadata, so any safetensors reader opens it.

        Args:
            path: File to write or replace, in an existing folder.

        Raises:
            ValueError: If the folder of `path` is missing or not writable.
        """
        write_index(path, self.__getstate__()["contents"])

    @classmethod
    def load(cls, path: str | os.PathLike[str], mmap: bool = True) -> "HammingIndex":
        """Read an index that `save` wrote.

        Args:
            path: The file.
            mmap: Map the codes instead of reading them: opening is quick, and processes that map
                one file share its memory. The file is never written to; adding copies the codes
                into memory. Do not change the file while it is mapped, except by `save`. The
                checksum of the codes is not looked at: `mmap=False` does.

        Raises:
            ValueError: If the file is missing, damaged or not one that `save` wrote.
        """
        index = cls.__new__(cls)
        index._restore(read_index(path, mmap))
        return index

    def _restore(self, contents: Contents) -> None:
        self.__init__(contents.bits, contents.variant)  # type: ignore[misc]
        self._codes, self._ids = contents.codes, contents.ids
        self._last_id = int(self._ids[-1]) if len(self._ids) else -1

    def _check_codes(self, name: str, codes: Codes) -> Codes:
        codes = np.asarray(codes)
        width = self._bits // 8
        if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != width:
            single = codes.dtype == np.uint8 and codes.shape == (width,)
            raise ValueError(
                f"{name} must be a uint8 array of shape (n, {width}). "
                f"Received: {name} with dtype={codes.dtype}, shape={codes.shape}"
                + ("; pass a single code as code[None]" if single else "")
            )
        return codes

    def _next_ids(self, count: int) -> npt.NDArray[np.int64]:
        last = self._last_id
        if last + count > np.iinfo(np.int64).max:
            raise ValueError(
                f"ids must be given: none are left after the largest. Received: ids=None, with "
                f"{last} in the index"
            )
        return np.arange(last, last + count, dtype=np.int64) + 1

    def _rows(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        rows = np.searchsorted(self._ids, ids)
        found = np.zeros(len(ids), bool)
        inside = rows < len(self._ids)
        found[inside] = self._ids[rows[inside]] == ids[inside]
        if not found.all():
            raise ValueError(
                f"ids must be in the index. Received: id {ids[~found][0]}, which is not"
            )
        return rows

    def _merge(self, codes: Codes, ids: npt.NDArray[np.int64]) -> None:
        self._settle()
        places = np.searchsorted(self._ids, ids)
        known = self._ids[np.minimum(places, len(self._ids) - 1)] == ids
        if known.any():
            raise ValueError(
                f"ids must not be in the index yet. Received: id {ids[known][0]}, which is"
            )
        self._codes = np.insert(self._codes, places, codes, axis=0)
        self._ids = np.insert(self._ids, places, ids)

    def _settle(self) -> None:
        if self._pending:
            codes, ids = zip((self._codes, self._ids), *self._pending, strict=True)
            self._codes, self._ids = np.concatenate(codes), np.concatenate(ids)
            self._pending = []

    def _snapshot(self) -> tuple[Words, npt.NDArray[np.int64]]:
        """Planes `(words, n)` and ids of this moment; a later add replaces, never changes, them."""
        with self._lock:
            self._settle()
            if self._planes is None:
                # For one word a code this is a view, so a mapped file stays where it is.
                planes = np.require(_as_words(self._codes).T, requirements=["C", "A"])
                # Read-only arrays are a type of their own to numba: one type, compiled once.
                planes.flags.writeable = False
                self._planes = planes
            return self._planes, self._ids


def _as_words(codes: Codes) -> Words:
    """View packed codes as words of 64 bits, `(n, words)`, zero-padded where they do not fit."""
    if codes.shape[1] % 8:
        codes = np.pad(codes, ((0, 0), (0, -codes.shape[1] % 8)))
    words = np.ascontiguousarray(codes).view(np.uint64)
    words.flags.writeable = False
    return words


def _check_ids(ids: npt.ArrayLike, count: int) -> npt.NDArray[np.int64]:
    ids = np.asarray(ids)
    if (ids.size and ids.dtype.kind not in "iu") or ids.shape != (count,):
        raise ValueError(
            f"ids must be integers of shape ({count},), one for each code. "
            f"Received: ids with dtype={ids.dtype}, shape={ids.shape}"
        )
    if count and (ids.min() < 0 or ids.max() > np.iinfo(np.int64).max):
        raise ValueError(
            f"ids must lie in [0, 2**63). Received: ids from {ids.min()} to {ids.max()}"
        )
    return ids.astype(np.int64)
