"""Type aliases used across the package."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Tensor: TypeAlias = Any
"""A backend tensor, a KerasTensor or a NumPy array: what `keras.ops` takes and returns."""

TensorFunction: TypeAlias = Callable[[Tensor], Tensor]
"""A differentiable function from one tensor to another."""

Shape: TypeAlias = tuple[int | None, ...]
"""A shape with `None` for an unknown dimension."""

Config: TypeAlias = dict[str, Any]
"""What `get_config` returns."""

Codes: TypeAlias = npt.NDArray[np.uint8]
"""Packed binary codes, `(n, bits / 8)`, bit 0 lowest."""

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
"""A NumPy array of real numbers."""
