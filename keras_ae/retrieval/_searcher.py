"""Searches of codes that stay as they are, by the method that suits them."""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae.retrieval._words import Words, as_planes, as_words
from keras_ae.types import Codes

try:
    import numba  # noqa: F401

    HAS_NUMBA = True
except ImportError:  # There are machines that it is not made for.
    HAS_NUMBA = False
if HAS_NUMBA:
    from keras_ae.retrieval import _multi_index
    from keras_ae.retrieval._nearest import nearest
    from keras_ae.retrieval._within import within
else:
    from keras_ae.retrieval._numpy_scan import nearest, within

METHODS = ("auto", "scan", "multi_index")
TABLE_BITS = 64
# Fewer codes are scanned in microseconds.
_FEW = 50_000
# Tables take about as long to make as so many scans.
_SCANS = 1000
_PROBES = 64
_NEIGHBOURS = 10
# A look into the tables takes as long as scanning so many codes: found by benchmarks.
_LOOK = 40

Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]


class Searcher:
    """Codes `(n, bits / 8)` and how they are searched. Rows take the place of ids here.

    Attributes:
        why: The method in use, and the reason for it.
    """

    def __init__(self, codes: Codes, bits: int, method: str) -> None:
        self._codes, self._bits = codes, bits
        self._planes = as_planes(codes)
        self._tables: Any = None
        self._is_open = False
        self._scanned = 0
        self._lock = threading.Lock()
        if not HAS_NUMBA:
            self.why = "scan: numba is not installed"
        elif method == "scan":
            self.why = "scan: asked for"
        elif bits > TABLE_BITS:
            self.why = f"scan: codes of more than {TABLE_BITS} bits"
        elif method == "multi_index":
            self._tables = _multi_index.build_tables(self._words(slice(None)), bits)
            self.why = "multi_index: asked for"
        elif len(codes) < _FEW:
            self.why = f"scan: {len(codes):,} codes, fewer than {_FEW:,}"
        else:
            self._is_open = True
            self.why = f"scan: fewer than {_SCANS:,} queries since the codes changed"

    def nearest(self, queries: Codes, k: int) -> Found:
        """Return rows and distances of the `k <= n` nearest, `(q, k)`, by distance, then row."""
        words = as_words(queries)
        self._settle(len(words))
        if self._tables is None:
            return nearest(self._planes, len(self._codes), words, self._bits, k)
        rows, distances, left = _multi_index.nearest_in_tables(
            self._tables, words[:, 0], self._bits, k
        )
        if left.any():
            # Through bytes, so that the words are read-only again.
            rest = as_words(queries[left])
            rows[left], distances[left] = nearest(
                self._planes, len(self._codes), rest, self._bits, k
            )
        return rows, distances

    def within(
        self, queries: Codes, radius: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return rows, distances and `q + 1` offsets of all at most `radius` away."""
        words = as_words(queries)
        self._settle(len(words))
        if self._tables is None:
            return within(self._planes, len(self._codes), words, radius)
        found = []
        for i in range(len(words)):
            hits = _multi_index.within_tables(self._tables, words[i, 0], self._bits, radius)
            found.append(
                within(self._planes, len(self._codes), words[i : i + 1], radius)[:2]
                if hits is None
                else hits
            )
        empty = (np.empty(0, np.int64), np.empty(0, np.int32))
        rows, distances = (np.concatenate(part) for part in zip(empty, *found, strict=True))
        return rows, distances, np.cumsum([0, *(len(rows) for rows, _ in found)])

    def _settle(self, queries: int) -> None:
        """Choose between the methods once so many queries came that the tables could pay."""
        if not self._is_open:
            return
        with self._lock:
            self._scanned += queries
            if self._is_open and self._scanned >= _SCANS:
                self._choose()
                self._is_open = False

    def _choose(self) -> None:
        n = len(self._codes)
        tables = _multi_index.build_tables(self._words(slice(None)), self._bits)
        chosen = np.random.default_rng(0).choice(n, _PROBES, replace=False)
        share = _multi_index.share_seen(tables, self._words(chosen), self._bits, _NEIGHBOURS)
        pays = share * _LOOK < 1
        self.why = (
            f"{'multi_index' if pays else 'scan'}: to find the {_NEIGHBOURS} nearest of one of "
            f"{_PROBES} of the {n:,} codes takes a look at {share:.2%} of them, and less than "
            f"{1 / _LOOK:.1%} is faster than a scan"
        )
        self._tables = tables if pays else None

    def _words(self, rows: Any) -> Words:
        words: Words = as_words(self._codes[rows])[:, 0]
        return words
