"""Compiled search for all rows within a radius."""

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
def _count_slice(
    planes: Any, start: int, stop: int, query: Any, radius: int, counts: Any, sums: Any
) -> None:
    never_inline()
    slice_distances(planes, start, stop, query, sums)
    for i in range(stop - start):
        if sums[i] <= radius:
            counts[sums[i]] += 1


@njit(nogil=True)
def _fill_slice(
    planes: Any,
    start: int,
    stop: int,
    query: Any,
    radius: int,
    places: Any,
    rows: Any,
    distances: Any,
    sums: Any,
) -> None:
    never_inline()
    slice_distances(planes, start, stop, query, sums)
    for i in range(stop - start):
        distance = sums[i]
        if distance <= radius:
            rows[places[distance]] = start + i
            distances[places[distance]] = distance
            places[distance] += 1


@functools.cache
def _scan_within(words: int) -> Any:
    """Return the scan of codes of so many words."""
    minimum = minimum_of(words)

    @njit(nogil=True)
    def scan(
        planes: Any,
        n: int,
        first: int,
        queries: Any,
        radius: int,
        tile: int,
        places: Any,
        rows: Any,
        distances: Any,
    ) -> None:
        """Count hits by distance into `places` if `rows` is empty, else write hits to their places.

        Counts turned into first places sort the hits by distance, and by row within a distance,
        without comparing any.
        """
        counting = rows.size == 0
        sums = np.empty(SLICE, np.int64)
        # Tiles, and with them slices, start at a line of the cache.
        for tile_start in range(first - tile if first else 0, n, tile):
            tile_stop = min(n, tile_start + tile)
            for q in range(queries.shape[0]):
                query = queries[q]
                for start in range(max(0, tile_start), tile_stop, SLICE):
                    stop = min(tile_stop, start + SLICE)
                    if stop - start < SLICE or minimum(planes, start, query, sums) <= radius:
                        if counting:
                            _count_slice(planes, start, stop, query, radius, places[q], sums)
                        else:
                            _fill_slice(
                                planes, start, stop, query, radius, places[q], rows, distances, sums
                            )

    return scan


def within(
    planes: Words, n: int, queries: Words, radius: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The rows at most `radius` away from each query, by (distance, row).

    Args:
        planes: What `as_planes` returns for `n` codes.
        n: Codes.
        queries: `(q, words)`.
        radius: Largest distance to report, at most the bits in a code.

    Returns:
        Rows and distances of all queries in turn, and `q + 1` offsets into them.
    """
    scan = _scan_within(planes.shape[0])
    first, tile, batch = rows_before_line(planes), rows_in_tile(planes), queries.shape[0]
    offsets = np.zeros(batch + 1, np.int64)
    rows, distances = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    step = max(1, WORK_BYTES // (8 * (radius + 1)))
    for q in range(0, batch, step):
        chunk = queries[q : q + step]
        counts = np.zeros((len(chunk), radius + 1), np.int64)
        scan(planes, n, first, chunk, radius, tile, counts, rows[0], distances[0])
        ends = np.cumsum(counts).reshape(counts.shape)
        offsets[q + 1 : q + 1 + len(chunk)] = offsets[q] + ends[:, -1]
        rows.append(np.empty(counts.sum(), np.int64))
        distances.append(np.empty(counts.sum(), np.int32))
        if rows[-1].size:
            places = ends - counts
            scan(planes, n, first, chunk, radius, tile, places, rows[-1], distances[-1])
    return np.concatenate(rows), np.concatenate(distances), offsets
