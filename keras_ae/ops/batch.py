"""Reductions over a batch."""

from keras import ops

from keras_ae.types import Tensor


def batch_mean(x: Tensor) -> Tensor:
    """Return the mean over examples of the sum of an example, float32; 0 for an empty batch."""
    # A replica can get one.
    total = ops.sum(ops.cast(x, "float32"))
    return total / ops.cast(ops.maximum(ops.shape(x)[0], 1), "float32")
