"""Binary codes: eight bits to a byte, bit 0 lowest."""

import keras
import numpy as np
from keras import ops

from keras_ae.types import Tensor

# NumPy arrays, because a captured backend constant becomes an extra graph input in ONNX.
_POWERS = np.array([1, 2, 4, 8, 16, 32, 64, 128], dtype="int32")
_SHIFTS = np.arange(8, dtype="int32")


def pack_bits(x: Tensor) -> Tensor:
    """Pack the signs of a tensor into bytes: bit `j` of a code is `x[..., j] > 0`.

    Args:
        x: Tensor `(..., bits)` of logits, or of bits 0 and 1; `bits` is a positive multiple of 8.

    Returns:
        Tensor `(..., bits / 8)`, uint8, little bit order.
    """
    inner = tuple(x.shape[1:-1])
    if keras.backend.standardize_dtype(x.dtype) == "bool":
        x = ops.cast(x, "int32")
    bits = ops.cast(x > 0, "int32")
    octets = ops.reshape(bits, (-1, *inner, x.shape[-1] // 8, 8))
    return ops.cast(ops.sum(octets * _POWERS, axis=-1), "uint8")


def unpack_bits(codes: Tensor) -> Tensor:
    """Unpack bytes into bits 0 and 1, the inverse of `pack_bits` on bits.

    Args:
        codes: Tensor `(..., bits / 8)`, uint8.

    Returns:
        Tensor `(..., bits)`, uint8.
    """
    inner = tuple(codes.shape[1:-1])
    octets = ops.expand_dims(ops.cast(codes, "int32"), -1)
    bits = ops.bitwise_and(ops.right_shift(octets, _SHIFTS), 1)
    return ops.cast(ops.reshape(bits, (-1, *inner, codes.shape[-1] * 8)), "uint8")
