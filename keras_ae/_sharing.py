"""Layers that two objects of a saved file share."""

import keras

from keras_ae.types import Config


def always_save_as_shared(layer: keras.layers.Layer) -> None:
    """Make `layer` carry the id by which a saved file recognises a shared object.

    Keras gives that id when it meets an object for the second time, and then marks the first
    configuration as well. A nested model has copied its layers' configurations by then, so the
    first one stays unmarked and the loaded layers are no longer shared. Serializing the layer once
    more, before its own serialization ends, makes that one the second.
    """
    if "get_config" in vars(layer):
        return
    get_config = layer.get_config
    inside = False

    def get_config_of_shared() -> Config:
        nonlocal inside
        if not inside:
            inside = True
            try:
                keras.saving.serialize_keras_object(layer)
            finally:
                inside = False
        config: Config = get_config()
        return config

    object.__setattr__(layer, "get_config", get_config_of_shared)
