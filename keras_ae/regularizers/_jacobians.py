"""Three ways to hold a Jacobian, all of which can tell its norm and its distance to another."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from keras import ops

from keras_ae.ops import random
from keras_ae.ops.dense_jacobian import squared_norms
from keras_ae.types import Tensor, TensorFunction

_BITS = 30  # Of a draw, so that it is positive and of int32.


class Jacobian(Protocol):
    """Jacobian of an encoder at each example of a batch."""

    def squared_norms(self, other: Any = None) -> Tensor:
        """Return `||J||^2`, or `||J - other||^2` for one of the same kind: `(n, ...)`, float32."""


@dataclass(frozen=True)
class DenseJacobian:
    """The factors of a stack of dense layers, as `ops.dense_jacobian` takes them."""

    kernels: list[Tensor]
    slopes: list[Tensor]

    def squared_norms(self, other: "DenseJacobian | None" = None) -> Tensor:
        return squared_norms(self.kernels, self.slopes, None if other is None else other.slopes)


@dataclass(frozen=True)
class WholeJacobian:
    """Every element, `(n, *output_shape, *input_shape)`."""

    matrix: Tensor

    def squared_norms(self, other: "WholeJacobian | None" = None) -> Tensor:
        return _sum_of_squares(self.matrix, None if other is None else other.matrix)


@dataclass(frozen=True)
class ProjectedJacobian:
    """The map `v -> J^T v`, and random signs `v` of shape `(probes, n, *output_shape)`.

    `E ||J^T v||^2 = ||J||^2`, because the covariance of the signs is the identity.
    """

    pull_back: TensorFunction
    signs: Tensor

    def squared_norms(self, other: "ProjectedJacobian | None" = None) -> Tensor:
        total = 0.0
        for probe in range(self.signs.shape[0]):
            signs = self.signs[probe]
            # The same signs for both: the difference is projected, not each of the two.
            projected = None if other is None else other.pull_back(signs)
            total = total + _sum_of_squares(self.pull_back(signs), projected)
        return total / self.signs.shape[0]


def random_signs(shape: tuple[Tensor, ...], seed: Any) -> Tensor:
    """Return independent fair -1 and +1, int32, of a shape whose last axis is a static size."""
    # XLA on a CPU takes longer to draw a number than to use it: one draw gives 30 of them.
    words = -(-shape[-1] // _BITS)
    draws = random.integers((*shape[:-1], words), 2**_BITS, seed)
    bits = ops.bitwise_and(ops.right_shift(draws[..., None], np.arange(_BITS, dtype="int32")), 1)
    return 2 * ops.reshape(bits, (*shape[:-1], words * _BITS))[..., : shape[-1]] - 1


def _sum_of_squares(x: Tensor, other: Tensor | None) -> Tensor:
    # Sums of squares overflow float16.
    x = ops.cast(x, "float32")
    if other is not None:
        x = x - ops.cast(other, "float32")
    return ops.sum(ops.square(x), axis=tuple(range(1, len(x.shape))))
