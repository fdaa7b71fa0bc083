"""The losses that layers add, told apart by what they are for."""

from itertools import cycle

import keras

from keras_ae.types import Tensor

_OTHER = "regularization"
_KNOWN = ("keras", "keras_ae")


def penalty_names(model: keras.Model) -> list[str]:
    """Return the names that `penalties` can give for a built model, in order of appearance."""
    names = [name for layer in model._flatten_layers() for name in _names(layer, training=True)]
    # A frozen variable can be thawed later, and a layer from elsewhere can call `add_loss`.
    decays = any(variable.regularizer is not None for variable in model.variables)
    parts = model._flatten_layers(include_self=False)
    foreign = any(type(part).__module__.split(".")[0] not in _KNOWN for part in parts)
    if decays or foreign:
        names.append(_OTHER)
    return list(dict.fromkeys(names))


def training_only_names(model: keras.Model) -> set[str]:
    """Return the names of the penalties that exist in training only."""
    return {name for layer in model._flatten_layers() for name in _names(layer, training=True)} - {
        name for layer in model._flatten_layers() for name in _names(layer, training=False)
    }


def penalties(model: keras.Model, training: bool) -> dict[str, Tensor]:
    """Return the sums of the losses that the last call of a model added, by name.

    They add up to the sum of `model.losses`.
    """
    sums: dict[str, Tensor] = {}
    for layer in model._flatten_layers():
        # A layer adds its own penalties in `call` and Keras that of the activity after it.
        names = cycle(_names(layer, training) or [_OTHER])
        for name, value in zip(names, _own_losses(model, layer), strict=False):
            sums[name] = sums.get(name, 0.0) + value
    for value in model._get_regularization_losses():
        sums[_OTHER] = sums.get(_OTHER, 0.0) + value
    return sums


def _own_losses(model: keras.Model, layer: keras.layers.Layer) -> list[Tensor]:
    # On JAX the call is over, and its losses are kept here for the computation of the total.
    if model._losses_override:
        return [value for value in model._losses_override if id(value) in layer._loss_ids]
    return layer._get_own_losses()


def _names(layer: keras.layers.Layer, training: bool) -> list[str]:
    names = list(getattr(layer, "penalty_names", ())) if training else []
    if getattr(layer, "activity_regularizer", None) is not None:
        names.append(getattr(layer.activity_regularizer, "penalty_name", _OTHER))
    return names
