"""Derivatives of tensor functions: the only module of layers and models that knows the backend."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import tensorflow as tf

from keras_ae.types import Tensor, TensorFunction

# A list of tapes for each thread: a distribution strategy traces its replicas in threads.
_active = threading.local()


def value_and_elementwise_derivative(function: TensorFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate an elementwise function and its derivative, `(f(x), f'(x))`.

    Args:
        function: An elementwise function: output `i` depends on input `i` alone.
        x: Tensor of any shape.

    Returns:
        Two tensors of the shape of `x`.
    """
    with _watching(x) as tape:
        y = function(x)
    return y, tape.gradient(y, x, unconnected_gradients="zero")


def value_and_jacobian(function: TensorFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate a function and its Jacobian at each example, `J[b, i, j] = d f(x_b)_i / d x_bj`.

    Args:
        function: Maps `(n, ...)` to `(n, ...)`, each example on its own.
        x: Tensor `(n, ...)`.

    Returns:
        `f(x)`, and the Jacobian `(n, *output_shape, *input_shape)`.
    """
    with _watching(x) as tape:
        y = function(x)
    return y, tape.batch_jacobian(y, x, unconnected_gradients="zero")


def value_and_vjp(function: TensorFunction, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Evaluate a function and return the map `v -> J^T v` of each example.

    Args:
        function: Maps `(n, ...)` to `(n, ...)`, each example on its own.
        x: Tensor `(n, ...)`.

    Returns:
        `f(x)`, and a function from a tensor of the shape of `f(x)` to one of the shape of `x`. It
        may be called many times and does not evaluate `f` again.
    """
    # Persistent, so that every call of the map shares the one forward pass.
    with _watching(x, persistent=True) as tape:
        y = function(x)

    def pull_back(vectors: Tensor) -> Tensor:
        return tape.gradient(y, x, output_gradients=vectors, unconnected_gradients="zero")

    return y, pull_back


def value_and_jvp(function: TensorFunction, x: Tensor) -> tuple[Tensor, TensorFunction]:
    """Evaluate a function and return the map `u -> J u` of each example.

    Args:
        function: Maps `(n, ...)` to `(n, ...)`, each example on its own.
        x: Tensor `(n, ...)`.

    Returns:
        `f(x)`, and a function from a tensor of the shape of `x` to one of the shape of `f(x)`. It
        may be called many times and does not evaluate `f` again.
    """
    # `v -> J^T v` is linear, and its own transpose is wanted: its derivative at any `v`. Forward
    # accumulators would evaluate `f` for each `u`, and take ten times as long to compile with XLA.
    y, pull_back = value_and_vjp(function, x)
    v = tf.zeros_like(y)
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(v)
        pulled = pull_back(v)

    def push_forward(vectors: Tensor) -> Tensor:
        return tape.gradient(pulled, v, output_gradients=vectors, unconnected_gradients="zero")

    return y, push_forward


@contextmanager
def held_constant() -> Iterator[None]:
    """What is computed inside is a constant for the derivatives that this module is taking.

    A training step around them, which differentiates with respect to weights, still sees through.
    """
    tapes = getattr(_active, "tapes", [])
    _active.tapes = []
    try:
        with ExitStack() as stopped:
            for tape in tapes:
                stopped.enter_context(tape.stop_recording())
            yield
    finally:
        _active.tapes = tapes


@contextmanager
def _watching(x: Tensor, persistent: bool = False) -> Iterator[tf.GradientTape]:
    outer = getattr(_active, "tapes", [])
    with tf.GradientTape(persistent=persistent, watch_accessed_variables=False) as tape:
        _active.tapes = [*outer, tape]
        try:
            tape.watch(x)
            yield tape
        finally:
            _active.tapes = outer


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
    with tf.init_scope():
        before = np.asarray(function(tf.constant(x)))
        after = np.asarray(function(tf.constant(other)))
    return before.shape == x.shape and np.allclose(
        before[~changed], after[~changed], rtol=1e-5, atol=1e-6, equal_nan=True
    )
