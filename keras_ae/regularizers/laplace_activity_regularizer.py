"""The sparsity penalty that a Laplace prior on the code stands for."""

import math

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_number
from keras_ae._optional import optional_import
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class LaplaceActivityRegularizer(keras.regularizers.Regularizer):
    """Negative log density of the activations under a Laplace prior.

    `p(h_i) = rate / 2 * exp(-rate |h_i|)`, so `-log p(h) = sum_i rate |h_i| - log(rate / 2)`

    The value is a sum over the batch: used as `activity_regularizer`, Keras divides it by the batch
    size, which makes the penalty a mean over examples. On TensorFlow the density is computed by
    `tensorflow_probability`, imported at the first call; on JAX, which that does not support, by
    the formula.

    Args:
        rate: Inverse scale of the prior, a finite number > 0: the weight of the L1 norm.
        include_constant: Whether the term `-log(rate / 2)` of every unit is counted. It does not
            change any gradient; it makes the value a true negative log density.

    Raises:
        ValueError: An argument is out of its range.
        ImportError: `tensorflow_probability` is not installed, at the first call on TensorFlow.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras.layers.Dense(
    ...     8, activity_regularizer=keras_ae.LaplaceActivityRegularizer(rate=1e-3))
    >>> _ = layer(keras.ops.ones((4, 16)))
    >>> len(layer.losses)
    1

    Reference:
        Goodfellow, Bengio, Courville: Deep Learning, section 14.2.1, 2016. Olshausen and Field:
        Emergence of Simple-Cell Receptive Field Properties, 1996.
    """

    penalty_name = "sparsity"

    def __init__(self, rate: float, include_constant: bool = False) -> None:
        self.rate = check_number("rate", rate, minimum=0, exclusive=True)
        if not isinstance(include_constant, bool):
            raise ValueError(
                "include_constant must be True or False. "
                f"Received: include_constant={include_constant!r}"
            )
        self.include_constant = include_constant

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scalar sum over every element of `x`, float32."""
        if keras.backend.backend() != "tensorflow":
            penalty = self.rate * ops.sum(ops.abs(ops.cast(x, "float32")))
            if self.include_constant:
                penalty = penalty - math.log(self.rate / 2) * ops.cast(ops.size(x), "float32")
            return penalty
        # In float32 a small rate is lost beside the constant.
        x = ops.cast(x, "float64")
        distributions = optional_import("tensorflow_probability", "probability").distributions
        prior = distributions.Laplace(np.float64(0.0), np.float64(1.0 / self.rate))
        penalty = -prior.log_prob(x)
        if not self.include_constant:
            penalty = penalty + math.log(self.rate / 2)
        return ops.sum(ops.cast(penalty, "float32"))

    def get_config(self) -> Config:
        return {"rate": self.rate, "include_constant": self.include_constant}
