"""Penalties on activations and on Jacobians."""

import keras  # noqa: F401  # First: see keras_ae/_registration.py.

from keras_ae.regularizers.bit_regularizer import BitRegularizer as BitRegularizer
from keras_ae.regularizers.contractive_regularizer import (
    ContractiveRegularizer as ContractiveRegularizer,
)
from keras_ae.regularizers.kl_sparsity_regularizer import (
    KLSparsityRegularizer as KLSparsityRegularizer,
)
from keras_ae.regularizers.label_consistency import LabelConsistency as LabelConsistency
from keras_ae.regularizers.laplace_activity_regularizer import (
    LaplaceActivityRegularizer as LaplaceActivityRegularizer,
)
from keras_ae.regularizers.prior_activity_regularizer import (
    PriorActivityRegularizer as PriorActivityRegularizer,
)
from keras_ae.regularizers.tangent_propagation import TangentPropagation as TangentPropagation
from keras_ae.regularizers.view_consistency import ViewConsistency as ViewConsistency
