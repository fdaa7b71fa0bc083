"""How much of the variance a reconstruction accounts for."""

from typing import Any

import keras
from keras import ops

from keras_ae.metrics._streaming import ResidualMoments
from keras_ae.types import Tensor


@keras.saving.register_keras_serializable("keras_ae")
class ExplainedVariance(ResidualMoments):
    """Share of the variance of `y_true` that `y_pred` accounts for.

    `explained = 1 - sum_d Var_b(y_bd - r_bd) / sum_d Var_b(y_bd)`

    The variances are taken over all the examples since the last reset, in one pass and exactly, so
    the result does not depend on the batch size. A constant error in a dimension costs nothing:
    for that see `NormalizedMeanSquaredError`.

    The result before the first update is NaN; where `y_true` has no variance it is NaN or minus
    infinity.

    Args:
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`; the state is float32 at least.

    Shape:
        `y_true` and `y_pred` `(n, ...)`, of the same shape. `sample_weight` `(n,)`.

    Raises:
        ValueError: The examples of `y_true` and of `y_pred` differ in size.

    Example:

    >>> import keras_ae
    >>> metric = keras_ae.metrics.ExplainedVariance()
    >>> metric.update_state([[0.0], [2.0], [4.0]], [[1.0], [2.0], [3.0]])
    >>> float(metric.result())
    0.75

    Reference:
        Chan, Golub, LeVeque: Algorithms for Computing the Sample Variance: Analysis and
        Recommendations, 1983.
    """

    def __init__(self, name: str = "explained_variance", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> Tensor:
        return 1 - ops.divide(self.squares[1], self.squares[0])
