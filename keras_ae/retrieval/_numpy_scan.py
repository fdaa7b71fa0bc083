"""The scans without a compiler: the same answers, in blocks that the caches hold."""

import numpy as np
import numpy.typing as npt

from keras_ae.retrieval._words import Words

# Rows at a time. One large block is ten times slower.
_BLOCK = 1 << 15


def nearest(
    planes: Words, n: int, queries: Words, bits: int, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """See `_nearest.nearest`."""
    result = np.empty((len(queries), k), np.int64)
    for query, best in zip(queries, result, strict=True):
        keys = np.empty(0, np.int64)
        limit = np.int64(bits)
        for start in range(0, n, _BLOCK):
            distances = _distances(planes[:, start : min(n, start + _BLOCK)], query)
            # A row at the limit comes after those that set it.
            rows = np.flatnonzero(distances < limit if len(keys) == k else distances <= limit)
            keys = np.concatenate([keys, _keys(distances[rows], start + rows)])
            if len(keys) > k:
                keys = np.partition(keys, k - 1)[:k]
            if len(keys) == k:
                limit = keys.max() >> 32
        best[:] = np.sort(keys)
    return result & 0xFFFFFFFF, (result >> 32).astype(np.int32)


def within(
    planes: Words, n: int, queries: Words, radius: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """See `_within.within`."""
    found = []
    for query in queries:
        parts = [np.empty(0, np.int64)]
        for start in range(0, n, _BLOCK):
            distances = _distances(planes[:, start : min(n, start + _BLOCK)], query)
            rows = np.flatnonzero(distances <= radius)
            parts.append(_keys(distances[rows], start + rows))
        found.append(np.sort(np.concatenate(parts)))
    keys = np.concatenate([np.empty(0, np.int64), *found])
    offsets = np.cumsum([0, *map(len, found)])
    return keys & 0xFFFFFFFF, (keys >> 32).astype(np.int32), offsets


def _distances(planes: Words, query: Words) -> npt.NDArray[np.int64]:
    total = np.zeros(planes.shape[1], np.int64)
    for plane, word in zip(planes, query, strict=True):
        total += np.bitwise_count(plane ^ word)
    return total


def _keys(distances: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return numbers that are ordered as pairs of distance and row are; there are few of both."""
    return (distances << 32) | rows
