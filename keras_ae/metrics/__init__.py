"""What a code is like: how sparse, how saturated, how contracted, how much it explains."""

import keras  # noqa: F401  # First: see keras_ae/_registration.py.

from keras_ae.metrics.dead_fraction import DeadFraction as DeadFraction
from keras_ae.metrics.explained_variance import ExplainedVariance as ExplainedVariance
from keras_ae.metrics.jacobian_norm import JacobianNorm as JacobianNorm
from keras_ae.metrics.l0 import L0 as L0
from keras_ae.metrics.normalized_mean_squared_error import (
    NormalizedMeanSquaredError as NormalizedMeanSquaredError,
)
from keras_ae.metrics.saturation import Saturation as Saturation
