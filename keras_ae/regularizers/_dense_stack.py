"""Encoders whose Jacobian is a product of kernels and diagonal matrices."""

from functools import partial
from typing import Any

import keras
from keras import layers, ops
from keras.activations import linear

from keras_ae._chain import flattened
from keras_ae.ops.differentiation import is_elementwise, value_and_elementwise_derivative
from keras_ae.types import Tensor

# Given their random draw, and their batch statistics, each acts on every element alone.
_ELEMENTWISE = (
    layers.Activation,
    layers.ActivityRegularization,
    layers.BatchNormalization,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ReLU,
    layers.Rescaling,
)


def dense_stack(encoder: Any) -> list[keras.layers.Layer]:
    """Return the layers of an encoder made of dense and elementwise layers, in order.

    Raises:
        ValueError: It is something else; the message names the layer that is.
    """
    stack = flattened(encoder)
    dense = [isinstance(layer, layers.Dense) for layer in stack]
    for position, layer in enumerate(stack):
        if not _is_allowed(layer, is_first=not any(dense[:position])):
            raise ValueError(_message(layer))
    if not any(dense):
        raise ValueError(_message(encoder))
    return stack


def value_and_factors(
    stack: list[keras.layers.Layer], inputs: Tensor, training: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Evaluate a stack, and return its kernels and slopes as `dense_jacobian` takes them."""
    kernels: list[Tensor] = []
    slopes: list[Tensor] = [None]
    x = inputs
    last = sum(isinstance(layer, layers.Dense) for layer in stack) - 1
    for layer in stack:
        if isinstance(layer, layers.Dense):
            # Called as well, for all that a call does besides: weights, losses and precision.
            outputs = layer(x, training=training)
            kernel = ops.convert_to_tensor(layer.kernel)
            slope = None
            is_linear_end = 0 < len(kernels) == last and layer.activation is linear
            if not is_linear_end:
                z = ops.matmul(ops.cast(x, kernel.dtype), kernel)
                if layer.bias is not None:
                    z = z + ops.cast(layer.bias, z.dtype)
                _, slope = value_and_elementwise_derivative(layer.activation, z)
            x = outputs
            kernels.append(kernel)
            slopes.append(slope)
        elif isinstance(layer, layers.Flatten):
            x = layer(x)
            slopes[0] = None if slopes[0] is None else layer(slopes[0])
        else:
            x, slope = value_and_elementwise_derivative(partial(layer, training=training), x)
            # Of layers in another precision, too.
            slopes[-1] = slope if slopes[-1] is None else ops.multiply(slopes[-1], slope)
    return x, kernels, slopes


def _is_allowed(layer: Any, is_first: bool) -> bool:
    if type(layer).__module__.split(".")[0] not in {"keras", "keras_ae"}:
        return False  # A subclass may do anything in its call.
    if isinstance(layer, layers.Dense):
        return layer.quantization_mode is None and is_elementwise(layer.activation, layer.units)
    if isinstance(layer, layers.Flatten):
        return is_first
    if isinstance(layer, layers.Activation):
        return is_elementwise(layer.activation, 8)
    return isinstance(layer, _ELEMENTWISE)


def _message(part: Any) -> str:
    return (
        'estimator must be "jacobian" or "hutchinson" unless the encoder is a stack of Dense '
        "layers with elementwise activations, and of elementwise layers such as Dropout and "
        f'BatchNormalization. Received: estimator="exact" for {part!r}'
    )
