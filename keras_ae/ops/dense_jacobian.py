"""Jacobians of stacks of dense layers, multiplied out from their factors."""

from collections.abc import Sequence

from keras import ops

from keras_ae.types import Tensor

_WIDEST = 32


def squared_norms(
    kernels: Sequence[Tensor],
    slopes: Sequence[Tensor],
    others: Sequence[Tensor] | None = None,
) -> Tensor:
    """Return `||J||^2`, or `||J - J'||^2`, of `J = D_L W_L^T ... D_1 W_1^T D_0` at each example.

    The product is taken from whichever end costs less, so that nothing larger than the narrow end
    times a hidden layer is ever made; of a single kernel, nothing larger than the slopes.

    Args:
        kernels: `W_1, ..., W_L`, each `(units of the layer below, units)`; at least one.
        slopes: The diagonals of `D_0, ..., D_L`: `(n, ..., units)`, the first `(n, ..., inputs)`.
            The first, and of several layers the last, may be `None` for the identity, which is
            cheaper.
        others: The diagonals of `J'`, which has the same kernels.

    Returns:
        Tensor `(n, ...)`, float32, the square of the Frobenius norm.
    """
    kernels = [_float32(kernel) for kernel in kernels]
    slopes = [_float32(slope) for slope in slopes]
    others = None if others is None else [_float32(slope) for slope in others]
    if len(kernels) == 1:
        return _of_one_layer(kernels[0], slopes, others)
    if _is_of_two_grams(kernels, slopes):
        return _of_two_grams(kernels, slopes[1] if others is None else slopes[1] - others[1])
    from_output = _from_output_is_cheaper(kernels, slopes)
    walk = _from_output if from_output else _from_input
    matrix = walk(kernels, slopes)
    if others is not None:
        matrix = matrix - walk(kernels, others)
    if from_output and slopes[0] is None and kernels[0].shape[1] < kernels[0].shape[0]:
        # ||A W^T||^2 = <A W^T W, A>, and W^T W is the smaller matrix.
        gram = ops.matmul(ops.transpose(kernels[0]), kernels[0])
        return ops.sum(_times(matrix, gram) * matrix, axis=(-2, -1))
    if from_output and slopes[0] is None:
        matrix = _times(matrix, ops.transpose(kernels[0]))
    return ops.sum(ops.square(matrix), axis=(-2, -1))


def jacobian(kernels: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    """Return `J = D_L W_L^T ... D_1 W_1^T D_0` at each example, `(n, ..., units, inputs)`.

    Args:
        kernels: As for `squared_norms`.
        slopes: Likewise.
    """
    if not _from_output_is_cheaper(kernels, slopes):
        return ops.swapaxes(_from_input(kernels, slopes), -2, -1)
    if len(kernels) == 1:
        matrix = slopes[1][..., None] * ops.transpose(kernels[0])
        return matrix if slopes[0] is None else matrix * slopes[0][..., None, :]
    matrix = _from_output(kernels, slopes)
    return matrix if slopes[0] is not None else _times(matrix, ops.transpose(kernels[0]))


def _of_one_layer(
    kernel: Tensor, slopes: Sequence[Tensor], others: Sequence[Tensor] | None
) -> Tensor:
    squares = ops.square(kernel)

    def inner(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
        """`<J, J'> = sum_i d_i d'_i sum_j W_ji^2 c_j c'_j`, with `c` the slopes of the inputs."""
        columns = ops.sum(squares, axis=0)
        if first[0] is not None:
            columns = ops.matmul(first[0] * second[0], squares)
        return ops.sum(first[1] * second[1] * columns, axis=-1)

    if others is None:
        return inner(slopes, slopes)
    if slopes[0] is None:
        # Of the difference itself: three inner products would cancel.
        change = [None, slopes[1] - others[1]]
        return inner(change, change)
    return inner(slopes, slopes) - 2 * inner(slopes, others) + inner(others, others)


def _is_of_two_grams(kernels: Sequence[Tensor], slopes: Sequence[Tensor]) -> bool:
    if len(kernels) != 2 or slopes[0] is not None or slopes[2] is not None:
        return False
    # They are made once for a batch: worth it unless they are far larger than the Jacobian.
    hidden, units = kernels[1].shape
    return hidden <= _WIDEST * units


def _of_two_grams(kernels: Sequence[Tensor], slope: Tensor) -> Tensor:
    """`||W_2^T D W_1^T||^2 = d^T (W_1^T W_1 * W_2 W_2^T) d`, with no matrix for each example."""
    first, second = kernels
    gram = ops.matmul(ops.transpose(first), first) * ops.matmul(second, ops.transpose(second))
    # Of terms that can cancel.
    return ops.maximum(ops.sum(ops.matmul(slope, gram) * slope, axis=-1), 0.0)


def _from_output(kernels: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    """`D_L W_L^T ... W_2^T D_1`, and on to `W_1^T D_0` where that is not shared by all examples."""
    matrix = ops.transpose(kernels[-1]) * slopes[-2][..., None, :]
    if slopes[-1] is not None:
        matrix = slopes[-1][..., None] * matrix
    for kernel, slope in zip(reversed(kernels[1:-1]), reversed(slopes[1:-2]), strict=True):
        matrix = _times(matrix, ops.transpose(kernel)) * slope[..., None, :]
    if slopes[0] is not None:
        matrix = _times(matrix, ops.transpose(kernels[0])) * slopes[0][..., None, :]
    return matrix


def _from_input(kernels: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    """The transpose of the whole Jacobian, `D_0 W_1 D_1 ... W_L D_L`."""
    matrix = kernels[0] * slopes[1][..., None, :]
    if slopes[0] is not None:
        matrix = slopes[0][..., None] * matrix
    for kernel, slope in zip(kernels[1:], slopes[2:], strict=True):
        matrix = _times(matrix, kernel)
        matrix = matrix if slope is None else matrix * slope[..., None, :]
    return matrix


def _from_output_is_cheaper(kernels: Sequence[Tensor], slopes: Sequence[Tensor]) -> bool:
    sizes = [kernel.shape[0] * kernel.shape[1] for kernel in kernels]
    first = sizes[0]
    if slopes[0] is None:
        first = min(first, kernels[0].shape[1] ** 2)
    from_output = kernels[-1].shape[1] * (first + sum(sizes[1:-1]))
    from_input = kernels[0].shape[0] * sum(sizes[1:])
    return from_output <= from_input


def _times(matrix: Tensor, kernel: Tensor) -> Tensor:
    # Folds the leading axes into one product, which a batch of small ones is not.
    return ops.tensordot(matrix, kernel, axes=[[-1], [0]])


def _float32(x: Tensor) -> Tensor:
    # Squares of a whole kernel overflow float16.
    return None if x is None else ops.cast(x, "float32")
