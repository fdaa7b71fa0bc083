"""Pure functions of tensors, without state."""

import keras  # noqa: F401  # First: see keras_ae/_registration.py.
