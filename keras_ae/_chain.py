"""Encoders that are a chain of layers, taken apart."""

from typing import Any

import keras


def flattened(encoder: Any) -> list[keras.layers.Layer]:
    """Return the layers of a `Sequential` or a functional chain, nested ones too, in order.

    A layer, or a model of another kind, stands for itself.
    """
    if not isinstance(encoder, keras.Model) or _has_own_call(encoder):
        return [encoder]
    parts = encoder.layers if isinstance(encoder, keras.Sequential) else _chain(encoder)
    return [encoder] if parts is None else [layer for part in parts for layer in flattened(part)]


def _has_own_call(model: keras.Model) -> bool:
    # A subclass of a Sequential or functional model may do anything in its call.
    definer = next(kind for kind in type(model).__mro__ if "call" in vars(kind))
    return definer.__module__.split(".")[0] != "keras"


def _chain(model: keras.Model) -> list[keras.layers.Layer] | None:
    """Return the layers of a functional model if each takes what the one before returned."""
    if not hasattr(model, "inputs") or len(model.inputs) != 1 or len(model.outputs) != 1:
        return None
    # Back from the output by the calls that made the tensors: a layer may have others.
    parts: list[keras.layers.Layer] = []
    (current,) = model.outputs
    while current is not model.inputs[0]:
        part, call, _ = current._keras_history
        node = part._inbound_nodes[call]
        is_link = isinstance(part, keras.layers.Layer) and len(node.input_tensors) == 1
        if not is_link or part in parts:
            return None
        parts.insert(0, part)
        (current,) = node.input_tensors
    return parts
