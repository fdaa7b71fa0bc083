"""The gradient of the log density of the data, as a denoising autoencoder knows it."""

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_finite, check_integer, check_number
from keras_ae.analysis._arguments import at_inference
from keras_ae.types import FloatArray, TensorFunction


def score(dae: TensorFunction, x: FloatArray, stddev: float, batch_size: int = 1024) -> FloatArray:
    """Estimate the score of the data with a denoising autoencoder.

    `score(x) = (r(x) - x) / stddev^2`, which estimates `d log p(x) / dx`

    That holds for a reconstruction `r` trained with squared error against clean examples and
    Gaussian noise of this standard deviation. More exactly, `p` is the density of the data with the
    noise added, so the estimate is biased for a large `stddev`, and for a small one noisy: what is
    divided, `r(x) - x`, is then small beside the errors of `r`.

    Args:
        dae: The reconstruction: a Keras model or layer, called as at inference, or a function of
            tensors, from `(n, ...)` to the same shape. It should compute in float32: half precision
            loses a small `r(x) - x`.
        x: Array `(n, ...)` of finite numbers, the points where to estimate.
        stddev: Standard deviation of the noise that `dae` was trained with, in units of `x`, a
            finite number > 0.
        batch_size: Points at a time, an integer >= 1. It bounds the memory used.

    Returns:
        NumPy array of the shape of `x`.

    Raises:
        ValueError: An argument is not as above, or the result is not finite.

    Example:

    >>> import numpy as np, keras_ae
    >>> def denoise(x):  # The best there is for data of a standard normal distribution.
    ...     return x / (1 + 0.1**2)
    >>> keras_ae.analysis.score(denoise, np.array([[-1.0, 0.0, 2.0]]), stddev=0.1).round(2) + 0
    array([[ 0.99,  0.  , -1.98]], dtype=float32)

    Reference:
        Vincent: A Connection Between Score Matching and Denoising Autoencoders, 2011.
        Alain and Bengio: What Regularized Auto-Encoders Learn from the Data-Generating
        Distribution, 2014.
    """
    reconstruct = at_inference("dae", dae)
    x = check_points(x)
    stddev = check_number("stddev", stddev, minimum=0, exclusive=True)
    check_integer("batch_size", batch_size, minimum=1)
    result = np.empty_like(x)
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        clean = ops.convert_to_numpy(reconstruct(ops.convert_to_tensor(batch)))
        check_same_shape(batch.shape, clean.shape)
        result[start : start + batch_size] = (clean.astype(x.dtype) - batch) / stddev**2
    if not np.isfinite(result).all():
        raise ValueError(
            "dae must give finite numbers at x. Received: a dae that leads to "
            f"{np.count_nonzero(~np.isfinite(result))} NaN or infinite values of {x.size}"
        )
    return result


def check_points(x: FloatArray) -> FloatArray:
    """Return `x` in Keras's float type, or raise a ValueError."""
    return check_finite("x", x).astype(keras.config.floatx())


def check_same_shape(given: tuple[int, ...], returned: tuple[int, ...]) -> None:
    """Raise a ValueError unless the reconstruction has the shape of what it was given."""
    if tuple(given) != tuple(returned):
        raise ValueError(
            f"dae must return the shape it is given, {tuple(given)}. "
            f"Received: a dae that returns shape={tuple(returned)}"
        )
