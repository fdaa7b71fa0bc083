"""How many units of a code are never active."""

import math
from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.metrics._streaming import StreamingMetric, indicator
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class DeadFraction(StreamingMetric):
    """Share of the units of a code that no example has activated since the last reset.

    `dead = mean_j [h_bj <= threshold for every example b]`

    In `fit` the metrics are reset at every epoch. The value can only fall while examples come in:
    early in an epoch it says little, and values over different numbers of examples do not compare.

    `y_pred` is the code; `y_true` is ignored. An example of weight 0 activates nothing. The result
    before the first update is NaN: nothing is known of any unit.

    Args:
        threshold: Activation above which a unit counts as active, a finite number.
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; the state is float32 at least.

    Shape:
        `y_pred` `(n, ..., units)`: a unit of a convolutional code is dead if it is so at every
        position. `sample_weight` `(n,)`, not negative.

    Raises:
        ValueError: An argument is out of its range, or the number of units is unknown.

    Example:

    >>> import keras_ae
    >>> metric = keras_ae.metrics.DeadFraction()
    >>> metric.update_state(None, [[0.0, 1.5, 0.0, 0.0], [0.0, 0.0, 0.1, 0.0]])
    >>> float(metric.result())
    0.5

    Reference:
        Gao, Dupre la Tour, Tillman, Goh, Troll, Radford, Sutskever, Leike, Wu: Scaling and
        Evaluating Sparse Autoencoders, 2024.
    """

    def __init__(
        self, threshold: float = 0.0, name: str = "dead_fraction", dtype: Any = None
    ) -> None:
        super().__init__(name, dtype)
        self.threshold = check_number("threshold", threshold, minimum=-math.inf)
        self.activity: Any = None

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        code = ops.convert_to_tensor(y_pred)
        units = code.shape[-1] if len(code.shape) > 1 else 1
        if units is None:
            raise ValueError(
                "y_pred must have a last axis of known size. "
                f"Received: y_pred with shape={tuple(code.shape)}"
            )
        code = self.rows("y_pred", code)
        weights = self.weights(sample_weight, code)
        if self.activity is None:
            self.activity = self.add_state((units,), "activity")
        active = weights[:, None] * indicator(code > self.threshold, code)
        self.activity.assign_add(ops.sum(ops.reshape(active, (-1, units)), axis=0))
        self.weight.assign_add(ops.sum(weights))

    def result(self) -> Tensor:
        if self.activity is None:
            return ops.cast(math.nan, self.state_dtype)
        activity = ops.convert_to_tensor(self.activity)
        dead = ops.mean(indicator(activity == 0, activity))
        return ops.where(self.weight > 0, dead, math.nan)

    def get_config(self) -> Config:
        return {**super().get_config(), "threshold": self.threshold}
