"""How much of a code is at the ends of its range."""

import math
from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.metrics._streaming import ExampleMean, indicator
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class Saturation(ExampleMean):
    """Share of the elements of a code that are below `low` or above `high`.

    `saturation = mean_bi [h_bi < low or h_bi > high]`

    A saturated unit of a sigmoid has hardly a gradient, and is hardly changed by its input.
    `y_pred` is the code; `y_true` is ignored. The result before the first update is NaN.

    Args:
        low: Lower end of what is not saturated, a finite number. The default suits a sigmoid.
        high: Upper end of what is not saturated, a finite number > `low`.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; the state is float32 at least.

    Shape:
        `y_pred` `(n, ...)`, any rank. `sample_weight` `(n,)`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras_ae
    >>> metric = keras_ae.metrics.Saturation()
    >>> metric.update_state(None, [[0.01, 0.5], [0.3, 0.6]])
    >>> float(metric.result())
    0.25

    Reference:
        Glorot and Bengio: Understanding the Difficulty of Training Deep Feedforward Neural
        Networks, 2010.
    """

    def __init__(
        self,
        low: float = 0.05,
        high: float = 0.95,
        name: str = "saturation",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, dtype)
        self.low = check_number("low", low, minimum=-math.inf)
        self.high = check_number("high", high, minimum=self.low, exclusive=True)

    def measure(self, code: Tensor) -> Tensor:
        outside = ops.logical_or(code < self.low, code > self.high)
        return ops.mean(indicator(outside, code), axis=1)

    def get_config(self) -> Config:
        return {**super().get_config(), "low": self.low, "high": self.high}
