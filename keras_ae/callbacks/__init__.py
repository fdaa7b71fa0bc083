"""What happens between the epochs of a training."""

import keras  # noqa: F401  # First: see keras_ae/_registration.py.

from keras_ae.callbacks.dead_unit_resampler import DeadUnitResampler as DeadUnitResampler
from keras_ae.callbacks.noise_schedule import NoiseSchedule as NoiseSchedule
