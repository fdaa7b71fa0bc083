"""Codes from random hyperplanes."""

from typing import Any

import numpy as np

from keras_ae._checks import check_bits, check_seed
from keras_ae.retrieval._hyperplanes import Hyperplanes
from keras_ae.retrieval._vectors import check_training_vectors


class RandomProjection(Hyperplanes):
    """Locality-sensitive hashing: the side of random hyperplanes on which a vector lies.

        bit_j(x) = [w_j . (x - mean) > 0],  w_j ~ N(0, I)

    Two centred vectors at an angle of `a` radians agree in each bit with probability `1 - a / pi`.
    The data gives nothing but the mean, which makes it the baseline that a learned code must beat.

    Args:
        bits: Bits in a code, a positive multiple of 8. May exceed the number of features.
        seed: Seed of the hyperplanes, an integer >= 0, or None for a different draw each time.

    Attributes:
        mean_: `(features,)`, after `fit`.
        components_: `(features, bits)`, the vectors `w_j`, after `fit`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from keras_ae.retrieval import RandomProjection
        >>> x = np.random.default_rng(0).normal(size=(100, 20))
        >>> RandomProjection(bits=64).fit(x).transform(x).shape
        (100, 8)

    Reference:
        Charikar, "Similarity estimation techniques from rounding algorithms", 2002.
    """

    def __init__(self, bits: int, seed: int | None = 0) -> None:
        self.bits = check_bits(bits)
        self.seed = check_seed(seed)

    def fit(self, x: Any) -> "RandomProjection":
        """Take the mean of `x`, `(n, features)`, and draw the hyperplanes.

        Raises:
            ValueError: If `x` is not a finite, non-empty array of that shape.
        """
        x = check_training_vectors(x)
        self.mean_ = x.mean(axis=0)
        self.components_ = np.random.default_rng(self.seed).normal(size=(x.shape[1], self.bits))
        return self
