"""What a trained autoencoder knows of its data."""

import keras  # noqa: F401  # First: see keras_ae/_registration.py.

from keras_ae.analysis.contraction import ContractionProfile as ContractionProfile
from keras_ae.analysis.contraction import contraction_profile as contraction_profile
from keras_ae.analysis.spectrum import jacobian_spectrum as jacobian_spectrum
from keras_ae.analysis.spectrum import local_dimension as local_dimension
from keras_ae.analysis.tangent_spaces import tangents as tangents
