"""Sparse codes by iterative shrinkage: a quadratic, an L1 norm, and a bound on what is left."""

from collections.abc import Callable
from typing import NamedTuple

from keras import backend, ops

from keras_ae._checks import check_integer, check_number
from keras_ae.types import Tensor

# The duality gap costs two products; so often, a tenth of the time.
_CHECK_EVERY = 10
_SQUARINGS = 8
_TINY = 1e-30


class SparseCode(NamedTuple):
    """What `ista` and `fista` return.

    Attributes:
        code: `(n, units)`.
        gap: How far an example's objective can be above the least possible one at most, relative
            to the objective, `(n,)`.
        iterations: Steps taken, an integer scalar.
    """

    code: Tensor
    gap: Tensor
    iterations: Tensor


def soft_threshold(x: Tensor, threshold: float | Tensor) -> Tensor:
    """Shrink every element towards 0, `sign(x) max(|x| - threshold, 0)`.

    It is `argmin_z (z - x)^2 / 2 + threshold |z|`.

    Args:
        x: Float tensor of any shape.
        threshold: A number >= 0, or a tensor of such that broadcasts against `x`.

    Returns:
        Tensor of the shape of `x`.

    Example:

    >>> from keras_ae.ops.shrinkage import soft_threshold
    >>> [float(z) for z in soft_threshold([-2.0, 0.5, 1.5], 1.0)]
    [-1.0, 0.0, 0.5]

    Reference:
        Donoho, Johnstone: Ideal Spatial Adaptation by Wavelet Shrinkage, 1994.
    """
    # A difference of two ReLUs: operators that every exported format has.
    x = ops.convert_to_tensor(x)
    return ops.relu(x - threshold) - ops.relu(-x - threshold)


def objective(
    code: Tensor,
    x: Tensor,
    dictionary: Tensor,
    sparsity: float,
    prediction: float = 0.0,
    target: Tensor | None = None,
) -> Tensor:
    """Evaluate `||x - h D||^2 + sparsity |h|_1 + prediction ||h - target||^2` of each example.

    Args:
        code: `h`, `(n, units)`.
        x: `(n, inputs)`.
        dictionary: `D`, whose rows are the atoms, `(units, inputs)`.
        sparsity: A number >= 0.
        prediction: A number >= 0.
        target: `(n, units)`, or `None` if `prediction` is 0.

    Returns:
        Tensor `(n,)`, of the widest precision among the tensors, at least float32.

    Raises:
        ValueError: `target` is missing.

    Example:

    >>> import numpy as np
    >>> from keras_ae.ops.shrinkage import objective
    >>> x, code = np.array([[3.0, 4.0]]), np.array([[2.0, 0.0]])
    >>> float(objective(code, x, np.eye(2), sparsity=0.5)[0])  # 1^2 + 4^2 + 0.5 * 2
    18.0
    """
    _check_target(prediction, target)
    given = [ops.convert_to_tensor(part) for part in (code, x, dictionary)]
    dtype = backend.result_type(*(part.dtype for part in given), "float32")
    code, x, dictionary = (ops.cast(part, dtype) for part in given)
    error = ops.sum(ops.square(x - ops.matmul(code, dictionary)), axis=-1)
    total = error + sparsity * ops.sum(ops.abs(code), axis=-1)
    if prediction > 0:
        total = total + prediction * ops.sum(ops.square(code - ops.cast(target, dtype)), axis=-1)
    return total


def ista(
    x: Tensor,
    dictionary: Tensor,
    sparsity: float,
    *,
    prediction: float = 0.0,
    target: Tensor | None = None,
    start: Tensor | None = None,
    tolerance: float = 1e-3,
    iterations: int = 1000,
) -> SparseCode:
    """Find `argmin_h` of the `objective` of each example by proximal gradient steps.

    `h <- soft_threshold(h - grad / (2 L), sparsity / (2 L))`, with `grad` the gradient of the
    quadratic terms and `L = ||D||_2^2 + prediction`. The objective falls at each step. `fista` has
    the same arguments and is faster.

    Example:

    >>> import numpy as np
    >>> from keras_ae.ops.shrinkage import ista
    >>> found = ista(np.array([[3.0, 0.1]]), np.eye(2), sparsity=1.0)
    >>> [round(float(h), 2) for h in found.code[0]]
    [2.5, 0.0]

    Reference:
        Daubechies, Defrise, De Mol: An Iterative Thresholding Algorithm for Linear Inverse Problems
        with a Sparsity Constraint, 2004.
    """
    return _shrink(
        x, dictionary, sparsity, prediction, target, start, tolerance, iterations, momentum=False
    )


def fista(
    x: Tensor,
    dictionary: Tensor,
    sparsity: float,
    *,
    prediction: float = 0.0,
    target: Tensor | None = None,
    start: Tensor | None = None,
    tolerance: float = 1e-3,
    iterations: int = 1000,
) -> SparseCode:
    """Find `argmin_h` of the `objective` of each example by accelerated proximal gradient steps.

    A step of `ista` from `h_k + (t_(k-1) - 1) / t_k (h_k - h_(k-1))`, `t_(k+1) = (1 +
    sqrt(1 + 4 t_k^2)) / 2`; an example whose last two moves point against each other starts over
    at `t = 1`. All examples of the batch go on until the last one is done.

    Scikit-learn's `alpha` is `sparsity / 2`. Computes in the precision of `x`, at least float32;
    works under `jit_compile`. The result is not meant to be differentiated: at the optimum the
    derivative of the least objective by `x`, `D` or `target` is that with the code held fixed.

    Args:
        x: `(n, inputs)`.
        dictionary: `D`, whose rows are the atoms, `(units, inputs)`, of any length.
        sparsity: Weight of the L1 norm, a finite number > 0.
        prediction: Weight of the distance to `target`, a finite number >= 0.
        target: `(n, units)`, or `None` if `prediction` is 0.
        start: Code to start from, `(n, units)`; 0 if `None`.
        tolerance: Stop once no example's objective can be above the least possible one by more than
            this share, as the duality gap tells; it is usually far closer by then. A finite number
            >= 0. In single precision a bound below about 1e-4 can be out of reach.
        iterations: Steps at most, an integer >= 1.

    Returns:
        `SparseCode`: the code `(n, units)`, the relative gap `(n,)` and the steps taken.

    Raises:
        ValueError: An argument is out of its range, or the shapes do not go together.

    Example:

    >>> import numpy as np
    >>> from keras_ae.ops.shrinkage import fista
    >>> dictionary = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> found = fista(np.array([[1.2, 1.6]]), dictionary, sparsity=0.2, tolerance=1e-9)
    >>> [round(float(h), 4) for h in found.code[0]]
    [0.0, 1.9]

    Reference:
        Beck, Teboulle: A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse
        Problems, 2009. O'Donoghue, Candes: Adaptive Restart for Accelerated Gradient Schemes, 2015.
    """
    return _shrink(
        x, dictionary, sparsity, prediction, target, start, tolerance, iterations, momentum=True
    )


def spectral_norm(matrix: Tensor) -> Tensor:
    """Return the largest singular value of a matrix, from above and within 1 %.

    `||G||_2 <= ||G^(2^p)||_F^(1 / 2^p)` for the smaller Gram matrix `G`. A power iteration comes
    from below, and a step that is too long diverges.

    Args:
        matrix: `(rows, columns)`.

    Returns:
        Scalar tensor, float32 at least.

    Example:

    >>> import numpy as np
    >>> from keras_ae.ops.shrinkage import spectral_norm
    >>> round(float(spectral_norm(np.diag([1.0, 3.0]))), 1)
    3.0
    """
    matrix = ops.convert_to_tensor(matrix)
    # Squares overflow float16.
    matrix = ops.cast(matrix, backend.result_type(matrix.dtype, "float32"))
    rows, columns = matrix.shape
    gram = (
        ops.matmul(matrix, ops.transpose(matrix))
        if rows < columns
        else ops.matmul(ops.transpose(matrix), matrix)
    )
    logarithm = 0.0
    for power in range(_SQUARINGS):
        length = _length(gram)
        logarithm = logarithm + ops.log(length) / 2**power
        gram = ops.matmul(gram / length, gram / length)
    return ops.exp((logarithm + ops.log(_length(gram)) / 2**_SQUARINGS) / 2)


def _check_target(prediction: float, target: Tensor | None) -> None:
    if prediction > 0 and target is None:
        raise ValueError(
            f"target must be given with prediction > 0. Received: prediction={prediction}, "
            "target=None"
        )


def _length(matrix: Tensor) -> Tensor:
    return ops.maximum(ops.sqrt(ops.sum(ops.square(matrix))), _TINY)


def _shrink(
    x: Tensor,
    dictionary: Tensor,
    sparsity: float,
    prediction: float,
    target: Tensor | None,
    start: Tensor | None,
    tolerance: float,
    iterations: int,
    momentum: bool,
) -> SparseCode:
    check_number("sparsity", sparsity, minimum=0, exclusive=True)
    check_number("prediction", prediction, minimum=0)
    check_number("tolerance", tolerance, minimum=0)
    check_integer("iterations", iterations, minimum=1)
    dtype = backend.result_type(ops.convert_to_tensor(x).dtype, "float32")
    x, dictionary = ops.cast(x, dtype), ops.cast(dictionary, dtype)
    if len(x.shape) != 2 or len(dictionary.shape) != 2 or x.shape[1] != dictionary.shape[1]:
        raise ValueError(
            "x and dictionary must have shapes (n, inputs) and (units, inputs). "
            f"Received: x with shape={tuple(x.shape)}, dictionary with "
            f"shape={tuple(dictionary.shape)}"
        )
    units = dictionary.shape[0]
    for name, codes in (("target", target), ("start", start)):
        if codes is not None and (
            len(codes.shape) != 2
            or codes.shape[1] != units
            or (None not in (codes.shape[0], x.shape[0]) and codes.shape[0] != x.shape[0])
        ):
            raise ValueError(
                f"{name} must have shape ({x.shape[0]}, {units}), as the codes. "
                f"Received: {name} with shape={tuple(codes.shape)}"
            )
    _check_target(prediction, target)
    target = None if prediction == 0 else ops.cast(target, dtype)
    h = ops.zeros((ops.shape(x)[0], units), dtype) if start is None else ops.cast(start, dtype)

    step = _step(x, dictionary, sparsity, prediction, target)

    def advance(_: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, y, t = state
        new = step(y)
        if not momentum:
            return new, new, t
        turned = ops.sum((y - new) * (new - h), axis=-1, keepdims=True) > 0
        t = ops.where(turned, 1.0, t)
        following = (1 + ops.sqrt(1 + 4 * ops.square(t))) / 2
        return new, new + (t - 1) / following * (new - h), following

    def advance_and_check(
        done: Tensor, h: Tensor, y: Tensor, t: Tensor, gap: Tensor
    ) -> tuple[Tensor, ...]:
        steps = ops.minimum(_CHECK_EVERY, iterations - done)
        h, y, t = ops.fori_loop(0, steps, advance, (h, y, t))
        return done + steps, h, y, t, _gap(h, x, dictionary, sparsity, prediction, target)

    def goes_on(done: Tensor, h: Tensor, y: Tensor, t: Tensor, gap: Tensor) -> Tensor:
        # Written so that NaN goes on, to the cap.
        return ops.logical_and(done < iterations, ops.logical_not(ops.all(gap <= tolerance)))

    # From 0 there is a way to go: not worth a look.
    first = (
        ops.full((ops.shape(x)[0],), float("inf"), dtype)
        if start is None
        else _gap(h, x, dictionary, sparsity, prediction, target)
    )
    done, h, _, _, gap = ops.while_loop(
        goes_on,
        advance_and_check,
        (ops.zeros((), "int32"), h, h, ops.ones((ops.shape(x)[0], 1), dtype), first),
    )
    return SparseCode(h, gap, done)


def _step(
    x: Tensor, dictionary: Tensor, sparsity: float, prediction: float, target: Tensor | None
) -> Callable[[Tensor], Tensor]:
    """Return the map of a code to the next one."""
    units, inputs = dictionary.shape
    steepness = ops.maximum(ops.square(spectral_norm(dictionary)) + prediction, _TINY)
    atoms = ops.transpose(dictionary)
    constant = ops.matmul(x, atoms)
    if target is not None:
        constant = constant + prediction * target
    constant = constant / steepness
    threshold = sparsity / (2 * steepness)
    kept = 1 - prediction / steepness
    # Through the inputs where that is less than half as wide as the code.
    if 2 * inputs < units:
        scaled = atoms / steepness
        return lambda y: soft_threshold(
            kept * y - ops.matmul(ops.matmul(y, dictionary), scaled) + constant, threshold
        )
    map_ = kept * ops.eye(units, dtype=x.dtype) - ops.matmul(dictionary, atoms) / steepness
    return lambda y: soft_threshold(ops.matmul(y, map_) + constant, threshold)


def _gap(
    h: Tensor,
    x: Tensor,
    dictionary: Tensor,
    sparsity: float,
    prediction: float,
    target: Tensor | None,
) -> Tensor:
    """Return the duality gap of each example, relative to its objective.

    With `y = [x, sqrt(g) target]`, `A = [D, sqrt(g) I]` and `r = y - h A`, the dual of
    `min ||y - h A||^2 + l |h|_1` is `max 2 u y - ||u||^2` over `|2 A u| <= l`, here at `u = s r`.
    Its distance to the objective is a sum of terms that are all >= 0, so that none cancels:
    `(1 - s)^2 ||r||^2 + sum_i (l |h_i| - 2 s h_i (A r)_i)`.
    """
    residual = x - ops.matmul(h, dictionary)
    slope = ops.matmul(residual, ops.transpose(dictionary))
    square = ops.sum(ops.square(residual), axis=-1)
    if target is not None:
        slope = slope + prediction * (target - h)
        square = square + prediction * ops.sum(ops.square(target - h), axis=-1)
    limit = sparsity / ops.maximum(2 * ops.max(ops.abs(slope), axis=-1), _TINY)
    # The best scale would be y r / ||r||^2.
    product = ops.sum(h * slope, axis=-1)
    best = 1 + product / ops.maximum(square, _TINY)
    scale = ops.clip(best, -limit, limit)
    norm = sparsity * ops.sum(ops.abs(h), axis=-1)
    gap = ops.square(1 - scale) * square + norm - 2 * scale * product
    return ops.maximum(gap, 0.0) / ops.maximum(square + norm, _TINY)
