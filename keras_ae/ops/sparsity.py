"""What sparse codes need: the largest values of a row."""

from keras import ops

from keras_ae.types import Tensor


def keep_largest(x: Tensor, k: int | Tensor) -> Tensor:
    """Keep the `k` largest values of each row, as far as they are positive; the rest becomes 0.

    The gradient flows through the values kept. Of equal values those with a lower index go first.

    Args:
        x: Float tensor `(rows, units)`.
        k: Integer from 1 to `units`, or a tensor of one.

    Returns:
        Tensor of the shape of `x`, with at most `k` values other than 0 in a row.
    """
    # A mask `x >= smallest kept value` is as fast but keeps more than k where values are equal,
    # as they often are in float16. One flat index is the fastest scatter of those tried.
    rows, units = ops.shape(x)
    values, places = ops.top_k(x, k)
    starts = units * ops.expand_dims(ops.arange(rows, dtype="int32"), axis=1)
    indices = ops.reshape(starts + places, (-1, 1))
    kept = ops.scatter(indices, ops.reshape(ops.relu(values), (-1,)), (rows * units,))
    return ops.reshape(kept, (rows, units))
