"""How much an encoder contracts along given directions, and across them."""

from typing import NamedTuple

import numpy as np

from keras_ae._checks import check_finite
from keras_ae.analysis._jacobians import jacobians
from keras_ae.types import FloatArray, TensorFunction


class ContractionProfile(NamedTuple):
    """How far a code moves for a step of the input of length 1.

    Attributes:
        along: For a step in the tangent space of an example.
        across: For a step at right angles to it.

    Example:

    >>> import keras_ae
    >>> keras_ae.analysis.ContractionProfile(along=0.5, across=0.25).along
    0.5
    """

    along: float
    across: float


def contraction_profile(
    encoder: TensorFunction,
    x: FloatArray,
    tangents: FloatArray,
    batch_size: int = 32,
    verbose: int | str = "auto",
) -> ContractionProfile:
    """Measure how far a code moves along given tangent spaces and across them.

    `along = mean_b (||J_b T_b||^2 / k)^(1/2)` and
    `across = mean_b ((||J_b||^2 - ||J_b T_b||^2) / (inputs - k))^(1/2)`

    Each is the root mean square of `||J_b u||` over the unit vectors `u` of a space, averaged over
    the examples. An encoder that treats every direction alike has two equal numbers.

    Args:
        encoder: A Keras model or layer, taken as at inference, or a function of tensors, from
            `(n, ...)` to `(n, ...)`, each example mapped on its own.
        x: Array `(n, ...)` of finite numbers, n >= 1.
        tangents: Array `(n, k, *input_shape)`, k orthonormal directions at each example, fewer than
            inputs: of the true manifold, or from `tangents` of another encoder or other data. Those
            of this encoder at `x` are its largest response by definition.
        batch_size: Examples at a time, an integer >= 1.
        verbose: `"auto"` or 1 for a progress bar, 2 for one line at the end, 0 for silence.

    Returns:
        The two numbers, in units of the code a unit of the input.

    Raises:
        ValueError: An argument is not as above, or the Jacobian not finite.

    Example:

    >>> import keras, keras_ae, numpy as np
    >>> def encoder(x):
    ...     return x * np.array([3.0, 4.0, 0.5], "float32")
    >>> profile = keras_ae.analysis.contraction_profile(
    ...     encoder, np.ones((1, 3)), tangents=np.eye(3)[None, :2], verbose=0)
    >>> round(profile.along, 4), profile.across
    (3.5355, 0.5)

    Reference:
        Rifai, Vincent, Muller, Glorot, Bengio: Contractive Auto-Encoders: Explicit Invariance
        During Feature Extraction, 2011.
    """
    bases = _orthonormal(tangents, np.shape(x))
    along, across = [], []
    start, (_, k, inputs) = 0, bases.shape
    for matrix in jacobians(encoder, x, batch_size, verbose):
        basis = bases[start : start + len(matrix)]
        start += len(matrix)
        inside = np.sum((matrix @ basis.swapaxes(1, 2)) ** 2, axis=(1, 2))
        outside = np.maximum(np.sum(matrix**2, axis=(1, 2)) - inside, 0)
        along.append(np.sqrt(inside / k))
        across.append(np.sqrt(outside / (inputs - k)))
    return ContractionProfile(
        float(np.concatenate(along).mean()), float(np.concatenate(across).mean())
    )


def _orthonormal(tangents: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return the tangents as bases `(n, k, inputs)`, float64, or raise."""
    tangents = check_finite("tangents", tangents)
    inputs = int(np.prod(shape[1:]))
    if (
        tangents.ndim != len(shape) + 1
        or (tangents.shape[0], *tangents.shape[2:]) != shape
        or not 0 < tangents.shape[1] < inputs
    ):
        raise ValueError(
            f"tangents must have shape (n, k, *input_shape) with fewer directions than the "
            f"{inputs} inputs, for x with shape={shape}. "
            f"Received: tangents with shape={tangents.shape}"
        )
    bases = tangents.reshape(len(tangents), -1, inputs).astype("float64")
    error = np.abs(bases @ bases.swapaxes(1, 2) - np.eye(bases.shape[1])).max(initial=0)
    if error > 1e-3:
        raise ValueError(
            "tangents must be orthonormal at each example. Received: tangents with products that "
            f"are off by up to {error:.3g}"
        )
    return bases
