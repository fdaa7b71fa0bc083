"""Packed codes as words of 64 bits, which is what searches compare."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from keras_ae.types import Codes

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
    """View packed codes as one plane a word, `(words, n)`."""
    # For one word a code this is a view, so a mapped file stays where it is.
    planes = np.require(as_words(codes).T, requirements=["C", "A"])
    planes.flags.writeable = False
    return planes
