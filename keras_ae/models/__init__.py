"""Whole models, ready for `compile` and `fit`."""

import keras  # noqa: F401  # First: see keras_ae/_registration.py.

from keras_ae.models.autoencoder import Autoencoder as Autoencoder
from keras_ae.models.builders import convolutional_autoencoder as convolutional_autoencoder
from keras_ae.models.builders import dense_autoencoder as dense_autoencoder
from keras_ae.models.denoising_autoencoder import (
    DenoisingAutoencoder as DenoisingAutoencoder,
)
from keras_ae.models.mirror import mirror as mirror
from keras_ae.models.predictive_sparse_decomposition import (
    PredictiveSparseDecomposition as PredictiveSparseDecomposition,
)
from keras_ae.models.pretraining import pretrain_layerwise as pretrain_layerwise
from keras_ae.models.semantic_hasher import SemanticHasher as SemanticHasher
from keras_ae.models.sparse_autoencoder import SparseAutoencoder as SparseAutoencoder
