"""What a trained autoencoder knows of its data."""

import keras  # noqa: F401  # First: see keras_ae/_registration.py.

from keras_ae.analysis.contraction import ContractionProfile as ContractionProfile
from keras_ae.analysis.contraction import contraction_profile as contraction_profile
from keras_ae.analysis.denoising_score import score as score
from keras_ae.analysis.pca import PCAAgreement as PCAAgreement
from keras_ae.analysis.pca import pca_agreement as pca_agreement
from keras_ae.analysis.sampling import sample as sample
from keras_ae.analysis.spectrum import jacobian_spectrum as jacobian_spectrum
from keras_ae.analysis.spectrum import local_dimension as local_dimension
from keras_ae.analysis.tangent_spaces import tangents as tangents
