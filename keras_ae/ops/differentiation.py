"""Derivatives of tensor functions, on the backend of Keras.

With `function` from `(n, ...)` to `(n, ...)`, each example on its own, and `x` a float tensor
`(n, ...)`:

- `value_and_elementwise_derivative(function, x)` returns `f(x)` and `f'(x)`, of the shape of `x`,
  for a function whose output `i` depends on input `i` alone.
- `value_and_jacobian(function, x)` returns `f(x)`, and `J[b, i, j] = d f(x_b)_i / d x_bj` as
  `(n, *output_shape, *input_shape)`.
- `value_and_vjp(function, x)` returns `f(x)` and the map `v -> J^T v` of each example, from the
  shape of `f(x)` to that of `x`.
- `value_and_jvp(function, x)` returns `f(x)` and the map `u -> J u` of each example, from the shape
  of `x` to that of `f(x)`.
- `outside_of_tracing()` is a context in which functions give numbers even where a graph is traced.

The maps may be called many times and do not evaluate `f` again. Training differentiates through
what all of these return, with respect to weights. A function may assign variables. A layer, or a
`functools.partial` of one, may add losses; on JAX those of layers in other functions are lost.
"""

import numpy as np
from keras import ops

from keras_ae.ops._backend import backend
from keras_ae.types import TensorFunction

outside_of_tracing = backend.outside_of_tracing
value_and_elementwise_derivative = backend.value_and_elementwise_derivative
value_and_jacobian = backend.value_and_jacobian
value_and_jvp = backend.value_and_jvp
value_and_vjp = backend.value_and_vjp


def is_elementwise(function: TensorFunction, units: int) -> bool:
    """Tell whether a function treats every element on its own, by trying it.

    Half of the elements of a fixed input are changed; an elementwise function leaves the outputs
    of the other half as they were.

    Args:
        function: Maps `(n, units)` to the same shape.
        units: Size of the last axis, >= 1.
    """
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4, units)).astype("float32")
    changed = generator.random(x.shape) < 0.5
    changed[0], changed[1] = False, True
    other = np.where(changed, x - 2.0, x).astype("float32")
    # A layer may be made while a graph is traced; the trial still has to give numbers.
    with outside_of_tracing():
        before, after = (
            ops.convert_to_numpy(function(ops.convert_to_tensor(values))) for values in (x, other)
        )
    return before.shape == x.shape and np.allclose(
        before[~changed], after[~changed], rtol=1e-5, atol=1e-6, equal_nan=True
    )
