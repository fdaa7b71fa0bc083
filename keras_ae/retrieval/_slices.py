"""Compiled scans over packed codes. They deal in rows; ids are the index's business.

A scan walks the rows in slices. The smallest distance in a slice is a loop without branches that
LLVM vectorises, and most slices end there: nothing in them comes near enough. The few that do go
to a separate function, kept out of line so that its branches do not spoil the fast loop.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from keras_ae.retrieval._words import Words

# Long enough to pay for the test at its end, short enough that a slice is rarely opened in vain.
SLICE = 128

# All queries of a batch visit a tile of rows while the nearest cache holds it.
_TILE_BYTES = 32768

# Bounds the working memory of a search, whatever the number of queries.
WORK_BYTES = 1 << 25


@intrinsic
def popcount(_typing_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def never_inline(_typing_context: Any) -> Any:
    """Ask LLVM to keep the calling function out of line: numba has no option for it."""

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.none(), generate


@njit(nogil=True)
def slice_distances(planes: Any, start: int, stop: int, query: Any, sums: Any) -> None:
    # Unsigned indices, here and below: numba would test each signed one for a negative value.
    first, last = np.uint64(start), np.uint64(stop)
    sums[:] = 0
    for word in range(planes.shape[0]):
        a = query[word]
        for i in range(first, last):
            sums[i - first] += popcount(planes[word, i] ^ a)


# Each so short that it is compiled into its caller: a call counts references to the arrays, which
# costs as much as the loop. No slices of `planes` either, for the same reason.
@njit(nogil=True)
def _minimum_of_1(planes: Any, start: int, query: Any, _sums: Any) -> np.int64:
    least, a = np.int64(1 << 62), query[0]
    for i in range(np.uint64(start), np.uint64(start + SLICE)):
        least = min(least, popcount(planes[0, i] ^ a))
    return least


@njit(nogil=True)
def _minimum_of_2(planes: Any, start: int, query: Any, _sums: Any) -> np.int64:
    least, a, b = np.int64(1 << 62), query[0], query[1]
    for i in range(np.uint64(start), np.uint64(start + SLICE)):
        least = min(least, popcount(planes[0, i] ^ a) + popcount(planes[1, i] ^ b))
    return least


@njit(nogil=True)
def _minimum_of_4(planes: Any, start: int, query: Any, _sums: Any) -> np.int64:
    least, a, b, c, d = np.int64(1 << 62), query[0], query[1], query[2], query[3]
    for i in range(np.uint64(start), np.uint64(start + SLICE)):
        ab = popcount(planes[0, i] ^ a) + popcount(planes[1, i] ^ b)
        cd = popcount(planes[2, i] ^ c) + popcount(planes[3, i] ^ d)
        least = min(least, ab + cd)
    return least


@njit(nogil=True)
def _minimum_of_many(planes: Any, start: int, query: Any, sums: Any) -> np.int64:
    slice_distances(planes, start, start + SLICE, query, sums)
    least = np.int64(1 << 62)
    for i in range(SLICE):
        least = min(least, sums[i])
    return least


def minimum_of(words: int) -> Any:
    """Return the function to the smallest distance in a slice, for codes of so many words."""
    return {1: _minimum_of_1, 2: _minimum_of_2, 4: _minimum_of_4}.get(words, _minimum_of_many)


def rows_in_tile(planes: Words) -> int:
    """Rows in a tile: whole slices, so that only the last slice of all can be short."""
    return max(1, _TILE_BYTES // (8 * planes.shape[0] * SLICE)) * SLICE
