"""Encoders that are a chain of layers, taken apart."""

from typing import Any

import keras


def flattened(encoder: Any) -> list[keras.layers.Layer]:
    """Return the layers of a `Sequential` or a functional chain, nested ones too, in order.

    A layer, or a model of another kind, stands for itself.
    """
    if not isinstance(encoder, keras.Model):
        return [encoder]
    parts = [part for part in encoder.layers if not isinstance(part, keras.layers.InputLayer)]
    if not isinstance(encoder, keras.Sequential) and not _is_chain(encoder, parts):
        return [encoder]
    return [layer for part in parts for layer in flattened(part)]


def _is_chain(model: keras.Model, parts: list[keras.layers.Layer]) -> bool:
    """Whether each layer of a functional model takes what the one before it returned."""
    if not hasattr(model, "inputs") or len(model.inputs) != 1 or len(model.outputs) != 1:
        return False
    (current,) = model.inputs
    for part in parts:
        if part.input is not current:
            return False
        current = part.output
    return current is model.outputs[0]
