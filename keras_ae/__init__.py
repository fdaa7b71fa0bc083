"""Autoencoders for Keras 3: contractive, sparse, denoising, and semantic hashing.

The names below load on first use: searching codes needs neither Keras nor TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_ae._registration import register_with_keras

if TYPE_CHECKING:
    from keras_ae import analysis as analysis
    from keras_ae import export as export
    from keras_ae import plotting as plotting
    from keras_ae.layers import AffineCorruption as AffineCorruption
    from keras_ae.layers import BatchTopK as BatchTopK
    from keras_ae.layers import BinaryCode as BinaryCode
    from keras_ae.layers import Contractive as Contractive
    from keras_ae.layers import ContractiveDense as ContractiveDense
    from keras_ae.layers import GatedReLU as GatedReLU
    from keras_ae.layers import GaussianCorruption as GaussianCorruption
    from keras_ae.layers import JumpReLU as JumpReLU
    from keras_ae.layers import MaskingCorruption as MaskingCorruption
    from keras_ae.layers import PackBits as PackBits
    from keras_ae.layers import PSDPredictor as PSDPredictor
    from keras_ae.layers import RangeCorruption as RangeCorruption
    from keras_ae.layers import SaltAndPepperCorruption as SaltAndPepperCorruption
    from keras_ae.layers import TangentPropagated as TangentPropagated
    from keras_ae.layers import TanhCode as TanhCode
    from keras_ae.layers import TiedDense as TiedDense
    from keras_ae.layers import TopK as TopK
    from keras_ae.models import Autoencoder as Autoencoder
    from keras_ae.models import DenoisingAutoencoder as DenoisingAutoencoder
    from keras_ae.models import PredictiveSparseDecomposition as PredictiveSparseDecomposition
    from keras_ae.models import SemanticHasher as SemanticHasher
    from keras_ae.models import SparseAutoencoder as SparseAutoencoder
    from keras_ae.models import convolutional_autoencoder as convolutional_autoencoder
    from keras_ae.models import dense_autoencoder as dense_autoencoder
    from keras_ae.models import pretrain_layerwise as pretrain_layerwise
    from keras_ae.regularizers import BitRegularizer as BitRegularizer
    from keras_ae.regularizers import ContractiveRegularizer as ContractiveRegularizer
    from keras_ae.regularizers import KLSparsityRegularizer as KLSparsityRegularizer
    from keras_ae.regularizers import LabelConsistency as LabelConsistency
    from keras_ae.regularizers import LaplaceActivityRegularizer as LaplaceActivityRegularizer
    from keras_ae.regularizers import PriorActivityRegularizer as PriorActivityRegularizer
    from keras_ae.regularizers import TangentPropagation as TangentPropagation
    from keras_ae.regularizers import ViewConsistency as ViewConsistency
    from keras_ae.retrieval import HammingIndex as HammingIndex

_HOMES = {
    "AffineCorruption": "keras_ae.layers",
    "BatchTopK": "keras_ae.layers",
    "BinaryCode": "keras_ae.layers",
    "Contractive": "keras_ae.layers",
    "ContractiveDense": "keras_ae.layers",
    "GatedReLU": "keras_ae.layers",
    "GaussianCorruption": "keras_ae.layers",
    "JumpReLU": "keras_ae.layers",
    "MaskingCorruption": "keras_ae.layers",
    "PackBits": "keras_ae.layers",
    "PSDPredictor": "keras_ae.layers",
    "RangeCorruption": "keras_ae.layers",
    "SaltAndPepperCorruption": "keras_ae.layers",
    "TangentPropagated": "keras_ae.layers",
    "TanhCode": "keras_ae.layers",
    "TiedDense": "keras_ae.layers",
    "TopK": "keras_ae.layers",
    "Autoencoder": "keras_ae.models",
    "DenoisingAutoencoder": "keras_ae.models",
    "PredictiveSparseDecomposition": "keras_ae.models",
    "SemanticHasher": "keras_ae.models",
    "SparseAutoencoder": "keras_ae.models",
    "convolutional_autoencoder": "keras_ae.models",
    "dense_autoencoder": "keras_ae.models",
    "pretrain_layerwise": "keras_ae.models",
    "BitRegularizer": "keras_ae.regularizers",
    "ContractiveRegularizer": "keras_ae.regularizers",
    "KLSparsityRegularizer": "keras_ae.regularizers",
    "LabelConsistency": "keras_ae.regularizers",
    "LaplaceActivityRegularizer": "keras_ae.regularizers",
    "PriorActivityRegularizer": "keras_ae.regularizers",
    "TangentPropagation": "keras_ae.regularizers",
    "ViewConsistency": "keras_ae.regularizers",
    "HammingIndex": "keras_ae.retrieval",
}
_SUBMODULES = (
    "analysis",
    "callbacks",
    "export",
    "layers",
    "metrics",
    "models",
    "ops",
    "plotting",
    "regularizers",
    "retrieval",
)

__version__ = "0.1.0"
__all__ = [*_SUBMODULES, *_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"keras_ae.{name}")
    raise AttributeError(f"module 'keras_ae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_keras()
