"""Checks of the vectors that the classical hashes read."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae._checks import check_finite


def check_training_vectors(x: Any) -> npt.NDArray[np.float64]:
    x = check_finite("x", x)
    if x.ndim != 2 or not x.size:
        raise ValueError(
            f"x must have shape (n, features), neither of them 0. Received: x with shape={x.shape}"
        )
    x = x.astype(np.float64)
    with np.errstate(over="ignore"):
        size = np.sum(np.square(x))
    if not np.isfinite(size):
        raise ValueError(
            "x must have squares that can be summed in float64. "
            f"Received: x with values up to {np.abs(x).max():.3g}"
        )
    return x


def check_and_centre(x: Any, mean: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
    """Return `x - mean`, or raise: `x` must be like what was fitted, and something must be."""
    if mean is None:
        raise ValueError("transform must come after fit. Received: a call before fit")
    x = check_finite("x", x)
    if x.ndim != 2 or x.shape[1] != len(mean):
        raise ValueError(
            f"x must have shape (n, {len(mean)}), as in fit. Received: x with shape={x.shape}"
        )
    return np.subtract(x, mean, dtype=np.float64)


def principal_components(
    x: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean of `x`, `(n, features)`, and its leading components, `(features, count)`."""
    if x.shape[1] < count:
        raise ValueError(
            f"x must have at least {count} features, one for each bit. "
            f"Received: x with shape={x.shape}"
        )
    mean = x.mean(axis=0)
    centred = x - mean
    _, eigenvectors = np.linalg.eigh(centred.T @ centred)
    return mean, eigenvectors[:, : -count - 1 : -1]
