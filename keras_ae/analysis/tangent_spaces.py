"""The directions of the data, as an encoder knows them."""

import keras
import numpy as np

from keras_ae._checks import check_integer
from keras_ae.analysis._jacobians import jacobians
from keras_ae.types import FloatArray, TensorFunction


def tangents(
    encoder: TensorFunction,
    x: FloatArray,
    k: int,
    batch_size: int = 32,
    verbose: int | str = "auto",
    turns: int | None = None,
) -> FloatArray:
    """Return the directions of the input that an encoder follows most, at each example.

    `J(x_b) = U diag(s) V^T`, and the tangents at `x_b` are the first `k` columns of `V`

    An encoder trained to reconstruct and to contract, or the whole of a denoising autoencoder,
    follows the data and nothing across it: these directions then span the tangent space of the
    manifold that the data lies on.

    Args:
        encoder: A Keras model or layer, taken as at inference, or a function of tensors, from
            `(n, ...)` to `(n, ...)`, each example mapped on its own.
        x: Array `(n, ...)` of finite numbers, n >= 1.
        k: Directions at each example, an integer from 1 to the smaller of inputs and outputs.
            Where the singular values of `jacobian_spectrum` are equal or 0, so are directions
            arbitrary within their space.
        batch_size: Examples at a time, an integer >= 1. It bounds the memory used, which is several
            times `batch_size * outputs * inputs` numbers.
        verbose: `"auto"` or 1 for a progress bar, 2 for one line at the end, 0 for silence.
        turns: `None` for an exact decomposition. An integer >= 1 for that many turns of a block
            power iteration, which takes a small part of the time for hundreds of units: the error
            in direction `j` is about `(s_m / s_j)^(2 turns)`, where `m = 2 k + 8`. Some 4 are
            enough for an encoder whose singular values fall fast, as those of a contractive one do.

    Returns:
        NumPy array `(n, k, *input_shape)` of orthonormal directions, those of the largest singular
        values first. The sign of each is arbitrary.

    Raises:
        ValueError: An argument is not as above, or the Jacobian not finite.

    Example:

    >>> import keras, keras_ae, numpy as np
    >>> def encoder(x):  # Follows the second direction most.
    ...     return x * np.array([0.5, 2.0, 0.1], "float32")
    >>> abs(keras_ae.analysis.tangents(encoder, np.ones((1, 3)), k=2, verbose=0)).round(4)
    array([[[0., 1., 0.],
            [1., 0., 0.]]], dtype=float32)

    Reference:
        Rifai, Dauphin, Vincent, Bengio, Muller: The Manifold Tangent Classifier, 2011. Halko,
        Martinsson, Tropp: Finding Structure with Randomness, 2011.
    """
    check_integer("k", k, minimum=1)
    if turns is not None:
        check_integer("turns", turns, minimum=1)
    parts = []
    dtype = "float64" if turns is None else None
    for matrix in jacobians(encoder, x, batch_size, verbose, dtype):
        if k > min(matrix.shape[1:]):
            raise ValueError(
                f"k must be at most the smaller of {matrix.shape[2]} inputs and "
                f"{matrix.shape[1]} outputs. Received: k={k}"
            )
        found = _leading(matrix, k) if turns is None else _iterated(matrix, k, turns)
        parts.append(found.astype(keras.config.floatx()))
    return np.concatenate(parts).reshape(-1, k, *np.shape(x)[1:])


def _leading(matrix: FloatArray, k: int) -> FloatArray:
    """Return the `k` leading right singular vectors as rows, `(b, k, inputs)`."""
    transposed = matrix.swapaxes(1, 2)
    if matrix.shape[1] > matrix.shape[2]:
        return np.linalg.eigh(transposed @ matrix)[1][:, :, : -k - 1 : -1].swapaxes(1, 2)
    left = np.linalg.eigh(matrix @ transposed)[1][:, :, : -k - 1 : -1]
    # J^T U = V S. Divided by S it would not be orthonormal where S is small.
    return np.linalg.qr(transposed @ left)[0].swapaxes(1, 2)


def _iterated(matrix: FloatArray, k: int, turns: int) -> FloatArray:
    """Return about what `_leading` does, by block power iteration."""
    # To a size whose square float32 holds.
    largest = np.maximum(matrix.max(axis=(1, 2)), -matrix.min(axis=(1, 2)))[:, None, None]
    matrix = (matrix / np.where(largest > 0, largest, 1)).astype(np.float32, copy=False)
    transposed = matrix.swapaxes(1, 2)
    # Directions to spare, which the last ones that are wanted would else be mixed with.
    width = min(2 * k + 8, *matrix.shape[1:])
    start = np.random.default_rng(0).normal(size=(matrix.shape[2], width)).astype(np.float32)
    basis = np.broadcast_to(start, (len(matrix), *start.shape))
    for _ in range(turns):
        basis = np.linalg.qr(transposed @ (matrix @ basis))[0]
    # Within their span, the leading directions are those of a small problem.
    images = (matrix @ basis).astype(np.float64)
    within = np.linalg.eigh(images.swapaxes(1, 2) @ images)[1][:, :, : -k - 1 : -1]
    return (basis.astype(np.float64) @ within).swapaxes(1, 2)
