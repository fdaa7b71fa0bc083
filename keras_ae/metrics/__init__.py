"""What a code is like: how sparse, how saturated, how contracted, how much it explains."""

import keras  # noqa: F401  # First: see keras_ae/_registration.py.

from keras_ae.metrics.jacobian_norm import JacobianNorm as JacobianNorm
