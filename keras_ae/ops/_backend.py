"""The module that does what each backend of Keras does in its own way."""

from importlib import import_module
from typing import Any

import keras

_NAME = keras.backend.backend()
if _NAME not in {"tensorflow", "jax"}:
    raise ImportError(f"keras_ae needs Keras on tensorflow or jax. Received: KERAS_BACKEND={_NAME}")
backend: Any = import_module(f"keras_ae.ops._{_NAME}_backend")
