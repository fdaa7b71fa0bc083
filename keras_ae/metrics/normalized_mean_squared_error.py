"""The error of a reconstruction in units of the worst sensible one."""

import math
from typing import Any

import keras
from keras import ops

from keras_ae.metrics._streaming import ResidualMoments
from keras_ae.types import Tensor


@keras.saving.register_keras_serializable("keras_ae")
class NormalizedMeanSquaredError(ResidualMoments):
    """Squared error over that of the constant best guess, the mean of `y_true`.

    `nmse = sum_bd (y_bd - r_bd)^2 / sum_bd (y_bd - mean_d)^2`

    0 is a perfect reconstruction, 1 one that ignores its input. `mean_d` is the mean over all the
    examples since the last reset, kept in one pass and exactly, so the result does not depend on
    the batch size.

    The result before the first update is NaN; where `y_true` has no variance it is NaN or infinity.

    Args:
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; the state is float32 at least.

    Shape:
        `y_true` and `y_pred` `(n, ...)`, of the same shape. `sample_weight` `(n,)`.

    Raises:
        ValueError: The examples of `y_true` and of `y_pred` differ in size.

    Example:

    >>> import keras_ae
    >>> metric = keras_ae.metrics.NormalizedMeanSquaredError()
    >>> metric.update_state([[0.0], [2.0], [4.0]], [[1.0], [2.0], [3.0]])
    >>> float(metric.result())
    0.25

    Reference:
        Gao, Dupre la Tour, Tillman, Goh, Troll, Radford, Sutskever, Leike, Wu: Scaling and
        Evaluating Sparse Autoencoders, 2024.
    """

    def __init__(self, name: str = "normalized_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> Tensor:
        if self.mean is None:
            return ops.cast(math.nan, self.state_dtype)
        # Squares about 0 are squares about the mean and the square of the mean.
        errors = self.squares[1] + self.weight * ops.sum(ops.square(self.mean[1]))
        return ops.divide(errors, self.squares[0])
