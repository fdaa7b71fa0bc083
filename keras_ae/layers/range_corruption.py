"""Noise in proportion to the range of activations: training for runtimes that round them."""

from typing import Any

import keras
from keras import ops

from keras_ae.layers._corruption import Corruption
from keras_ae.types import Tensor


@keras.saving.register_keras_serializable("keras_ae")
class RangeCorruption(Corruption):
    """Add Gaussian noise relative to the largest activation in training, and nothing otherwise.

    `h' = h + fraction * max |h| * e`, with `e ~ N(0, I)` drawn anew for every element and call, and
    the maximum over the whole batch.

    An integer runtime has one step for all activations of a layer, the largest of them over 127 or
    255: outliers cost every other unit its precision. The gradient flows through the maximum, so
    that a model behind this layer learns to do without outliers, and to rely on many units rather
    than a few. Put it after hidden layers; 0.05 is some forty times the rounding to 256 levels.

    The present fraction is the weight `level`, which `callbacks.NoiseSchedule` changes.

    Args:
        fraction: Standard deviation of the noise over the largest activation, a finite number >= 0.
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
    >>> layer = keras_ae.RangeCorruption(0.05, seed=0)
    >>> x = keras.ops.ones((2, 5))
    >>> bool(keras.ops.all(layer(x, training=False) == x))
    True

    Reference:
        Fan, Stock, Graham, Grave, Gribonval, Jegou, Joulin: Training with Quantization Noise for
        Extreme Model Compression, 2020, of which this is the Gaussian form for activations.
    """

    level_name = "fraction"

    def __init__(self, fraction: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(fraction, seed, **kwargs)
        self.fraction = float(fraction)

    def corrupt(self, inputs: Tensor) -> Tensor:
        # The initial value is for an empty batch, which a replica can get.
        largest = ops.max(ops.cast(ops.abs(inputs), "float32"), initial=0.0)
        return inputs + ops.cast(self.level * largest * self.normal(inputs), inputs.dtype)
