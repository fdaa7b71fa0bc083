"""How many directions an encoder follows, and how far."""

import numpy as np
import numpy.typing as npt

from keras_ae._checks import check_number
from keras_ae.analysis._jacobians import jacobians
from keras_ae.types import FloatArray, TensorFunction


def jacobian_spectrum(
    encoder: TensorFunction, x: FloatArray, batch_size: int = 32, verbose: int | str = "auto"
) -> FloatArray:
    """Return the singular values of an encoder's Jacobian at each example.

    `J(x_b) = U diag(s_b) V^T`, with `J_ij = d h_i / d x_j`

    A code that is contracted everywhere but along the data has as many large singular values as
    the data has directions there.

    Args:
        encoder: A Keras model or layer, taken as at inference, or a function of tensors, from
            `(n, ...)` to `(n, ...)`, each example mapped on its own.
        x: Array `(n, ...)` of finite numbers, n >= 1.
        batch_size: Examples at a time, an integer >= 1. It bounds the memory used, which is several
            times `batch_size * outputs * inputs` numbers.
        verbose: `"auto"` or 1 for a progress bar, 2 for one line at the end, 0 for silence.

    Returns:
        NumPy array `(n, min(inputs, outputs))`, float64, descending. Its error is that of the
        Jacobian in the encoder's precision, and 1e-8 of the largest value.

    Raises:
        ValueError: An argument is not as above, or the Jacobian not finite.

    Example:

    >>> import keras, keras_ae, numpy as np
    >>> encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    >>> encoder.set_weights([np.array([[3, 0], [0, 4], [0, 0]])])
    >>> keras_ae.analysis.jacobian_spectrum(encoder, np.ones((1, 3)), verbose=0).round(4)
    array([[4., 3.]])

    Reference:
        Rifai, Vincent, Muller, Glorot, Bengio: Contractive Auto-Encoders: Explicit Invariance
        During Feature Extraction, 2011.
    """
    # From the smaller of the two products, which is many times faster than `svd`; in float64,
    # because a product has the square of the condition number.
    parts = [
        np.linalg.eigvalsh(
            matrix @ matrix.swapaxes(1, 2)
            if matrix.shape[1] <= matrix.shape[2]
            else matrix.swapaxes(1, 2) @ matrix
        )
        for matrix in jacobians(encoder, x, batch_size, verbose)
    ]
    squares = np.concatenate(parts)[:, ::-1]
    return np.sqrt(np.maximum(squares, 0))


def local_dimension(
    encoder: TensorFunction,
    x: FloatArray,
    share: float = 0.5,
    batch_size: int = 32,
    verbose: int | str = "auto",
) -> npt.NDArray[np.int64]:
    """Count the directions that an encoder follows at each example.

    `dimension_b = #{i : s_bi >= share * s_b1}`, with `s_b1 >= s_b2 >= ...` the singular values of
    the Jacobian at `x_b`; 0 where all of them are 0.

    Args:
        encoder: As for `jacobian_spectrum`.
        x: Array `(n, ...)` of finite numbers, n >= 1.
        share: Of the largest singular value that counts as following, a number > 0 and <= 1. Look
            at `jacobian_spectrum` for the gap that it should lie in.
        batch_size: Examples at a time, an integer >= 1.
        verbose: `"auto"` or 1 for a progress bar, 2 for one line at the end, 0 for silence.

    Returns:
        NumPy array `(n,)` of integers.

    Raises:
        ValueError: An argument is not as above, or the Jacobian not finite.

    Example:

    >>> import keras, keras_ae, numpy as np
    >>> def encoder(x):  # Follows the first two of three directions.
    ...     return x * np.array([1.0, 0.8, 0.01], "float32")
    >>> keras_ae.analysis.local_dimension(encoder, np.ones((2, 3)), verbose=0)
    array([2, 2])

    Reference:
        Fukunaga and Olsen: An Algorithm for Finding Intrinsic Dimensionality of Data, 1971.
    """
    share = check_number("share", share, minimum=0, maximum=1, exclusive=True)
    values = jacobian_spectrum(encoder, x, batch_size, verbose)
    return np.count_nonzero((values >= share * values[:, :1]) & (values > 0), axis=1)
