"""Elements set to zero: the corruption of the first denoising autoencoder."""

from typing import Any

import keras
from keras import ops

from keras_ae.layers._corruption import Corruption
from keras_ae.types import Tensor


@keras.saving.register_keras_serializable("keras_ae")
class MaskingCorruption(Corruption):
    """Set elements to 0 in training, each by chance, and leave them all otherwise.

    `x'_j = 0` with probability `rate`, else `x'_j = x_j`, drawn anew for every element and call.

    Unlike dropout it leaves the other elements as they are: a decoder that sees part of an example
    has to fill in the rest, not to make up for a loss of scale.

    The present rate is the weight `level`, which `callbacks.NoiseSchedule` changes.

    Args:
        rate: Probability that an element becomes 0, a number from 0 to 1.
        seed: Integer >= 0 that makes the noise reproducible, or `None`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor of any rank, `(n, ...)`; integers are taken as floats.
        training: Whether to corrupt.

    Shape:
        Input and output are the same.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras_ae.MaskingCorruption(0.5, seed=0)
    >>> x = layer(3 * keras.ops.ones((9, 9)), training=True)
    >>> sorted({float(element) for element in keras.ops.ravel(x)})
    [0.0, 3.0]

    Reference:
        Vincent, Larochelle, Bengio, Manzagol: Extracting and Composing Robust Features with
        Denoising Autoencoders, 2008.
    """

    level_name = "rate"
    maximum = 1.0

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed, **kwargs)
        self.rate = float(rate)

    def corrupt(self, inputs: Tensor) -> Tensor:
        return ops.where(self.uniform(inputs) < self.level, ops.zeros_like(inputs), inputs)
