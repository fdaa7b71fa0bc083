"""Codes from the signs of principal components."""

from typing import Any

from keras_ae._checks import check_bits
from keras_ae.retrieval._hyperplanes import Hyperplanes
from keras_ae.retrieval._vectors import (
    check_training_vectors,
    principal_components,
)


class PCASigns(Hyperplanes):
    """The side of the mean on which a vector lies, along each of the first principal components.

        bit_j(x) = [v_j . (x - mean) > 0],  v_j the j-th principal component

    The projections are uncorrelated, and the later ones say ever less: what `ITQ` mends by a
    rotation.

    Args:
        bits: Bits in a code, a positive multiple of 8, at most the number of features.

    Attributes:
        mean_: `(features,)`, after `fit`.
        components_: `(features, bits)`, the vectors `v_j`, after `fit`.

    Raises:
        ValueError: If `bits` is not a positive multiple of 8.

    Example:
        >>> import numpy as np
        >>> from keras_ae.retrieval import PCASigns
        >>> x = np.random.default_rng(0).normal(size=(100, 20))
        >>> PCASigns(bits=16).fit(x).transform(x).shape
        (100, 2)

    Reference:
        Gong and Lazebnik, "Iterative quantization: a Procrustean approach to learning binary
        codes", 2011, where it is called PCA-Direct.
    """

    def __init__(self, bits: int) -> None:
        self.bits = check_bits(bits)

    def fit(self, x: Any) -> "PCASigns":
        """Learn the components from `x`, `(n, features)`.

        Raises:
            ValueError: If `x` is not a finite, non-empty array of that shape, or has fewer
                features than the code has bits.
        """
        self.mean_, self.components_ = principal_components(check_training_vectors(x), self.bits)
        return self
