"""What tests do with tensors that each backend of Keras does in its own way."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
else:
    import jax

# JAX has it only where all of a program runs in it.
FLOAT64 = pytest.param("float64", marks=pytest.mark.tensorflow)


def value_and_gradients(
    function: Callable[..., Any], *parts: Any, jit_compile: bool | None = None
) -> tuple[float, list[Any]]:
    """Return a scalar function's value and its derivatives by each part, as arrays.

    A part is an array, which the function is given as a tensor, or a `keras.Variable`, which it
    uses without being given it. With `jit_compile` all of it is a graph, as in `compiled`.
    """
    is_variable = [isinstance(part, keras.Variable) for part in parts]
    variables = [part for part in parts if isinstance(part, keras.Variable)]
    arrays = [ops.convert_to_tensor(p) for p in parts if not isinstance(p, keras.Variable)]
    values = [variable.value for variable in variables]
    if BACKEND == "tensorflow":

        def differentiate(arrays: list[Any], values: list[Any]) -> Any:
            with tf.GradientTape() as tape:
                tape.watch((arrays, values))
                value = function(*arrays)
            return value, tape.gradient(value, (arrays, values), unconnected_gradients="zero")

        if jit_compile is not None:
            differentiate = tf.function(differentiate, jit_compile=jit_compile)
    else:

        def pure(arrays: list[Any], values: list[Any]) -> Any:
            state = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state, collect_losses=True):
                return function(*arrays)

        differentiate = jax.value_and_grad(pure, argnums=(0, 1))
        if jit_compile is not None:
            differentiate = jax.jit(differentiate)
    value, found = differentiate(arrays, values)
    in_order = [iter(gradients) for gradients in found]
    return float(value), [ops.convert_to_numpy(next(in_order[kind])) for kind in is_variable]


def jacobians(function: Callable[[Any], Any], x: Any) -> np.ndarray:
    """Return the Jacobian at each example, which the function is given alone, as an array."""
    return ops.convert_to_numpy(jacobian_tensors(function, x))


def jacobian_tensors(function: Callable[[Any], Any], x: Any) -> Any:
    """Return the same as a tensor, of which derivatives by variables can be taken."""
    x = ops.convert_to_tensor(x)
    if BACKEND == "tensorflow":

        @tf.function
        def jacobian(example: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(example)
                y = function(example[None])[0]
            return tape.jacobian(y, example, unconnected_gradients="zero")

        return tf.stack([jacobian(example) for example in x])
    return jax.jit(jax.vmap(jax.jacrev(lambda example: function(example[None])[0])))(x)


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
