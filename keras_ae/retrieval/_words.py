"""Packed codes as words of 64 bits, which is what searches compare."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from keras_ae.types import Codes

# Bytes that a processor reads at once.
_LINE = 64
Words: TypeAlias = npt.NDArray[np.uint64]


def as_words(codes: Codes) -> Words:
    """View packed codes as words, `(n, words)`, zero-padded where they do not fit."""
    if codes.shape[1] % 8:
        codes = np.pad(codes, ((0, 0), (0, -codes.shape[1] % 8)))
    words = np.ascontiguousarray(codes).view(np.uint64)
    # Read-only arrays are a type of their own to numba: one type, compiled once.
    words.flags.writeable = False
    return words


def as_planes(codes: Codes) -> Words:
    """Return packed codes as one plane a word, `(words, n)` or with some rows more.

    Every plane but a single one starts at a line of the cache: to read across lines takes twice as
    long.
    """
    words = as_words(codes)
    if words.shape[1] == 1:
        # A view, so that a mapped file stays where it is.
        planes = np.require(words.T, requirements=["C", "A"])
    else:
        rows = -(-len(words) // (_LINE // 8)) * (_LINE // 8)
        room = np.zeros(words.shape[1] * rows + _LINE // 8, np.uint64)
        start = rows_before_line(room)
        planes = room[start : start + words.shape[1] * rows].reshape(words.shape[1], rows)
        planes[:, : len(words)] = words.T
    planes.flags.writeable = False
    return planes


def rows_before_line(planes: Words) -> int:
    """Return how many words there are before the first line of the cache begins."""
    address: int = planes.__array_interface__["data"][0]
    return -address % _LINE // 8
