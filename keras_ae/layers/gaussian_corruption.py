"""The corruption of the denoising autoencoder."""

from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number, check_seed
from keras_ae.types import Tensor


@keras.saving.register_keras_serializable("keras_ae")
class GaussianCorruption(keras.layers.GaussianNoise):
    """Add Gaussian noise in training, and nothing otherwise.

    `x' = x + stddev * e`, with `e ~ N(0, I)` drawn anew for every element and call.

    A reconstruction `r(x')` trained with squared error against the clean `x` estimates the score of
    the data: `(r(x) - x) / stddev^2` tends to `d log p(x) / dx` as `stddev` tends to 0.

    Args:
        stddev: Standard deviation of the noise in units of the input, a finite number >= 0.
        seed: Integer >= 0 that makes the noise reproducible, or `None`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor of any rank, `(n, ...)`; integers are taken as floats.
        training: Whether to add noise.

    Shape:
        Input and output are the same.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras_ae.GaussianCorruption(0.3, seed=0)
    >>> x = keras.ops.ones((2, 5))
    >>> bool(keras.ops.all(layer(x, training=False) == x))
    True

    Reference:
        Vincent, Larochelle, Lajoie, Bengio, Manzagol: Stacked Denoising Autoencoders, 2010.
        Alain and Bengio: What Regularized Auto-Encoders Learn from the Data-Generating
        Distribution, 2014.
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(check_number("stddev", stddev, minimum=0), seed=check_seed(seed), **kwargs)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not keras.backend.is_float_dtype(inputs.dtype):
            inputs = ops.cast(inputs, self.compute_dtype)
        return super().call(inputs, training)
