"""What tests do with tensors that each backend of Keras does in its own way."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
else:
    import jax


def value_and_gradients(function: Callable[..., Any], *parts: Any) -> tuple[float, list[Any]]:
    """Return a scalar function's value and its derivatives by each part, as arrays.

    A part is an array, which the function is given as a tensor, or a `keras.Variable`, which it
    uses without being given it.
    """
    is_variable = [isinstance(part, keras.Variable) for part in parts]
    variables = [part for part in parts if isinstance(part, keras.Variable)]
    arrays = [ops.convert_to_tensor(p) for p in parts if not isinstance(p, keras.Variable)]
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            value = function(*arrays)
        sources = (arrays, [variable.value for variable in variables])
        found = tape.gradient(value, sources, unconnected_gradients="zero")
    else:

        def pure(arrays: list[Any], values: list[Any]) -> Any:
            state = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state, collect_losses=True):
                return function(*arrays)

        values = [variable.value for variable in variables]
        value, found = jax.value_and_grad(pure, argnums=(0, 1))(arrays, values)
    in_order = [iter(gradients) for gradients in found]
    return float(value), [ops.convert_to_numpy(next(in_order[kind])) for kind in is_variable]


def jacobians(function: Callable[[Any], Any], x: Any) -> np.ndarray:
    """Return the Jacobian at each example, which the function is given alone, as an array."""
    matrices = []
    for example in ops.convert_to_tensor(x):
        if BACKEND == "tensorflow":
            with tf.GradientTape() as tape:
                tape.watch(example)
                y = function(example[None])[0]
            matrices.append(tape.jacobian(y, example, unconnected_gradients="zero"))
        else:
            matrices.append(jax.jacfwd(lambda e: function(e[None])[0])(example))
    return np.stack([ops.convert_to_numpy(matrix) for matrix in matrices])


def compiled(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable] = (),
    jit_compile: bool = True,
) -> Callable[..., Any]:
    """Return a function of tensors as a graph. It changes no other variables than those given.

    On JAX every graph goes through XLA.
    """
    if BACKEND == "tensorflow":
        return tf.function(function, jit_compile=jit_compile)

    @jax.jit
    def pure(values: list[Any], *args: Any) -> Any:
        state = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state, collect_losses=True) as scope:
            results = function(*args)
        return results, [scope.get_current_value(variable) for variable in variables]

    def call(*args: Any) -> Any:
        results, values = pure([variable.value for variable in variables], *args)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return results

    return call
