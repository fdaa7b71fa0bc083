"""Packages and backends that only some parts need."""

import importlib
from typing import Any


def optional_import(module: str, extra: str) -> Any:
    """Import a module of an optional dependency, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'{module.partition(".")[0]} is needed for this: pip install "keras-ae[{extra}]"'
        ) from error


def require_tensorflow(name: str) -> None:
    """Raise a RuntimeError that names what is not to be had on the backend of Keras."""
    import keras  # Here, because the search needs no Keras and imports this.

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"{name} needs Keras on TensorFlow. Received: KERAS_BACKEND={keras.backend.backend()}. "
            "A model saved as .keras on any backend opens on TensorFlow too"
        )
