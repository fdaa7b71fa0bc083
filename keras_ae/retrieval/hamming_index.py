"""Exact nearest-neighbour search in binary codes."""

import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae._checks import check_bits, check_choice, check_integer
from keras_ae.retrieval._arguments import check_codes, check_ids
from keras_ae.retrieval._code_store import CodeStore, Contents, Ids
from keras_ae.retrieval._index_file import read_index, write_index
from keras_ae.retrieval._reranking import Vectors, reranked
from keras_ae.retrieval._searcher import METHODS, TABLE_BITS, Searcher
from keras_ae.retrieval.radius_result import RadiusResult
from keras_ae.retrieval.search_result import SearchResult
from keras_ae.types import Codes

_MOST_IDS = np.iinfo(np.int64).max


class HammingIndex:
    """Exact search of binary codes by Hamming distance.

    The distance of two codes is the number of bits in which they differ:

        d(a, b) = sum_j (a_j XOR b_j)

    Every method returns the true neighbours, ordered by distance and, at equal distance, by id. A
    search runs on the calling thread without the interpreter lock, and several threads may search
    at once. The first in a process compiles for a few seconds.

    - `"scan"` compares the query with every code. Memory is `bits / 8 + 8` bytes a code; widths
      other than 64 bits take a second copy of the codes.
    - `"multi_index"` looks codes of up to 64 bits up by their substrings of 16 bits, and leaves
      queries to the scan that have nothing near. Where codes come in clusters, as learned ones do,
      it looks at a small part of them. It takes another 12 bytes a code for each substring.
    - `"auto"` scans until a thousand queries have come since the codes changed, or come at once,
      and then makes the tables of the other, if trials with some of the codes say that it is
      faster. `why` tells.

    Adding ids above all those that were present is cheap; other ids are merged in, and ids removed,
    in time linear in the size of the index.

    Args:
        bits: Bits in a code, a positive multiple of 8.
        variant: Name of what encodes the codes, `read_metadata(path)["variant"]` of an artefact,
            not empty, or `None`; kept in the file so that a program can refuse to search with the
            codes of another.
        method: `"auto"`, `"scan"` or `"multi_index"`.

    Raises:
        ValueError: If an argument is not as above.

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

    Reference:
        Norouzi, Punjani, Fleet: Fast Search in Hamming Space with Multi-Index Hashing, 2012.
    """

    def __init__(self, bits: int, variant: str | None = None, method: str = "auto") -> None:
        self._bits = check_bits(bits)
        if variant is not None and (not isinstance(variant, str) or not variant):
            raise ValueError(
                f"variant must be a text that is not empty, or None. Received: variant={variant!r}"
            )
        self._variant = variant
        self._method = check_choice("method", method, METHODS)
        if method == "multi_index" and bits > TABLE_BITS:
            raise ValueError(
                f"method must be 'scan' or 'auto' for more than {TABLE_BITS} bits, which a scan "
                f"finds faster. Received: method='multi_index' with bits={bits}"
            )
        self._store = CodeStore(np.empty((0, self._bits // 8), np.uint8), np.empty(0, np.int64), 0)
        self._searcher: Searcher | None = None
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
    def why(self) -> str:
        """The method that a search of one query would use now, and the reason for it."""
        return self._snapshot()[0].why

    @property
    def ids(self) -> Ids:
        """All ids, int64 `(n,)`, ascending and read-only."""
        with self._lock:
            ids = self._store.ids.view()
        ids.flags.writeable = False
        return ids

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or a copy holds: no lock, and nothing that a search makes."""
        return {"contents": self._contents(), "method": self._method}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._restore(**state)

    def __len__(self) -> int:
        with self._lock:
            return len(self._store)

    def add(self, codes: Codes, ids: npt.ArrayLike | None = None) -> None:
        """Add codes. A call that raises adds nothing.

        Args:
            codes: uint8 `(n, bits / 8)`, bit 0 of a code in the lowest bit of its first byte.
            ids: Integers `(n,)`, >= 0, all different and not in the index yet. By default they go
                on after the largest id that was ever in the index: 0 to n - 1 in a new one.

        Raises:
            ValueError: If `codes` or `ids` is not of this form.
        """
        codes = check_codes("codes", codes, self._bits)
        with self._lock:
            new_ids = self._next_ids(len(codes)) if ids is None else check_ids(ids, len(codes))
            self._store.add(codes, new_ids)
            self._searcher = None

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove codes. The others keep their ids. A call that raises removes nothing.

        Args:
            ids: Integers `(n,)`, all of them in the index.

        Raises:
            ValueError: If `ids` is not of this form.
        """
        gone = check_ids(ids)
        with self._lock:
            self._store.remove(gone)
            self._searcher = None

    def merge(self, other: "HammingIndex") -> None:
        """Add all codes of another index with the ids that they have there.

        Args:
            other: Index of the same `bits` and `variant`, with no id that is in this one. It stays
                as it is.

        Raises:
            ValueError: If `other` is not of this form; then nothing is added.
        """
        if not isinstance(other, HammingIndex):
            raise ValueError(f"other must be a HammingIndex. Received: other={other!r}")
        if (other.bits, other.variant) != (self.bits, self.variant):
            raise ValueError(
                f"other must have bits={self.bits} and variant={self.variant!r}. Received: other "
                f"with bits={other.bits}, variant={other.variant!r}"
            )
        contents = other._contents()
        self.add(contents.codes, contents.ids)

    def search(
        self,
        queries: Codes,
        k: int = 10,
        *,
        rerank: Vectors | None = None,
        candidates: int | None = None,
    ) -> SearchResult:
        """Find the `k` nearest codes of each query.

        Args:
            queries: uint8 `(q, bits / 8)`. One query `code` is passed as `code[None]`.
            k: Neighbours to return, >= 1. An index with fewer codes returns all it has.
            rerank: Vectors of the queries `(q, d)` and of all codes `(n, d)`, row i for `ids[i]`,
                of float16, float32 or float64: the logits, or embeddings, for example in a file
                that is mapped. The nearest by code are then put in the order of the Euclidean
                distance of their vectors, and at equal distance of their ids.
            candidates: With `rerank`, how many codes to find for that, >= k; 10 k by default.

        Returns:
            `SearchResult` of ids and distances, `(q, min(k, n))`, by distance, then id. With
            `rerank` the distances are Euclidean, float32.

        Raises:
            ValueError: If an argument is not of this form.
        """
        k = check_integer("k", k, minimum=1)
        queries = check_codes("queries", queries, self._bits)
        if candidates is not None:
            candidates = check_integer("candidates", candidates, minimum=k)
            if rerank is None:
                raise ValueError(
                    "candidates must be None without rerank. Received: candidates="
                    f"{candidates!r} with rerank=None"
                )
        searcher, ids = self._snapshot()
        wanted = k if rerank is None else candidates or 10 * k
        if not len(ids):
            shape = (len(queries), 0)
            rows, distances = np.empty(shape, np.int64), np.empty(shape, np.int32)
        else:
            rows, distances = searcher.nearest(queries, min(wanted, len(ids)))
        if rerank is None:
            return SearchResult(ids[rows], distances)
        rows, lengths = reranked(rows, rerank, len(ids), k)
        return SearchResult(ids[rows], lengths)

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
        queries = check_codes("queries", queries, self._bits)
        searcher, ids = self._snapshot()
        rows, distances, offsets = searcher.within(queries, radius)
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
        wanted = check_ids(ids)
        with self._lock:
            return self._store.codes[self._store.rows(wanted)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a safetensors file, whole or not at all.

        The file holds `codes` (uint8, `(n, bits / 8)`), `ids` (int64, `(n,)`, ascending) and text
        metadata, so any safetensors reader opens it. All of it is written anew each time: to add to
        a large index often, keep the new codes in one of their own, and `merge` now and then.

        Args:
            path: File to write or replace, in an existing folder.

        Raises:
            ValueError: If the folder of `path` is missing or not writable.
            OSError: If there is no room; a file that was there is left as it was.
        """
        write_index(path, self._contents())

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], mmap: bool = True, method: str = "auto"
    ) -> "HammingIndex":
        """Read an index that `save` wrote.

        Args:
            path: The file.
            mmap: Map the codes instead of reading them: opening is quick, and processes that map
                one file share its memory. The file is never written to; adding copies the codes
                into memory. Do not change the file while it is mapped, except by `save`. The
                checksum of the codes is not looked at: `mmap=False` does.
            method: As for the class.

        Raises:
            ValueError: If the file is missing, damaged or not one that `save` wrote, or `method` is
                not as above.
        """
        index = cls.__new__(cls)
        index._restore(read_index(path, mmap), method)
        return index

    def _contents(self) -> Contents:
        with self._lock:
            store = self._store
            return Contents(self._bits, store.codes, store.ids, store.next_id, self._variant)

    def _restore(self, contents: Contents, method: str) -> None:
        self.__init__(contents.bits, contents.variant, method)  # type: ignore[misc]
        self._store = CodeStore(contents.codes, contents.ids, contents.next_id)

    def _next_ids(self, count: int) -> Ids:
        first = self._store.next_id
        if count and first + count - 1 > _MOST_IDS:
            raise ValueError(
                f"ids must be given: none are left after the largest. Received: ids=None, with "
                f"{first - 1} in the index"
            )
        return np.arange(count, dtype=np.int64) + min(first, _MOST_IDS)

    def _snapshot(self) -> tuple[Searcher, Ids]:
        """What to search at this moment; a later add replaces, never changes, both."""
        with self._lock:
            if self._searcher is None:
                self._searcher = Searcher(self._store.codes, self._bits, self._method)
            return self._searcher, self._store.ids
