"""Compiled search for the k nearest rows."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from keras_ae.retrieval._slices import (
    SLICE,
    WORK_BYTES,
    minimum_of,
    never_inline,
    rows_in_tile,
    slice_distances,
)
from keras_ae.retrieval._words import Words, rows_before_line


@njit(nogil=True)
def _keep_nearest(
    planes: Any,
    start: int,
    stop: int,
    query: Any,
    k: int,
    q: int,
    limits: Any,
    closer: Any,
    sizes: Any,
    counts: Any,
    distances: Any,
    rows: Any,
    sums: Any,
) -> None:
    """Offer rows `start` to `stop` to query `q`.

    A row is taken when its distance is below the limit. As soon as `k` rows lie below the limit,
    the limit falls: a later row at the k-th distance has a higher id and loses the tie.
    """
    never_inline()
    limit, fewer, size = limits[q], closer[q], sizes[q]
    if size + stop - start > distances.shape[1]:
        size = _compact(limit, k - fewer, size, distances[q], rows[q])
    slice_distances(planes, start, stop, query, sums)
    for row in range(start, stop):
        distance = sums[row - start]
        if distance < limit:
            distances[q, size] = distance
            rows[q, size] = row
            size += 1
            counts[q, distance] += 1
            fewer += 1
            while fewer >= k:
                limit -= 1
                fewer -= counts[q, limit]
    limits[q], closer[q], sizes[q] = limit, fewer, size


@njit(nogil=True)
def _compact(limit: int, ties: int, size: int, distances: Any, rows: Any) -> int:
    """Drop what can no longer be among the k nearest: all but the first `ties` at the limit."""
    kept = 0
    for i in range(size):
        distance = distances[i]
        if distance <= limit:
            if distance == limit:
                if ties == 0:
                    continue
                ties -= 1
            distances[kept] = distance
            rows[kept] = rows[i]
            kept += 1
    return kept


@functools.cache
def _scan_nearest(words: int) -> Any:
    """Return the scan of codes of so many words."""
    minimum = minimum_of(words)

    @njit(nogil=True)
    def scan(
        planes: Any,
        n: int,
        first: int,
        queries: Any,
        bits: int,
        k: int,
        tile: int,
        row_result: Any,
        distance_result: Any,
    ) -> None:
        batch = queries.shape[0]
        limits = np.full(batch, bits + 1)
        closer = np.zeros(batch, np.int64)
        sizes = np.zeros(batch, np.int64)
        counts = np.zeros((batch, bits + 2), np.int64)
        capacity = min(n, 2 * k + SLICE)
        distances = np.empty((batch, capacity), np.int32)
        rows = np.empty((batch, capacity), np.int64)
        sums = np.empty(SLICE, np.int64)

        # Tiles, and with them slices, start at a line of the cache.
        for tile_start in range(first - tile if first else 0, n, tile):
            tile_stop = min(n, tile_start + tile)
            for q in range(batch):
                query, limit = queries[q], limits[q]
                for start in range(max(0, tile_start), tile_stop, SLICE):
                    stop = min(tile_stop, start + SLICE)
                    if stop - start < SLICE or minimum(planes, start, query, sums) < limit:
                        _keep_nearest(
                            planes, start, stop, query, k, q,
                            limits, closer, sizes, counts, distances, rows, sums,
                        )  # fmt: skip
                        limit = limits[q]

        places = np.empty(bits + 2, np.int64)
        for q in range(batch):
            size = _compact(limits[q], k - closer[q], sizes[q], distances[q], rows[q])
            places[:] = 0
            for i in range(size):
                places[distances[q, i] + 1] += 1
            for distance in range(bits + 1):
                places[distance + 1] += places[distance]
            for i in range(size):
                distance = distances[q, i]
                row_result[q, places[distance]] = rows[q, i]
                distance_result[q, places[distance]] = distance
                places[distance] += 1

    return scan


def nearest(
    planes: Words, n: int, queries: Words, bits: int, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The `k <= n` nearest rows of each query, by (distance, row).

    Args:
        planes: What `as_planes` returns for `n` codes.
        n: Codes, at least 1.
        queries: `(q, words)`.
        bits: Bits in a code.
        k: Rows to return for each query, at least 1.

    Returns:
        Rows and distances, both `(q, k)`.
    """
    scan = _scan_nearest(planes.shape[0])
    first, batch = rows_before_line(planes), queries.shape[0]
    rows, distances = np.empty((batch, k), np.int64), np.empty((batch, k), np.int32)
    step = max(1, WORK_BYTES // (8 * (bits + 2) + 12 * min(n, 2 * k + SLICE)))
    for q in range(0, batch, step):
        chunk = slice(q, q + step)
        tile, results = rows_in_tile(planes), (rows[chunk], distances[chunk])
        scan(planes, n, first, queries[chunk], bits, k, tile, *results)
    return rows, distances
