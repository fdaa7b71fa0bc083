"""A deep encoder as a pile of shallow ones, each with its decoder."""

from typing import Any

import keras

from keras_ae._chain import flattened
from keras_ae.layers.contractive import Contractive
from keras_ae.models.mirror import ACTIVATIONS, NORMALIZATIONS, fresh, has_kernel, mirror
from keras_ae.types import Shape

# Those that act on every element alone, wherever in the stage they stand.
_ELEMENTWISE = (keras.layers.ELU, keras.layers.LeakyReLU, keras.layers.ReLU)


def split_into_stages(
    stack: keras.Model, shape: Shape, output_activation: Any
) -> list[tuple[keras.Sequential, keras.Sequential]]:
    """Return the encoder of each stage, made of the layers of the stack, and a fresh decoder."""
    groups: list[list[keras.layers.Layer]] = [[]]
    for layer in flattened(stack):
        if has_kernel(layer) and any(has_kernel(below) for below in groups[-1]):
            groups.append([])
        groups[-1].append(layer)
    stages = []
    ending = output_activation
    for group in groups:
        encoder = keras.Sequential([keras.Input(shape[1:]), *group])
        stages.append((encoder, mirror(encoder, ending)))
        shape, ending = encoder.output_shape, _last_activation(group)
    return stages


def _last_activation(layers: list[keras.layers.Layer]) -> Any:
    """Return the elementwise activation that the codes of a stage come from, if there is one."""
    for layer in reversed(layers):
        if isinstance(layer, Contractive):
            return _last_activation(flattened(layer.layer))
        if isinstance(layer, keras.layers.Activation):
            return layer.activation
        if isinstance(layer, _ELEMENTWISE):
            return fresh(layer)
        if isinstance(layer, ACTIVATIONS + NORMALIZATIONS):
            return None
        if has_kernel(layer):
            return fresh(layer.activation)
    return None
