"""Derivatives and random numbers on TensorFlow; see `differentiation` and `random`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf
from keras.src.random.seed_generator import draw_seed

from keras_ae.types import Tensor, TensorFunction

# What XLA would choose on a CPU takes thirty times as long.
_ALGORITHM = "philox"


def value_and_elementwise_derivative(function: TensorFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    y, tape = _recorded(function, x)
    return y, tape.gradient(y, x, unconnected_gradients="zero")


def value_and_jacobian(function: TensorFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    y, tape = _recorded(function, x)
    return y, tape.batch_jacobian(y, x, unconnected_gradients="zero")


def value_and_vjp(function: TensorFunction, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    # Persistent, so that every call of the map shares the one forward pass.
    y, tape = _recorded(function, x, persistent=True)

    def pull_back(vectors: Tensor) -> Tensor:
        return tape.gradient(y, x, output_gradients=vectors, unconnected_gradients="zero")

    return y, pull_back


def value_and_jvp(function: TensorFunction, x: Tensor) -> tuple[Tensor, TensorFunction]:
    # `v -> J^T v` is linear, and its own transpose is wanted: its derivative at any `v`. Forward
    # accumulators would evaluate `f` for each `u`, and take ten times as long to compile with XLA.
    y, pull_back = value_and_vjp(function, x)
    v = tf.zeros_like(y)
    pulled, tape = _recorded(pull_back, v, persistent=True)

    def push_forward(vectors: Tensor) -> Tensor:
        return tape.gradient(pulled, v, output_gradients=vectors, unconnected_gradients="zero")

    return y, push_forward


def outside_of_tracing() -> AbstractContextManager[Any]:
    return tf.init_scope()


def uniform(shape: Sequence[Tensor], seed: Any) -> Tensor:
    return tf.random.stateless_uniform(shape, _key(seed), alg=_ALGORITHM)


def normal(shape: Sequence[Tensor], seed: Any) -> Tensor:
    return tf.random.stateless_normal(shape, _key(seed), alg=_ALGORITHM)


def integers(shape: Sequence[Tensor], end: int, seed: Any) -> Tensor:
    return tf.random.stateless_uniform(shape, _key(seed), 0, end, tf.int32, alg=_ALGORITHM)


def _key(seed: Any) -> tf.Tensor:
    key = seed if tf.is_tensor(seed) else draw_seed(seed)
    # XLA takes no wider one.
    return tf.cast(tf.math.floormod(key, tf.int32.max - 1), tf.int32)


def _recorded(
    function: TensorFunction, x: Tensor, persistent: bool = False
) -> tuple[Tensor, tf.GradientTape]:
    with tf.GradientTape(persistent=persistent, watch_accessed_variables=False) as tape:
        tape.watch(x)
        y = function(x)
    return y, tape
