"""Elements set to either end of their range: corruption for near-binary inputs."""

from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.layers._corruption import Corruption
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class SaltAndPepperCorruption(Corruption):
    """Set elements to `low` or `high` in training, each by chance, and leave them all otherwise.

    `x'_j` is `low` or `high` with probability `rate / 2` each, else `x'_j = x_j`, drawn anew for
    every element and call.

    The present rate is the weight `level`, which `callbacks.NoiseSchedule` changes.

    Args:
        rate: Probability that an element is replaced, a number from 0 to 1.
        low: The lower value, finite, in units of the input.
        high: The higher value, finite, above `low`.
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
    >>> layer = keras_ae.SaltAndPepperCorruption(1.0, low=-1.0, seed=0)
    >>> bool(keras.ops.all(keras.ops.abs(layer(keras.ops.zeros((4, 5)), training=True)) == 1))
    True

    Reference:
        Vincent, Larochelle, Lajoie, Bengio, Manzagol: Stacked Denoising Autoencoders, 2010.
    """

    level_name = "rate"
    maximum = 1.0

    def __init__(
        self,
        rate: float,
        low: float = 0.0,
        high: float = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.rate = float(rate)
        self.low = check_number("low", low)
        self.high = check_number("high", high)
        if low >= high:
            raise ValueError(f"low must be less than high. Received: low={low!r}, high={high!r}")

    def corrupt(self, inputs: Tensor) -> Tensor:
        # One draw decides both whether and which: its lower half below the level is the coin.
        draw = self.uniform(inputs)
        ends = ops.where(draw < self.level / 2, self.low, self.high)
        return ops.where(draw < self.level, ops.cast(ends, inputs.dtype), inputs)

    def get_config(self) -> Config:
        return {**super().get_config(), "low": self.low, "high": self.high}
