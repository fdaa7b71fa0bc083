"""Layers: drop them into any Keras model."""

import keras  # noqa: F401  # First: see keras_ae/_registration.py.

from keras_ae.layers.affine_corruption import AffineCorruption as AffineCorruption
from keras_ae.layers.batch_top_k import BatchTopK as BatchTopK
from keras_ae.layers.binary_code import BinaryCode as BinaryCode
from keras_ae.layers.contractive import Contractive as Contractive
from keras_ae.layers.contractive_dense import ContractiveDense as ContractiveDense
from keras_ae.layers.gated_relu import GatedReLU as GatedReLU
from keras_ae.layers.gaussian_corruption import GaussianCorruption as GaussianCorruption
from keras_ae.layers.jump_relu import JumpReLU as JumpReLU
from keras_ae.layers.masking_corruption import MaskingCorruption as MaskingCorruption
from keras_ae.layers.pack_bits import PackBits as PackBits
from keras_ae.layers.psd_predictor import PSDPredictor as PSDPredictor
from keras_ae.layers.range_corruption import RangeCorruption as RangeCorruption
from keras_ae.layers.salt_and_pepper_corruption import (
    SaltAndPepperCorruption as SaltAndPepperCorruption,
)
from keras_ae.layers.tangent_propagated import TangentPropagated as TangentPropagated
from keras_ae.layers.tanh_code import TanhCode as TanhCode
from keras_ae.layers.tied_dense import TiedDense as TiedDense
from keras_ae.layers.top_k import TopK as TopK
