"""How many units of a code are active."""

from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.metrics._streaming import ExampleMean, indicator
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class L0(ExampleMean):
    """Mean number of active elements in the code of an example.

    `L0 = mean_b #{i : |h_bi| > threshold}`

    `y_pred` is the code; `y_true` is ignored. The result before the first update is NaN.

    Args:
        threshold: Magnitude above which an element counts as active, a finite number >= 0.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; the state is float32 at least.

    Shape:
        `y_pred` `(n, ...)`, any rank: every element of an example is counted.
        `sample_weight` `(n,)`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras_ae
    >>> metric = keras_ae.metrics.L0()
    >>> metric.update_state(None, [[0.0, 1.5, -2.0], [0.0, 0.0, 0.1]])
    >>> float(metric.result())
    1.5

    Reference:
        Hurley and Rickard: Comparing Measures of Sparsity, 2009.
    """

    def __init__(self, threshold: float = 0.0, name: str = "l0", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.threshold = check_number("threshold", threshold, minimum=0)

    def measure(self, code: Tensor) -> Tensor:
        return ops.sum(indicator(ops.abs(code) > self.threshold, code), axis=1)

    def get_config(self) -> Config:
        return {**super().get_config(), "threshold": self.threshold}
