"""Codes from a rotation of principal components."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae._checks import check_bits, check_integer, check_seed
from keras_ae.retrieval._hyperplanes import Hyperplanes
from keras_ae.retrieval._vectors import (
    check_training_vectors,
    principal_components,
)


class ITQ(Hyperplanes):
    """Iterative quantization: principal components, turned so that their signs lose little.

    With `V` the data in its first `bits` principal components, it lowers

        || B - V R ||^2  over  B in {-1, 1}^(n x bits)  and  R orthogonal

    by turns: `B = sign(V R)`, then the best rotation `R` for that `B`, from the singular value
    decomposition of `B^T V`. The rotation starts at random.

    Args:
        bits: Bits in a code, a positive multiple of 8, at most the number of features.
        iterations: Turns to take, an integer >= 0.
        seed: Seed of the first rotation, an integer >= 0, or None for a different one each time.

    Attributes:
        mean_: `(features,)`, after `fit`.
        components_: `(features, bits)`, orthonormal columns, after `fit`.
        rotation_: `(bits, bits)`, orthogonal, after `fit`.
        errors_: `(iterations + 1,)`, `|| B - V R ||^2 / n` at the start and after every turn,
            never rising.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from keras_ae.retrieval import ITQ
        >>> x = np.random.default_rng(0).normal(size=(100, 20))
        >>> ITQ(bits=16).fit(x).transform(x).shape
        (100, 2)

    Reference:
        Gong and Lazebnik, "Iterative quantization: a Procrustean approach to learning binary
        codes", 2011.
    """

    rotation_: npt.NDArray[np.float64]
    errors_: npt.NDArray[np.float64]

    def __init__(self, bits: int, iterations: int = 50, seed: int | None = 0) -> None:
        self.bits = check_bits(bits)
        self.iterations = check_integer("iterations", iterations, minimum=0)
        self.seed = check_seed(seed)

    def directions(self) -> npt.NDArray[np.float64]:
        return self.components_ @ self.rotation_

    def fit(self, x: Any) -> "ITQ":
        """Learn the components and the rotation from `x`, `(n, features)`.

        Raises:
            ValueError: If `x` is not a finite, non-empty array of that shape, or has fewer
                features than the code has bits.
        """
        x = check_training_vectors(x)
        mean, components = principal_components(x, self.bits)
        projected = (x - mean) @ components

        noise = np.random.default_rng(self.seed).normal(size=(self.bits, self.bits))
        rotation = np.linalg.qr(noise).Q
        errors = []
        for turn in range(self.iterations + 1):
            rotated = projected @ rotation
            signs = np.where(rotated > 0, 1.0, -1.0)
            errors.append(np.sum((signs - rotated) ** 2) / len(x))
            if turn < self.iterations:
                left, _, right = np.linalg.svd(signs.T @ projected)
                rotation = (left @ right).T
        # All at the end: a fit that fails leaves the one before it whole.
        self.mean_, self.components_, self.rotation_ = mean, components, rotation
        self.errors_ = np.array(errors)
        return self
