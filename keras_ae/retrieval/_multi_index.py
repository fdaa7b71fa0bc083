"""Compiled multi-index search: tables of substrings find what is near without looking at the rest.

A code that differs from the query in at most `m r + j` bits, in m substrings, differs in at most r
bits in one of the first j + 1, or in at most r - 1 in one of the others. So the tables are probed
with substrings that are ever farther away, one table after the other, until whatever has not been
seen must be too far.

Norouzi, Punjani, Fleet: Fast Search in Hamming Space with Multi-Index Hashing, 2012.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from keras_ae.retrieval._slices import popcount
from keras_ae.retrieval._words import Words

_SUBSTRING = 16
# Of the codes; a query that would look at more is left to the scan, which is faster then.
_CAP = 1 / 16
# Looking up a bucket takes as long as comparing so many codes.
_BUCKET = 4

_numbers = np.arange(1 << _SUBSTRING, dtype=np.uint32)
_sizes = np.bitwise_count(_numbers)
# What to flip in a substring, by how many bits that are, and where each number of bits starts.
_FLIPS = _numbers[np.argsort(_sizes, kind="stable")]
_STARTS = np.searchsorted(np.sort(_sizes), np.arange(_SUBSTRING + 2))


@dataclass(frozen=True)
class Tables:
    """Codes of up to 64 bits in the order of each of their substrings.

    Attributes:
        widths: Bits in each of the `m` substrings.
        offsets: `(m, 2^16 + 1)`: where the codes with a substring start.
        codes: `(m, n)`, in that order.
        rows: `(m, n)`: where each of them was.
    """

    widths: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    codes: Words
    rows: npt.NDArray[np.uint32]


def build_tables(codes: Words, bits: int) -> Tables:
    """Return the tables of codes `(n,)`, n < 2^32, of 8 to 64 bits; 56 bytes a code at 64."""
    widths = np.array(
        [min(_SUBSTRING, bits - start) for start in range(0, bits, _SUBSTRING)], np.int64
    )
    m, n = len(widths), len(codes)
    offsets = np.zeros((m, (1 << _SUBSTRING) + 1), np.int64)
    ordered = np.empty((m, n), np.uint64)
    rows = np.empty((m, n), np.uint32)
    for j in range(m):
        keys = (codes >> np.uint64(_SUBSTRING * j)).astype(np.uint16)
        rows[j] = np.argsort(keys, kind="stable")
        ordered[j] = codes[rows[j]]
        np.cumsum(np.bincount(keys, minlength=1 << _SUBSTRING), out=offsets[j, 1:])
    return Tables(widths, offsets, ordered, rows)


@njit(nogil=True)
def _is_first(difference: Any, m: int, j: int, r: int) -> bool:
    """Whether no bucket before this one, in table j at r bits, has had the code."""
    for other in range(m):
        part = popcount((difference >> np.uint64(16 * other)) & np.uint64(0xFFFF))
        if part < r or (part == r and other < j):
            return False
    return True


@njit(nogil=True)
def _probe(
    widths: Any,
    offsets: Any,
    codes: Any,
    rows: Any,
    flips: Any,
    starts: Any,
    query: Any,
    k: int,
    limit: int,
    cap: int,
    counts: Any,
    found: Any,
) -> tuple[int, int, int]:
    """Write all codes as near as the limit to `found`, as `distance * 2^32 + row`.

    The limit falls to the distance of the k-th best. Returns how many were written, the limit, and
    what it took; the first is -1 where that is more than `cap`.
    """
    m = len(widths)
    counts[:] = 0
    size, within, seen = 0, 0, 0
    for r in range(17):
        for j in range(m):
            key = (query >> np.uint64(16 * j)) & np.uint64(0xFFFF)
            for t in range(starts[r], starts[r + 1]):
                flip = flips[t]
                if flip >> np.uint64(widths[j]):
                    continue
                bucket = key ^ np.uint64(flip)
                first, last = offsets[j, bucket], offsets[j, bucket + np.uint64(1)]
                seen += last - first + _BUCKET
                if seen > cap:
                    return -1, limit, seen
                for i in range(first, last):
                    difference = codes[j, i] ^ query
                    distance = popcount(difference)
                    if distance <= limit and _is_first(difference, m, j, r):
                        found[size] = (distance << 32) | np.int64(rows[j, i])
                        size += 1
                        counts[distance] += 1
                        within += 1
                        while within - counts[limit] >= k:
                            within -= counts[limit]
                            limit -= 1
            if m * r + j >= limit:
                return size, limit, seen
    return size, limit, seen


@njit(nogil=True)
def _nearest(
    widths: Any,
    offsets: Any,
    codes: Any,
    rows: Any,
    flips: Any,
    starts: Any,
    queries: Any,
    bits: int,
    k: int,
    cap: int,
    row_result: Any,
    distance_result: Any,
    costs: Any,
) -> None:
    counts = np.zeros(bits + 1, np.int64)
    found = np.empty(cap, np.int64)
    for q in range(len(queries)):
        size, limit, seen = _probe(
            widths, offsets, codes, rows, flips, starts, queries[q], k, bits, cap, counts, found
        )
        costs[q] = seen
        if size < k:
            costs[q] = cap + 1
            continue
        kept = 0
        for i in range(size):
            if found[i] >> 32 <= limit:
                found[kept] = found[i]
                kept += 1
        best = found[:kept]
        if kept > 4 * k:
            best = np.partition(best, k - 1)[:k]
        best = np.sort(best)
        for i in range(k):
            row_result[q, i] = best[i] & 0xFFFFFFFF
            distance_result[q, i] = best[i] >> 32


def nearest_in_tables(
    tables: Tables, queries: Words, bits: int, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """The `k <= n` nearest rows of each query, by (distance, row), as far as that is quick.

    Returns:
        Rows and distances `(q, k)`, and which of the queries are left to a scan.
    """
    rows, distances, costs = _search(tables, queries, bits, k)
    return rows, distances, costs > cap_of(tables)


def within_tables(
    tables: Tables, query: np.uint64, bits: int, radius: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]] | None:
    """The rows at most `radius` away from a query, by (distance, row), or `None` for the scan."""
    n, cap = tables.codes.shape[1], cap_of(tables)
    counts, found = np.zeros(bits + 1, np.int64), np.empty(cap, np.int64)
    arrays = (tables.widths, tables.offsets, tables.codes, tables.rows)
    size, _, _ = _probe(*arrays, _FLIPS, _STARTS, query, n + 1, radius, cap, counts, found)
    if size < 0:
        return None
    keys = np.sort(found[:size])
    return keys & 0xFFFFFFFF, (keys >> 32).astype(np.int32)


def share_seen(tables: Tables, queries: Words, bits: int, k: int) -> float:
    """Return what share of all codes a query takes a look at, as a mean, up to the cap."""
    _, _, costs = _search(tables, queries, bits, k)
    return float(costs.mean()) / tables.codes.shape[1]


def _search(
    tables: Tables, queries: Words, bits: int, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return rows and distances `(q, k)`, and what each query took: more than the cap without."""
    rows, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.int32)
    costs = np.zeros(len(queries), np.int64)
    arrays = (tables.widths, tables.offsets, tables.codes, tables.rows)
    cap = cap_of(tables)
    _nearest(*arrays, _FLIPS, _STARTS, queries, bits, k, cap, rows, distances, costs)
    return rows, distances, costs


def cap_of(tables: Tables) -> int:
    return int(_CAP * tables.codes.shape[1])
