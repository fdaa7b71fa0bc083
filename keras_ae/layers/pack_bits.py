"""Bits or logits to bytes."""

from typing import Any

import keras

from keras_ae.ops.bits import pack_bits
from keras_ae.types import Shape, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class PackBits(keras.layers.Layer):
    """Pack eight bits to a byte, bit 0 lowest.

    `byte_m = sum_i 2^i [x_(8m + i) > 0]`

    The threshold at 0 serves both the logits of an encoder and the bits of a `BinaryCode`. The
    result equals `numpy.packbits(x > 0, axis=-1, bitorder="little")`. It has no gradient.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Shape:
        Input `(n, ..., bits)` with `bits` a positive multiple of 8; output `(n, ..., bits / 8)`,
        uint8.

    Raises:
        ValueError: The last axis of the input is not a positive multiple of 8.

    Example:

    >>> import keras, keras_ae
    >>> logits = keras.ops.array([[1.0, -1, -1, -1, -1, -1, -1, 2]])
    >>> int(keras_ae.PackBits()(logits)[0, 0])
    129
    """

    def __init__(self, **kwargs: Any) -> None:
        # A tiny positive logit must not become 0 in float16 before it meets the threshold.
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        return pack_bits(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        bits = input_shape[-1]
        if len(input_shape) < 2 or not bits or bits % 8 or None in input_shape[1:]:
            raise ValueError(
                "The input of PackBits must have a shape (n, ..., bits), known but for n, with "
                f"bits a positive multiple of 8. Received: input_shape={tuple(input_shape)}"
            )
        return (*input_shape[:-1], bits // 8)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="uint8")
