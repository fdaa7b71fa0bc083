"""Additive noise: the corruption of the denoising autoencoder for real values."""

from typing import Any

import keras
from keras import ops

from keras_ae.layers._corruption import Corruption
from keras_ae.types import Tensor


@keras.saving.register_keras_serializable("keras_ae")
class GaussianCorruption(Corruption):
    """Add Gaussian noise in training, and nothing otherwise.

    `x' = x + stddev * e`, with `e ~ N(0, I)` drawn anew for every element and call.

    A reconstruction `r(x')` trained with squared error against the clean `x` estimates the score of
    the data: `(r(x) - x) / stddev^2` tends to `d log p(x) / dx` as `stddev` tends to 0.

    The present standard deviation is the weight `level`, which `callbacks.NoiseSchedule` changes.

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

    level_name = "stddev"

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(stddev, seed, **kwargs)
        self.stddev = float(stddev)

    def corrupt(self, inputs: Tensor) -> Tensor:
        return inputs + ops.cast(self.level * self.normal(inputs), inputs.dtype)
