"""The sparsity penalty that keeps the mean activation of every unit at a target."""

import math

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.types import Config, Tensor

# Means nearer to 0 or 1 than this are penalised along the tangent there. It is more than a mean
# of ones can be off in float32.
_EDGE = 1e-6


@keras.saving.register_keras_serializable("keras_ae")
class KLSparsityRegularizer(keras.regularizers.Regularizer):
    """Kullback-Leibler divergence from a target rate to the mean activation of every unit.

    `penalty = weight * sum_j t log(t / m_j) + (1 - t) log((1 - t) / (1 - m_j))`, with `t` the
    target and `m_j` the mean of unit `j` over the batch.

    The value is `n` times this for a batch of `n`: used as `activity_regularizer`, Keras divides it
    by the batch size. It is a function of the batch, not of an example: give it batches that are
    large beside `1 / target`.

    Activations must lie in [0, 1], as those of a sigmoid do. A unit whose mean lies outside makes
    the penalty NaN, which can happen with `relu` or `tanh`. A mean of exactly 0 or 1, where the
    divergence is infinite, gets a large penalty with a gradient that leads back.

    Args:
        target: Wanted mean activation, a number between 0 and 1, both excluded.
        weight: Weight of the penalty, a finite number >= 0.

    Shape:
        Activations `(n, ..., units)`. The mean of a unit is taken over all axes but the last.

    Raises:
        ValueError: An argument is out of its range, or the activations have no axis of units.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras.layers.Dense(
    ...     8, "sigmoid", activity_regularizer=keras_ae.KLSparsityRegularizer(target=0.1))
    >>> _ = layer(keras.ops.ones((4, 16)))
    >>> len(layer.losses)
    1

    Reference:
        Ng: Sparse Autoencoder, CS294A lecture notes, 2011. Lee, Ekanadham, Ng: Sparse Deep Belief
        Net Model for Visual Area V2, 2008.
    """

    penalty_name = "sparsity"

    def __init__(self, target: float = 0.05, weight: float = 1.0) -> None:
        self.target = check_number("target", target, minimum=0, exclusive=True)
        if self.target >= 1:
            raise ValueError(f"target must be a number < 1. Received: target={target!r}")
        self.weight = check_number("weight", weight, minimum=0)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scalar penalty times the batch size, float32."""
        x = ops.cast(x, "float32")
        if len(x.shape) < 2:
            raise ValueError(
                "KLSparsityRegularizer needs activations of shape (n, ..., units). "
                f"Received: activations of shape {tuple(x.shape)}"
            )
        n = ops.cast(ops.shape(x)[0], "float32")
        values = ops.reshape(x, (-1, x.shape[-1]))
        # An empty batch, which a replica can get, has no penalty.
        count = ops.maximum(ops.cast(ops.shape(values)[0], "float32"), 1.0)
        mean = ops.sum(values, axis=0) / count
        t = self.target
        divergence = t * (math.log(t) - _log(mean)) + (1 - t) * (math.log1p(-t) - _log(1 - mean))
        inside = ops.logical_and(mean >= -_EDGE, mean <= 1 + _EDGE)
        # As a factor, so that the gradient is NaN too.
        divergence = ops.multiply(divergence, ops.where(inside, 1.0, math.nan))
        return n * self.weight * ops.sum(divergence)

    def get_config(self) -> Config:
        return {"target": self.target, "weight": self.weight}


def _log(p: Tensor) -> Tensor:
    # The logarithm down to the edge and its tangent below.
    return ops.log(ops.maximum(p, _EDGE)) - ops.relu(1 - p / _EDGE)
