"""Derivatives and random numbers on JAX; see `differentiation` and `random`."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
from keras.src.backend import get_keras_mask, set_keras_mask

from keras_ae.ops._isolated_scope import IsolatedScope
from keras_ae.types import Tensor, TensorFunction


def value_and_elementwise_derivative(function: TensorFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    pure = _Pure(function, x)
    y, slope, effects = jax.jvp(pure, (x,), (jnp.ones_like(x),), has_aux=True)
    pure.take_effect(y, effects)
    return y, slope


def value_and_jacobian(function: TensorFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    y, pull_back = value_and_vjp(function, x)
    n, *outputs = y.shape
    size = math.prod(outputs)
    # One backward pass for each output, of all examples together.
    basis = jnp.eye(size, dtype=y.dtype).reshape(size, 1, *outputs)
    rows = jax.vmap(pull_back)(jnp.broadcast_to(basis, (size, *y.shape)))
    return y, jnp.moveaxis(rows, 0, 1).reshape(n, *outputs, *x.shape[1:])


def value_and_vjp(function: TensorFunction, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    pure = _Pure(function, x)
    y, pull_back, effects = jax.vjp(pure, x, has_aux=True)
    pure.take_effect(y, effects)
    return y, lambda vectors: pull_back(vectors)[0]


def value_and_jvp(function: TensorFunction, x: Tensor) -> tuple[Tensor, TensorFunction]:
    pure = _Pure(function, x)
    y, push_forward, effects = jax.linearize(pure, x, has_aux=True)
    pure.take_effect(y, effects)
    return y, push_forward


@contextmanager
def outside_of_tracing() -> Iterator[None]:
    with jax.ensure_compile_time_eval(), keras.StatelessScope():
        yield


def uniform(shape: Sequence[Tensor], seed: Any) -> Tensor:
    return keras.random.uniform(shape, dtype="float32", seed=seed)


def normal(shape: Sequence[Tensor], seed: Any) -> Tensor:
    return keras.random.normal(shape, dtype="float32", seed=seed)


def integers(shape: Sequence[Tensor], end: int, seed: Any) -> Tensor:
    return keras.random.randint(shape, 0, end, dtype="int32", seed=seed)


class _Pure:
    """A function that returns what it would do to variables and losses beside its value.

    Done inside of a transformation of JAX it would leave values that mean nothing outside. Nor do
    the masks of Keras get in or out by themselves.
    """

    def __init__(self, function: TensorFunction, x: Tensor) -> None:
        self._function = function
        self._mask = get_keras_mask(x)
        layer = function.func if isinstance(function, partial) else function
        self._layers = layer._flatten_layers() if isinstance(layer, keras.layers.Layer) else []
        self._variables: list[keras.Variable] = []
        self._losing: list[keras.layers.Layer] = []

    def __call__(self, x: Tensor) -> tuple[Tensor, Any]:
        set_keras_mask(x, self._mask)
        scope = IsolatedScope(collect_losses=True)
        with scope:
            y = self._function(x)
        self._variables = list(scope.changed.values())
        values = [scope.get_current_value(variable) for variable in self._variables]
        self._losing, losses = [], []
        for loss in scope.losses:
            for layer in self._layers:
                if id(loss) in layer._loss_ids:
                    # Another loss may get its id as soon as it is gone.
                    layer._loss_ids.remove(id(loss))
                    self._losing.append(layer)
                    losses.append(loss)
        return y, (values, losses, get_keras_mask(y))

    def take_effect(self, y: Tensor, effects: tuple[list[Tensor], list[Tensor], Tensor]) -> None:
        """Assign and add what the call that gave `y` returned."""
        values, losses, mask = effects
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
        for layer, loss in zip(self._losing, losses, strict=True):
            layer.add_loss(loss)
        set_keras_mask(y, mask)
